import { byId, element } from './elements.js';
import { recallText } from './wording.js';

/** Of which an item stands: the message as it was drawn. */
const drawn = new WeakMap();
let shownKey = '';

/** one: a conversation; actions: {originOf(id), recall(message)}. */
export function drawMessages(one, actions) {
  const list = byId('messages');
  const isOther = shownKey !== one.key;
  shownKey = one.key;
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const anchor = anchorOf(list);
  drawEnds(one);
  const items = [];
  let day = '';
  for (const message of one.messages) {
    const its = new Date(message.timestamp * 1000).toDateString();
    if (its !== day && !message.notice) {
      // The same item for the same day, unless another message begins it now.
      items.push(itemFor(message, 'day', { make: () => dayItem(message) }));
      day = its;
    }
    const origin = message.id && !message.notice ? actions.originOf(message.id) : undefined;
    const make = () => messageItem(message, origin, actions.recall);
    items.push(itemFor(message, 'item', { origin, make }));
  }
  fill(list, items);
  const isMine = one.messages.at(-1)?.status === 'sending';
  if (isOther || atEnd || isMine) list.scrollTop = list.scrollHeight;
  else if (anchor?.item.isConnected) list.scrollTop = anchor.item.offsetTop - anchor.distance;
}

function drawEnds({ more, loaded, loading, cutTo, messages }) {
  byId('older').hidden = !(more && loaded);
  byId('older').disabled = loading;
  byId('cut').hidden = more || !cutTo;
  byId('empty').hidden = !loaded || messages.length > 0;
}

/** The first item that is seen, and where. */
function anchorOf(list) {
  for (const item of list.children) {
    if (item.offsetTop + item.offsetHeight < list.scrollTop) continue;
    return { item, distance: item.offsetTop - list.scrollTop };
  }
  return undefined;
}

function itemFor(message, kind, { origin, make }) {
  const items = drawn.get(message) ?? {};
  drawn.set(message, items);
  const facts = JSON.stringify([message, origin]);
  const known = items[kind];
  if (known && (kind === 'day' || known.facts === facts)) return known.item;
  items[kind] = { facts, item: make() };
  return items[kind].item;
}

/** Moves nothing that is in its place, so that a screen reader says what is new alone. */
function fill(list, items) {
  let at = list.firstChild;
  for (const item of items) {
    if (item === at) at = at.nextSibling;
    else list.insertBefore(item, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function dayItem({ timestamp }) {
  const text = new Date(timestamp * 1000).toLocaleDateString([], { dateStyle: 'full' });
  return element('li', { className: 'notice day', textContent: text });
}

function messageItem(message, origin, recall) {
  if (message.notice) return element('li', { className: 'notice', textContent: message.notice });
  const { own, fromUid, timestamp, id, status } = message;
  const meta = element('div', { className: 'meta' });
  meta.append(element('b', { textContent: own ? 'you' : fromUid }));
  const time = new Date(timestamp * 1000);
  const clock = time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  meta.append(element('time', { textContent: clock, dateTime: time.toISOString() }));
  if (origin) meta.append(element('span', { textContent: `via ${origin}` }));
  if (status) {
    const className = message.failed ? 'failed' : '';
    meta.append(element('span', { className, textContent: status }));
  }
  const text = message.recall ? recallText(message) : message.text;
  if (own && id && !message.recall) meta.append(recallButton(message, recall));
  const item = element('li', { className: own ? 'own' : '' }, meta);
  item.classList.toggle('recalled', message.recall !== undefined);
  item.append(element('div', { className: 'text', textContent: text }));
  item.dataset.no = message.no;
  return item;
}

function recallButton(message, recall) {
  const button = element('button', { type: 'button', className: 'recall' });
  button.textContent = 'Take back';
  button.setAttribute('aria-label', `Take back: ${message.text.slice(0, 60)}`);
  button.addEventListener('click', () => recall(message));
  return button;
}
