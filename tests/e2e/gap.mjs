// A node that lacks what raft's log has no more, or is no member yet: what it answers until it has all of it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { Cluster, differences } from '../lib/cluster.mjs';
import { json, post, postJson, request } from '../lib/http.mjs';
import { Page, Refused, Socket, View, visit } from '../lib/phoenix.mjs';
import { deadline, until } from '../lib/wait.mjs';

// One web thread: what one connection was told another one is told as well.
const options = ['--store-keep-log', '64', '--chat-rate', '0', '--http-threads', '1'];

const say = (node, room, text) => node.say(room, text);
const sayOnce = (node, room, text) => postJson(`${node.url}/api/rooms/${room}/messages`, { sender: 'tester', text });

/* In the page's box, until it is sent: again when nobody takes it. The page itself asks on what became of it. */
async function type(view, text) {
  const { nonce } = view.composer;
  await until(`${text} is sent`, async () => {
    if (view.composer.nonce !== nonce) return true;
    const { nonce: now, reply } = view.question ? await view.settle(text) : await view.send(text, { nonce, ms: 30_000 });
    assert.equal(reply.status, 'ok');
    return now !== nonce;
  }, 30_000, 200);
}

/* One after the other, so that each is an entry of raft's log. */
async function sayAll(node, room, count, text = 'tea') {
  for (let i = 0; i < count; i++) {
    const answer = await say(node, room, `${text} ${i}`);
    assert.equal(answer.status, 201, answer.text);
  }
}

async function histories(cluster) {
  await cluster.level();
  const all = {};
  for (const node of cluster.nodes) all[node.name] = await node.events();
  return all;
}

