// Somebody who writes through the real page: gets it, joins, submits the form; and when the node dies
// goes to the next one by itself, as app.js does, and brings the unanswered text and its nonce along.
//
// An answer is one of three. Accepted: the box is empty and has a new nonce. Refused: the text is
// still there and a sentence says why. Unknown: everything else, a lost connection first of all; then
// the same nonce is asked for (recover) and sent again until it is accepted.
import { Page, Socket, View, topic } from './phoenix.mjs';
import { deadline, pause } from './wait.mjs';

const waits = [10, 50, 100, 150, 200, 250, 500];

export class Sender {
  constructor({ urls, at = 0, name, room, localAddress, onProblem = problem => { throw new Error(problem); } }) {
    this.urls = urls;
    this.at = at % urls.length;
    this.name = name;
    this.room = room;
    this.localAddress = localAddress;
    this.onProblem = onProblem;
    this.view = null;
    this.page = null;
    this.tries = 0;
    this.reconnects = 0;
    this.isStopped = false;
  }

  async #backOff() {
    await pause(waits[Math.min(this.tries++, waits.length - 1)] * (0.5 + Math.random()));
    this.at = (this.at + 1) % this.urls.length;
  }

  /* Joined, on whichever node takes it. False when stopped meanwhile. */
  async connect() {
    while (!this.isStopped) {
      try {
        const base = this.urls[this.at];
        this.page ??= await Page.open(base, `/${this.room}`, { name: this.name, localAddress: this.localAddress });
        if (!this.page.root) {
          this.page = null;
          throw new Error('the page is not live yet');
        }
        const socket = await Socket.open(base, { csrf: this.page.csrf, origin: this.page.base, localAddress: this.localAddress });
        const view = new View(this.page, socket);
        view.mounts = this.reconnects;
        this.socket = socket;
        const reply = await view.join({ seen: this.seen ?? 0, ms: 10_000 });
        if (reply.status !== 'ok') {
          this.onProblem(`${this.name}: join refused: ${JSON.stringify(reply)}`);
          throw new Error('refused');
        }
        this.checkForward(view);
        this.view = view;
        this.tries = 0;
        this.reconnects++;
        return true;
      } catch {
        this.socket?.cut();
        await this.#backOff();
      }
    }
    return false;
  }

  /* A page that changed nodes never goes back, unless it says that its node is catching up. */
  checkForward(view) {
    const last = view.numbers.at(-1) ?? 0;
    if (last < (this.seen ?? 0) && !/catching up/i.test(view.htmlWithoutStreams())) {
      this.onProblem(`${this.name}: the page showed ${this.seen} and now ends at ${last}`);
    }
  }

  remember() {
    this.seen = Math.max(this.seen ?? 0, this.view?.numbers.at(-1) ?? 0);
    for (const problem of this.view?.problems.splice(0) ?? []) this.onProblem(`${this.name}: ${problem}`);
  }

  /* True once the composer has another nonce than this one, or the page asks what stands in it; false after `ms`. */
  #moved(nonce, ms) {
    const { view } = this;
    return new Promise(resolve => {
      const done = value => {
        clearTimeout(timer);
        view.socket.listeners.delete(look);
        resolve(value);
      };
      const look = frame => {
        if (frame === undefined) return done(false); // closed
        if (frame[2] !== topic) return;
        if (view.question || (view.composer && view.composer.nonce !== nonce)) done(true);
      };
      const timer = setTimeout(() => done(false), ms);
      view.socket.listeners.add(look);
    });
  }

  /* Sends one text. Resolves to {nonce, tries, refusals} when it is accepted, and to null when the
   * sender was stopped before that was known. `onNonce` hears the id before the first try. */
  async send(text, onNonce = () => {}) {
    let nonce = null;
    let attempts = 0;
    let refusals = 0;
    while (!this.isStopped) {
      if (!this.view?.socket.isOpen) {
        this.remember();
        this.view = null;
        if (this.reconnects > 0) await this.#backOff();
        if (!await this.connect()) break;
        if (nonce !== null) {
          const known = await this.#try('recover', text, nonce);
          if (known) return { nonce, attempts, refusals };
          if (!this.view) continue;
        }
      }
      if (nonce === null) {
        nonce = this.view.composer?.nonce ?? null;
        if (nonce === null) {
          this.onProblem(`${this.name}: the page has no composer`);
          return null;
        }
        onNonce(nonce);
      }
      attempts++;
      if (await this.#try('send_message', text, nonce)) {
        this.remember();
        return { nonce, attempts, refusals };
      }
      if (this.view) {
        refusals++;
        const wait = Number(/try again in (\d+) s/.exec(this.lastHint)?.[1] ?? 0) * 1000;
        // Not known yet: the page itself asks on, and empties the box when the message shows.
        if (await this.#moved(nonce, wait || 100 + 200 * Math.random()) && await this.#settled(text, nonce)) return { nonce, attempts, refusals };
      }
    }
    return null;
  }

  /* True: accepted. False: not (or not known to be); view is null when the connection is lost. */
  async #try(event, text, nonce) {
    try {
      const { text: left, hint } = await this.view.send(text, { nonce, event, ms: deadline(12_000) });
      this.lastHint = hint;
      return await this.#settled(left, nonce);
    } catch {
      this.remember();
      this.view?.socket.cut();
      this.view = null;
      return false;
    }
  }

  /* Says what stands in the box, if the page asks. Is the message under this nonce sent? */
  async #settled(left, nonce) {
    const { nonce: now, text, hint } = this.view.question ? await this.view.settle(left) : this.view.composer;
    if (now === nonce) return false;
    if (text !== '') this.onProblem(`${this.name}: nonce ${nonce} was used for another text: ${hint}`);
    return true;
  }

  stop() {
    this.isStopped = true;
    this.remember();
    this.view?.socket.cut();
    this.socket?.cut();
  }
}
