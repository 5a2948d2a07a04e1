// The cluster's port under attack: strangers, nodes of other clusters, sessions that were recorded, and a
// member that sends what no node would. The numbers are those of docs/security.md.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../lib/cluster.mjs';
import { ASK, BARRIER, BEAT, Caller, FORM, FORWARD, PRESENCE, RAFT, RPC, challengeSize, forwarded, hello, helloSize, identityOf, proof, raftMessage, raftPreamble, rpcFrame, u16, u32, u64 } from '../lib/cluster_peer.mjs';
import { remove } from '../lib/members.mjs';
import { deadline, slow, until } from '../lib/wait.mjs';

const placesOfStrangers = 128; // LINK_HALF_OPEN_MAX
let cluster, leader, follower, absent; // the third node is dead: we take its place
let secret, us, termBefore;

before(async () => {
  // Nobody else leads because the machine does other things for a second: who leads, and in which term, is looked at below.
  cluster = await Cluster.prepare({ nodes: 3 });
  cluster.electionTimeout = slow ? '4s' : '2s';
  for (const node of cluster.nodes) node.start();
  await cluster.ready();
  leader = await cluster.leader();
  [follower, absent] = await cluster.followers();
  secret = fs.readFileSync(cluster.secretFile, 'utf8').trim();
  us = identityOf(absent);
  await absent.kill();
  await until('the cluster is two of three', async () => (await leader.status()).cluster.voters_up === 2);
  termBefore = (await leader.status()).raft.term;
}, { timeout: deadline(60_000) });

after(() => cluster?.down(), { timeout: deadline(30_000) });

