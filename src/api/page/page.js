import { ChatClient, drawId } from './chat-client.js';
import * as view from './view.js';

const { byId } = view;
const CLUSTER_POLL_MS = 3000;
const MESSAGES_KEPT = 500;
const REASONS = {
  2: 'authentication failed',
  3: 'you are not a subscriber',
  4: 'you are blocked here',
  11: 'not allowed to send',
  13: 'closed: only the backend adds subscribers',
  15: 'the node cannot store it now',
  16: 'not a valid channel id',
  19: 'the channel is banned',
  22: 'too fast',
  24: 'the channel is disbanded',
  25: 'sending is off',
};

let config = { node: '', address: '' };
let cluster = { node: '', members: [] };
let client;
let uid = '';
let address = '';
let online = false;
let lostAt = 0;
let current = '';
/** key "type/id" → {key, name, channel, messages, unread, state} */
const channels = new Map();

async function begin() {
  config = await (await fetch('/page/config')).json();
  const hash = readHash();
  if (hash.uid) signIn(hash.uid, sessionStorage.getItem(`token:${hash.uid}`) ?? '', hash.channel);
  else showSignIn('', hash.channel);
  void pollCluster();
}

function readHash() {
  const values = new URLSearchParams(location.hash.slice(1));
  return { uid: values.get('uid') ?? '', channel: values.get('channel') ?? '' };
}

function writeHash() {
  const hash = `#${new URLSearchParams({ uid, channel: current }).toString().replaceAll('%2F', '/')}`;
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
  channels.clear();
  current = '';
  sessionStorage.setItem(`token:${uid}`, token);
  byId('sign-in').hidden = true;
  byId('chat').hidden = false;
  byId('my-uid').textContent = uid;
  byId('my-avatar').textContent = String.fromCodePoint(uid.codePointAt(0));
  document.title = `${uid} · Holdfast`;
  client = new ChatClient({ uid, token, deviceId: deviceId(), addresses, onState, onMessage });
  for (const kept of JSON.parse(sessionStorage.getItem(`channels:${uid}`) ?? '[]'))
    addChannel(kept);
  openChannel(/^\d+\/./.test(key) ? key : '2/lobby');
  client.start();
}

function deviceId() {
  const known = sessionStorage.getItem('device') ?? drawId();
  sessionStorage.setItem('device', known);
  return known;
}

/** The node that the API names first, then the others: a tab survives the loss of its node. */
function addresses() {
  const others = cluster.members.filter((member) => member.live).map((m) => m.client_address);
  return [...new Set([config.address, ...others])];
}

function nodeName() {
  const member = cluster.members.find((one) => one.client_address === address);
  return member?.id ?? (address === config.address ? config.node : address);
}

function onState(change) {
  if (change.address) address = change.address;
  online = change.state === 'online';
  byId('my-state').dataset.state = online ? 'online' : 'offline';
  byId('my-state').textContent = online ? 'online' : 'offline';
  byId('my-node').textContent = nodeName();
  byId('send').disabled = !online;
  if (online) onOnline();
  else if (change.state === 'waiting') {
    lostAt ||= Date.now();
    const seconds = Math.max(1, Math.round(change.retryMs / 1000));
    view.showBanner(`Connection lost (${change.reason}). Next attempt in ${seconds} s.`);
  } else if (change.state === 'connecting' && lostAt) {
    view.showBanner(`Reconnecting to ${address} …`);
  } else if (change.state === 'refused') {
    view.showBanner('');
    lostAt = 0;
    showSignIn(`Refused: ${change.reason}`, current);
  }
  void refreshCluster();
}

function onOnline() {
  view.showBanner('');
  if (lostAt) {
    const seconds = Math.max(1, Math.round((Date.now() - lostAt) / 1000));
    for (const one of channels.values()) {
      addMessage(one, { notice: `Connected to ${nodeName()} again, after ${seconds} s` });
    }
  }
  lostAt = 0;
  for (const one of channels.values()) void subscribe(one);
}

async function subscribe(one) {
  if (!online || one.channel.channelType === 1 || one.state === 'subscribed') return;
  try {
    const { reasonCode, message } = await client.subscribe(one.channel);
    one.state = reasonCode === 1 ? 'subscribed' : `refused: ${message || reasonText(reasonCode)}`;
  } catch (error) {
    one.state = error.message;
  }
  drawHeader();
}

function reasonText(code) {
  return REASONS[code] ?? `reason ${code}`;
}

function addChannel(key) {
  const known = channels.get(key);
  if (known) return known;
  const slash = key.indexOf('/');
  const channel = { channelId: key.slice(slash + 1), channelType: Number(key.slice(0, slash)) };
  const state = channel.channelType === 1 ? 'direct' : '';
  const one = { key, channel, name: view.channelName(channel), messages: [], unread: 0, state };
  channels.set(key, one);
  saveChannels();
  void subscribe(one);
  return one;
}

