// What an administrator does while people write: leadership moves, nodes are drained one after another,
// the history is copied. Nobody loses a message, none is there twice, and pages move by themselves.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster, differences, freePorts, run } from '../lib/cluster.mjs';
import { Crowd } from '../lib/crowd.mjs';
import { request } from '../lib/http.mjs';
import { change, passes, transferTo } from '../lib/members.mjs';
import { visit } from '../lib/phoenix.mjs';
import { deadline, until } from '../lib/wait.mjs';

const say = (node, room, text) => node.say(room, text, { id: `${room} ${text}` });

async function histories(cluster, from = 0) {
  await cluster.level();
  const all = {};
  for (const node of cluster.nodes) all[node.name] = await node.events({ after: from });
  return all;
}

/* People write through the pages of all nodes while `work` is done; then every history is held against
 * what they were told. */
async function whilePeopleWrite(cluster, work) {
  const crowd = new Crowd({ urls: cluster.nodes.map(node => node.url), people: 40, rate: 60, rooms: 8 });
  await crowd.arrive(30_000);
  const last = await cluster.level();
  crowd.start();
  try {
    await crowd.more(60, 30_000);
    await work(crowd);
    await crowd.more(60, 30_000);
  } finally {
    await crowd.settle(30_000);
  }
  const all = await histories(cluster);
  assert.deepEqual(differences(all), []);
  for (const events of Object.values(all)) assert.deepEqual(crowd.audit(events.slice(last)).wrong.slice(0, 5), []);
  assert.deepEqual(crowd.problems.slice(0, 5), []);
  assert.equal(crowd.open.size, 0, 'everything that was sent got its answer');
}

/* An administrator's command until `isSo` says that it has ended as it should: on a machine that does other things the
 * leader may change, or a node be silent for a second, in the middle of it. Resolves to its last end. */
const insist = (cluster, args, isSo, options) => until(`livetea ${args.join(' ')} ends so`, async () => {
  const ended = await cluster.cli(args, options);
  if (await isSo(ended)) return ended;
  throw new Error(`exit ${ended.code}: ${ended.out}${ended.err}`);
}, 30_000, 100);
const isDone = ({ code }) => code === 0;

/* Leadership goes to this node: it is done when that is told, whoever leads a moment later. The one that leads already is
 * told so, and goes on in its term. */
async function sendLeadership(cluster, to, asked) {
  await until(`${to.name} is given the leadership`, async () => {
    const before_ = await cluster.standing();
    const answer = await asked.admin('POST', 'transfer', { to: to.name });
    if (answer.status === 200) return cluster.elected(to.name, one => one.node === to.name && one.term > before_.term);
    if (passes(answer)) throw new Error(`${answer.status} ${answer.text}`);
    assert.equal(answer.value.error, 'leads_already', answer.text);
    const { leader, term } = await cluster.standing();
    return leader === to && term === before_.term;
  }, 30_000, 100);
}

/* A backup's head and its events' numbers, read as docs/formats.md has them. */
function readBackup(file) {
  const bytes = fs.readFileSync(file);
  assert.equal(bytes.toString('latin1', 0, 8), 'LTEABAK1');
  const head = { number: Number(bytes.readBigUInt64LE(32)), digest: bytes.toString('hex', 48, 64) };
  let at = bytes.readUInt32LE(12), count = 0;
  for (; bytes.readUInt32LE(at) !== 0xffffffff; count++) at += 4 + bytes.readUInt32LE(at);
  assert.equal(bytes.length, at + 32, 'the end is the end');
  assert.equal(count, head.number);
  return head;
}

/* A browser that a drain waits for: it has begun to send a form, and does not go on. */
function linger(port) {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {}); // the node's end
  socket.write('POST /session HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n');
  return new Promise(resolve => socket.once('data', () => resolve(socket)));
}

/* Has the process files open? One that has ended has none, also before its parent has looked. */
function hasFiles(pid) {
  try {
    return fs.readdirSync(`/proc/${pid}/fd`).length > 0;
  } catch {
    return false;
  }
}

