// Nodes are restarted one after another, as at an upgrade, while people write: nobody is refused for long,
// nothing is lost. LIVETEA_ROUNDS (1; with LIVETEA_LONG=1 10) times all of them, by SIGTERM and by the
// administrator's drain in turn. LIVETEA_OLD_BIN=PROGRAM: the first time they run that program, an
// earlier release, and come back with this one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster, differences } from '../lib/cluster.mjs';
import { Crowd, median } from '../lib/crowd.mjs';
import { deadline, slow } from '../lib/wait.mjs';

const rounds = Number(process.env.LIVETEA_ROUNDS ?? (process.env.LIVETEA_LONG === '1' ? 10 : 1));
const rate = Number(process.env.LIVETEA_RATE ?? (slow ? 100 : 200));
const people = Number(process.env.LIVETEA_PEOPLE ?? (slow ? 60 : 200));
const old = process.env.LIVETEA_OLD_BIN;

let cluster;
before(async () => {
  cluster = await Cluster.prepare({ nodes: 3, options: old ? [] : ['--store-keep-log', '64'] });
  for (const node of cluster.nodes) node.program = old;
  for (const node of cluster.nodes) node.start();
  await cluster.ready();
}, { timeout: deadline(60_000) });
after(() => cluster?.down(), { timeout: deadline(60_000) });

async function leave(node, turn) {
  if (turn % 2 === 0 || node.program) return node.stop();
  const ended = node.end(60_000);
  const answer = await node.admin('POST', 'drain', {});
  assert.ok(answer.status >= 200 && answer.status < 300, answer.text);
  return ended;
}

test(`P1 P3 P10: ${rounds} rolling restarts under load`, { timeout: deadline(60_000) + rounds * deadline(60_000) }, async context => {
  const crowd = new Crowd({ urls: cluster.nodes.map(node => node.url), people, rate });
  await crowd.arrive(60_000);
  const silences = []; // the longest of each restart
  let longest = 0, lastAt = performance.now(), slowest = 0;
  crowd.start();
  try {
    await crowd.more(people, 30_000);
    lastAt = performance.now();
    crowd.onAck = ({ firstAt, ackedAt }) => {
      longest = Math.max(longest, ackedAt - lastAt);
      slowest = Math.max(slowest, ackedAt - firstAt);
      lastAt = ackedAt;
    };
    for (let turn = 0; turn < rounds * cluster.nodes.length; turn++) {
      // The leader is the first of each round: the others are followers when their turn comes, or lead by then.
      const leader = await cluster.leader();
      const order = [leader, ...cluster.nodes.filter(node => node !== leader)];
      const node = turn % 3 === 0 ? order[0] : cluster.nodes.find(one => (one.restarts ?? 0) <= Math.floor(turn / 3));
      node.restarts = Math.floor(turn / 3) + 1;
      longest = 0;
      const clock = new Date().toISOString().slice(11, 23);
      assert.equal(await leave(node, turn), 0, node.logTail());
      await crowd.more(people / 4, 30_000);
      node.program = undefined;
      await node.start().ready();
      await crowd.more(people / 4, 30_000);
      silences.push(longest);
      context.diagnostic(`${clock} ${node.name}, ${node === leader ? 'leader' : 'follower'}, ${turn % 2 ? 'drain' : 'SIGTERM'}: ${Math.round(longest)} ms`);
    }
    crowd.onAck = () => {};
  } finally {
    await crowd.settle(30_000);
  }
  await cluster.ready();
  await cluster.level();
  const histories = {};
  for (const node of cluster.nodes) histories[node.name] = await node.events();
  const audits = cluster.nodes.map(node => crowd.audit(histories[node.name]));
  const lost = Math.max(...audits.map(audit => audit.lost)), twice = Math.max(...audits.map(audit => audit.twice));
  context.diagnostic(`${silences.length} restarts, ${crowd.acked.size} acknowledged; silence median ${Math.round(median(silences))}, ` +
    `longest ${Math.round(Math.max(...silences))} ms; ${crowd.refusals} answers that said wait, slowest message ${Math.round(slowest)} ms; ${lost} lost, ${twice} twice`);
  assert.deepEqual(differences(histories), []);
  for (const { wrong } of audits) assert.deepEqual(wrong.slice(0, 5), []);
  assert.deepEqual(crowd.problems.slice(0, 5), []);
  assert.equal(crowd.open.size, 0, 'everything that was sent got its answer');
});
