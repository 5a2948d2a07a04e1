// A browser without a screen: gets a page, opens the WebSocket, speaks Phoenix frames (vsn 2.0.0).
//
//   const page = await Page.open(node.url, '/lobby', { name: 'Kari' });
//   const view = await View.join(page);
//   await view.say('hello');
//   view.messages  ->  [{id: 'm-1', html}]
import WebSocket from 'ws';
import { attribute, element, inside, tags, textOf, unescape } from './html.mjs';
import { cookieOf, postForm, request } from './http.mjs';
import { Rendered } from './rendered.mjs';
import { until, within } from './wait.mjs';

export const topic = 'lv:lt';

/* Is that what a page says of a message that nobody took because nobody led? */
export const nobodyLeads = hint => /^Not (sent: no leader|known)/.test(hint);

/* What a GET brought: tokens, cookie, HTML. */
export class Page {
  static async open(base, path = '/', { cookie = '', name, headers = {}, localAddress } = {}) {
    if (name !== undefined) {
      const home = await Page.open(base, '/', { cookie, localAddress });
      cookie = await home.takeName(name);
    }
    const answer = await request(base + path, { headers: { ...headers, ...(cookie ? { cookie } : {}) }, localAddress });
    return new Page(base, path, answer, cookie, localAddress);
  }

  constructor(base, path, answer, cookie, localAddress) {
    this.base = base;
    this.path = path;
    this.localAddress = localAddress;
    this.answer = answer;
    this.status = answer.status;
    this.html = answer.text;
    this.cookie = cookieOf(answer, cookie);
    this.root = tags(this.html, '*').find(tag => attribute(tag, 'data-phx-session') !== undefined);
    if (!this.root) return;
    this.session = attribute(this.root, 'data-phx-session');
    this.inner = inside(this.html, this.html.indexOf(this.root));
    this.csrf = this.meta('csrf-token');
    this.title = unescape(/<title[^>]*>([^<]*)<\/title>/.exec(this.html)?.[1] ?? '');
  }

  meta(name) {
    const tag = tags(this.html, 'meta').find(one => attribute(one, 'name') === name);
    return tag && attribute(tag, 'content');
  }

  /* The form of the first page, as a browser without JavaScript sends it. Returns the cookie. */
  async takeName(name) {
    const answer = await request(`${this.base}/session`, {
      method: 'POST', localAddress: this.localAddress,
      headers: { cookie: this.cookie, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ _csrf_token: this.csrf, name }).toString() });
    if (answer.status !== 303) throw new Error(`POST /session: ${answer.status} ${answer.text}`);
    return cookieOf(answer, this.cookie);
  }

  postForm(path, fields, headers = {}) {
    return postForm(this.base + path, { _csrf_token: this.csrf, ...fields }, { cookie: this.cookie, ...headers });
  }
}

export class Refused extends Error {
  constructor(status, text) {
    super(`the upgrade was answered ${status}: ${text}`);
    this.status = status;
  }
}

export class Socket {
  /* Opens a WebSocket at `base`. Rejects with Refused when the answer is no 101. */
  static open(base, { csrf, query, origin = base, headers = {}, localAddress, vsn = '2.0.0' } = {}) {
    const fields = query ?? new URLSearchParams({ ...(csrf === undefined ? {} : { _csrf_token: csrf }),
                                                  ...(vsn === null ? {} : { vsn }) }).toString();
    const options = { perMessageDeflate: false, localAddress, headers: { ...headers, ...(origin === null ? {} : { origin }) } };
    const ws = new WebSocket(`${base.replace(/^http/, 'ws')}/live/websocket?${fields}`, options);
    return within('answer to the upgrade', new Promise((resolve, reject) => {
      ws.on('unexpected-response', (outgoing, answer) => {
        let text = '';
        answer.on('data', part => { text += part; });
        answer.on('end', () => reject(new Refused(answer.statusCode, text)));
      });
      ws.on('error', reject);
      ws.on('open', () => {
        ws.removeListener('error', reject);
        resolve(new Socket(base, ws));
      });
    }));
  }

  constructor(base, ws) {
    this.base = base;
    this.ws = ws;
    this.frames = []; // parsed, each with its text in .text
    this.listeners = new Set();
    this.ref = 3;
    this.pings = [];
    this.closed = new Promise(resolve => ws.on('close', (code, reason) => {
      this.closeCode = code;
      resolve({ code, reason: reason.toString() });
      this.#tell();
    }));
    ws.on('error', () => {}); // a close follows
    ws.on('ping', () => this.pings.push(performance.now()));
    ws.on('message', (data, isBinary) => {
      if (isBinary) throw new Error('a binary frame from the server');
      const text = data.toString();
      const frame = JSON.parse(text);
      frame.text = text;
      frame.at = performance.now();
      this.frames.push(frame);
      this.#tell(frame);
    });
  }