describe('three nodes', () => {
  let cluster;
  before(async () => { cluster = await Cluster.start({ nodes: 3 }); }, { timeout: deadline(60_000) });
  after(() => cluster?.down(), { timeout: deadline(30_000) });

  test('leadership goes where it is sent, and nobody who writes notices', { timeout: deadline(120_000) }, async () => {
    await whilePeopleWrite(cluster, async crowd => {
      for (const node of [...cluster.nodes, cluster.nodes[0]]) {
        // Asked of each node in turn, whether it leads or not.
        await sendLeadership(cluster, node, cluster.nodes[node.number % 3]);
        await crowd.more(20, 30_000);
      }
      const { leader, term } = await cluster.standing();
      const { out } = await insist(cluster, ['transfer'], isDone);
      assert.match(out, /leads now/);
      await cluster.elected('another one', one => one.node !== leader.name && one.term > term);
    });
  });

  test('a transfer to nobody is refused', async () => {
    const answer = await change(cluster, 'POST', 'transfer', { to: 'tea-9' });
    assert.equal(answer.status, 409, answer.text);
    assert.equal(answer.value.error, 'unknown_member');
    await insist(cluster, ['transfer', 'tea-9'], ({ code, err }) => code === 1 && /^livetea transfer: There is no member .*\.\n$/.test(err));
  });

  for (const who of ['a follower', 'the leader']) {
    test(`${who} is drained: its pages move, it ends with 0, and nothing is lost`, { timeout: deadline(120_000) }, async () => {
      await whilePeopleWrite(cluster, async crowd => {
        // A leader hands over if another one takes it in time, which on a busy machine need not be at the first try.
        let handedOver = false;
        for (let round = 0; round === 0 || (who === 'the leader' && !handedOver && round < 5); round++) {
          const node = who === 'the leader' ? await cluster.leader() : (await cluster.followers())[0];
          const said = node.log().length;
          const view = await visit(node.url, '/lobby', { name: 'Kari' });
          const ended = node.end(60_000);
          const drained = cluster.cli(['drain', '-n', node.url, '--timeout', '60s'], { ms: 80_000 });
          assert.equal((await view.socket.closed).code, 1012, 'come again, elsewhere');
          const { code, out, err } = await drained;
          assert.equal(code, 0, err);
          assert.equal(out, `${node.url} has stopped.\n`);
          assert.equal(await ended, 0, node.logTail());
          handedOver = /leadership handed over/.test(node.log().slice(said));
          assert.notEqual((await cluster.leader()).name, node.name);
          await crowd.more(40, 30_000);
          node.start();
          await cluster.ready(30_000);
        }
        if (who === 'the leader') assert.ok(handedOver, 'a leader that is drained hands over');
      });
    });
  }

  test('who drains a node is told of its end when its process has ended', { timeout: deadline(60_000) }, async () => {
    const [node] = await cluster.followers();
    const { pid } = node;
    const browser = await linger(node.httpPort);
    const ended = node.end(60_000);
    const { code, out, err } = await cluster.cli(['drain', '-n', node.url, '--timeout', '2s']);
    assert.equal(hasFiles(pid), false, 'it runs yet');
    assert.equal(code, 0, err);
    assert.equal(out, `${node.url} has stopped.\n`);
    assert.equal(await ended, 0, node.logTail());
    assert.match(node.log(), /browsers are left behind/);
    browser.destroy();
    node.start();
    await cluster.ready(30_000);
  });

  test('a drain is answered before it begins, and a signal hurries it', { timeout: deadline(60_000) }, async () => {
    const [node] = await cluster.followers();
    const view = await visit(node.url, '/lobby', { name: 'Kari' });
    const ended = node.end();
    const answer = await node.admin('POST', 'drain', { timeout_ms: 300_000 });
    assert.equal(answer.status, 202, answer.text);
    assert.deepEqual(answer.value, { draining: true, timeout_ms: 300_000 });
    if (node.isUp) await node.stop(); // where we were slow it has ended by now
    assert.equal(await ended, 0, node.logTail());
    assert.doesNotMatch(node.log(), /stopping at once/);
    assert.equal((await view.socket.closed).code, 1012);
    node.start();
    await cluster.ready(30_000);
  });

  test('a signal that comes when a node has stopped does not end it in another way', { timeout: deadline(60_000) }, async () => {
    const [node] = await cluster.followers();
    const said = node.log().length;
    const ended = node.end();
    assert.equal((await node.admin('POST', 'drain', {})).status, 202);
    await until('it says that it has stopped', () => !node.isUp || / stopped +node=/.test(node.log().slice(said)), 20_000, 1);
    node.child?.kill('SIGTERM'); // what is left is its process's end, which a sanitizer makes long
    assert.equal(await ended, 0, node.logTail());
    node.start();
    await cluster.ready(30_000);
  });

  test('a backup made while people write is the history up to one number', { timeout: deadline(120_000) }, async () => {
    const file = path.join(cluster.dir, 'tea.bak');
    await whilePeopleWrite(cluster, async crowd => {
      const { code, out, err } = await cluster.cli(['backup', file]);
      assert.equal(code, 0, err);
      assert.match(out, /^\d+ events of livetea from tea-\d, .*tea\.bak\n$/);
      await crowd.more(20, 30_000);
    });
    const head = readBackup(file);
    const [event] = await cluster.nodes[0].events({ after: head.number - 1, upTo: head.number });
    assert.equal(event.digest, head.digest);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.equal(fs.existsSync(`${file}.partial`), false);
    const again = await cluster.cli(['backup', file]);
    assert.equal(again.code, 1);
    assert.match(again.err, /is there already/);
    assert.equal((await cluster.cli(['backup', file, '--force'])).code, 0);
    assert.ok(readBackup(file).number > head.number);
    // What is no file is not replaced by one: a device, a link to one.
    const link = path.join(cluster.dir, 'link');
    fs.symlinkSync('/dev/null', link);
    const onLink = await cluster.cli(['backup', link, '--force']);
    assert.equal(onLink.code, 1);
    assert.match(onLink.err, /no regular file/);
    assert.equal(fs.readlinkSync(link), '/dev/null');
  });

  test('the secret is found as serve finds it, or it is said', async () => {
    const config = path.join(cluster.dir, 'livetea.conf');
    fs.writeFileSync(config, `[node]\nsecret_file = ${cluster.secretFile}\n`);
    const env = { LIVETEA_NODE: cluster.urls() };
    const file = path.join(cluster.dir, 'other.bak');
    const other = path.join(cluster.dir, 'other-secret');
    fs.writeFileSync(other, `${'o'.repeat(40)}\n`, { mode: 0o600 });
    for (const how of [['--secret-file', cluster.secretFile], ['-c', config]]) {
      assert.equal((await run(['backup', file, '--force', ...how], { env })).code, 0, how.join(' '));
    }
    assert.equal((await run(['backup', file, '--force'], { env: { ...env, LIVETEA_CONFIG: config } })).code, 0);
    const none = await run(['backup', file, '--force'], { env });
    assert.equal(none.code, 2);
    assert.match(none.err, /secret is needed/);
    const wrong = await run(['backup', file, '--force', '--secret-file', other], { env });
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /does not believe the secret in .*other-secret/);
    // While a secret is being changed the newer one is in front, and the nodes do not know it yet.
    fs.writeFileSync(other, `${'o'.repeat(40)}\n${fs.readFileSync(cluster.secretFile, 'utf8')}`);
    assert.equal((await run(['backup', file, '--force', '--secret-file', other], { env })).code, 0);
  });
});

