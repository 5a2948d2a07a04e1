// Clients and pages that write down all they do and see (checker.mjs has the form of the records).
//
// A client writes through the real page: GET, WebSocket, join, form event. A command is called by its text, which no
// other has, so that every page shows whose message stands where; its id for the nodes is the form's nonce, the same
// for every try. The client sends the next command when
// the last was accepted or refused; what is unknown it sends again under the same nonce, at the next node, at most
// TRIES_MAX times; then it goes on as a new client, who knows nothing of the old one's.
import { Page, Socket, View } from '../lib/phoenix.mjs';
import { pause, slow, within } from '../lib/wait.mjs';

const TRIES_MAX = 8;
const BACK_OFF_MS = 50;
const BACK_OFF_MAX_MS = 800;
const CONNECT_MS = slow ? 8000 : 2000;
const ANSWER_MS = slow ? 20_000 : 6000; // a node that can answer does so within 5 s

const textIn = html => /<div class="body">[\s\S]*?\b(\w+x\d+-\d+)\b/.exec(html)?.[1] ?? null;

export class History {
  constructor() { this.records = []; }
  add(record) { this.records.push({ t: performance.now(), ...record }); }
}

/* A page that somebody looks at: it goes to another node by itself when its own is gone. */
export class Watcher {
  constructor({ history, world, sub, at, room, localAddress, random, onProblem }) {
    Object.assign(this, { history, world, sub, at, room, localAddress, random, onProblem });
    this.home = at;
    this.epoch = 0;
    this.seen = 0;
    this.failures = 0;
    this.isOver = false;
  }

  get node() { return this.world.nodes[this.at % this.world.nodes.length]; }
  get isConnected() { return this.view !== null && this.view?.socket.isOpen === true; }

  async backOff() {
    const most = Math.min(BACK_OFF_MAX_MS, BACK_OFF_MS * 2 ** this.failures++);
    await pause(this.random() * most);
    this.at = (this.at + 1) % this.world.nodes.length;
  }

  /* Until some node has let it in; false when all is over. */
  async connect() {
    while (!this.isOver) {
      const { node } = this;
      try {
        await this.#join(node);
        this.failures = 0;
        return true;
      } catch (error) {
        this.lastFailure = error.message;
        this.leave();
        await this.backOff();
      }
    }
    return false;
  }

  async #join(node) {
    if (!this.page) {
      const page = await within('page', Page.open(node.url, `/${this.room}`, { name: this.sub, localAddress: this.localAddress }), CONNECT_MS / (slow ? 4 : 1));
      if (!page.root) throw new Error(`the page is not live: ${page.status}`);
      this.page = page;
    }
    const opening = Socket.open(node.url, { csrf: this.page.csrf, origin: this.page.base, localAddress: this.localAddress });
    try {
      this.socket = await within('socket', opening, CONNECT_MS / (slow ? 4 : 1));
    } catch (error) {
      opening.then(socket => socket.cut(), () => {}); // should it still come
      throw error;
    }
    const view = new View(this.page, this.socket);
    view.mounts = this.epoch;
    this.#record(view, node);
    const reply = await view.join({ seen: this.seen, ms: ANSWER_MS / (slow ? 4 : 1) });
    if (reply.status !== 'ok') {
      this.page = null; // as app.js does: the page is loaded again
      throw new Error(`join refused: ${JSON.stringify(reply.response)}`);
    }
    this.view = view;
  }

  /* Hears each frame right after the view has taken it. */
  #record(view, node) {
    const epoch = ++this.epoch;
    const { history, sub, room } = this;
    const isBehind = () => /catching up/i.test(view.htmlWithoutStreams());
    const item = ({ id, html }) => [Number(id.slice(2)), textIn(html)];
    let isMounted = false, behind = false, told = 0, resets = 0;
    const mount = () => {
      const log = view.messages.map(item);
      behind = isBehind();
      told = 0;
      resets = view.resets;
      isMounted = true;
      this.seen = Math.max(this.seen, log.at(-1)?.[0] ?? 0);
      history.add({ op: 'mount', sub, epoch, n: node.number, room, log, behind });
    };
    view.socket.listeners.add(frame => {
      if (frame === undefined) {
        if (isMounted) history.add({ op: 'unmount', sub, epoch });
        isMounted = false;
        return;
      }
      if (!view.isJoined) return;
      if (!isMounted || view.resets !== resets) mount();
      for (; told < view.live.length; told++) {
        const shown = view.messages.findLast(one => one.id === view.live[told]);
        const [number, id] = shown ? item(shown) : [Number(view.live[told].slice(2)), null];
        this.seen = Math.max(this.seen, number);
        history.add({ op: 'view', sub, epoch, number, id });
      }
      if (behind && !isBehind()) {
        behind = false;
        history.add({ op: 'level', sub, epoch });
      }
      for (const problem of view.problems.splice(0)) this.onProblem(`${sub}: ${problem}`);
    });
  }

  leave() {
    this.socket?.cut();
    this.socket = this.view = null;
  }

  async watch() {
    while (await this.connect()) {
      await this.socket?.closed;
      this.view = null;
      if (this.wantsHome) this.settleHome();
      else if (!this.isOver) await this.backOff();
    }
  }

  /* Back to its own node: else, some kills later, all would be with the node that was never hit. */
  goHome() {
    this.wantsHome = this.at % this.world.nodes.length !== this.home % this.world.nodes.length;
    if (this.wantsHome) this.socket?.cut();
  }

  settleHome() {
    this.at = this.home;
    this.wantsHome = false;
  }

  stop() { this.isOver = true; }
}