  #tell(frame) { for (const listener of [...this.listeners]) listener(frame); }

  get isOpen() { return this.ws.readyState === WebSocket.OPEN; }
  nextRef() { return String(++this.ref); }
  push(frame) { this.ws.send(typeof frame === 'string' ? frame : JSON.stringify(frame)); }

  /* The first frame since `from` that passes `test`, waited for. */
  frame(what, test, { from = 0, ms = 10_000 } = {}) {
    return within(what, new Promise((resolve, reject) => {
      let at = from;
      const look = () => {
        for (; at < this.frames.length; at++) {
          if (!test(this.frames[at])) continue;
          this.listeners.delete(look);
          return resolve(this.frames[at]);
        }
        if (this.closeCode !== undefined) {
          this.listeners.delete(look);
          reject(new Error(`closed with ${this.closeCode} while waiting for ${what}`));
        }
      };
      this.listeners.add(look);
      look();
    }), ms);
  }

  /* Sends a request and returns the whole reply frame. */
  ask(joinRef, ref, topicName, event, payload, { ms } = {}) {
    const from = this.frames.length;
    this.push([joinRef, ref, topicName, event, payload]);
    return this.frame(`reply to ${event} ${ref}`,
      ([, gotRef, gotTopic, name]) => name === 'phx_reply' && gotRef === ref && gotTopic === topicName, { from, ms });
  }

  heartbeat() { return this.ask(null, this.nextRef(), 'phoenix', 'heartbeat', {}); }

  close(code) { this.ws.close(code); return this.closed; }
  /* As a page that vanished. */
  cut() { this.ws.terminate(); return this.closed; }
}

/* One mounted page. */
export class View {
  /* Opens a socket of its own unless one is given, and joins. */
  static async join(page, { socket, base = page.base, ...join } = {}) {
    socket ??= await Socket.open(base, { csrf: page.csrf, origin: page.base, localAddress: page.localAddress });
    const view = new View(page, socket);
    view.reply = await view.join(join);
    if (view.reply.status !== 'ok') throw new Error(`the join was refused: ${JSON.stringify(view.reply)}`);
    return view;
  }

  constructor(page, socket) {
    this.page = page;
    this.socket = socket;
    this.rendered = new Rendered();
    this.path = page.path;
    this.mounts = 0;
    this.joinRef = null;
    this.snapshot = []; // ids that the last join brought
    this.live = []; // and those that came in diffs since, in order
    this.resets = 0; // diffs that put the newest in the place of all
    this.problems = this.rendered.problems;
    this.navigations = [];
    this.listener = frame => frame && this.#take(frame);
    socket.listeners.add(this.listener);
  }

