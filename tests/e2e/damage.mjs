// A stopped node's files are damaged, one thing after another, and it is started: it ends with 3 and says what
// is wrong and how to come back, or it heals by itself. It never serves what is damaged.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster, differences, run } from '../lib/cluster.mjs';
import { request } from '../lib/http.mjs';
import { deadline, until } from '../lib/wait.mjs';

const say = (node, room, text) => node.say(room, text, { sender: 'Maja' });
const rejoin = /livetea members remove tea-3.*livetea members add tea-3=/;

const flip = (file, place) => {
  const bytes = fs.readFileSync(file);
  assert.ok(place < bytes.length, `${file} has ${bytes.length} bytes`);
  bytes[place] ^= 4;
  fs.writeFileSync(file, bytes);
};
const garbage = (file, from = 0, to = Infinity) => {
  const bytes = fs.readFileSync(file);
  bytes.fill(0xa5, from, Math.min(to, bytes.length));
  fs.writeFileSync(file, bytes);
};
const cut = (file, size) => fs.truncateSync(file, size < 0 ? fs.statSync(file).size + size : size);
const lines = (file, change) => fs.writeFileSync(file, change(fs.readFileSync(file, 'utf8')));

const pageSize = 4096;
/* Places of the pages of data.mdb of this kind (1 branch, 2 leaf) that the last transaction uses. */
function pages(file, kind) {
  const bytes = fs.readFileSync(file);
  const places = [];
  for (let at = 2 * pageSize; at < bytes.length; at += pageSize) {
    if (bytes.readUInt16LE(at + 10) === kind) places.push(at);
  }
  return places;
}

/* The marks in the history: of the last entry that is in, and of what the raft log had reached. Older ones lie
 * about in the file, but they never go back. */
function mark(file, which) {
  const bytes = fs.readFileSync(file);
  let highest = 0n;
  for (let at = bytes.indexOf('last'); at >= 0; at = bytes.indexOf('last', at + 1)) {
    if (at + 56 > bytes.length || bytes.readUInt16LE(at - 2) !== 4) continue; // length of the key
    const value = bytes.readBigUInt64LE(at + 4 + (which === 'index' ? 8 : 16));
    if (value > highest && value < 1n << 32n) highest = value;
  }
  return highest;
}

