// Nodes that give their events to one that lacks them, and come to harm while they do: one is killed, one
// finds that its own are damaged. What the other one ends with is whole, and of the same history.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { Cluster } from '../lib/cluster.mjs';
import { fill } from '../lib/fill.mjs';
import { deadline, slow, until } from '../lib/wait.mjs';

// More than a node reads of them at its start (2^17): damage before these shows when they are given away.
const events = slow ? 200_000 : 300_000;
const limit = { timeout: deadline(240_000) };
const rounds = 6; // whether one that gives is killed before it has given all depends on how fast it is

const digestOf = async (node, number) => (await node.events({ after: number - 1, upTo: number })).at(-1).digest;

/* Of a stopped node: the history is gone, as when its disk was changed. raft's log still says how long it was. */
function loseHistory(node) {
  const history = path.join(node.dataDir, 'history');
  for (const name of fs.readdirSync(history)) fs.rmSync(path.join(history, name));
}

/* Changes one letter of one of the first events of a stopped node. */
function damage(node) {
  const file = path.join(node.dataDir, 'history/data.mdb');
  const bytes = fs.readFileSync(file);
  const at = bytes.indexOf('message_sent', Math.floor(bytes.length / 8));
  assert.ok(at > 0);
  const fd = fs.openSync(file, 'r+');
  fs.writeSync(fd, 'M', at + 'message_sent'.length + 80);
  fs.closeSync(fd);
}

describe('a node that lacks its history', () => {
  let cluster;
  afterEach(() => cluster?.down(), { timeout: deadline(30_000) });

  /* All three have the same history and know one another; then all are stopped. */
  async function prepare() {
    cluster = await Cluster.prepare({ nodes: 3 });
    await fill(cluster, events);
    for (const node of cluster.nodes) node.start();
    await cluster.ready(60_000);
    for (const node of cluster.nodes) assert.equal(await node.stop(), 0, node.logTail());
    return cluster.nodes;
  }

  test('P1: gets it from another one when the one that gives it is killed', limit, async context => {
    const nodes = await prepare();
    const [lacking, ...giving] = [nodes[2], nodes[0], nodes[1]];
    let fromOther = 0;
    for (let round = 1; fromOther === 0; round++) {
      assert.ok(round <= rounds, 'what was left came from nobody else');
      for (const node of nodes) if (node.isUp) await node.kill();
      loseHistory(lacking);
      for (const node of nodes) node.start();
      const given = await until('it is given events', async () => {
        const { backfill, node } = await lacking.status();
        return (backfill?.peer && backfill.number < backfill.goal && backfill) || (node.ready && 'all of them');
      }, 60_000, 1);
      if (given === 'all of them') continue;
      const { number, peer } = given;
      await nodes.find(node => node.name === peer).kill();
      await lacking.ready(deadline(60_000));
      const other = giving.find(node => node.name !== peer);
      assert.equal(await digestOf(lacking, events), await digestOf(other, events));
      assert.ok(await lacking.lastNumber() >= events);
      fromOther = await other.metric('livetea_backfill_events_total{direction="out"}');
      context.diagnostic(`${peer} was killed when ${number} of ${events} had come; ${fromOther} came from ${other.name}`);
    }
  });

  test('P12: is never given a damaged event: the node that has it ends, and says how to come back', limit, async () => {
    const [damaged, sound, lacking] = await prepare();
    loseHistory(lacking);
    damage(damaged);
    damaged.start();
    lacking.start();
    assert.equal(await damaged.end(60_000), 3, damaged.logTail());
    assert.match(damaged.log(), /the history in \S+ is damaged: an event behind \d+ cannot be read/);
    assert.match(damaged.log(), /livetea members remove tea-1.*cluster\.join.*livetea members add tea-1=\S+ --promote/);
    await until('it says that it is not ready', async () => (await lacking.status()).node.ready === false);

    sound.start();
    await lacking.ready(deadline(60_000));
    assert.equal(await digestOf(lacking, events), await digestOf(sound, events));
  });
});