describe('members', () => {
  let cluster;
  before(async () => { cluster = await Cluster.start({ nodes: 1, options: ['--chat-rate', '0'] }); }, { timeout: deadline(60_000) });
  after(() => cluster?.down(), { timeout: deadline(30_000) });

  test('a node is added and promoted, listed, given the leadership, and removed again', { timeout: deadline(120_000) }, async () => {
    const [first] = cluster.nodes;
    for (let i = 1; i <= 20; i++) assert.equal((await say(first, 'lobby', `before ${i}`)).status, 201);
    const options = { env: { LIVETEA_NODE: first.url }, ms: 90_000 };
    const cli = args => cluster.cli(args, options);
    const second = await cluster.startNode();
    const addition = ['members', 'add', `${second.name}=${second.address}`, '--promote', '--timeout', '5m'];
    // Not known (5) is how it ends when the leader changes meanwhile; the next one finds it done, or does it.
    const refused = words => ({ code, err }) => code === 1 && words.test(err);
    const added = async ({ code, out, err }) => {
      assert.match(err, /^waiting for tea-2 to ask; start it with cluster\.join$/m);
      if (code === 5 || /is not heard/.test(err)) return insist(cluster, addition, isDone, options);
      assert.equal(code, 0, err);
      assert.equal(out, 'tea-2 is a member.\ntea-2 is a voter.\n');
    };
    await added(await cli(addition));
    await second.ready();
    assert.equal((await say(second, 'lobby', 'after')).status, 201);
    assert.deepEqual(differences(await histories(cluster)), []);

    await until('both are listed as they are', async () => {
      await transferTo(cluster, first);
      const { out } = await cli(['members', '-o', 'table']);
      if (/^NAME +ROLE +STATE +NUMBER +BEHIND +ADDRESS\ntea-1 +voter +leader +21 +0 .*\ntea-2 +voter +follower +21 +0 /.test(out)) return true;
      throw new Error(out);
    });
    const { members } = JSON.parse((await cli(['members'])).out);
    assert.deepEqual(members.map(({ name, role, address }) => [name, role, address]),
      [['tea-1', 'voter', first.address], ['tea-2', 'voter', second.address]]);

    await insist(cluster, ['members', 'add', `${second.name}=${second.address}`], isDone, options); // what is done already is done
    await insist(cluster, ['members', 'add', `${second.name}=127.0.0.1:1`], refused(/tea-2 is a member already/), options);
    await insist(cluster, ['members', 'promote', 'tea-2'], refused(/tea-2 votes already/), options);
    await insist(cluster, ['members', 'promote', 'tea-9'], refused(/There is no member "tea-9"/), options);

    // Of two voters the one that leads stays until it has handed over. Who goes is told of it, and ends by itself. On a
    // busy machine it may have lost the leadership by then, and goes at once.
    const ended = second.end(60_000);
    let isUnknown = false;
    const removeUnder = leader => until(`tea-2 is removed, or may not be, while ${leader.name} leads`, async () => {
      await transferTo(cluster, leader);
      const end = await cli(['members', 'remove', 'tea-2']);
      isUnknown ||= end.code === 5;
      if (isDone(end) || (isUnknown && refused(/There is no member "tea-2"/)(end))) return 'removed';
      if (leader === second && refused(/tea-2 leads, and one voter would be left: `livetea transfer` first/)(end)) return 'refused';
      throw new Error(`exit ${end.code}: ${end.out}${end.err}`);
    }, 30_000, 100);
    if (await removeUnder(second) === 'refused') await removeUnder(first);
    assert.equal(await ended, 0, second.logTail());
    await until('tea-1 is alone', async () => (await first.status()).members.length === 1);
    assert.equal((await say(first, 'lobby', 'alone')).status, 201);
    await insist(cluster, ['members', 'remove', 'tea-1'], refused(/only voter/), options);

    // Its name comes back, with an empty directory and another id.
    // This time the command is there before the node.
    const adding = cli(addition);
    const back = await cluster.startNode({ number: 2 });
    await added(await adding);
    await back.ready();
    assert.deepEqual(differences(await histories(cluster)), []);
  });
});

