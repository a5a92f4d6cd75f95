/** Drawing of the operator's page: everything goes in as text, never as HTML. */
import { byId, element } from './elements.js';

const MARKS = {
  yes: ['RECEIVES', 'good'],
  partly: ['RECEIVES IN PART', 'warn'],
  no: ['DOES NOT RECEIVE', 'bad'],
  offline: ['OFFLINE', 'warn'],
  unknown: ['NOBODY CAN TELL', 'warn'],
};
/** Verdicts that say how it should be; with any other something is damaged or late. */
const SOUND = ['receives', 'offline', 'slow'];
const STATES = { CONNECTED: 'good', DISCONNECTED: 'bad', TIMEOUT: 'bad' };

export function drawState(state) {
  const { health } = state;
  byId('node').textContent = `${state.member} · ${state.cluster} · ${state.version}`;
  const kind = !health.ready ? 'bad' : health.degraded.length > 0 ? 'warn' : 'good';
  const words = { bad: 'not ready', warn: 'ready, degraded', good: 'ready' };
  byId('health').dataset.kind = kind;
  byId('health').textContent = words[kind];
  const reasons = [...health.reasons, ...health.degraded];
  byId('health-reasons').hidden = reasons.length === 0;
  byId('health-reasons').replaceChildren(...reasons.map((text) => item(text)));
  drawTable(
    byId('members-table'),
    ['Member', 'State', 'Peer', 'Clients', 'Page'],
    [...state.members.map((member) => memberRow(state, member))],
  );
}

