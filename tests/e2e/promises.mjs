// What a page promises while nodes die under it: people write and read through the stock protocol, each page
// moves to another node when its own is killed, and every message that any page ever showed is held against
// the history: no gap, nothing twice, nothing that is not there, nothing taken back, and one's own at once.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster, differences } from '../lib/cluster.mjs';
import { postJson } from '../lib/http.mjs';
import { visit } from '../lib/phoenix.mjs';
import { Sender } from '../lib/sender.mjs';
import { deadline, pause, slow, until, within } from '../lib/wait.mjs';

const people = 6, rounds = 3, everyMs = slow ? 200 : 40;

const numbersOf = ids => ids.map(id => Number(id.slice(2)));

/* Remembers each page that it had, and what was acknowledged on it. */
class Person extends Sender {
  constructor(options) {
    super(options);
    this.pages = [];
    this.acked = []; // {text, last: number at the end of the page when it was acknowledged}
  }

  /* A page was joined: what it shows at first. */
  checkForward(view) {
    this.pages.push({ view, base: this.urls[this.at], ackedBefore: this.acked.length,
                      first: view.numbers, isBehind: /catching up/i.test(view.htmlWithoutStreams()) });
  }

  async write() {
    for (let n = 1; !this.isStopped; n++) {
      const text = `${this.name} ${n}`;
      if (await this.send(text) === null) return;
      this.acked.push({ text, last: this.view.numbers.at(-1) });
      await pause(everyMs * (0.5 + Math.random()));
    }
  }
}

let cluster;
before(async () => { cluster = await Cluster.start({ nodes: 3, options: ['--chat-rate', '0'] }); }, { timeout: deadline(60_000) });
after(() => cluster?.down(), { timeout: deadline(30_000) });

/* What one page showed, against the events of its room. */
function checkPage(person, page, room, shownBefore, numberOf) {
  const { view, first, isBehind, ackedBefore, base } = page;
  const where = `${person.name}'s page at ${base}`;
  const rank = number => {
    const at = room.findIndex(event => event.number === number);
    assert.ok(at >= 0, `${where} showed ${number}, which is not in the history`);
    return at;
  };
  for (const shown of [first, [...numbersOf(view.snapshot), ...numbersOf(view.live)]]) {
    shown.forEach((number, i) => assert.equal(rank(number), rank(shown[0]) + i, `${where}: ${number} is not the next one behind ${shown[i - 1]}`));
  }
  for (const { id, html } of view.messages) {
    const { text } = room[rank(Number(id.slice(2)))];
    assert.ok(html.includes(text), `${where}: ${id} is not ${text}`);
  }
  if (isBehind) return;
  assert.ok((first.at(-1) ?? 0) >= shownBefore, `${where} ends at ${first.at(-1)}, and ${shownBefore} was shown before`);
  for (const { text } of person.acked.slice(0, ackedBefore)) {
    assert.ok(first.at(-1) >= numberOf.get(text), `${where} has not ${text}, which was acknowledged`);
  }
}

