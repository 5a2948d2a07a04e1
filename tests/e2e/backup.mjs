// A history goes into a file and comes out of it: backup and restore, export and import; and what one node has
// left becomes a new cluster when the others are lost for good. Numbers, times and digests stay what they were.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster, differences, run } from '../lib/cluster.mjs';
import { Crowd } from '../lib/crowd.mjs';
import { admit, say } from '../lib/members.mjs';
import { deadline, slow, until } from '../lib/wait.mjs';

const limit = { timeout: deadline(150_000) };
const lines = events => events.map(event => `${JSON.stringify(event)}\n`).join('');

/* A node of another cluster that will use this directory. */
async function alone(dataDir, options = []) {
  const cluster = await Cluster.prepare({ nodes: 1, options: ['--chat-rate', '0', ...options] });
  cluster.nodes[0].dataDir = dataDir;
  return cluster;
}

async function assertSame(cluster, events) {
  await cluster.level(deadline(30_000));
  const histories = { before: events };
  for (const node of cluster.up) histories[node.name] = (await node.events()).slice(0, events.length);
  assert.deepEqual(differences(histories), []);
}

const nothingAt = dir => assert.equal(fs.existsSync(dir), false, `nothing is left of ${dir}`);

describe('a history in a file', () => {
  let cluster, dir, file, events, crowd;
  const place = name => path.join(dir, name);
  const restore = (from, to, more = []) => run(['restore', from, '--data-dir', to, ...more], { ms: deadline(30_000) });
  const import_ = (input, to, more = []) => run(['import', '-', '--data-dir', to, '--node-name', 'tea-1', ...more], { input, ms: deadline(30_000) });

  before(async () => {
    cluster = await Cluster.start({ nodes: 3, options: ['--store-keep-log', '64'] });
    dir = path.join(cluster.dir, 'copies');
    fs.mkdirSync(dir);
    file = path.join(dir, 'tea.backup');
    crowd = new Crowd({ urls: cluster.nodes.map(node => node.url), people: 60, rate: slow ? 60 : 150, rooms: 12 });
    await crowd.arrive(30_000);
    crowd.start();
    await crowd.more(150, 30_000);
    const known = new Set(crowd.acked.keys());
    const number = await cluster.nodes[0].barrier();
    // In the stores, which follow the log, of all nodes: the first that answers is asked for the backup.
    for (const node of cluster.nodes) await node.events({ after: number - 1, upTo: number });
    const made = await cluster.cli(['backup', file, '--secret-file', cluster.secretFile]);
    assert.equal(made.code, 0, made.err);
    await crowd.more(50, 30_000);
    await crowd.settle(30_000);
    await cluster.level();
    events = await cluster.nodes[0].events();
    // What was acknowledged before it began is in it: the events are numbered as they came.
    crowd.known = known;
  }, limit);
  after(() => cluster?.down(), limit);

  test('a backup made under load holds what was acknowledged before it, and comes back as it was', limit, async () => {
    const to = place('restored');
    const restored = await restore(file, to);
    assert.equal(restored.code, 0, restored.err);
    assert.match(restored.out, /Restored [\d,]+ events/);
    const number = Number(/Restored ([\d,]+) events/.exec(restored.out)[1].replaceAll(',', ''));
    const kept = events.slice(0, number);
    const ids = new Set(kept.map(event => event.id));
    assert.deepEqual([...crowd.known].filter(id => !ids.has(id)), [], 'acknowledged before the backup, and not in it');
    const verified = await run(['verify', '--data-dir', to]);
    assert.equal(verified.code, 0, verified.err);
    assert.match(verified.out, new RegExp(`digest ${kept.at(-1).digest}`));

    const name = /cluster of one node, (tea-\d)/.exec(restored.out)[1];
    const other = await alone(to);
    try {
      const [one] = other.nodes;
      one.name = name;
      await one.start().ready();
      await assertSame(other, kept);
      // It knows for ever what was done.
      const old = kept[kept.length >> 1];
      const again = await say(one, old.room, old.text, old.id);
      assert.equal(again.status, 409, 'the sender is another one now, so the id is used');
      assert.equal((await say(one, 'after', 'the restore')).value.number, number + 1);
      // A node is named by its number, so the next must not have the same.
      for (const more of [8, 9]) await admit(other, await other.startNode({ number: more }));
      assert.equal((await say(other.nodes[2], 'after', 'from the third')).value.number, number + 2);
      await assertSame(other, kept);
      await one.kill();
      await until('two of three go on', async () => (await say(other.nodes[1], 'after', 'from the second')).status === 201);
    } finally {
      await other.down();
    }
  });

  test('a peers line of old does not wake the old cluster', limit, async () => {
    const to = place('with-peers');
    assert.equal((await restore(file, to, ['--node-name', 'tea-1'])).code, 0);
    const other = await alone(to);
    other.size = 3;
    other.peers = cluster.members();
    try {
      const [one] = other.nodes;
      other.peers = `tea-1=127.0.0.1:${one.clusterPort}, tea-2=127.0.0.1:${cluster.nodes[1].clusterPort}`;
      await one.start().ready();
      assert.equal((await one.status()).members.length, 1);
      await one.stop();
      await one.start().ready(); // and neither later
      assert.equal((await one.status()).members.length, 1);
    } finally {
      await other.down();
    }
  });

  test('what is no whole backup leaves nothing behind', limit, async () => {
    const whole = fs.readFileSync(file);
    const headSize = whole.readUInt32LE(12);
    const cases = [];
    for (let size = 0; size < headSize; size += slow ? 13 : 5) cases.push([`cut in its head at ${size}`, whole.subarray(0, size), /backup/]);
    const changed = (at, byte) => Buffer.concat([whole.subarray(0, at), Buffer.from([byte]), whole.subarray(at + 1)]);
    const middle = whole.length >> 1;
    cases.push(
      ['a newer version', changed(8, 2), /version 2, made by a newer Live Tea/],
      ['another file', Buffer.from(lines(events)), /no backup of Live Tea/],
      ['a bit in its head', changed(40, whole[40] ^ 1), /head is damaged/],
      ['a bit in the middle', changed(middle, whole[middle] ^ 1), /is damaged behind event \d+/],
      ['cut in the middle', whole.subarray(0, middle), /is damaged behind event \d+: it is cut off/],
      ['no end', whole.subarray(0, whole.length - 32), /cut off/],
      ['half an end', whole.subarray(0, whole.length - 7), /end is missing/],
      ['a bit in its end', changed(whole.length - 20, whole[whole.length - 20] ^ 1), /end is damaged/],
      ['more behind its end', Buffer.concat([whole, Buffer.from('x')]), /bytes behind its end/]);
    for (const [name, bytes, words] of cases) {
      fs.writeFileSync(place('bad'), bytes);
      const answer = await restore(place('bad'), place('never'));
      assert.equal(answer.code, 3, `${name}: ${answer.code} ${answer.err}`);
      assert.match(answer.err, words, name);
      assert.match(answer.err, /^livetea restore: .{20,}\.\n$/, name);
      nothingAt(place('never'));
    }
    // The head of one and the rest of another: only the history itself shows it.
    const shorter = changed(32, whole[32] ^ 1);
    fs.writeFileSync(place('bad'), shorter);
    assert.equal((await restore(place('bad'), place('never'))).code, 3);
  });

  test('a directory that holds anything is left alone', limit, async () => {
    const to = place('full');
    fs.mkdirSync(to, { mode: 0o700 });
    fs.writeFileSync(path.join(to, 'letters'), 'mine');
    for (const answer of [await restore(file, to), await import_(lines(events), to)]) {
      assert.equal(answer.code, 1, answer.err);
      assert.match(answer.err, /is not empty \(letters\)/);
    }
    assert.deepEqual(fs.readdirSync(to), ['letters']);
    // That of a node too, running or not.
    const answer = await restore(file, cluster.nodes[1].dataDir);
    assert.equal(answer.code, 1, answer.err);
    await until('it goes on', () => cluster.nodes[1].isReady());
    // One that is there and empty is used, and is empty again after a failure.
    const empty = place('empty');
    fs.mkdirSync(empty, { mode: 0o700 });
    fs.writeFileSync(place('bad'), fs.readFileSync(file).subarray(0, 3000));
    assert.equal((await restore(place('bad'), empty)).code, 3);
    assert.deepEqual(fs.readdirSync(empty), []);
    assert.equal((await restore(file, empty)).code, 0);
    for (const args of [[], [file], [file, '--data-dir'], [file, 'more', '--data-dir', place('x')], [file, '--data-dir', place('x'), '--node-name', 'No Name!']]) {
      assert.equal((await run(['restore', ...args])).code, 2, args.join(' '));
    }
    // A node's name goes into VERSION, so it is looked at wherever it comes from.
    for (const name of ['x\nstate formed', 'n'.repeat(300)]) {
      const answer = await run(['import', '-', '--data-dir', place('named')], { input: lines(events), env: { LIVETEA_NODE_NAME: name } });
      assert.equal(answer.code, 2, answer.err);
      nothingAt(place('named'));
    }
  });

  test('a killed restore is no data directory, and the next one clears it away', limit, async () => {
    const to = place('killed');
    fs.mkdirSync(path.join(to, 'history.partial'), { recursive: true, mode: 0o700 });
    fs.chmodSync(to, 0o700);
    fs.writeFileSync(path.join(to, 'history.partial', 'data.mdb'), 'half');
    const other = await alone(to);
    try {
      other.nodes[0].start();
      assert.equal(await other.nodes[0].end(), 3);
      assert.match(other.nodes[0].log(), /history\.partial/);
    } finally {
      await other.down();
    }
    assert.equal((await restore(file, to)).code, 0);
    assert.equal(fs.existsSync(path.join(to, 'history.partial')), false);
    assert.equal((await run(['verify', '--data-dir', to])).code, 0);

    // Or just before its end, when the history has its name.
    fs.rmSync(path.join(to, 'VERSION'));
    const late = await alone(to);
    try {
      late.nodes[0].start();
      assert.equal(await late.nodes[0].end(), 3);
      assert.match(late.nodes[0].log(), /A restore or an import that was cut off leaves it so: then remove it, and do that again/);
    } finally {
      await late.down();
    }
    const again = await restore(file, to);
    assert.equal(again.code, 1);
    assert.match(again.err, /is not empty \(history\)/);
  });

  test('an exported history is imported with the same digests', limit, async () => {
    const to = place('imported');
    const done = await import_(lines(events), to);
    assert.equal(done.code, 0, done.err);
    assert.match(done.out, new RegExp(`digest ${events.at(-1).digest}`));
    assert.equal((await run(['verify', '--data-dir', to])).code, 0);
    const other = await alone(to);
    try {
      const [one] = other.nodes;
      await one.start().ready();
      await assertSame(other, events);
      assert.deepEqual(await one.events(), events, 'to the last member');
      assert.equal((await say(one, 'after', 'the import')).value.number, events.length + 1);
    } finally {
      await other.down();
    }
  });

  test('an import that does not follow is refused with its line, and leaves nothing behind', limit, async () => {
    const changed = (at, change) => lines(events.map((event, i) => (i === at ? { ...event, ...change } : event)));
    const text = lines(events).split('\n');
    const at = 41; // line 42
    const cases = [
      ['a gap', lines(events.filter((_, i) => i !== at)), /line 42: number 43 where 42 belongs: a gap/],
      ['a repetition', lines([...events.slice(0, at), events[at - 1], ...events.slice(at)]), /line 42: number 41 where 42 belongs: a repetition/],
      ['another digest', changed(at, { digest: events[at - 1].digest }), /line 42: its digest does not follow/],
      ['another text', changed(at, { text: 'forged' }), /line 42: its digest does not follow/],
      ['another sender', changed(at, { sender_id: '00'.repeat(16) }), /line 42: its digest does not follow/],
      ['another time', changed(at, { at: events[at].at.replace('20', '21') }), /line 42: its digest does not follow/],
      ['a time before', changed(at, { at: '1999-12-31T23:59:59.999Z' }), /line 42: its time is before/],
      ['another seq', changed(at, { seq: 100000 }), /line 42: seq 100000 where \d+ belongs/],
      ['an id that was used', changed(at, { id: events[3].id }), /line 42: its id is that of an earlier event/],
      ['no id', changed(at, { id: undefined }), /line 42: "id" is missing, or is none/],
      ['a number as a text', changed(at, { number: '42' }), /line 42: "number" is missing, or is none/],
      ['an empty text', changed(at, { text: '' }), /line 42: it is no message/],
      ['no JSON', [...text.slice(0, at), '{"number":', ...text.slice(at)].join('\n'), /line 42: not valid JSON/],
      ['two in a line', [...text.slice(0, at), text[at] + text[at + 1], ...text.slice(at + 2)].join('\n'), /line 42: not valid JSON/],
      ['cut off', lines(events).slice(0, -100), /line \d+: not valid JSON/],
      ['a line without end', `${lines(events.slice(0, at))}"${'x'.repeat(3_000_000)}`, /line 42: it is longer than any event can be/],
      ['nothing', '', /has no events/]];
    for (const [name, input, words] of cases) {
      const answer = await import_(input, place('never'));
      assert.equal(answer.code, 3, `${name}: ${answer.code} ${answer.err}`);
      assert.match(answer.err, words, name);
      nothingAt(place('never'));
    }
  });
});

