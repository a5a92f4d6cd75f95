/** Drawing only: everything that users wrote goes in as text, never as HTML. */

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export function showBanner(text, kind = 'warn') {
  const banner = byId('banner');
  banner.hidden = text === '';
  banner.textContent = text;
  banner.dataset.kind = kind;
}

export function channelName({ channelId, channelType }) {
  return channelType === 1 ? `@${channelId}` : channelId;
}

/** channels: {key, name, unread}[] */
export function drawChannels(channels, currentKey, onOpen) {
  const focused = document.activeElement?.dataset?.key;
  byId('channels').replaceChildren(
    ...channels.map(({ key, name, unread }) => {
      const button = element('button', { type: 'button', onclick: () => onOpen(key) });
      button.dataset.key = key;
      button.setAttribute('aria-current', String(key === currentKey));
      button.append(element('span', { className: 'name', textContent: name }));
      if (unread > 0) {
        const count = element('span', { className: 'unread', textContent: unread });
        count.setAttribute('aria-label', `${unread} unread`);
        button.append(count);
      }
      return element('li', {}, button);
    }),
  );
  if (focused) document.querySelector(`#channels [data-key="${CSS.escape(focused)}"]`)?.focus();
}

/** view: what /page/cluster says. `node`: the one this tab is connected to. */
export function drawMembers(view, node) {
  const drawn = JSON.stringify([view, node, location.hash]);
  const list = byId('members');
  if (list.dataset.drawn === drawn) return;
  list.dataset.drawn = drawn;
  list.replaceChildren(
    ...view.members.map((member) => {
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

export function drawMessages(messages) {
  const list = byId('messages');
  list.replaceChildren(...messages.map(messageItem));
  list.scrollTop = list.scrollHeight;
}

export function appendMessage(message) {
  const list = byId('messages');
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  list.append(messageItem(message));
  if (atEnd || message.own) list.scrollTop = list.scrollHeight;
}

export function redrawMessage(message) {
  document
    .querySelector(`#messages [data-no="${CSS.escape(message.no)}"]`)
    ?.replaceWith(messageItem(message));
}

function messageItem(message) {
  if (message.notice) return element('li', { className: 'notice', textContent: message.notice });
  const meta = element('div', { className: 'meta' });
  meta.append(element('b', { textContent: message.own ? 'you' : message.fromUid }));
  const time = new Date(message.timestamp * 1000);
  const clock = time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  meta.append(element('time', { textContent: clock, dateTime: time.toISOString() }));
  if (message.origin) meta.append(element('span', { textContent: `via ${message.origin}` }));
  if (message.status) {
    const className = message.failed ? 'failed' : '';
    meta.append(element('span', { className, textContent: message.status }));
  }
  const item = element('li', { className: message.own ? 'own' : '' }, meta);
  item.append(element('div', { className: 'text', textContent: message.text }));
  item.dataset.no = message.no;
  return item;
}