test('a second drain can only shorten the first', { timeout: deadline(60_000) }, async () => {
  const [port] = await freePorts(1);
  const cluster = await Cluster.start({ nodes: 1, options: ['--http-admin-listen', `127.0.0.1:${port}`] });
  try {
    const [node] = cluster.nodes;
    const base = `http://127.0.0.1:${port}`;
    for (const times of [[300_000, 1000], [1000, 300_000]]) {
      const browser = await linger(node.httpPort);
      const before_ = node.log().length;
      const ended = node.end(60_000);
      for (const timeout_ms of times) {
        const answer = await node.admin('POST', 'drain', { timeout_ms }, { base });
        assert.equal(answer.status, 202, answer.text);
        assert.equal(answer.headers.connection, 'close');
      }
      assert.equal(await ended, 0, node.logTail());
      assert.match(node.log().slice(before_), /browsers are left behind/, `${times}`);
      browser.destroy();
      node.start();
      await node.ready();
    }
    // So many may wait for its end: a thread keeps a descriptor for each.
    const browser = await linger(node.httpPort);
    const ended = node.end(60_000);
    for (let i = 0; i < 16; i++) assert.equal((await node.admin('POST', 'drain', { timeout_ms: 300_000 }, { base })).status, 202);
    const one_more = await node.admin('POST', 'drain', { timeout_ms: 0 }, { base });
    assert.equal(one_more.status, 503, one_more.text);
    assert.equal(one_more.value.error, 'busy');
    assert.equal(await node.stop(), 0);
    assert.equal(await ended, 0);
    browser.destroy();
  } finally {
    await cluster.down();
  }
});

test('with an admin listener no thread of the public one knows these paths', { timeout: deadline(60_000) }, async () => {
  const [port] = await freePorts(1);
  const cluster = await Cluster.start({ nodes: 1, options: ['--http-threads', '3', '--http-admin-listen', `127.0.0.1:${port}`] });
  try {
    const [node] = cluster.nodes;
    const headers = { authorization: `Bearer ${cluster.token()}` };
    // The system spreads connections over the threads by their ports.
    for (let i = 0; i < 30; i++) {
      for (const [method, where] of [['GET', '/status'], ['GET', '/metrics'], ['GET', '/api/cluster/backup'], ['PUT', '/api/cluster/backup']]) {
        assert.equal((await request(node.url + where, { method, headers })).status, 404, `${method} ${where}`);
      }
    }
    const file = path.join(cluster.dir, 'tea.bak');
    const blind = await cluster.cli(['backup', file]);
    assert.equal(blind.code, 1);
    assert.match(blind.err, /http\.admin_listen/);
    assert.equal((await say(node, 'lobby', 'hello')).status, 201);
    await until('it is stored', async () => (await cluster.cli(['backup', file, '--force', '-n', `127.0.0.1:${port}`])).code === 0 && readBackup(file).number === 1);
    const ended = node.end(60_000);
    const { code, err } = await cluster.cli(['drain', '-n', `127.0.0.1:${port}`]);
    assert.equal(code, 0, err);
    assert.equal(await ended, 0);
  } finally {
    await cluster.down();
  }
});