const up = () => [leader, follower];
const call = node => Caller.open(node.clusterPort);
const fdsOf = node => fs.readdirSync(`/proc/${node.pid}/fd`).length;
const rssOf = node => Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${node.pid}/status`, 'utf8'))[1]) * 1024;
const count = (node, words) => node.log().split(words).length - 1;

/* Whatever was tried, all is as it was: who leads, in which term, and a message is taken. */
async function nothingHappened() {
  for (const node of up()) {
    assert.ok(node.isUp, `${node.name} is gone`);
    const { raft, cluster: seen } = await node.status();
    assert.equal(seen.leader, leader.name);
    assert.equal(raft.term, termBefore);
  }
  const answer = await follower.say('calm', 'calm', { sender: randomUUID() });
  assert.equal(answer.status, 201, answer.text);
}

/* What a node is told and asks is over a second after it was called, and we may be slower than that: then once more. */
const inTime = (what, act) => until(`${what} in time`, act);

/* The node's challenge to this preface, and the connection it came on. */
const challenged = (node, make) => inTime('a challenge', async () => {
  const caller = await call(node);
  const first = make();
  await caller.say(first);
  const challenge = Buffer.from(await caller.hear(challengeSize));
  return challenge.length === challengeSize ? { caller, first, challenge } : caller.cut().then(() => null);
});

/* Our link as the node that is dead; frames may follow. */
const link = (node = leader) => inTime('a link', async () => {
  const caller = await call(node);
  const { isTheirs } = await caller.shake(secret, { from: us, to: identityOf(node) });
  if (isTheirs === undefined) return null;
  assert.ok(isTheirs, 'the node knows the secret');
  return caller;
});

/* The same, when the leader has taken a command on it. */
const provenLink = () => inTime('a link that is up', async () => {
  const caller = await link();
  const body = randomUUID();
  const from = await leader.barrier();
  await caller.say(rpcFrame(FORWARD, forwarded([{ room: 'probe', sender: 'Peer', body }])));
  return (await leader.events({ after: from })).some(event => event.text === body) ? caller : caller.cut().then(() => null);
});

/* What would be fatal or worse to raft's own reader of messages. */
const raftAttacks = id => {
  const entries = (n, extra = []) => raftMessage(1, [1, 0, 0, 0, n, ...extra]);
  return {
    'a request for a vote in term 2^63': raftMessage(3, [2n ** 63n, id, 1, 1, 0]),
    'four billion entries': entries(2n ** 32n - 1n),
    'a million entries in forty bytes': entries(1_000_000),
    'an entry of no known type': entries(1, [1, 0xff, 8]),
    'entries of a leader that is no member': raftMessage(1, [termBefore + 1000, 0, 0, 0, 1, termBefore + 1000, 1, 8]),
    'a snapshot with a configuration of 2^40 bytes': raftMessage(5, [1, 1, 1, 1, 2n ** 40n, 0]),
    'a head of 2^35 bytes': raftMessage(1, [], 2n ** 35n),
    'a payload of 2^35 bytes': raftMessage(5, [1, 1, 1, 1, 8, 2n ** 35n]),
    'no type': raftMessage(0, []),
    'an unknown type': raftMessage(77, [1, 2, 3]),
    'be leader now': raftMessage(6, [termBefore, 1, 1]),
  };
};

describe('a stranger', () => {
  test('S-26 other protocols are closed, with a line in the log that does not repeat itself', { timeout: deadline(120_000) }, async () => {
    const lines = () => count(leader, 'cluster peer refused');
    const from = lines();
    const words = ['GET / HTTP/1.1\r\nHost: x\r\n\r\n'.padEnd(400, 'x'), Buffer.from(`16030101${'00'.repeat(400)}`, 'hex'), randomBytes(400), 'SSH-2.0-x\r\n'.padEnd(400, '\n'), Buffer.alloc(400)];
    for (const bytes of words) {
      const caller = await call(leader);
      await caller.say(bytes);
      await caller.over();
      assert.equal(caller.got.length, 0);
    }
    await until('it is told', () => lines() > from);
    for (let i = 0; i < 200; i++) {
      const caller = await call(leader);
      await caller.say(words[i % words.length]);
      await caller.over();
    }
    assert.ok(lines() - from < 40, `${lines() - from} lines for ${words.length + 200} strangers`);
    const log = leader.log();
    assert.ok(!log.includes(secret) && !log.includes('\x1b') && !/GET \/ HTTP/.test(log));
    await nothingHappened();
  });

  test('S-40 raft\'s messages without the preface are never read', { timeout: deadline(120_000) }, async () => {
    for (const node of up()) {
      for (const [what, message] of Object.entries(raftAttacks(us.id))) {
        for (const id of [us.id, 0n, 12345n]) {
          const caller = await call(node);
          await caller.say(Buffer.concat([raftPreamble(id), message, Buffer.alloc(1024)]));
          await caller.over();
          assert.equal(caller.got.length, 0, `${node.name}, ${what}: not a word`);
        }
      }
    }
    await nothingHappened();
  });

  test('S-40 nor behind a preface that is right, without the proof', { timeout: deadline(120_000) }, async () => {
    for (const kind of [RAFT, RPC, ASK]) {
      for (const [what, message] of Object.entries(raftAttacks(us.id))) {
        const caller = await call(leader);
        await caller.say(Buffer.concat([hello({ from: us, to: identityOf(leader), kind }), message, Buffer.alloc(256)]));
        await caller.over();
        assert.ok(caller.got.length === challengeSize || caller.got.length === 0, `kind ${kind}, ${what}`);
      }
    }
    await nothingHappened();
  });

  test('S-40 proofs that are almost right are wrong', async () => {
    const to = identityOf(leader);
    const wrong = {
      'of zeros': () => Buffer.alloc(32),
      'with another secret': (first, challenge) => proof('x'.repeat(64), 'cli', first, challenge),
      'with an empty secret': (first, challenge) => proof('', 'cli', first, challenge),
      'the server\'s own': (first, challenge) => challenge.subarray(32),
      'with the server\'s word': (first, challenge) => proof(secret, 'srv', first, challenge),
      'of half of it': (first, challenge) => proof(secret, 'cli', first, challenge.subarray(0, 32)),
      'of another preface': (first, challenge) => proof(secret, 'cli', hello({ from: us, to }), challenge),
      'with one bit changed': (first, challenge) => { const right = proof(secret, 'cli', first, challenge); right[31] ^= 1; return right; },
      'in hexadecimal': (first, challenge) => Buffer.from(proof(secret, 'cli', first, challenge).toString('hex').slice(0, 32)),
    };
    for (const [what, make] of Object.entries(wrong)) {
      const { caller, first, challenge } = await challenged(leader, () => hello({ from: us, to }));
      await caller.say(make(first, challenge));
      await caller.say(rpcFrame(BEAT, Buffer.alloc(90)));
      await caller.over();
      assert.equal(caller.got.length, challengeSize, what);
    }
    await nothingHappened();
  });

  test('S-40 the port is only where it was told to be', () => {
    const table = fs.readFileSync(`/proc/${leader.pid}/net/tcp`, 'utf8');
    const port = leader.clusterPort.toString(16).toUpperCase().padStart(4, '0');
    const listening = table.split('\n').map(line => line.trim().split(/\s+/)).filter(([, local, , state]) => state === '0A' && local?.endsWith(`:${port}`));
    assert.deepEqual(listening.map(([, local]) => local), [`0100007F:${port}`]);
  });

  test('S-26 nothing leaks, at whichever byte they break off', { timeout: deadline(300_000) }, async () => {
    const to = identityOf(leader);
    const times = process.env.LIVETEA_LONG === '1' ? 100_000 : slow ? 1_000 : 5_000;
    const shapes = [0, 1, 8, 100, helloSize - 1, helloSize, helloSize + 31, helloSize + 32];
    const round = async some => {
      let next = 0;
      await Promise.all(Array.from({ length: 8 }, async () => {
        while (next < some) {
          const size = shapes[next++ % shapes.length];
          const caller = await call(leader);
          if (size > 0) await caller.say(Buffer.concat([hello({ from: us, to }), Buffer.alloc(32)]).subarray(0, size));
          if (next % 2 === 0) caller.socket.resetAndDestroy(); else caller.socket.destroy();
          await caller.closed;
        }
      }));
    };
    const settled = (what, fds) => until(what, () => fdsOf(leader) <= fds, 20_000, 100);
    const fds = fdsOf(leader);
    await round(times / 5);
    await settled('all are gone', fds + 2);
    const before = rssOf(leader);
    await round(times);
    await settled('all are gone again', fds + 2);
    if (!slow) assert.ok(rssOf(leader) - before < 8 << 20, `${(rssOf(leader) - before) >> 10} KiB more`);
    await nothingHappened();
  });
});

describe('somebody who knows the secret', () => {
  test('S-41 but is of another cluster, looks for another node, or is none of the members', async () => {
    const to = identityOf(leader);
    const refused = { 'another cluster': { cluster: randomBytes(16) }, 'no cluster': { cluster: Buffer.alloc(16) }, 'another node': { toId: identityOf(follower).id }, 'no node': { toId: 0n },
      'a stranger\'s id': { fromId: 77n }, 'no id': { fromId: 0n }, 'the node\'s own id': { fromId: to.id }, 'another version': { magic: 'LVTEAC99' }, 'another program': { magic: 'GOSSIP01' },
      'no kind': { kind: 0 }, 'an unknown kind': { kind: 200 }, 'no address': { address: '' } };
    for (const [what, fields] of Object.entries(refused)) {
      for (const kind of fields.kind === undefined ? [RAFT, RPC] : [fields.kind]) {
        const before = count(leader, 'cluster peer refused');
        const caller = await call(leader);
        await caller.say(hello({ from: us, to, kind, ...fields }));
        await caller.over();
        assert.equal(caller.got.length, 0, what);
        if (before <= 4) await until(`${what}: it is told`, () => count(leader, 'cluster peer refused') > before);
      }
    }
    await nothingHappened();
  });

  test('S-42 frames of impossible lengths end the link before anything is reserved', async () => {
    const before = rssOf(leader);
    for (const length of [0, 1, 8, 8 * 1024 * 1024 + 1, 2 ** 31, 2 ** 32 - 1]) {
      const caller = await link();
      await caller.say(rpcFrame(BEAT, Buffer.alloc(0), { length }));
      await caller.over();
    }
    // Eight megabytes are allowed: who promises them and sends none of them costs none.
    const promising = await Promise.all(Array.from({ length: 1 }, () => link()));
    for (const caller of promising) await caller.say(rpcFrame(BEAT, Buffer.alloc(100), { length: 8 * 1024 * 1024 }));
    if (!slow) assert.ok(rssOf(leader) - before < 4 << 20, `${(rssOf(leader) - before) >> 10} KiB`);
    for (const caller of promising) await caller.cut();
    await nothingHappened();
  });

  test('S-42 frames that are cut, empty, or count more than they hold end the link or are passed over', { timeout: deadline(120_000) }, async () => {
    const count = (n, rest = '') => Buffer.concat([Buffer.from(Uint32Array.of(n).buffer), Buffer.from(rest)]);
    const good = forwarded([{ room: 'cut', sender: 'Peer', body: 'whole' }]);
    const bad = { 'a form of no state': rpcFrame(FORM, Buffer.from([9, 0])), 'an empty beat': rpcFrame(BEAT), 'half a beat': rpcFrame(BEAT, Buffer.alloc(40)),
      'a barrier with a body': rpcFrame(BARRIER, Buffer.from('x')), 'four billion commands': rpcFrame(FORWARD, count(2 ** 32 - 1)), 'two commands of one': rpcFrame(FORWARD, Buffer.concat([count(2), good.subarray(4)])),
      'four billion people': rpcFrame(PRESENCE, count(2 ** 32 - 1)), 'one person of none': rpcFrame(PRESENCE, count(1)), 'a presence of no bytes': rpcFrame(PRESENCE) };
    for (let size = 4; size < good.length; size += 3) bad[`a command cut at ${size}`] = rpcFrame(FORWARD, good.subarray(0, size));
    for (const [what, bytes] of Object.entries(bad)) {
      const caller = await link();
      await caller.say(bytes);
      await caller.over().catch(() => assert.fail(`${what}: still there`));
    }
    for (const type of [0, 100, 255]) {
      const caller = await link();
      await caller.say(Buffer.concat([rpcFrame(type, randomBytes(50)), rpcFrame(FORWARD, count(2 ** 32 - 1))]));
      await caller.over(); // by the second: the first was passed over
    }
    await nothingHappened();
    const events = await leader.events({ upTo: await leader.barrier() });
    assert.ok(events.every(event => event.room !== 'cut'), 'what was not whole was not taken');
  });

  test('S-43 what was recorded opens nothing', async () => {
    const to = identityOf(leader);
    const frame = rpcFrame(FORWARD, forwarded([{ room: 'recorded', sender: 'Peer', body: 'once' }]));
    const { first, second } = await inTime('a link that is recorded', async () => {
      const recorded = await call(leader);
      const { isTheirs, ...said } = await recorded.shake(secret, { from: us, to });
      if (isTheirs === undefined) return null;
      assert.ok(isTheirs);
      await recorded.say(frame);
      const isTaken = (await leader.events()).some(event => event.room === 'recorded');
      await recorded.cut();
      return isTaken ? said : null;
    });
    for (const bytes of [[first, second, frame], [first, second], [second, first]]) {
      const caller = await call(leader);
      await caller.say(Buffer.concat(bytes));
      await caller.over();
      assert.ok(caller.got.length <= challengeSize);
    }
    // Another node's challenge is of no use here either.
    const { caller: there, challenge } = await challenged(follower, () => hello({ from: us, to: identityOf(follower) }));
    const { caller: here, first: again } = await challenged(leader, () => hello({ from: us, to }));
    await here.say(proof(secret, 'cli', again, challenge));
    await here.over();
    await there.cut();
    await nothingHappened();
    assert.equal((await leader.events()).filter(event => event.room === 'recorded').length, 1);
  });

  test('S-45 what a node forwards is judged again by the leader', { timeout: deadline(60_000) }, async () => {
    const room = 'judged';
    const from = await leader.barrier();
    const good = { room, sender: 'Peer', body: 'good' };
    const bad = [{ body: '' }, { body: ' \n\t ' }, { body: 'x'.repeat(4001) }, { body: 'a\u0000b' }, { body: 'a\u001bb' }, { body: '\u200b' }, { room: '' }, { room: 'Two Words' }, { room: 'UPPER' },
      { room: '-x' }, { room: 'a/b' }, { room: 'a\u0000b' }, { sender: '' }, { sender: ' x ' }, { sender: 'a\u202eb' }, { sender: 'a\nb' }, { sender: 'x'.repeat(41) }, { sender: 'e\u0301' }];
    const caller = await provenLink();
    for (const fields of bad) await caller.say(rpcFrame(FORWARD, forwarded([{ ...good, ...fields }])));
    // One session that writes a hundred at once, in the year 9999, before anybody has looked for duplicates.
    const senderId = randomBytes(16);
    const hurried = Array.from({ length: 100 }, (_, i) => ({ ...good, body: `hurried ${i}`, senderId, at: 253402300799999, unseen: 2n ** 63n }));
    await caller.say(rpcFrame(FORWARD, forwarded(hurried)));
    const id = randomBytes(16);
    await caller.say(rpcFrame(FORWARD, forwarded([{ ...good, body: 'twice', id }, { ...good, body: 'twice', id }, { ...good, body: 'otherwise', id }])));
    await caller.say(rpcFrame(FORWARD, forwarded([{ ...good, body: 'the last one' }])));
    await until('the last one is in the log', async () => (await leader.events({ after: from })).some(event => event.text === 'the last one'));
    const events = (await leader.events({ after: from })).filter(event => event.room === room || bad.some(one => one.room === event.room));
    const texts = events.map(event => event.text);
    assert.deepEqual(texts.filter(text => !text.startsWith('hurried')), ['twice', 'the last one']);
    assert.ok(texts.length <= 2 + 10, `${texts.length} of a hundred in a hurry were taken`);
    assert.ok(events.every(event => Math.abs(Date.parse(event.at) - Date.now()) < 3_600_000), 'the leader\'s clock counts');
    assert.equal(caller.isOver, false, 'to refuse is no reason to part');
    for (const fields of [{ body: 'x'.repeat(16 * 1024 + 1) }, { room: 'x'.repeat(193) }, { sender: 'x'.repeat(200) }, { body: Buffer.from([0xff, 0xfe]) }, { senderId: randomBytes(15) }, { at: 2n ** 62n }]) {
      const one = await link();
      await one.say(rpcFrame(FORWARD, forwarded([{ ...good, ...fields }])));
      await one.over();
    }
    await caller.cut();
    await nothingHappened();
  });
});

describe('afterwards', () => {
  test('S-26 while strangers hold all the places, links go on and a node comes back', { timeout: deadline(90_000) }, async () => {
    const held = new Set();
    let stopped = false;
    const more = placesOfStrangers + 16;
    const holding = Promise.all(up().flatMap(node => Array.from({ length: more }, async () => {
      while (!stopped) {
        const caller = await call(node);
        held.add(caller);
        await caller.closed;
        held.delete(caller);
      }
    })));
    try {
      for (let i = 0; i < 10; i++) {
        const answer = await follower.say('held', 'through', { sender: `s${i}` });
        assert.equal(answer.status, 201, answer.text);
      }
      absent.start();
      await absent.ready(30_000);
      await until('both hear it', async () => (await Promise.all(up().map(node => node.status()))).every(({ cluster: seen }) => seen.voters_up === 3), 30_000);
    } finally {
      stopped = true;
      for (const caller of held) await caller.cut();
    }
    await holding;
    await nothingHappened();
  });

  test('S-40 all have the same history, the node too whose place we took', { timeout: deadline(90_000) }, async () => {
    await cluster.level();
    const lists = await Promise.all(cluster.nodes.map(node => node.events()));
    for (const events of lists) assert.deepEqual(events.map(event => event.digest), lists[0].map(event => event.digest));
  });

  test('S-44 a node that was removed has no link, is told so, and stays away', { timeout: deadline(90_000) }, async () => {
    if (absent.isUp) await absent.kill();
    await until('it is missed', async () => (await leader.status()).cluster.voters_up === 2);
    await remove(cluster, absent.name);
    await until('both know it', async () => (await Promise.all(up().map(node => node.status()))).every(({ members }) => members.every(one => one.name !== absent.name)));
    for (const node of up()) {
      for (const kind of [RAFT, RPC]) {
        const caller = await call(node);
        await caller.say(hello({ from: us, to: identityOf(node), kind }));
        await caller.over();
        assert.equal(caller.got.length, 0, `${node.name}, kind ${kind}`);
      }
    }
    // The one thing that it may do is ask; the answer is that it is removed.
    const self = Buffer.from(`${us.name}=${us.address}`);
    const question = Buffer.concat([Buffer.from([1]), u64(us.id), us.cluster, u64(0), u16(self.length), self]);
    const answer = await inTime('an answer', async () => {
      const caller = await call(leader);
      await caller.shake(secret, { from: us, to: identityOf(leader), kind: ASK });
      await caller.say(Buffer.concat([u32(question.length), question]));
      const all = await caller.hear(challengeSize + 6);
      await caller.cut();
      return all.length === challengeSize + 6 ? all.subarray(challengeSize + 4) : null;
    });
    assert.deepEqual([...answer], [1, 2], 'a version, and: removed');
    absent.start(['--cluster-election-timeout', '1s']); // it asks when it has heard nobody for five of them
    await absent.end(30_000);
    assert.match(absent.log(), /removed|no member/);
    absent.start();
    assert.notEqual(await absent.end(30_000), 0, 'nor does it start again');
    await nothingHappened();
  });
});