function saveChannels() {
  sessionStorage.setItem(`channels:${uid}`, JSON.stringify([...channels.keys()]));
}

function openChannel(key) {
  const one = addChannel(key);
  current = key;
  one.unread = 0;
  writeHash();
  drawList();
  drawHeader();
  view.drawMessages(one.messages);
  byId('text').focus();
}

function drawList() {
  view.drawChannels([...channels.values()], current, openChannel);
}

function drawHeader() {
  const one = channels.get(current);
  byId('channel-name').textContent = one.name;
  byId('channel-state').textContent = one.state;
  byId('leave').hidden = one.channel.channelType === 1;
}

function onMessage(message) {
  const one = addChannel(`${message.channelType}/${message.channelId}`);
  const own = message.fromUid === uid;
  addMessage(one, { ...message, no: message.messageId, own, origin: originOf(message.messageId) });
  if (one.key !== current) one.unread += 1;
  drawList();
}

/** A message id holds its node's slot: 42 bits of time, 5 of slot, 16 of counter. */
function originOf(messageId) {
  const slot = Number((BigInt(messageId) >> 16n) & 31n);
  return cluster.members.find((member) => member.slot === slot)?.id;
}

function addMessage(one, message) {
  one.messages.push(message);
  if (one.messages.length > MESSAGES_KEPT) one.messages.shift();
  if (one.key === current) view.appendMessage(message);
}

async function send(text) {
  const one = channels.get(current);
  const no = drawId();
  const timestamp = Math.floor(Date.now() / 1000);
  const message = { no, own: true, fromUid: uid, timestamp, text, status: 'sending' };
  addMessage(one, message);
  try {
    const result = await client.send(one.channel, no, text);
    message.failed = result.reasonCode !== 1;
    message.status = message.failed
      ? `not sent: ${result.message || reasonText(result.reasonCode)}`
      : '✓';
    if (!message.failed) message.origin = originOf(result.messageId);
  } catch (error) {
    message.failed = true;
    message.status = `not confirmed: ${error.message}`;
  }
  if (one.key === current) view.redrawMessage(message);
}

async function leave(one) {
  try {
    const { reasonCode } = await client.unsubscribe(one.channel);
    if (reasonCode !== 1) throw new Error(reasonText(reasonCode));
  } catch (error) {
    addMessage(one, { notice: `Still subscribed: ${error.message}` });
    return;
  }
  channels.delete(one.key);
  saveChannels();
  openChannel(channels.keys().next().value ?? '2/lobby');
}

async function pollCluster() {
  if (!document.hidden) await refreshCluster();
  setTimeout(() => void pollCluster(), CLUSTER_POLL_MS);
}

async function refreshCluster() {
  const note = byId('cluster-note');
  try {
    const token = sessionStorage.getItem('api-token');
    const signal = AbortSignal.timeout(CLUSTER_POLL_MS);
    const answer = await fetch('/page/cluster', { headers: token ? { token } : {}, signal });
    byId('token-form').hidden = answer.status !== 401;
    if (!answer.ok) throw new Error((await answer.json()).msg);
    cluster = await answer.json();
    note.textContent = `${cluster.sessions} ${cluster.sessions === 1 ? 'client' : 'clients'} on ${cluster.node}`;
  } catch (error) {
    const silent = error.name === 'TypeError' || error.name === 'TimeoutError';
    note.textContent = silent ? `${config.node} does not answer` : error.message;
  }
  note.hidden = false;
  byId('my-node').textContent = nodeName();
  view.drawMembers(cluster, online ? nodeName() : '');
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
  if (text === '' || !online) return;
  byId('text').value = '';
  void send(text);
});
onSubmit('add-form', (form) => {
  openChannel(`${form.elements.type.value}/${form.elements.id.value.trim()}`);
  form.reset();
});
onSubmit('token-form', (form) => {
  sessionStorage.setItem('api-token', form.token.value);
  void refreshCluster();
});
byId('sign-out').addEventListener('click', () => {
  client.stop();
  view.showBanner('');
  history.replaceState(null, '', '#');
  showSignIn('', '');
});
byId('leave').addEventListener('click', () => void leave(channels.get(current)));
addEventListener('keydown', (event) => {
  if (!event.altKey || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown')) return;
  event.preventDefault();
  const keys = [...channels.keys()];
  const step = event.key === 'ArrowDown' ? 1 : -1;
  openChannel(keys[(keys.indexOf(current) + step + keys.length) % keys.length]);
});
addEventListener('hashchange', () => location.reload());

begin().catch((error) => view.showBanner(`The page could not start: ${error.message}`, 'bad'));
