import { byId, showBanner } from './elements.js';
import * as view from './operator-view.js';

const POLL_MS = 2000;
const ANSWER_MS = 15_000;

let timer;
/** The connection whose journal is shown. */
let opened = '';

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function post(path, body) {
  const answer = await fetch(`/operator/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body ?? {}),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, said.msg);
  return said;
}

const call = (name, body) => post(`call/${name}`, body);

/** Shows what went wrong where an action fails. */
async function attempt(action) {
  showBanner('');
  try {
    await action();
  } catch (error) {
    if (error.status === 401) showLogin('');
    else showBanner(error.message, 'bad');
  }
}

async function refresh() {
  clearTimeout(timer);
  try {
    if (!document.hidden) await drawAll();
  } catch (error) {
    if (error.status === 401) return showLogin('');
    if (error.status === 403) return showLogin(error.message);
    showBanner(error.status ? error.message : 'The node does not answer.', 'silent');
  }
  timer = setTimeout(() => void refresh(), POLL_MS);
}

async function drawAll() {
  const state = await call('state');
  if (byId('banner').dataset.kind === 'silent') showBanner('');
  byId('sign-in').hidden = true;
  byId('desk').hidden = false;
  view.drawState(state);
  view.drawListeners(state.listeners, switchListener);
  view.drawConnections(state, { onAct: act, onOpen: openConnection });
  if (opened === '') return;
  if (state.connections.some(({ id }) => id === opened)) await drawOpened();
  else closeConnection();
}

function showLogin(error) {
  clearTimeout(timer);
  byId('desk').hidden = true;
  byId('sign-in').hidden = false;
  byId('login-error').hidden = error === '';
  byId('login-error').textContent = error;
}

const WARNINGS = {
  'disable client': 'Disable the client listener? Its connections are ended.',
  'disable http':
    'This page is on the http listener: only the command line can enable it again. Disable it?',
  'drain client': 'Send all clients of this node elsewhere, a few each second?',
};

function switchListener(name, wanted) {
  const warning = WARNINGS[`${wanted} ${name}`];
  if (warning && !confirm(warning)) return;
  const ask = () => (wanted === 'drain' ? call('drain') : call(`listener-${wanted}`, { name }));
  void attempt(ask).then(refresh);
}

function act(id, action) {
  if (action === 'remove' && !confirm(`Forget ${id}?`)) return;
  void attempt(() => call('act', { id, action })).then(refresh);
}

function openConnection(id) {
  opened = id;
  void attempt(drawOpened);
}

function closeConnection() {
  opened = '';
  byId('connection').hidden = true;
}

async function drawOpened() {
  const id = opened;
  const connection = await call('connection', { id });
  if (opened !== id) return;
  view.drawConnection(connection, {
    rollback: (version) => void attempt(() => call('rollback', { id, version })).then(refresh),
    confirm: (code) => void attempt(() => call('confirm', { id, code })).then(refresh),
    close: closeConnection,
  });
}

function pairOf() {
  const { uid, type, channel } = byId('explain-form').elements;
  const channelId = channel.value.trim();
  return { uid: uid.value.trim(), channelId, channelType: Number(type.value) };
}

async function busy(work) {
  const buttons = byId('explain-form').querySelectorAll('button');
  for (const button of buttons) button.disabled = true;
  await attempt(work);
  for (const button of buttons) button.disabled = false;
}

byId('explain-form').addEventListener('submit', (event) => {
  event.preventDefault();
  void busy(async () => view.drawExplanation(await call('explain', pairOf())));
});
byId('repair').addEventListener('click', () => {
  if (!byId('explain-form').reportValidity()) return;
  void busy(async () => {
    const reply = await call('repair', pairOf());
    view.drawExplanation(reply.after, reply);
  });
});
byId('login-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const { token } = event.target.elements;
  post('login', { token: token.value }).then(
    () => {
      token.value = '';
      void refresh();
    },
    (error) => showLogin(error.message),
  );
});
byId('reload').addEventListener('click', () => {
  void attempt(async () => view.drawReload(await call('reload'))).then(refresh);
});
byId('logout').addEventListener('click', () => {
  void attempt(() => post('logout')).then(() => showLogin(''));
});
addEventListener('visibilitychange', () => {
  if (!document.hidden && !byId('desk').hidden) void refresh();
});

void refresh();
