/** The node, its cluster and who is online, over HTTP. Asked again and again while the tab is looked at. */

const POLL_MS = 3000;
const PEOPLE_MAX = 100;
const DEVICES = ['app', 'web', 'desktop'];

export class Cluster {
  #options;
  #busy = false;
  config = { node: '', address: '' };
  view = { node: '', members: [] };
  /** Why there is no view; empty where there is one. */
  error = '';
  needsToken = false;
  /** uid → devices, of those online. Undefined where it is not known. */
  online;

  /** {people(): uids to ask for, onChange()} */
  constructor(options) {
    this.#options = options;
  }

  async begin() {
    this.config = await (await fetch('/page/config')).json();
    void this.#poll();
  }

  /** The node that the API names first, then the others: a tab survives the loss of its node. */
  addresses() {
    const others = this.view.members.filter(({ live }) => live).map((one) => one.client_address);
    return [...new Set([this.config.address, ...others])];
  }

  nodeAt(address) {
    const member = this.view.members.find((one) => one.client_address === address);
    return member?.id ?? (address === this.config.address ? this.config.node : address);
  }

  /** A message id holds its node's slot: 42 bits of time, 5 of slot, 16 of counter. */
  originOf(messageId) {
    const slot = Number((BigInt(messageId) >> 16n) & 31n);
    return this.view.members.find((member) => member.slot === slot)?.id;
  }

  useToken(token) {
    sessionStorage.setItem('api-token', token);
    void this.refresh();
  }

  async refresh() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      this.view = await ask('/page/cluster');
      this.error = '';
      this.needsToken = false;
      this.online = await whoIsOnline(this.#options.people());
    } catch (error) {
      const silent = error.name === 'TypeError' || error.name === 'TimeoutError';
      this.error = silent ? `${this.config.node} does not answer` : error.message;
      this.needsToken = error.status === 401;
      this.online = undefined;
    }
    this.#busy = false;
    this.#options.onChange();
  }

  async #poll() {
    if (!document.hidden) await this.refresh();
    setTimeout(() => void this.#poll(), POLL_MS);
  }
}

async function whoIsOnline(people) {
  const online = new Map();
  const asked = people.slice(0, PEOPLE_MAX);
  if (asked.length === 0) return online;
  const options = { method: 'POST', body: JSON.stringify(asked) };
  for (const { uid, device_flag: flag } of await ask('/user/onlinestatus', options)) {
    online.set(uid, [...(online.get(uid) ?? []), DEVICES[flag] ?? `device ${flag}`]);
  }
  return online;
}

async function ask(path, options = {}) {
  const token = sessionStorage.getItem('api-token');
  const headers = token ? { token } : {};
  const signal = AbortSignal.timeout(POLL_MS);
  const answer = await fetch(path, { ...options, headers, signal });
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.msg), { status: answer.status });
  return said;
}