describe('a majority that is lost for good', () => {
  let cluster, events;
  before(async () => { cluster = await Cluster.start({ nodes: 3, options: ['--chat-rate', '0'] }); }, limit);
  after(() => cluster?.down(), limit);

  test('what the survivor has becomes a new cluster, the end of its raft log with it', limit, async () => {
    const three = cluster.nodes[2];
    const history = path.join(three.dataDir, 'history');
    for (let i = 0; i < 60; i++) assert.equal((await say(cluster.nodes[i % 3], `room-${i % 4}`, `early ${i}`)).status, 201);
    await cluster.level();
    assert.equal(await three.stop(), 0);
    fs.cpSync(history, path.join(cluster.dir, 'early'), { recursive: true });
    await three.start().ready();
    for (let i = 0; i < 60; i++) assert.equal((await say(cluster.nodes[i % 3], `room-${i % 4}`, `late ${i}`)).status, 201);
    await cluster.level();
    events = await three.events();
    await Promise.all(cluster.nodes.map(node => node.kill()));
    // Its store was far behind its log when the power went.
    fs.rmSync(history, { recursive: true });
    fs.cpSync(path.join(cluster.dir, 'early'), history, { recursive: true });

    const recover = (...more) => run(['recover', '--data-dir', three.dataDir, ...more], { ms: deadline(30_000) });
    const version = fs.readFileSync(path.join(three.dataDir, 'VERSION'), 'utf8');
    const asked = await recover();
    assert.equal(asked.code, 2, asked.err);
    assert.match(asked.out, /Events here: 60/);
    assert.match(asked.out, /Entries \d+ to \d+ of the raft log are taken up/);
    assert.match(asked.out, /May be lost:/);
    assert.equal(fs.readFileSync(path.join(three.dataDir, 'VERSION'), 'utf8'), version, 'nothing was done');

    const done = await recover('--yes');
    assert.equal(done.code, 0, done.err);
    assert.match(done.out, /Recovered 120 events, 60 of them from the raft log; the log is kept in .*raft\.before-recover-1/);
    assert.equal((await run(['verify', '--data-dir', three.dataDir])).code, 0);
    assert.match((await recover('--yes')).err, /start of a new cluster already/);
  });

  test('it goes on from there, lets others in, and knows the old ones no more', limit, async () => {
    const [one, , three] = cluster.nodes;
    await three.start().ready();
    assert.equal((await three.status()).members.length, 1);
    assert.deepEqual((await three.events()).map(event => event.digest), events.map(event => event.digest));
    assert.equal((await say(three, 'room-3', 'late 59')).value.number, 120, 'it knows what was done');
    assert.equal((await say(three, 'after', 'the recovery')).value.number, 121);
    // An old member that comes back after all is of another cluster: neither talks to the other.
    one.start();
    const four = await cluster.startNode({ number: 4 });
    four.join = '';
    await four.kill();
    const newcomer = await cluster.startNode({ number: 5 });
    await admit({ leader: async () => three, up: [three], nodes: cluster.nodes }, newcomer);
    assert.equal((await newcomer.events({ upTo: 121 })).length, 121);
    assert.equal((await three.events()).length, 121);
    await until('the old one is up', async () => (await one.status()).members.length === 3);
    assert.equal(await one.isReady(), false);
  });

  test('what lies behind events that a survivor never had is not taken for theirs', limit, async () => {
    const [three, newcomer] = [cluster.nodes[2], cluster.nodes.at(-1)];
    assert.equal((await say(three, 'after', 'the newcomer')).value.number, 122);
    await newcomer.events({ upTo: 122 });
    await Promise.all([three, newcomer].map(node => node.kill()));
    // It had been let in, had its log, and had fetched nothing yet when the power went.
    const history = path.join(newcomer.dataDir, 'history');
    fs.rmSync(history, { recursive: true });
    fs.mkdirSync(history, { mode: 0o700 });
    const recover = (...more) => run(['recover', '--data-dir', newcomer.dataDir, ...more], { ms: deadline(30_000) });
    const asked = await recover();
    assert.match(asked.out, /This node was catching up: events 1 to 120 were never here/);
    assert.doesNotMatch(asked.out, /Entries 1 to (?!1 )/, 'but the list of members');
    const done = await recover('--yes');
    assert.equal(done.code, 0, done.err);
    assert.match(done.out, /Recovered 0 events, 0 of them from the raft log/);
  });
});
