// The memory of nodes that run for long: at first so many messages that the window of ids has gone round once and
// every page of it was touched, then messages at a steady rate, with readers on every node. By hand
// (LIVETEA_MINUTES=10, LIVETEA_RATE=200): prints each node's resident memory and its own (RssAnon) every minute,
// and fails when a node's own has grown by more than a quarter since the first.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { Cluster } from '../lib/cluster.mjs';
import { fill } from '../lib/fill.mjs';
import { Flood } from '../lib/flood.mjs';
import { visit } from '../lib/phoenix.mjs';
import { pause } from '../lib/wait.mjs';

const minutes = Number(process.env.LIVETEA_MINUTES ?? 2);
const rate = Number(process.env.LIVETEA_RATE ?? 200); // messages a second
const HISTORY = 200_000;
const WARM_UP = 140_000; // the window has 131,072
const READERS = 10; // on each node

const kib = (node, what) => Number(new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(fs.readFileSync(`/proc/${node.pid}/status`, 'utf8'))[1]);
const mib = value => (value / 1024).toFixed(1);

test('own memory stays while messages come', { timeout: (minutes + 6) * 60_000 }, async context => {
  const cluster = await Cluster.prepare({ nodes: 3, options: ['--chat-rate', '0', '--http-max-per-address', '0', '--store-keep-log', '4096'] });
  try {
    await fill(cluster, HISTORY);
    for (const node of cluster.nodes) node.start();
    await cluster.ready();
    const flood = new Flood({ urls: () => cluster.nodes.map(node => node.url), rooms: READERS });
    const samples = cluster.nodes.map(() => []);
    const look = () => cluster.nodes.forEach((node, i) => samples[i].push({ rss: kib(node, 'VmRSS'), own: kib(node, 'RssAnon') }));
    await flood.send(WARM_UP);
    for (const node of cluster.nodes) for (let i = 0; i < READERS; i++) await visit(node.url, `/flood-${i}`, { name: `Reader ${i}` });
    flood.start(rate);
    for (let minute = 0; minute < minutes; minute++) {
      await pause(60_000);
      look();
    }
    await flood.stop();
    flood.close();
    cluster.nodes.forEach((node, i) => context.diagnostic(`${node.name}: resident ${samples[i].map(({ rss }) => mib(rss)).join(', ')} MiB; ` +
      `own ${samples[i].map(({ own }) => mib(own)).join(', ')} MiB`));
    context.diagnostic(`${flood.accepted} messages behind ${HISTORY}`);
    assert.deepEqual(flood.problems, []);
    for (const of of samples) assert.ok(of.at(-1).own < 1.25 * of[0].own);
  } finally {
    await cluster.down();
  }
});
