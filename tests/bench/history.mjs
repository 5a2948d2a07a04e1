// What a long history costs: F11 and F12, and any other benchmark on an empty and on a full store in turn.
import fs from 'node:fs';
import { request } from '../lib/http.mjs';
import { pause } from '../lib/wait.mjs';
import { loadProgram, measure, median, nodesOf, pidsOf, say, short, store, withNodes } from './nodes.mjs';

/* From exec until /readyz says yes, and what the process has in memory then. */
async function startTime(node) {
  const from = performance.now();
  node.start();
  for (;;) {
    const ready = await request(`${node.url}/readyz`, { ms: 2000 }).then(({ status }) => status === 200, () => false);
    if (ready) break;
    if (!node.isUp) throw new Error(node.logTail());
    await pause(2);
  }
  const seconds = (performance.now() - from) / 1000;
  const text = fs.readFileSync(`/proc/${node.pid}/status`, 'utf8');
  const kibibytes = name => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)[1]);
  return { seconds, rss: kibibytes('VmRSS') * 1024, anon: kibibytes('RssAnon') * 1024 };
}

/* A follower is stopped and started again; the others go on. */
async function restartFollower(cluster) {
  const [node] = await cluster.followers();
  const code = await node.stop();
  if (code !== 0) throw new Error(`${node.name} stopped with ${code}`);
  return startTime(node);
}

export const restart = {
  name: 'restart', what: 'a follower starts again',
  figures: { seconds: { says: 'exec to ready, s (limit: with an empty history)', goal: 1 },
             rss: { says: 'resident at ready, MB, the mapped pages of the store too', goal: 200 },
             anon: { says: 'of these its own (RssAnon)' } },
  async run({ events }) {
    const run = await withNodes(3, { events }, restartFollower);
    const empty = await withNodes(3, { events: 0 }, restartFollower);
    return { raw: { run, empty }, cores: {}, faults: [], values: { seconds: run.seconds, rss: run.rss / 1e6, anon: run.anon / 1e6 },
             limits: { seconds: empty.seconds, rss: empty.rss / 1e6, anon: empty.anon / 1e6 } };
  } };

/* Lets a node in with an empty disk, and takes it out again. Resolves to the seconds from exec to ready. */
async function joinEmpty(cluster, events) {
  const from = performance.now();
  const node = await cluster.startNode();
  const added = await (await cluster.leader()).admin('POST', 'members', { name: node.name, address: node.address });
  if (added.status !== 200) throw new Error(`members add: ${added.status} ${added.text}`);
  while (!await node.isReady()) {
    if (!node.isUp) throw new Error(node.logTail());
    await pause(20);
  }
  const seconds = (performance.now() - from) / 1000;
  const removed = await (await cluster.leader()).admin('DELETE', `members/${node.name}`);
  if (removed.status !== 200) throw new Error(`members remove: ${removed.status} ${removed.text}`);
  await node.end(60_000);
  fs.rmSync(node.dataDir, { recursive: true, force: true });
  cluster.nodes = cluster.nodes.filter(one => one !== node);
  return { seconds, events };
}

export const join = {
  name: 'backfill', what: 'snapshots, and a node that joins with an empty disk',
  figures: { snapshot: { says: 'longest snapshot, ms of the domain thread', goal: 5, isWorst: true },
             rate: { says: 'events/s, exec to ready (limit: written to one store, no network)', goal: 300_000, more: true },
             seconds: { says: 'seconds' } },
  run: ({ events }) => withNodes(3, { events, options: ['--store-keep-log', '256'] }, async (cluster, filling) => {
    const load = await measure(loadProgram, ['commit', '--in-flight', '64', '--seconds', '3', ...nodesOf(cluster.nodes), ...pidsOf(cluster.nodes)]);
    const said = await Promise.all(cluster.nodes.map(node => node.status()));
    const snapshots = said.reduce((sum, { raft }) => sum + raft.snapshots, 0);
    const joined = await joinEmpty(cluster, await cluster.level());
    return { raw: { load, joined, snapshots, filling }, cores: {}, faults: snapshots > 0 ? [] : ['no snapshot was made'],
             values: { snapshot: Math.max(...said.map(({ raft }) => raft.snapshot_max_ms ?? 0)), rate: joined.events / joined.seconds, seconds: joined.seconds },
             limits: { rate: filling.events / filling.append_s } };
  }) };

/* Runs benchmarks on an empty and on a full store in turn: pairs, so that what the machine does besides falls
 * on both. Prints a line for each figure with the ratio of each pair, and returns all of it. A ratio below 1
 * is worse with the long history. */
export async function inPairs(benches, ids, { pairs, events }) {
  const rows = [], faults = [];
  for (const id of ids) {
    for (const [key, { says, more = false }] of Object.entries(benches[id].figures)) rows.push({ id, key, says, more, empty: [], full: [], ratios: [] });
  }
  for (let pair = 1; pair <= pairs; pair++) {
    for (const id of ids) {
      // Which is the first changes, too.
      const values = {};
      for (const which of pair % 2 ? ['empty', 'full'] : ['full', 'empty']) {
        say(`${id} ${benches[id].name}, ${which} store, pair ${pair} of ${pairs}`);
        store.events = which === 'full' ? events : 0;
        try {
          const run = await benches[id].run({ events });
          values[which] = run.values;
          faults.push(...run.faults.map(fault => `${id}, ${which}: ${fault}`));
        } catch (error) {
          faults.push(`${id}, ${which}: ${error.message.split('\n')[0]}`);
        }
      }
      for (const row of rows.filter(one => one.id === id)) {
        const empty = values.empty?.[row.key], full = values.full?.[row.key];
        if (!(empty > 0) || !(full > 0)) continue;
        row.empty.push(empty);
        row.full.push(full);
        row.ratios.push(row.more ? full / empty : empty / full);
      }
    }
  }
  const lines = rows.filter(row => row.ratios.length > 0).map(({ id, says, empty, full, ratios }) =>
    `${id.padEnd(4)}${says.padEnd(44)}  ${short(median(empty)).padStart(10)}  ${short(median(full)).padStart(10)}  ${median(ratios).toFixed(2).padStart(6)}  ${
      Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}   ${ratios.map(ratio => ratio.toFixed(2)).join(' ')}`);
  const text = [`${''.padEnd(48)}  ${'empty'.padStart(10)}  ${'full'.padStart(10)}  ${'median'.padStart(6)}  range          ratio of each pair (1 = the same, less = worse when full)`, ...lines].join('\n');
  return { text, rows, faults };
}
