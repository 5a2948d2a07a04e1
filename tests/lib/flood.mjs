// Many messages through the API, as fast as the nodes take them or at a rate, and the book of them: each
// has an id of its own, and is sent again under that id until it is accepted, at the next node when one
// does not answer. So at the end every message must be in the history, once.
//
//   const flood = new Flood({ urls: () => cluster.up.map(node => node.url) });
//   await flood.send(20_000);                     // returns when all are accepted
//   const { lost, twice } = await flood.audit(node);
import http from 'node:http';
import { randomBytes } from 'node:crypto';
import { deadline, pause } from './wait.mjs';

const retryMs = 20;

export class Flood {
  constructor({ urls, width = 64, rooms = 20 }) {
    this.urls = urls; // a function: the nodes that may be asked now
    this.width = width;
    this.rooms = rooms;
    this.count = 0; // given out so far
    this.accepted = 0;
    this.again = 0; // answers other than accepted
    this.silence = 0; // the longest time without any acceptance while there was something to accept, ms
    this.numbers = new Map(); // of the last accepted ones: k -> number; for a look at single ones
    this.mark = randomBytes(4).toString('hex');
    this.agent = new http.Agent({ keepAlive: true, maxSockets: width, scheduling: 'fifo' });
    this.problems = [];
  }

  id(k) { return `${this.mark}-0000-7000-8000-${k.toString(16).padStart(12, '0')}`; }
  command(k) {
    return { room: `flood-${k % this.rooms}`, sender: `Visitor ${k % 97}`, text: `${this.mark} ${k} ${'tea '.repeat(20)}`.trim(), id: this.id(k) };
  }

  /* One POST of one command. Resolves to {status, value}; status 0: the connection broke. */
  post(url, { room, ...rest }) {
    return new Promise(resolve => {
      const body = JSON.stringify(rest);
      const outgoing = http.request(`${url}/api/rooms/${room}/messages`, { method: 'POST', agent: this.agent, timeout: 15_000,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, answer => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', part => { text += part; });
        answer.on('error', () => resolve({ status: 0 }));
        answer.on('end', () => {
          try {
            resolve({ status: answer.statusCode, value: JSON.parse(text) });
          } catch {
            resolve({ status: 0 });
          }
        });
      });
      outgoing.on('timeout', () => outgoing.destroy());
      outgoing.on('error', () => resolve({ status: 0 }));
      outgoing.end(body);
    });
  }

  async #one(k, isOver = () => false) {
    const command = this.command(k);
    for (let attempt = k; !isOver(); attempt++) {
      const urls = this.urls();
      const { status, value } = urls.length ? await this.post(urls[attempt % urls.length], command) : { status: 0 };
      if (status === 201) {
        const now = performance.now();
        this.silence = Math.max(this.silence, now - (this.lastAt ?? now));
        this.lastAt = now;
        this.accepted++;
        this.onAccepted?.(k, value.number);
        return value.number;
      }
      this.again++;
      this.lastAnswer = `${status} ${JSON.stringify(value)}`;
      if (status >= 400 && status < 500 && status !== 429) {
        this.problems.push(`${command.id}: ${status} ${JSON.stringify(value)}`);
        return null;
      }
      await pause(retryMs);
    }
    return null;
  }

  /* Sends `count` more and returns when all are accepted. Throws when nothing is for `silenceMs`. */
  async send(count, silenceMs = 30_000) {
    const end = this.count + count;
    let isOver = false;
    this.lastAt = performance.now();
    const worker = async () => {
      while (this.count < end && !isOver) await this.#one(this.count++, () => isOver);
    };
    const workers = Promise.all(Array.from({ length: Math.min(this.width, count) }, worker));
    let timer;
    const watch = new Promise((_, reject) => {
      timer = setInterval(() => {
        if (performance.now() - this.lastAt < deadline(silenceMs)) return;
        isOver = true;
        reject(new Error(`nothing was accepted for ${deadline(silenceMs)} ms; the last answer was ${this.lastAnswer}`));
      }, 100);
    });
    await Promise.race([workers, watch]).finally(() => clearInterval(timer));
  }

  /* Sends `rate` a second until stop() is called, which returns when all are accepted. */
  start(rate) {
    const from = performance.now();
    const first = this.count;
    this.isOver = false;
    this.lastAt = from;
    this.open = new Set();
    this.running = (async () => {
      while (!this.isOver) {
        const due = first + Math.floor((performance.now() - from) * rate / 1000);
        while (this.count < due && this.open.size < this.width) {
          const one = this.#one(this.count++).finally(() => this.open.delete(one));
          this.open.add(one);
        }
        await pause(2);
      }
      await Promise.all(this.open);
    })();
  }

  async stop() {
    this.isOver = true;
    await this.running;
  }

  close() { this.agent.destroy(); }

  /* Reads the whole history of a node behind `after`, and looks for every message that was accepted. */
  async audit(node, { after = 0, upTo = null } = {}) {
    const times = new Uint8Array(this.count);
    let others = 0, last = null;
    for await (const event of node.history({ after, upTo })) {
      last = event;
      const [, mark, k] = /^(\w{8})-0000-7000-8000-(\w{12})$/.exec(event.id) ?? [];
      if (mark !== this.mark) others++;
      else if (event.text !== this.command(parseInt(k, 16)).text) this.problems.push(`number ${event.number} has another text`);
      else times[parseInt(k, 16)]++;
    }
    let lost = 0, twice = 0;
    for (const count of times) {
      if (count === 0) lost++;
      if (count > 1) twice++;
    }
    return { lost, twice, others, last };
  }
}