function memberRow(state, { id, live, peer, clientAddress, httpAddress }) {
  const own = id === state.member;
  const store = state.store.state === 'ok' ? '' : `, disk: ${state.store.reason}`;
  const self = `this node${state.mayWrite ? '' : ', catching up'}${store}`;
  const behind = peer?.behind ? `${peer.behind} writes behind` : 'nothing behind';
  const said = own ? self : peer ? `${behind} ${live ? '' : peer.lastError}` : 'no stream';
  const page = element('a', { textContent: 'open', target: '_blank', rel: 'noopener' });
  if (/^https?:\/\//.test(httpAddress)) page.href = `${httpAddress}/operator`;
  return row(id, [
    id,
    [live ? 'live' : 'not heard', live ? 'good' : 'bad'],
    said,
    clientAddress,
    page,
  ]);
}

/** onSwitch(name, wanted: 'enable' | 'disable' | 'drain') */
export function drawListeners(listeners, onSwitch) {
  const rows = listeners.map(({ name, state, address, connections }) => {
    const isOn = state === 'enabled';
    const actions = element('span');
    for (const wanted of isOn ? ['disable', ...(name === 'client' ? ['drain'] : [])] : ['enable']) {
      actions.append(button(wanted, `${wanted} ${name}`, () => onSwitch(name, wanted)));
    }
    return row(name, [name, [state, isOn ? 'good' : 'warn'], address, connections, actions]);
  });
  drawTable(byId('listeners'), ['Name', 'State', 'Address', 'Connections', ''], rows);
}

const RELOADED = {
  unchanged: 'Nothing to apply.',
  applied: 'Applied.',
  refused: 'Not taken, nothing changes:',
  'rolled-back': 'It could not be applied:',
};

/** What became of a reload: all that is wrong, what is applied, what needs a restart. */
export function drawReload({ result, errors, changes }) {
  const lines = [
    ...errors,
    ...changes.map(({ path, before, after, live, note }) => {
      const what = `${live ? 'applied' : 'needs a restart'}: ${path}: ${before} → ${after}`;
      return note === '' ? what : `${what} (${note})`;
    }),
  ];
  const list = element('ul');
  list.append(...lines.map((line) => element('li', {}, line)));
  byId('reloaded').replaceChildren(element('p', {}, RELOADED[result] ?? result), list);
  byId('reloaded').hidden = false;
}

/** onAct(id, action), onOpen(id) */
export function drawConnections({ connections, members }, { onAct, onOpen }) {
  const live = new Set(members.filter((member) => member.live).map((member) => member.id));
  byId('no-connections').hidden = connections.length > 0;
  byId('connections').hidden = connections.length === 0;
  const head = ['Connection', 'State', 'For', 'Deadline in', 'Owner', 'Attempt', 'Reason', ''];
  drawTable(byId('connections'), head, [
    ...connections.map(({ id, kind, standing }) => {
      const { state, sinceMs, deadlineMs, owner, attempt, retries, reason, enabled } = standing;
      const name = button(id, `Journal of ${id}`, () => onOpen(id));
      const actions = element('span');
      const taken = live.has(owner) ? [] : ['take'];
      for (const action of [...(enabled ? ['retry', 'cancel'] : ['start', 'remove']), ...taken]) {
        actions.append(button(action, `${action} ${id}`, () => onAct(id, action)));
      }
      const tries = retries > 0 ? `${attempt} (${retries} timed out)` : attempt;
      const due = deadlineMs === 0 ? 'none' : duration(deadlineMs - Date.now());
      const left = `${kind}${enabled ? '' : ' · off'}`;
      const first = element(
        'span',
        {},
        name,
        element('div', { className: 'soft', textContent: left }),
      );
      const kindOf = STATES[state] ?? 'warn';
      const age = duration(Date.now() - sinceMs);
      return row(id, [first, [state, kindOf], age, due, owner, tries, reason, actions]);
    }),
  ]);
}

/** on: {rollback(version), confirm(code), close()} */
export function drawConnection(connection, on) {
  const { id, target, standing, journal } = connection;
  const box = byId('connection');
  box.hidden = false;
  const title = element('h3', { textContent: `${id} · ${target} ` });
  title.append(button('close', `Close ${id}`, on.close));
  const table = element('table');
  const rows = journal.toReversed().map(({ atMs, from, event, actor, node, after }) => {
    const back =
      after.version === standing.version
        ? ''
        : button('roll back', `Roll back to ${after.version}`, () => on.rollback(after.version));
    const change = `${from} → ${after.state}`;
    return row(after.version, [
      after.version,
      time(atMs),
      change,
      event,
      `${actor} on ${node}`,
      after.reason,
      back,
    ]);
  });
  drawTable(table, ['Version', 'At', 'Change', 'Event', 'By', 'Reason', ''], rows);
  box.replaceChildren(
    title,
    ...codeOf(connection, on.confirm),
    element('div', { className: 'wide' }, table),
  );
}

/** What waits to be scanned, typed or confirmed. */
function codeOf({ id, standing: { code }, picture }, onConfirm) {
  if (code === '') return [];
  const image = element('img', { src: picture, alt: `QR code of ${id}`, className: 'code' });
  const text = element('p', {}, element('code', { textContent: code }), ' ');
  text.append(button('confirm', `Confirm the code of ${id}`, () => onConfirm(code)));
  return picture === '' ? [text] : [image, text];
}

/** repaired: the reply of a repair, or undefined */
export function drawExplanation(explanation, repaired) {
  const { verdict, receives, next, findings, members, silent, history, member, atMs } = explanation;
  const wrong = receives === 'yes' && !SOUND.includes(verdict?.code ?? '');
  const [mark, kind] = MARKS[receives] ?? [receives, 'warn'];
  const card = element('div', { className: 'verdict' });
  card.dataset.kind = wrong ? 'warn' : kind;
  card.dataset.receives = receives;
  card.append(
    element('strong', { textContent: wrong ? `${mark}, BUT SOMETHING IS WRONG` : mark }),
    element('div', { textContent: verdict?.text ?? '' }),
    element('div', { className: 'soft', textContent: `Do: ${next}` }),
    element('div', { className: 'soft', textContent: `${time(atMs)}, asked on ${member}` }),
  );
  const others = findings.filter(({ text }) => text !== verdict?.text).map(({ text }) => text);
  const quiet = silent.map((one) => `${one.member} did not answer: ${one.reason}`);
  const notes = [...others, ...quiet];
  const list = element('ul', { className: 'findings' }, ...notes.map((text) => item(text)));
  byId('explanation').replaceChildren(
    card,
    ...(repaired ? [repairOf(repaired)] : []),
    ...(notes.length > 0 ? [list] : []),
    ...titled('What each node has', layers(members)),
    ...(history.length > 0 ? titled('History, newest first', historyOf(history)) : []),
  );
  byId('explanation').hidden = false;
}

function repairOf({ changes, members, silent }) {
  const failed = members.flatMap((one) => one.failed.map((text) => `${one.member}: ${text}`));
  const quiet = silent.map((one) => `${one.member} did not answer: ${one.reason}`);
  const said = changes.map(
    (one) => `${one.member}: ${one.action} in ${one.layer} (${one.cause}) ${one.detail}`,
  );
  const card = element('div', { className: 'verdict', id: 'repaired' });
  card.dataset.kind = failed.length + quiet.length > 0 ? 'warn' : 'good';
  const words = changes.length === 1 ? '1 change' : `${changes.length} changes`;
  const title = changes.length === 0 ? 'Repair: nothing was wrong' : `Repair: ${words}`;
  const lines = [...said, ...failed, ...quiet].map((text) => item(text));
  card.append(
    element('strong', { textContent: title }),
    element('ul', { className: 'findings' }, ...lines),
  );
  return card;
}

function layers(members) {
  const table = element('table');
  const head = [
    'Member',
    'Row',
    'Own list',
    'Index',
    'Denied',
    'Sessions',
    'Newest message',
    'Disk',
  ];
  const rows = members.map((facts) => {
    const { member, row: of, reverse, index, denials, sessions, last, store, storeError } = facts;
    const denied = denials.filter(({ live }) => live).map(({ reason }) => reason);
    const devices = sessions.map((one) => `${one.remoteAddress} (topic: ${one.inTopic})`);
    const newest = last ? `${last.messageSeq} by ${last.sender}, ${time(last.atMs)}` : 'none';
    const rowKind = of === 'live' ? 'good' : of === 'damaged' ? 'bad' : 'warn';
    const missing = of === 'live' && !reverse;
    return row(member, [
      member,
      [of, rowKind],
      missing ? ['MISSING', 'bad'] : reverse ? 'yes' : 'no',
      index,
      denied.join(', ') || 'no',
      devices.join(', ') || 'none',
      newest,
      storeError ? [`${store}: ${storeError}`, 'bad'] : store,
    ]);
  });
  drawTable(table, head, rows);
  return table;
}

function historyOf(history) {
  const table = element('table');
  const rows = history.map(({ atMs, member, action, cause, result, detail }, i) =>
    row(i, [time(atMs), member, action, cause, result, detail]),
  );
  drawTable(table, ['At', 'Member', 'Action', 'Cause', 'Result', ''], rows);
  return table;
}

function titled(text, table) {
  return [element('h3', { textContent: text }), element('div', { className: 'wide' }, table)];
}

/** Keeps the focus where it is: the tables are drawn anew every few seconds. */
function drawTable(table, head, rows) {
  const focused = table.contains(document.activeElement) ? document.activeElement.ariaLabel : '';
  const heads = head.map((text) => element('th', { scope: 'col', textContent: text }));
  table.replaceChildren(
    element('thead', {}, element('tr', {}, ...heads)),
    element('tbody', {}, ...rows),
  );
  if (focused) table.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
}

/** cells: text, a node, or [text, kind] */
function row(key, cells) {
  const line = element('tr');
  line.dataset.key = key;
  for (const cell of cells) {
    const [content, kind] = Array.isArray(cell) ? cell : [cell];
    const box = element('td', {}, content instanceof Node ? content : String(content));
    if (kind) box.dataset.kind = kind;
    line.append(box);
  }
  return line;
}

function button(text, label, onclick) {
  return element('button', { type: 'button', textContent: text, ariaLabel: label, onclick });
}

function item(text) {
  return element('li', { textContent: text });
}

function time(ms) {
  return new Date(ms).toLocaleString([], { dateStyle: 'short', timeStyle: 'medium' });
}

function duration(ms) {
  const seconds = Math.round(ms / 1000);
  if (seconds < 0) return `${-seconds} s ago`;
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  return `${Math.round(minutes / 60)} h`;
}