describe('P12: a damaged node', () => {
  let cluster, three, pristine, raft, history;

  const segments = kind => fs.readdirSync(raft).filter(name => kind.test(name)).sort().map(name => path.join(raft, name));
  const closed = () => segments(/^\d+-\d+$/);
  const open = () => segments(/^open-/).filter(file => fs.readFileSync(file).subarray(0, 8).readUInt8(0) === 1);
  const metadata = () => segments(/^metadata/).sort((a, b) => fs.readFileSync(a).readUInt32LE(8) - fs.readFileSync(b).readUInt32LE(8));
  const snapshots = () => segments(/^snapshot-\d+-\d+-\d+$/).sort((a, b) => a.split('-')[2] - b.split('-')[2]);
  const data = () => path.join(history, 'data.mdb');

  /* Killed in the middle of it all, with entries in an open segment, and its directory put aside. */
  const takePristine = async () => {
    const isUsed = file => fs.readFileSync(file).subarray(2048, 4096).some(byte => byte !== 0);
    for (let round = 0; round === 0 || !open().some(isUsed); round++) {
      assert.ok(round < 20, 'an open segment gets entries');
      if (!three.isUp) await three.start().ready(30_000);
      for (let i = 0; i < 20; i++) assert.equal((await say(three, 'tea', `before the damage ${i}`)).status, 201);
      await cluster.level();
      // The mark of what its log had reached follows within a second when nothing is said.
      await until('the mark is written', async () => {
        const { raft: { last_index: last, applied_index: applied } } = await three.status();
        return applied === last && mark(data(), 'index') <= last && BigInt(last) <= mark(data(), 'durable');
      });
      await three.kill();
    }
    fs.rmSync(pristine, { recursive: true, force: true });
    fs.cpSync(three.dataDir, pristine, { recursive: true });
  };
  const putBack = () => {
    fs.rmSync(three.dataDir, { recursive: true, force: true });
    fs.cpSync(pristine, three.dataDir, { recursive: true });
    fs.chmodSync(three.dataDir, 0o700);
    fs.rmSync(three.logFile, { force: true });
  };

  before(async () => {
    cluster = await Cluster.start({ nodes: 3, options: ['--store-keep-log', '64', '--chat-rate', '0'] });
    three = cluster.nodes[2];
    pristine = path.join(cluster.dir, 'pristine');
    raft = path.join(three.dataDir, 'raft');
    history = path.join(three.dataDir, 'history');
    // Some terms, so that both metadata files are there; some snapshots; pages of every kind.
    for (let round = 0; round < 3; round++) {
      const leader = await cluster.leader();
      for (let i = 0; i < 100; i++) {
        assert.equal((await say(leader, `room-${i % 7}`, `round ${round}, message ${i} ${'x'.repeat(i * 20)}`)).status, 201);
      }
      await leader.stop();
      await cluster.leader();
      await leader.start().ready();
    }
    await cluster.ready();
    await takePristine();
  }, { timeout: deadline(120_000) });
  after(() => cluster?.down(), { timeout: deadline(30_000) });

  const refused = (name, damage, words, { words: more = rejoin, code = 3 } = {}) =>
    test(`${name}: exit ${code}`, { timeout: deadline(90_000) }, async () => {
      putBack();
      damage();
      three.start();
      const ended = await three.end().catch(async () => {
        await three.kill();
        return 'it goes on';
      });
      assert.equal(ended, code, three.logTail());
      const last = three.log().trimEnd().split('\n').at(-1);
      console.log(`    ${name}: ${last.replace(/^.*reason=/, '').slice(0, 160)}`);
      assert.match(last, words);
      if (more) assert.match(last, more);
    });

  const heals = (name, damage) =>
    test(`${name}: it heals`, { timeout: deadline(90_000) }, async () => {
      putBack();
      damage();
      await three.start().ready(30_000);
      await cluster.level();
      const all = {};
      for (const node of cluster.nodes) all[node.name] = await node.events();
      assert.deepEqual(differences(all), []);
      console.log(`    ${name}: level again at ${all['tea-1'].length}`);
      await takePristine(); // what it has promised since must not be forgotten
    });

  // ---- the raft log ----
  refused('a bit in a closed segment', () => flip(closed()[0], fs.statSync(closed()[0]).size >> 1), /\d+-\d+.*(checksum|corrupt|damaged)/);
  refused('a closed segment that is cut', () => cut(closed().at(-1), -40), /raft/);
  refused('a closed segment that is missing', () => fs.rmSync(closed().at(-1)), /is behind|missing|ends at entry|damaged/);
  refused('a bit in the middle of an open segment', () => flip(open()[0], 200), /open-\d+ is damaged/);
  refused('a bit in the last batch of an open segment', () => {
    const bytes = fs.readFileSync(open()[0]);
    let end = bytes.length;
    while (bytes[end - 1] === 0) end--;
    flip(open()[0], end - 3);
  }, /had acknowledged/);
  refused('open segments that are missing', () => open().forEach(file => fs.rmSync(file)), /had acknowledged|damaged/);
  refused('the format of a metadata file', () => garbage(metadata().at(-1), 0, 8), /metadata\d is damaged/);
  refused('the version of a metadata file', () => flip(metadata().at(-1), 9), /metadata\d is damaged/);
  refused('both metadata files', () => metadata().forEach(file => garbage(file)), /metadata\d is damaged/);
  refused('metadata files that are missing', () => metadata().forEach(file => fs.rmSync(file)), /votes are forgotten/);
  refused('a bit in the snapshot', () => flip(snapshots().at(-1), 30), /snapshot.*damaged/);
  refused('a bit in the snapshot\'s description', () => flip(`${snapshots().at(-1)}.meta`, 40), /snapshot.*(checksum|damaged)/);
  refused('a raft directory that is missing', () => fs.rmSync(raft, { recursive: true }), /ends at entry 0/);
  refused('an empty raft directory', () => fs.readdirSync(raft).forEach(name => fs.rmSync(path.join(raft, name))), /ends at entry 0/);

  // ---- the event store ----
  refused('a text that was changed', () => {
    const bytes = fs.readFileSync(data());
    for (let at = bytes.indexOf('before the damage'); at >= 0; at = bytes.indexOf('before the damage', at + 1)) bytes.write('BEFORE', at);
    fs.writeFileSync(data(), bytes);
  }, /damaged/);
  refused('pages of rows that make no sense', () => pages(data(), 2).forEach(at => garbage(data(), at + 16, at + pageSize)), /history|event store/);
  refused('pages of rows of zeros', () => pages(data(), 2).forEach(at => {
    const bytes = fs.readFileSync(data());
    fs.writeFileSync(data(), bytes.fill(0, at, at + pageSize));
  }), /history|event store/);
  refused('branches that lead nowhere', () => pages(data(), 1).forEach(at => garbage(data(), at + 16, at + pageSize)), /history|event store/);
  refused('branches of zeros', () => pages(data(), 1).forEach(at => {
    const bytes = fs.readFileSync(data());
    fs.writeFileSync(data(), bytes.fill(0, at, at + pageSize));
  }), /history|event store/);
  refused('a head of the file', () => garbage(data(), 0, 200), /event store/);
  refused('both heads of the file', () => garbage(data(), 0, 2 * pageSize), /event store/);
  refused('a file that is cut', () => cut(data(), -3 * pageSize), /shorter/);
  refused('a file that is cut to its head', () => cut(data(), 2 * pageSize), /shorter|event store/);
  refused('a newer format of the history', () => {
    const bytes = fs.readFileSync(data());
    const wanted = Buffer.from('format\x01\0\0\0', 'latin1');
    for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) bytes[at + 6] = 9;
    fs.writeFileSync(data(), bytes);
  }, /format 9, made by a newer/, { words: null });

  // ---- whose it is ----
  const version = () => path.join(three.dataDir, 'VERSION');
  refused('VERSION of nonsense', () => fs.writeFileSync(version(), 'nonsense\n'), /VERSION is damaged/);
  refused('VERSION that is cut', () => cut(version(), 20), /VERSION is damaged/);
  refused('VERSION that is empty', () => cut(version(), 0), /VERSION is damaged/);
  refused('VERSION that is missing', () => fs.rmSync(version()), /no VERSION but is not empty/, { words: null });
  refused('a newer format', () => lines(version(), text => text.replace('format 1', 'format 7')), /format 7, made by a newer/, { words: null });
  refused('another node\'s directory', () => lines(version(), text => text.replace('tea-3', 'tea-1')), /belongs to node tea-1/, { words: null });
  refused('another cluster\'s VERSION', () => lines(version(), text => text.replace(/cluster ......../, 'cluster 00112233')), /another cluster/, { words: null });
  refused('a secret that is too short', () => {
    fs.writeFileSync(path.join(cluster.dir, 'short'), 'short\n', { mode: 0o600 });
    three.options = (options => () => options().map(word => (word === cluster.secretFile ? path.join(cluster.dir, 'short') : word)))(three.options.bind(three));
  }, /secret|short/, { words: null, code: 2 });

  test('another cluster\'s history: exit 3', { timeout: deadline(90_000) }, async () => {
    delete three.options; // as it was
    const other = await Cluster.start({ nodes: 1, options: ['--chat-rate', '0'] });
    try {
      const [one] = other.nodes;
      assert.equal((await say(one, 'elsewhere', 'hello')).status, 201);
      assert.equal(await one.stop(), 0);
      putBack();
      fs.rmSync(history, { recursive: true });
      fs.cpSync(path.join(one.dataDir, 'history'), history, { recursive: true });
    } finally {
      await other.down();
    }
    three.start();
    assert.equal(await three.end(), 3, three.logTail());
    assert.match(three.log(), /another cluster/);
  });

  // ---- what can be had from others ----
  heals('a torn write of the metadata', () => {
    const older = metadata()[0];
    cut(older, 10);
  });
  heals('a history that is missing', () => fs.rmSync(history, { recursive: true }));
  heals('an empty file of the history', () => cut(data(), 0));
  heals('a snapshot that was never finished', () => {
    fs.writeFileSync(path.join(raft, 'snapshot-9-99999-1.meta'), 'torn');
    fs.writeFileSync(path.join(raft, 'tmp-7'), 'torn');
  });
  heals('a lock file that lies about', () => fs.writeFileSync(path.join(three.dataDir, 'LOCK'), 'x'));

  // ---- damage that shows while a node runs: the file is changed under it ----
  const ends = (name, damage, words) =>
    test(`${name}: exit 3`, { timeout: deadline(90_000) }, async () => {
      putBack();
      await three.start().ready(30_000);
      await cluster.level();
      three.expectedEnd = true;
      damage();
      // Whoever reads it gets no answer, or one from before.
      let i = 0;
      await until('it ends', async () => {
        await request(`${three.url}/api/events?after=0&limit=1000`).catch(() => {});
        await request(`${three.url}/api/rooms/room-${i++ % 7}/messages?limit=500`).catch(() => {});
        return !three.isUp;
      }, 20_000);
      assert.equal(await three.end(), 3, three.logTail());
      const last = three.log().trimEnd().split('\n').at(-1);
      console.log(`    ${name}: ${last.replace(/^.*reason=/, '').slice(0, 160)}`);
      assert.match(last, words);
      assert.match(last, rejoin);
      putBack();
      await three.start().ready(30_000);
      await takePristine();
    });
  /* In place: the file is the same one, and mapped. */
  const overwrite = (places, bytes) => {
    const file = fs.openSync(data(), 'r+');
    for (const at of places) fs.writeSync(file, bytes, 0, bytes.length, at);
    fs.closeSync(file);
  };
  ends('a text that changes under a running node', () => {
    const bytes = fs.readFileSync(data());
    const places = [];
    for (let at = bytes.indexOf('round 0, message 5'); at >= 0; at = bytes.indexOf('round 0, message 5', at + 1)) places.push(at);
    assert.notEqual(places.length, 0);
    overwrite(places, Buffer.from('ROUND'));
  }, /cannot be read/);
  ends('pages that turn to zeros under a running node', () => overwrite(pages(data(), 2), Buffer.alloc(pageSize)), /damaged/);
  ends('pages that turn to nonsense under a running node', () => overwrite(pages(data(), 2).map(at => at + 16), Buffer.alloc(pageSize - 16, 0xa5)), /damaged/);
  ends('branches that turn to nonsense under a running node', () => overwrite(pages(data(), 1).map(at => at + 16), Buffer.alloc(pageSize - 16, 0x5a)), /damaged/);
  ends('a file that is cut under a running node', () => fs.truncateSync(data(), 3 * pageSize), /damaged/);

  test('P12: verify finds what serve refuses, and says what is left', { timeout: deadline(60_000) }, async () => {
    putBack();
    const sound = await run(['verify', '--data-dir', three.dataDir]);
    assert.equal(sound.code, 0, sound.out + sound.err);
    assert.match(sound.out, /All is well\./);
    flip(closed()[0], fs.statSync(closed()[0]).size >> 1);
    const bad = await run(['verify', '--data-dir', three.dataDir]);
    assert.equal(bad.code, 3);
    assert.match(bad.err, /\d+-\d+ is damaged/);
    assert.match(bad.err, rejoin);
    assert.match(bad.err, /livetea recover/);
    putBack();
    three.start();
    await cluster.ready();
    const busy = await run(['verify', '--data-dir', three.dataDir]);
    assert.equal(busy.code, 1);
    assert.match(busy.err, /in use: stop its node first/);
  });
});
