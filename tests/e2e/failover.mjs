// Live Tea's first promise: an acknowledged message is on every node, exactly once, whatever dies.
//
// Three nodes, 250 people who write 200 messages a second through the real page. The leader is killed
// with -9, ten times (LIVETEA_KILLS=100 for the long run); each time the page moves to another node
// by itself and brings what was not answered. Then the history of each node is held against the book.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster, differences } from '../lib/cluster.mjs';
import { Crowd, median } from '../lib/crowd.mjs';
import { deadline, slow, until } from '../lib/wait.mjs';

const kills = Number(process.env.LIVETEA_KILLS ?? 10);
const rate = Number(process.env.LIVETEA_RATE ?? (slow ? 100 : 200));
const people = Number(process.env.LIVETEA_PEOPLE ?? (slow ? 125 : 250));

let cluster;
before(async () => { cluster = await Cluster.start({ nodes: 3 }); }, { timeout: deadline(60_000) });
after(() => cluster?.down(), { timeout: deadline(60_000) });

test(`P1 P3 P4 P10: ${kills} kills of the leader under load lose nothing and repeat nothing`, { timeout: deadline(60_000) + kills * deadline(15_000) }, async context => {
  const crowd = new Crowd({ urls: cluster.nodes.map(node => node.url), people, rate });
  const start = performance.now();
  const silences = [];
  await crowd.arrive(60_000);
  try {
    crowd.start();
    await crowd.more(2 * people, 30_000);
    for (let kill = 1; kill <= kills; kill++) {
      const leader = await cluster.leader();
      const before_ = crowd.acked.size;
      const at = performance.now();
      const first = crowd.ackAfter(at, deadline(20_000));
      const clock = new Date().toISOString().slice(11, 23);
      await leader.kill();
      silences.push(await first - at);
      // The others have been writing without it for a while when it comes back.
      await crowd.more(people, 30_000);
      leader.start();
      await cluster.ready(30_000);
      await crowd.more(people, 30_000);
      context.diagnostic(`kill ${kill} at ${clock}: ${leader.name}, ${Math.round(silences.at(-1))} ms, ${crowd.acked.size - before_} acknowledged since`);
    }
  } finally {
    await crowd.settle(30_000);
  }
  const seconds = (performance.now() - start) / 1000;
  await cluster.ready();
  await cluster.level();

  const histories = {};
  for (const node of cluster.nodes) histories[node.name] = await node.events();
  const audits = cluster.nodes.map(node => crowd.audit(histories[node.name]));
  const lost = Math.max(...audits.map(audit => audit.lost));
  const twice = Math.max(...audits.map(audit => audit.twice));
  const rows = [
    ['kills', kills], ['seconds', seconds.toFixed(1)], ['acknowledged', crowd.acked.size],
    ['messages/s', (crowd.acked.size / seconds).toFixed(0)],
    ['unknown at the end', crowd.open.size], ['answers that said wait', crowd.refusals], ['moves to another node', crowd.reconnects],
    ['lost', lost], ['twice', twice],
    ['kill to first new acknowledgement, median ms', Math.round(median(silences))],
    ['kill to first new acknowledgement, worst ms', Math.round(Math.max(...silences))]];
  console.log(rows.map(([name, value]) => `  ${name.padEnd(48)}${value}`).join('\n'));

  assert.deepEqual(differences(histories), []);
  for (const { wrong } of audits) assert.deepEqual(wrong.slice(0, 5), []);
  assert.deepEqual(crowd.problems.slice(0, 5), []);
  assert.equal(crowd.open.size, 0, 'everything that was sent got its answer');
  await until('no node remembers another leader', async () =>
    new Set(await Promise.all(cluster.nodes.map(async node => (await node.status()).cluster.term))).size === 1);
});
