// What an earlier release has written, this one goes on with: the same history, to the digest, and an
// id that was used then is known. What a later one has written is refused with a sentence.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { differences } from '../lib/cluster.mjs';
import { fromRelease } from '../lib/old_release.mjs';
import { deadline, until } from '../lib/wait.mjs';

const limit = { timeout: deadline(90_000) };
const usual = () => ['--chat-rate', '0'];

const say = (node, { room, sender, text, id }) => node.say(room, text, { sender, id });

/* The ids that the fixture's history was sent with are hashed where they were no UUID. The other way
 * back is this list of make.mjs. */
const oldCommands = [
  { number: 1, room: 'lobby', sender: 'Maja', text: 'Is there tea?', id: 'tea-question' },
  { number: 2, room: 'lobby', sender: 'Kari', text: 'There is.', id: '0193a1b2-0000-7000-8000-000000000001' },
  { number: 5, room: 'grønt rom', sender: 'Åse', text: 'Grønn te 🍵', id: 'grønn-1' },
  { number: 22, room: 'lobby', sender: 'Per', text: 'I am late again', id: 'late again' },
];

async function goesOn(kind) {
  const { cluster, history } = await fromRelease('format-1', kind, { options: usual() });
  try {
    for (const node of cluster.nodes) node.start();
    await cluster.ready();
    for (const node of cluster.nodes) assert.deepEqual(await node.events(), history, `${node.name} has another history than it had`);

    for (const node of cluster.nodes) {
      for (const { number, ...command } of oldCommands) {
        const again = await say(node, command);
        assert.equal(again.status, 201, again.text);
        assert.equal(again.value.number, number);
        const other = await say(node, { ...command, text: 'something else' });
        assert.equal(other.status, 409, other.text);
        assert.equal(other.value.error, 'id_used');
      }
    }
    let number = history.length;
    for (const node of cluster.nodes) {
      const fresh = await say(node, { room: 'lobby', sender: 'Maja', text: `new at ${node.name}`, id: `new ${node.name}` });
      assert.equal(fresh.status, 201, fresh.text);
      assert.equal(fresh.value.number, ++number);
    }
    await cluster.level();
    for (const node of cluster.nodes) {
      assert.equal(await node.stop(), 0, node.logTail());
      await node.start().ready();
    }
    const all = {};
    for (const node of cluster.nodes) all[node.name] = await node.events({ upTo: number });
    assert.deepEqual(differences(all), []);
    assert.deepEqual(all['tea-1'].slice(0, history.length), history);
    assert.equal(all['tea-1'].length, number);
    const late = all['tea-1'].at(-1);
    assert.equal(late.seq, 1 + all['tea-1'].filter(event => event.room === 'lobby' && event.number < number).length, 'its room goes on');
    return `${kind}: ${history.length} old events, ${number} now, last digest ${late.digest}`;
  } finally {
    await cluster.down();
  }
}

describe('the first release\'s directories', () => {
  test('of a lone node', limit, async context => { context.diagnostic(await goesOn('alone')); });
  test('of three nodes', limit, async context => { context.diagnostic(await goesOn('three')); });
});

/* Replaces bytes everywhere in a file; says how often. */
function patch(file, from, to) {
  const bytes = fs.readFileSync(file);
  let count = 0;
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1), count++) to.copy(bytes, at);
  fs.writeFileSync(file, bytes);
  return count;
}

const u32 = value => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/* CRC-32C, as docs/formats.md has it. */
function crc32c(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

async function refuses(spoil, sentence) {
  const { cluster } = await fromRelease('format-1', 'alone', { options: usual() });
  try {
    const [node] = cluster.nodes;
    await spoil(node, cluster);
    const before = fs.readFileSync(path.join(node.dataDir, 'history/data.mdb'));
    node.start();
    assert.equal(await node.end(), 3, node.logTail());
    assert.match(node.log(), sentence);
    assert.ok(fs.readFileSync(path.join(node.dataDir, 'history/data.mdb')).equals(before), 'what is refused is left as it is');
  } finally {
    await cluster.down();
  }
}

describe('what a later release has written is refused with exit 3', () => {
  test('a data directory', limit, () => refuses(node => {
    const file = path.join(node.dataDir, 'VERSION');
    assert.equal(patch(file, Buffer.from('format 1\n'), Buffer.from('format 2\n')), 1);
  }, /has format 2, made by a newer Live Tea; this one reads up to 1/));

  test('an event store', limit, () => refuses(node => {
    const file = path.join(node.dataDir, 'history/data.mdb');
    assert.ok(patch(file, Buffer.concat([Buffer.from('format'), u32(1)]), Buffer.concat([Buffer.from('format'), u32(2)])) > 0);
  }, /event store has format 2, made by a newer Live Tea; this one reads up to 1/));

  /* Writes until there is a manifest, and changes that of the stopped node. */
  async function withManifest(node, cluster, alter) {
    cluster.options.push('--store-keep-log', '64');
    await node.start().ready();
    for (let i = 0; i < 300; i++) assert.equal((await say(node, { room: 'lobby', sender: 'Maja', text: `${i}`, id: `m ${i}` })).status, 201);
    await until('there is a snapshot', async () => (await node.status()).raft.snapshot_index > 0);
    assert.equal(await node.stop(), 0);
    const names = fs.readdirSync(path.join(node.dataDir, 'raft')).filter(name => /^snapshot-\d+-\d+-\d+$/.test(name));
    assert.ok(names.length > 0);
    for (const name of names) {
      const file = path.join(node.dataDir, 'raft', name);
      const bytes = fs.readFileSync(file);
      assert.equal(bytes.length, 80);
      assert.equal(bytes.readUInt32LE(76), crc32c(bytes.subarray(0, 76)), 'the checksum is where this test believes it to be');
      alter(bytes);
      fs.writeFileSync(file, bytes);
    }
  }

  test('a manifest', limit, () => refuses((node, cluster) => withManifest(node, cluster, bytes => {
    assert.equal(bytes.readUInt32LE(8), 1);
    bytes.writeUInt32LE(2, 8);
    bytes.writeUInt32LE(crc32c(bytes.subarray(0, 76)), 76);
  }), /newer/));

  test('and a manifest that is damaged is', limit, () => refuses((node, cluster) => withManifest(node, cluster, bytes => {
    bytes[30] ^= 1;
  }), /damaged/));
});
