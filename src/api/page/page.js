import { drawId } from './chat-client.js';
import { Chat } from './chat.js';
import { Cluster } from './cluster.js';
import { byId, showBanner } from './elements.js';
import { drawMessages } from './message-view.js';
import * as view from './view.js';

const NAME_OF_LOBBY = '2/lobby';

let chat;
let address = '';
let uid = '';
let isLost = false;
let isDrawing = false;
const cluster = new Cluster({ people: () => (chat ? view.peopleOf(chat) : []), onChange: draw });

async function begin() {
  await cluster.begin();
  const hash = readHash();
  if (hash.uid) signIn(hash.uid, sessionStorage.getItem(`token:${hash.uid}`) ?? '', hash.channel);
  else showSignIn('', hash.channel);
}

function readHash() {
  const values = new URLSearchParams(location.hash.slice(1));
  return { uid: values.get('uid') ?? '', channel: values.get('channel') ?? '' };
}

function writeHash() {
  const values = new URLSearchParams({ uid, channel: chat.current });
  const hash = `#${values.toString().replaceAll('%2F', '/')}`;
  if (location.hash !== hash) history.replaceState(null, '', hash);
}

function showSignIn(error, key) {
  byId('chat').hidden = true;
  byId('sign-in').hidden = false;
  const form = byId('sign-in-form');
  form.uid.value ||= uid;
  if (key) form.channel.value = key.startsWith('2/') ? key.slice(2) : key;
  byId('sign-in-error').hidden = error === '';
  byId('sign-in-error').textContent = error;
  form.uid.focus();
}

function signIn(name, token, key) {
  uid = name;
  sessionStorage.setItem(`token:${uid}`, token);
  byId('sign-in').hidden = true;
  byId('chat').hidden = false;
  byId('my-uid').textContent = uid;
  byId('my-avatar').textContent = view.initialOf(uid);
  chat = new Chat({
    ...{ uid, token, deviceId: deviceId(), onState, onChange: draw },
    addresses: () => cluster.addresses(),
    nodeName: () => cluster.nodeAt(address),
  });
  for (const kept of JSON.parse(sessionStorage.getItem(`channels:${uid}`) ?? '[]')) chat.keep(kept);
  open(/^\d+\/./.test(key) ? key : NAME_OF_LOBBY);
  chat.start();
}

function deviceId() {
  const known = sessionStorage.getItem('device') ?? drawId();
  sessionStorage.setItem('device', known);
  return known;
}

function onState({ state, reason, retryMs, address: at }) {
  if (at) address = at;
  if (state === 'online') {
    isLost = false;
    showBanner('');
  } else if (state === 'waiting') {
    isLost = true;
    const seconds = Math.max(1, Math.round(retryMs / 1000));
    showBanner(`Connection lost (${reason}). Next attempt in ${seconds} s.`);
  } else if (state === 'connecting' && isLost) {
    showBanner(`Reconnecting to ${cluster.nodeAt(address)} at ${address} …`);
  } else if (state === 'refused') {
    isLost = false;
    showBanner('');
    showSignIn(`Refused: ${reason}`, chat.current);
  }
  byId('retry').hidden = state !== 'waiting';
  draw();
  void cluster.refresh();
}

function open(key) {
  chat.show(key);
  writeHash();
  byId('text').focus();
}

/** Once for all that changed at a time. */
function draw() {
  if (isDrawing) return;
  isDrawing = true;
  setTimeout(() => {
    isDrawing = false;
    if (chat && !byId('chat').hidden) drawNow();
    drawCluster();
  }, 0);
}

function drawNow() {
  const all = chat.list();
  const one = chat.open();
  sessionStorage.setItem(`channels:${uid}`, JSON.stringify(all.map(({ key }) => key)));
  byId('my-state').dataset.state = chat.online ? 'online' : 'offline';
  byId('my-state').textContent = chat.online ? 'online' : 'offline';
  byId('my-node').textContent = cluster.nodeAt(address);
  byId('send').disabled = !chat.online;
  const unread = chat.unread();
  document.title = `${unread > 0 ? `(${unread}) ` : ''}${uid} · Holdfast`;
  view.drawChannels({ all, current: chat.current, online: cluster.online }, open);
  view.drawPeople({ people: view.peopleOf(chat), online: cluster.online }, open);
  view.drawHeader(one, cluster.online);
  drawMessages(one, {
    originOf: (id) => cluster.originOf(id),
    recall: (message) => void chat.recall(one, message),
  });
}

function drawCluster() {
  const { view: seen, error, needsToken } = cluster;
  const clients = seen.sessions === 1 ? 'client' : 'clients';
  const note = byId('cluster-note');
  note.textContent = error || (seen.node ? `${seen.sessions} ${clients} on ${seen.node}` : '');
  note.hidden = note.textContent === '';
  byId('token-form').hidden = !needsToken;
  view.drawMembers(seen, chat?.online ? cluster.nodeAt(address) : '');
}

function onSubmit(id, action) {
  byId(id).addEventListener('submit', (event) => {
    event.preventDefault();
    action(event.target);
  });
}

onSubmit('sign-in-form', ({ uid: name, channel, token }) => {
  const id = channel.value.trim();
  signIn(name.value.trim(), token.value, /^\d+\/./.test(id) ? id : `2/${id}`);
});
onSubmit('composer', () => {
  const text = byId('text').value.trim();
  if (text === '' || !chat.online) return;
  byId('text').value = '';
  void chat.send(text);
});
onSubmit('add-form', (form) => {
  open(`${form.elements.type.value}/${form.elements.id.value.trim()}`);
  form.reset();
});
onSubmit('token-form', (form) => cluster.useToken(form.token.value));
byId('retry').addEventListener('click', () => chat.retry());
byId('sign-out').addEventListener('click', () => {
  chat.stop();
  showBanner('');
  history.replaceState(null, '', '#');
  showSignIn('', '');
});
byId('leave').addEventListener('click', () => {
  void chat.leave(chat.open()).then(writeHash);
});
byId('older').addEventListener('click', () => void chat.older(chat.open()));
byId('messages').addEventListener('scroll', ({ target }) => {
  if (target.scrollTop < 40 && !byId('older').hidden) void chat.older(chat.open());
});
addEventListener('keydown', (event) => {
  if (!event.altKey || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown')) return;
  event.preventDefault();
  const keys = chat.list().map(({ key }) => key);
  const step = event.key === 'ArrowDown' ? 1 : -1;
  open(keys[(keys.indexOf(chat.current) + step + keys.length) % keys.length]);
});
document.addEventListener('visibilitychange', () => chat?.looked());
addEventListener('hashchange', () => location.reload());

begin().catch((error) => showBanner(`The page could not start: ${error.message}`, 'bad'));
