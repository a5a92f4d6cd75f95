/** Drawing only: everything that users wrote goes in as text, never as HTML. */

import { DIRECT } from './conversations.js';
import { byId, element } from './elements.js';
import { previewText, shortTime } from './wording.js';

const PEOPLE_SHOWN_MAX = 50;

/** The first letter, whole where it is no single code unit. */
export function initialOf(name) {
  return String.fromCodePoint(name.codePointAt(0));
}

/** The uids of whom this user talks with: of direct conversations and of the open one. */
export function peopleOf(chat) {
  const direct = chat.list().filter((one) => one.direct);
  const said = (chat.open()?.messages ?? []).map(({ fromUid }) => fromUid).toReversed();
  const uids = [...direct.map(({ channel }) => channel.channelId), ...said];
  const others = uids.filter((one) => one && one !== chat.uid);
  return [...new Set(others)].slice(0, PEOPLE_SHOWN_MAX);
}

/** Leaves alone what is as it was: neither the focus nor a screen reader is disturbed. */
function drawWhereChanged(list, facts, items) {
  const drawn = JSON.stringify(facts);
  if (list.dataset.drawn === drawn) return;
  list.dataset.drawn = drawn;
  const focused = list.contains(document.activeElement) && document.activeElement.dataset.key;
  list.replaceChildren(...items());
  if (focused) list.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

/** all: the conversations, the newest first; online: as of Cluster. */
export function drawChannels({ all, current, online }, onOpen) {
  const shown = all.map((one) => {
    const { key, name, unread, last, direct, channel } = one;
    const time = last?.timestamp ? shortTime(last.timestamp) : '';
    const isOnline = direct && online?.has(channel.channelId) === true;
    return { key, name, unread, time, isOnline, preview: previewText(last, direct) };
  });
  const facts = [current, shown];
  drawWhereChanged(byId('channels'), facts, () =>
    shown.map((one) => element('li', {}, channelButton(one, current, onOpen))),
  );
}

function channelButton({ key, name, unread, time, isOnline, preview }, current, onOpen) {
  const button = element('button', { type: 'button', onclick: () => onOpen(key) });
  button.dataset.key = key;
  button.setAttribute('aria-current', String(key === current));
  const title = element('span', { className: 'name', textContent: name });
  if (isOnline) title.append(element('span', { className: 'dot', title: 'online' }));
  button.append(title, element('span', { className: 'soft time', textContent: time }));
  button.append(element('span', { className: 'soft preview', textContent: preview }));
  if (unread > 0) {
    const count = element('span', { className: 'unread', textContent: unread });
    count.setAttribute('aria-label', `${unread} unread`);
    button.append(count);
  }
  return button;
}

/** online: Map of uid to devices, or undefined where it is not known. */
export function drawPeople({ people, online }, onOpen) {
  byId('people-section').hidden = online === undefined || people.length === 0;
  if (online === undefined) return;
  const shown = people.map((uid) => ({ uid, devices: online.get(uid) }));
  shown.sort((a, b) => Number(b.devices !== undefined) - Number(a.devices !== undefined));
  drawWhereChanged(byId('people'), shown, () =>
    shown.map(({ uid, devices }) => {
      const key = `${DIRECT}/${uid}`;
      const button = element('button', { type: 'button', onclick: () => onOpen(key) });
      button.dataset.key = `person ${uid}`;
      button.append(element('span', { className: 'name', textContent: uid }));
      const state = devices ? `online · ${devices.join(', ')}` : 'offline';
      button.append(element('span', { className: 'soft', textContent: state }));
      const item = element('li', {}, button);
      item.dataset.live = String(devices !== undefined);
      item.dataset.person = uid;
      return item;
    }),
  );
}

export function drawHeader({ name, direct, channel, state }, online) {
  byId('channel-name').textContent = name;
  const presence = online && (online.has(channel.channelId) ? 'online' : 'offline');
  byId('channel-state').textContent = direct ? (presence ?? 'direct') : state;
  byId('leave').textContent = direct ? 'Hide' : 'Leave';
}

/** view: what /page/cluster says. `node`: the one this tab is connected to. */
export function drawMembers(view, node) {
  drawWhereChanged(byId('members'), [view, node, location.hash], () =>
    view.members.map((member) => {
      const item = element('li');
      item.dataset.live = String(member.live);
      item.dataset.member = member.id;
      item.append(element('span', { className: 'name', textContent: member.id }));
      if (member.id === node)
        item.append(element('span', { className: 'tag', textContent: 'this tab' }));
      const state = member.live ? 'live' : 'suspect';
      item.append(element('span', { className: 'soft', textContent: state }));
      if (member.id !== view.node && member.live) item.append(linkTo(member));
      return item;
    }),
  );
}

function linkTo({ id, http_address: address }) {
  const link = element('a', { textContent: 'open', target: '_blank', rel: 'noopener' });
  link.title = `Open the page on ${id}`;
  if (/^https?:\/\//.test(address)) link.href = `${address}/#channel=${hashChannel()}`;
  return link;
}

function hashChannel() {
  return encodeURIComponent(new URLSearchParams(location.hash.slice(1)).get('channel') ?? '');
}