  #take([joinRef, ref, topicName, event, payload]) {
    if (topicName !== topic) return;
    if (event === 'phx_reply') {
      if (joinRef !== this.joinRef || payload.status !== 'ok') return;
      const { rendered, diff } = payload.response;
      if (rendered) {
        this.rendered.join(rendered);
        this.isJoined = true;
        this.snapshot = this.messages.map(item => item.id);
        this.live = [];
      } else if (diff) this.#merge(diff, true);
    } else if (event === 'diff') {
      if (joinRef !== null && joinRef !== this.joinRef) return;
      if (!this.isJoined) this.problems.push('a diff came before the reply to the join');
      else this.#merge(payload, false);
    } else if (['live_patch', 'live_redirect', 'redirect'].includes(event)) {
      this.navigations.push([event, payload]);
    } else if (event === 'phx_error') {
      this.crashed = true;
    }
  }

  #merge(diff, isReply) {
    for (const { inserts, isReset } of this.rendered.merge(diff)) {
      if (isReply) continue;
      const ids = inserts.map(([id]) => id);
      if (!isReset) {
        this.live.push(...ids);
        continue;
      }
      // More came at once than is worth sending: the page has the newest now, as after a join.
      if (ids.length !== 50) this.problems.push(`a reset by ${ids.length} messages`);
      this.resets++;
      this.snapshot = ids;
      this.live = [];
    }
  }

  /* Joins, or joins again. Returns the payload of the reply. */
  async join({ url, redirect, session = this.page.session, params = {}, ref = this.socket.nextRef(), seen = 0, ms } = {}) {
    this.joinRef = ref; // until the answer, diffs of an earlier join on this socket still count
    const where = redirect !== undefined ? { redirect } : { url: url ?? this.page.base + this.path };
    const payload = { ...where, params: { _csrf_token: this.page.csrf, tz: 0, touch: false, seen,
                                          _mounts: this.mounts, _mount_attempts: 0, ...params },
                      session, static: null, sticky: false };
    const [, , , , reply] = await this.socket.ask(ref, ref, topic, 'phx_join', payload, { ms });
    if (reply.status === 'ok') this.mounts++;
    return reply;
  }

  async ask(event, payload, options) {
    const [, , , , reply] = await this.socket.ask(this.joinRef, this.socket.nextRef(), topic, event, payload, options);
    return reply;
  }

  leave() { return this.ask('phx_leave', {}); }
  patch(path, options) { return this.ask('live_patch', { url: this.page.base + path }, options); }

  /* A form event; fields as an object, or the encoded text itself. */
  submit(event, fields, options) {
    const value = typeof fields === 'string' ? fields : new URLSearchParams(fields).toString();
    return this.ask('event', { type: 'form', event, value, meta: {} }, options);
  }

  push(event, value, type = 'js', options) { return this.ask('event', { type, event, value }, options); }

  /* The composer, as the page would show it. */
  get composer() {
    const html = this.htmlWithoutStreams();
    const form = element(html, 'form', tag => attribute(tag, 'id') === 'compose-form');
    if (!form) return null;
    const nonce = tags(form, 'input').find(tag => attribute(tag, 'name') === 'nonce');
    const box = element(form, 'textarea', () => true);
    // The hint stands beside the form: the form is rendered anew, text and all, when it changes.
    const around = element(html, 'div', tag => attribute(tag, 'class') === 'composer') ?? form;
    const status = element(around, 'span', tag => attribute(tag, 'role') === 'status');
    return { nonce: nonce && attribute(nonce, 'value'),
             text: box && unescape(box.replace(/^<textarea(?:"[^"]*"|[^">])*>\n?/, '').replace(/<\/textarea>$/, '')),
             hint: status ? textOf(status).trim() : '',
             html: form };
  }

  /* Types a text and sends it. Returns the composer after the reply. */
  async send(text, { nonce = this.composer.nonce, event = 'send_message', ms } = {}) {
    const reply = await this.submit(event, { _csrf_token: this.page.csrf, nonce, message: text }, { ms });
    if (reply.status !== 'ok') throw new Error(`the event was answered ${JSON.stringify(reply)}`);
    return { ...this.composer, reply };
  }

  /* The same until it is taken, or refused for what it is: again, under its id, while nobody leads, for an
   * election may come at any time. */
  async say(text, { nonce = this.composer.nonce, ...options } = {}) {
    const { error, after } = await until('somebody leads, and takes the message', async () => {
      try {
        const after = await this.send(text, { nonce, ...options });
        return nobodyLeads(after.hint) ? null : { after };
      } catch (error) {
        return { error };
      }
    }, 30_000, 200);
    if (error) throw error;
    return after;
  }

  /* The page's question what stands in the box: a button that the stock client presses as soon as it is there. */
  get question() { return tags(this.htmlWithoutStreams(), 'button').find(tag => attribute(tag, 'name') === 'settle'); }

  /* What pressing it does, with `text` in the box. Returns the composer after the reply. */
  async settle(text) {
    if (!this.question) throw new Error('the page has asked nothing');
    const reply = await this.submit('send_message', { _csrf_token: this.page.csrf, nonce: this.composer.nonce, message: text, settle: '1' });
    return { ...this.composer, reply };
  }

  get messages() { return this.rendered.streams.get(this.streamRef) ?? []; }
  get streamRef() { return [...this.rendered.streams.keys()][0]; }
  get numbers() { return this.messages.map(item => Number(item.id.slice(2))); }
  get title() { return this.rendered.title; }
  get html() { return this.rendered.html(); }

  htmlWithoutStreams() {
    if (this.cachedVersion !== this.rendered.version) {
      this.cached = this.rendered.html(this.rendered.tree, false);
      this.cachedVersion = this.rendered.version;
    }
    return this.cached;
  }

  /* Waits until a message with this text (escaped as in the page) is shown; returns its item. */
  async shown(text, ms = 10_000) {
    const find = () => this.messages.find(item => item.html.includes(text));
    return within(`message ${text}`, new Promise(resolve => {
      const look = () => {
        const item = find();
        if (!item) return;
        this.socket.listeners.delete(look);
        resolve(item);
      };
      this.socket.listeners.add(look);
      look();
    }), ms);
  }

  close() { return this.socket.close(); }
}

/* A person who comes in by the front door: a name, then a room. */
export async function visit(base, path, { name = 'Kari', ...rest } = {}) {
  const page = await Page.open(base, path, { name, ...rest });
  return View.join(page);
}