export class Client extends Watcher {
  constructor({ everyMs, ...options }) {
    super(options);
    this.everyMs = everyMs;
    this.lives = 0;
    this.count = 0;
  }

  goHome() { this.wantsHome = true; } // once the running command has its answer

  get name() { return `${this.sub}x${this.lives}`; }

  /* Writes until `stop`; then until one more is accepted, so that the end has been seen. */
  async write() {
    let due = performance.now() + this.random() * this.everyMs;
    let isLast = false;
    while (!isLast && !this.isGone) {
      const wait = due - performance.now();
      if (wait > 0) await pause(wait);
      due = Math.max(due + this.everyMs, performance.now());
      const isEnding = this.isStopping;
      const outcome = await this.#command();
      isLast = isEnding && outcome === 'ok';
    }
  }

  /* One command, to its end: ok, fail, or info when it gives up. */
  async #command() {
    const seq = ++this.count, c = this.name, id = `${c}-${seq}`;
    let wasUnknown = false, nonce;
    if (this.wantsHome && this.at % this.world.nodes.length !== this.home % this.world.nodes.length) {
      this.leave();
      this.settleHome();
    }
    this.wantsHome = false;
    for (let tries = 1; tries <= TRIES_MAX && !this.isGone; tries++) {
      if (!this.isConnected && !await this.connect()) break;
      const record = { op: 'send', id, c, seq, sub: this.sub, n: this.node.number, try: tries };
      nonce ??= this.view.composer.nonce;
      this.history.add({ ...record, type: 'invoke' });
      const answer = await this.#try(id, nonce);
      // Refused, but an earlier try may be on its way still: then nothing is known.
      if (answer.type === 'fail' && wasUnknown) answer.type = 'info';
      this.history.add({ ...record, ...answer });
      if (answer.type === 'ok') {
        this.failures = 0;
        return 'ok';
      }
      if (answer.type === 'fail') {
        await pause(this.random() * BACK_OFF_MS * 2);
        return 'fail';
      }
      wasUnknown = true;
      this.leave();
      await this.backOff();
    }
    this.lives++;
    this.count = 0;
    return 'info';
  }

  async #try(id, nonce) {
    const { node, view } = this;
    const begun = performance.now();
    try {
      const { nonce: next, text, hint } = await view.send(id, { nonce, ms: ANSWER_MS / (slow ? 4 : 1) });
      if (next !== nonce) {
        if (text !== '') this.onProblem(`${this.sub}: ${id}: the box holds ${text}: ${hint}`);
        const shown = view.messages.findLast(({ html }) => textIn(html) === id);
        return { type: 'ok', number: shown ? Number(shown.id.slice(2)) : undefined };
      }
      return /^Not known/.test(hint) ? { type: 'info', hint } : { type: 'fail', hint };
    } catch (error) {
      const isLate = view.socket.isOpen && !node.isTroubled && node.troubledAt < begun;
      return { type: 'info', hint: error.message, ...(isLate ? { late: true } : {}) };
    }
  }

  /* Nothing new but a last one. */
  finish() { this.isStopping = true; }
  giveUp() {
    this.isGone = true;
    this.isOver = true;
  }
}
