// Many people who write at a steady rate, and the book of what they were promised.
//
// Each has an address of its own on the loopback net, so that the limits count as they would for
// people in different places. What becomes due while somebody still waits for an answer waits too.
import { Sender } from './sender.mjs';
import { pause, until, within } from './wait.mjs';

export class Crowd {
  constructor({ urls, people = 250, rate = 200, rooms = 25 }) {
    this.every = (people / rate) * 1000; // ms between two messages of one person
    this.rooms = rooms;
    this.acked = new Map(); // command id -> {sender, room, text, n, firstAt, ackedAt}
    this.open = new Map(); // command id -> the same, not answered yet
    this.problems = [];
    this.onAck = () => {};
    this.senders = Array.from({ length: people }, (_, i) => new Sender({
      urls, at: i, name: `Guest ${i}`, room: `table-${i % rooms}`,
      localAddress: `127.1.${(i + 1) >> 8}.${(i + 1) & 255}`,
      onProblem: problem => this.problems.push(problem) }));
    this.refusals = 0;
    this.isOver = false;
  }

  get reconnects() { return this.senders.reduce((sum, sender) => sum + Math.max(0, sender.reconnects - 1), 0); }

  /* Everybody is in a room. */
  async arrive(ms = 60_000) {
    await within('place for everybody', Promise.all(this.senders.map(sender => sender.connect())), ms);
  }

  start() {
    this.working = this.senders.map((sender, i) => this.#write(sender, i));
  }

  async #write(sender, i) {
    let due = performance.now() + Math.random() * this.every;
    for (let n = 1; !this.isOver; n++) {
      const wait = due - performance.now();
      if (wait > 0) await pause(wait);
      due = Math.max(due + this.every, performance.now());
      if (this.isOver) return;
      const entry = { sender: sender.name, room: sender.room, n, text: `c${i}-${n} grønn te 🍵 & "more"`, firstAt: performance.now() };
      let id = null;
      const answer = await sender.send(entry.text, nonce => {
        id = nonce;
        this.open.set(id, entry);
      });
      if (answer === null) return; // stopped: stays unknown
      this.open.delete(id);
      entry.ackedAt = performance.now();
      this.refusals += answer.refusals;
      if (this.acked.has(id)) this.problems.push(`${sender.name}: id ${id} was given out twice`);
      this.acked.set(id, entry);
      this.onAck(entry);
    }
  }

  /* The first acknowledgement of something that was first sent after `since`. */
  ackAfter(since, ms = 30_000) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.onAck = () => {};
        reject(new Error(`no acknowledgement within ${ms} ms`));
      }, ms);
      this.onAck = entry => {
        if (entry.firstAt < since) return;
        clearTimeout(timer);
        this.onAck = () => {};
        resolve(entry.ackedAt);
      };
    });
  }

  /* `count` more acknowledgements than now. */
  async more(count, ms = 30_000) {
    const goal = this.acked.size + count;
    await until(`${count} more acknowledgements`, () => this.acked.size >= goal, ms, 10);
  }

  /* Nothing new is sent; waits until everything is answered, then all leave. */
  async settle(ms = 30_000) {
    this.isOver = true;
    await within('answer to everything', Promise.all(this.working), ms).catch(() => {}); // what is open is in the book
    for (const sender of this.senders) sender.stop();
    await Promise.all(this.working);
  }

  /* Holds what was promised against the history of one node. Returns {lost, twice, wrong: [...]}. */
  audit(events) {
    const wrong = [];
    const plain = id => id.replaceAll('-', '').toLowerCase();
    const found = new Map();
    let twice = 0, lost = 0;
    for (const event of events) {
      const id = plain(event.id);
      if (found.has(id)) {
        twice++;
        wrong.push(`id ${event.id} has the numbers ${found.get(id).number} and ${event.number}`);
      }
      found.set(id, event);
    }
    const known = new Set();
    for (const [id, entry] of [...this.acked, ...this.open]) {
      known.add(plain(id));
      const event = found.get(plain(id));
      if (event === undefined) {
        if (!this.acked.has(id)) continue; // unknown may be absent
        lost++;
        wrong.push(`acknowledged, and lost: ${id} (${entry.sender}, ${entry.text})`);
      } else if (event.text !== entry.text || event.room !== entry.room || event.sender !== entry.sender) {
        wrong.push(`${id} was ${entry.sender}: ${entry.text}, and is ${event.sender}: ${event.text}`);
      }
    }
    const last = new Map();
    for (const event of events) {
      if (!known.has(plain(event.id))) {
        wrong.push(`number ${event.number} was never sent: ${event.text}`);
        continue;
      }
      const n = Number(/^c\d+-(\d+) /.exec(event.text)?.[1]);
      if (n <= (last.get(event.sender_id) ?? 0)) wrong.push(`${event.sender}: ${n} stands behind ${last.get(event.sender_id)}`);
      last.set(event.sender_id, n);
    }
    return { lost, twice, wrong };
  }
}

export const median = values => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