test(`P2 P7 P8 P9 P10: ${rounds} nodes die under pages that write and read`, { timeout: deadline(120_000) }, async context => {
  const problems = [];
  const crowd = Array.from({ length: people }, (_, i) => new Person({
    urls: cluster.nodes.map(node => node.url), at: i, name: `Guest ${i}`, room: 'tea',
    localAddress: `127.2.0.${i + 1}`, onProblem: problem => problems.push(problem) }));
  await within('a page for everybody', Promise.all(crowd.map(person => person.connect())), 30_000);
  const writing = crowd.map(person => person.write());
  const everybodyGoesOn = async what => {
    const from = crowd.map(person => person.acked.length);
    await until(what, () => crowd.every((person, i) => person.acked.length >= from[i] + 3), 30_000);
  };
  await everybodyGoesOn('everybody has written');
  for (let round = 0; round < rounds; round++) {
    const leader = await cluster.leader();
    const node = round === 1 ? cluster.nodes.find(one => one !== leader) : leader;
    await node.kill();
    // Whoever is left serves, each of them.
    for (const live of cluster.up) {
      await live.post('tea', `round ${round} at ${live.name}`, { sender: 'clock' });
    }
    await everybodyGoesOn(`everybody goes on without ${node.name}`);
    await node.start().ready();
    await everybodyGoesOn(`everybody goes on with ${node.name}`);
  }
  for (const person of crowd) person.isStopped = true; // their pages stay
  await within('the last answers', Promise.all(writing), 30_000);
  const last = await cluster.level();

  const histories = {};
  for (const node of cluster.nodes) histories[node.name] = await node.events({ upTo: last });
  assert.deepEqual(differences(histories), []);
  const room = histories['tea-1'].filter(event => event.room === 'tea');
  const numberOf = new Map(room.map(event => [event.text, event.number]));
  assert.equal(numberOf.size, room.length, 'a text stands there twice');
  for (const person of crowd) {
    const open = person.pages.at(-1).view;
    if (open.socket.isOpen) await until('the page has the last message', () => open.numbers.at(-1) === room.at(-1).number);
    let shownBefore = 0, lastAcked = 0;
    for (const page of person.pages) {
      checkPage(person, page, room, shownBefore, numberOf);
      shownBefore = Math.max(shownBefore, page.view.numbers.at(-1) ?? 0);
    }
    for (const { text, last: shown } of person.acked) {
      const number = numberOf.get(text);
      assert.ok(number > lastAcked, `${text} is not behind the one before it`);
      assert.ok(shown >= number, `${text} (${number}) was acknowledged, and its page ended at ${shown}`);
      lastAcked = number;
    }
    person.stop();
  }
  assert.deepEqual(problems, []);
  const pages = crowd.reduce((sum, person) => sum + person.pages.length, 0);
  assert.ok(pages > people, 'nobody moved');
  context.diagnostic(`${room.length} messages, ${pages} pages of ${people} people, ${rounds} kills`);
});

test('P6 P7: a leader whose followers are silent shows and acknowledges nothing of what it is sent', { timeout: deadline(90_000) }, async () => {
  const leader = await cluster.leader();
  const others = cluster.nodes.filter(node => node !== leader);
  const view = await visit(leader.url, '/alone', { name: 'Kari' });
  await view.say('with the others');
  await view.shown('with the others');
  for (const node of others) node.pause();
  let own, answers;
  try {
    const posts = Promise.all(Array.from({ length: 5 }, (_, i) =>
      postJson(`${leader.url}/api/rooms/alone/messages`, { sender: 'Ola', text: `alone ${i}`, id: `alone ${i}` })));
    const { nonce } = view.composer;
    own = await view.send('alone on the page', { nonce, ms: 20_000 });
    answers = await posts;
    assert.equal(own.nonce, nonce, 'acknowledged without a majority');
    assert.match(own.hint, /Not sent: no leader|Not known yet/);
    assert.equal(view.messages.length, 1, 'shown, and not committed');
  } finally {
    for (const node of others) node.resume();
  }
  await cluster.ready();
  // Whatever of it was on its way stands before this, or nowhere.
  const last = await leader.barrier();
  const room = (await others[0].events({ upTo: last })).filter(event => event.room === 'alone');
  for (const [i, { status, text }] of answers.entries()) {
    assert.ok([503, 504].includes(status), `${status} ${text}`);
    const kept = room.filter(event => event.text === `alone ${i}`).length;
    assert.ok(kept <= (status === 504 ? 1 : 0), `${status}, and ${kept} times in the history`);
  }
  const kept = room.filter(event => event.text === 'alone on the page').length;
  assert.ok(kept <= (/Not known yet/.test(own.hint) ? 1 : 0), `${own.hint}, and ${kept} times in the history`);
  // Nothing is taken back, nothing is missing.
  await until('the page shows what is committed', () => view.numbers.join() === room.map(event => event.number).join());
  assert.deepEqual(view.problems, []);
  await view.close();
});