async function metric(node, name) {
  const { text } = await request(`${node.url}/metrics`);
  return Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (.*)$`, 'm').exec(text)?.[1]);
}

const upgrade = (node, csrf) => Socket.open(node.url, { csrf }).then(
  socket => socket.close().then(() => 101),
  error => { if (error instanceof Refused) return error.status; throw error; });

/* What a node with a gap answers to those who come new. */
async function assertClosed(node, csrf, elsewhere) {
  for (const address of ['/', '/lobby', '/cluster']) {
    const answer = await request(node.url + address);
    assert.equal(answer.status, 503, address);
    assert.equal(answer.headers['retry-after'], '1');
    assert.equal(answer.headers.refresh, '2');
    assert.match(answer.text, /This node is catching up: [\d,]+ of [\d,]+ messages\./);
    for (const other of elsewhere) assert.ok(answer.text.includes(`href="${other.url}${address}"`), `${address}: a way to ${other.name}`);
  }
  assert.equal((await request(`${node.url}/lobby`, { method: 'HEAD' })).status, 503);
  assert.equal(await upgrade(node, csrf), 503);
  const form = await post(`${node.url}/lobby`, 'message=hi', { 'content-type': 'application/x-www-form-urlencoded' });
  assert.equal(form.status, 503);
  assert.match(form.text, /Nothing was sent/);
  assert.equal(form.headers.refresh, undefined);
  for (const [address, how] of [['/api/rooms', {}], ['/api/rooms/lobby/messages', {}], ['/api/rooms/lobby/messages?after=1&wait=5s', {}]]) {
    const answer = await json(node.url + address, how);
    assert.equal(answer.status, 503, address);
    assert.equal(answer.headers['retry-after'], '1');
    assert.equal(answer.value.error, 'catching_up');
  }
  const sent = await sayOnce(node, 'lobby', 'to nobody');
  assert.equal(sent.status, 503);
  assert.equal(JSON.parse(sent.text).error, 'catching_up');
}

describe('a node alone with a gap', () => {
  let cluster, csrf;
  before(async () => { cluster = await Cluster.start({ nodes: 3, options }); }, { timeout: deadline(60_000) });
  after(() => cluster?.down(), { timeout: deadline(30_000) });

  test('P12: is up, not ready, and says what it lacks', { timeout: deadline(120_000) }, async () => {
    const [one, , three] = cluster.nodes;
    csrf = (await Page.open(one.url, '/lobby')).csrf;
    await sayAll(one, 'lobby', 200);
    await cluster.level();
    await until('it has taken a snapshot', async () => (await three.status()).raft.snapshot_index > 64);
    for (const node of cluster.nodes) assert.equal(await node.stop(), 0);

    // Its own history is lost, and its snapshot says how long it was: nobody is there who has it.
    const history = path.join(three.dataDir, 'history');
    for (const name of fs.readdirSync(history)) fs.rmSync(path.join(history, name), { recursive: true });
    three.start();
    const { backfill, chat, node, members, cluster: all } = await until('it knows of its gap', async () => {
      const status = await three.status();
      return status.backfill && status;
    });
    assert.equal(chat.events, 0);
    assert.equal(backfill.from, 0);
    assert.equal(backfill.number, 0);
    assert.ok(backfill.goal > 64, `goal ${backfill.goal}`);
    assert.equal(backfill.behind, backfill.goal);
    assert.equal(backfill.peer, null);
    assert.equal(typeof backfill.events_per_second, 'number');
    assert.equal(typeof backfill.waiting_bytes, 'number');
    assert.equal(node.ready, false);
    assert.equal(node.role, 'catching_up');
    assert.equal(members.find(member => member.name === three.name).state, 'catching_up');
    assert.equal(all.may_fail, 0);

    assert.equal((await request(`${three.url}/livez`)).status, 200);
    const ready = await request(`${three.url}/readyz?verbose`);
    assert.equal(ready.status, 503);
    assert.match(ready.text, new RegExp(`^\\[-\\]caught_up behind by ${backfill.goal}, no node gives them at the moment$`, 'm'));
    assert.equal(await metric(three, 'livetea_history_missing_events'), backfill.goal);
    assert.equal(await metric(three, 'livetea_backfill_events_total{direction="in"}'), 0);
    assert.equal(await metric(three, 'livetea_ready'), 0);
    assert.deepEqual(await three.events({ after: 0 }), []);
    await assertClosed(three, csrf, []);

    const table = await cluster.cli(['status', '-o', 'table']);
    assert.match(table.out, /^tea-3 +catching up 0 % /m);
    assert.equal(table.code, 3);
  });

  test('is so again when it is started again', { timeout: deadline(60_000) }, async () => {
    const three = cluster.nodes[2];
    await three.kill();
    three.start();
    await until('it knows of its gap', async () => (await three.status()).backfill?.goal > 64);
    await assertClosed(three, csrf, []);
  });

  test('fetches all of it as soon as another one is up', { timeout: deadline(120_000) }, async () => {
    const [one, two, three] = cluster.nodes;
    const { goal } = (await three.status()).backfill;
    one.start();
    two.start();
    await cluster.ready();
    const status = await until('it says so', async () => {
      const now = await three.status();
      return now.backfill === null && now.node.ready && now;
    });
    assert.ok(status.events.some(({ event, node }) => event === 'catching_up' && node === three.name));
    assert.ok(status.events.some(({ event, node }) => event === 'caught_up' && node === three.name));
    assert.ok(await metric(three, 'livetea_backfill_events_total{direction="in"}') >= goal);
    assert.equal(await metric(three, 'livetea_history_missing_events'), 0);
    assert.equal((await request(`${three.url}/lobby`)).status, 200);
    assert.equal((await say(three, 'lobby', 'here I am')).status, 201);
    assert.deepEqual(differences(await histories(cluster)), []);
    assert.match(three.log(), /ready +http=/);
  });
});

describe('a node that was away for longer than raft remembers', () => {
  let cluster;
  const views = [];
  before(async () => { cluster = await Cluster.start({ nodes: 3, options }); }, { timeout: deadline(60_000) });
  afterEach(async () => { await Promise.all(views.splice(0).map(view => view.socket.cut())); });
  after(() => cluster?.down(), { timeout: deadline(30_000) });

  test('§11.69 P8 P9 P12: new pages are answered 503, a page that is open stays and says how far it is', { timeout: deadline(240_000) }, async () => {
    const leader = await cluster.leader();
    const away = cluster.nodes.find(node => node !== leader);
    const { csrf } = await Page.open(leader.url, '/lobby');
    const view = await visit(away.url, '/lobby', { name: 'Kari' });
    views.push(view);
    await sayAll(leader, 'lobby', 3, 'before');
    await view.shown('before 2');
    const first = view.messages[0].id;

    away.pause();
    // Long texts, so that there is something to fetch; many at once, for it is about the amount.
    const text = 'x'.repeat(3900);
    await Promise.all(Array.from({ length: 20 }, async (_, sender) => {
      for (let i = 0; i < 150; i++) assert.equal((await say(leader, 'lobby', `${sender} ${i} ${text}`)).status, 201);
    }));
    await sayAll(leader, 'lobby', 140, 'behind');
    await until('raft has cut its log', async () => (await leader.status()).raft.log_first_index > 64);
    const last = await leader.barrier();

    // Also the socket of the page was silent so long; what it sends now is forwarded.
    away.resume();
    const sent = type(view, 'typed within the gap');
    let statuses = [];
    await until('it has had a gap, and closed it', async () => {
      const status = await away.status();
      const got = await Promise.all([request(`${away.url}/lobby`), upgrade(away, csrf)]);
      if (status.backfill) statuses.push(...[got[0].status, got[1]]);
      return status.events.some(({ event, node }) => event === 'caught_up' && node === away.name) && status.node.ready;
    }, 60_000, 1);

    const strips = view.socket.frames.filter(({ text: frame }) => /This node is catching up: [\d,]+ of [\d,]+ messages\. New messages appear when it has them\./.test(frame));
    assert.ok(strips.length > 0, 'the page said that its node is catching up');
    assert.equal(view.socket.closeCode, undefined, 'the page stayed open');
    assert.match(away.log(), /not ready +check=\w+ reason=".+" number=\d+/);
    await sent;
    assert.equal(view.composer.text, '', 'what was typed was sent');
    await until('the strip has gone', () => !/catching up/.test(view.htmlWithoutStreams()));
    await view.shown('typed within the gap');

    const all = await histories(cluster);
    assert.deepEqual(differences(all), []);
    assert.equal(all[away.name].filter(event => event.text === 'typed within the gap').length, 1);
    assert.ok(all[away.name].at(-1).number >= last);
    // No hole in what the page shows, and not all that came was sent to it.
    const room = all[away.name].filter(event => event.room === 'lobby').map(event => event.number);
    const shown = view.numbers;
    assert.deepEqual(shown, room.slice(room.indexOf(shown[0]), room.indexOf(shown[0]) + shown.length));
    assert.notEqual(view.messages[0].id, first);
    assert.ok(view.resets > 0, 'the newest took the place of all');
    assert.deepEqual(view.problems, []);
    assert.ok(statuses.every(status => status === 503 || status === 200 || status === 101), statuses.join());
  });
});

describe('a node that asks to be let in', () => {
  let cluster;
  before(async () => { cluster = await Cluster.start({ nodes: 3, options }); }, { timeout: deadline(60_000) });
  after(() => cluster?.down(), { timeout: deadline(30_000) });

  test('P12: shows no history before it is a member, and all of it as a stand-by', { timeout: deadline(120_000) }, async () => {
    const leader = await cluster.leader();
    const { csrf } = await Page.open(leader.url, '/lobby');
    await sayAll(leader, 'lobby', 140);
    const four = await cluster.startNode();
    // The others tell it one thing after another, until it has what it is told for good.
    const { node, cluster: seen, backfill } = await until('it was told something, and says so', async () => {
      const status = await four.status();
      const { status: code, text } = await request(`${four.url}/readyz?verbose`);
      return code === 503 && status.node.joining && text.includes(`[-]joined ${status.node.joining}\n`) && status;
    });
    assert.equal(node.role, 'joining');
    assert.equal(node.ready, false);
    assert.equal(backfill, null);
    assert.ok(seen.sentence.startsWith('This node is no member of the cluster yet: '), seen.sentence);

    const page = await request(`${four.url}/lobby`);
    assert.equal(page.status, 503);
    assert.match(page.text, /This node is no member of the cluster yet\./);
    assert.equal(await upgrade(four, csrf), 503);
    assert.equal((await json(`${four.url}/api/rooms`)).value.error, 'joining');
    assert.equal(JSON.parse((await sayOnce(four, 'lobby', 'to nobody')).text).error, 'joining');
    assert.equal((await request(`${four.url}/livez`)).status, 200);

    await until('it is added', async () => {
      const { code, err } = await cluster.cli(['members', 'add', `${four.name}=${four.address}`], { ms: 60_000 });
      if (code === 0) return true;
      throw new Error(err); // not known, for the leader has changed: then it is told that it is done
    });
    await four.ready();
    await until('all know of it', async () => {
      const { members, cluster: { voters, sentence } } = await leader.status();
      const own = (await four.status()).node;
      if (members.length === 4 && members.every(({ state }) => state !== 'away') && voters === 3 && sentence === 'All 3 voters are up. Any one may fail.' &&
        own.role === 'standby' && own.joining === null) return true;
      throw new Error(JSON.stringify([members, voters, sentence, own]));
    });
    await until('the table has it', async () => /^tea-4 +stand-by /m.test((await cluster.cli(['status', '-o', 'table'])).out));
    await until('its page says what it is', async () => /stand-by, serves you/.test((await Page.open(four.url, '/cluster')).html));
    assert.equal((await say(four, 'lobby', 'from a stand-by')).status, 201);
    assert.deepEqual(differences(await histories(cluster)), []);
  });
});
