// Nodes of the release build for the benchmarks, with an empty history or with a long one, and the programs
// that measure them.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
export const top = path.resolve(here, '../..');
const build = process.env.LIVETEA_BUILD ?? path.join(top, 'build/release');
process.env.LIVETEA_BIN ??= path.join(build, 'src/app/livetea');
// Beside the build, for that is on a disk, which /tmp often is not.
process.env.LIVETEA_TEST_DIR ??= path.join(build, 'bench');
fs.mkdirSync(process.env.LIVETEA_TEST_DIR, { recursive: true });
const { Cluster } = await import('../lib/cluster.mjs');
const { fill } = await import('../lib/fill.mjs');

export const loadProgram = path.join(build, 'tests/bench/bench_load');
export const limitProgram = path.join(build, 'tests/bench/bench_limit');
export const programs = [process.env.LIVETEA_BIN, loadProgram, limitProgram, path.join(build, 'tests/bench/bench_fill')];
export const isPinned = os.cpus().length >= 2;
export const nodeCore = '0', loadCore = '1';
export const say = text => process.stderr.write(`${text}\n`);

/* One program to its end; its standard output is one line of JSON. */
export function measure(program, args, { core } = {}) {
  const isOnCore = core !== undefined && isPinned;
  const command = isOnCore ? ['taskset', '-c', core, program, ...args] : [program, ...args];
  return new Promise((resolve, reject) => {
    const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    const stop = () => child.kill('SIGKILL');
    process.on('exit', stop);
    child.stdout.on('data', text => { out += text; });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('exit', stop);
      if (code !== 0) return reject(new Error(`${path.basename(program)} ${args[0]} ended with ${code ?? signal}`));
      resolve(JSON.parse(out));
    });
  });
}

const nodeOptions = ['--http-max-per-address', '0', '--http-max-connections', '20000', '--http-threads', '1',
  '--chat-rate', '0', '--log-level', 'warn'];

/* What the nodes have at their start: 0 is nothing. */
export const store = { events: 0 };

/* Clusters with a long history, by their number of nodes and events: filling one takes minutes, so they
 * are kept and started again until this process ends. */
const filled = new Map();
process.on('exit', () => {
  for (const { cluster } of filled.values()) fs.rmSync(cluster.dir, { recursive: true, force: true });
});

const bytesPerEvent = 650; // in one node's store, with a reserve

async function filledCluster(count, events) {
  const key = `${count} ${events}`;
  if (!filled.has(key)) {
    const { bavail, bsize } = fs.statfsSync(process.env.LIVETEA_TEST_DIR);
    const needed = (count + 1) * events * bytesPerEvent; // one more may join
    if (bavail * bsize < needed) throw new Error(`${Math.ceil(needed / 2 ** 30)} GiB of disk are needed for ${events} events on ${count} nodes`);
    say(`  filling ${count === 1 ? 'a node' : `${count} nodes`} with ${events.toLocaleString('en-US')} events`);
    const cluster = await Cluster.prepare({ nodes: count, options: nodeOptions });
    filled.set(key, { cluster });
    filled.get(key).filling = await fill(cluster, events);
    say(`  ${Math.round(filled.get(key).filling.seconds)} s`);
  }
  return filled.get(key);
}

async function stopAll(cluster) {
  for (const node of cluster.nodes.filter(one => one.isUp)) await node.stop(60_000).catch(() => node.isUp && node.kill());
  if (cluster.deaths.length) throw new Error(`${cluster.deaths[0].node} ended by itself: ${cluster.deaths[0].code}`);
}

/* Starts nodes, lets `use` measure them, and stops them whatever happens. `core`: for a lone node. */
export async function withNodes(count, { core, events = store.events, options = [] }, use) {
  const { cluster, filling } = events > 0 ? await filledCluster(count, events) : { cluster: await Cluster.prepare({ nodes: count }) };
  cluster.options = [...nodeOptions, ...options];
  try {
    for (const node of cluster.nodes) node.start();
    await cluster.ready(120_000);
    if (core !== undefined && isPinned) {
      for (const node of cluster.nodes) execFileSync('taskset', ['-a', '-c', '-p', core, String(node.pid)], { stdio: 'ignore' });
    }
    return await use(cluster, filling);
  } finally {
    if (filling) await stopAll(cluster);
    else await cluster.down();
  }
}

export const nodesOf = nodes => nodes.flatMap(node => ['--node', node.url]);
export const postsOf = nodes => nodes.flatMap(node => ['--post', node.url]);
export const pidsOf = nodes => nodes.flatMap(node => ['--pid', String(node.pid)]);

/* A lone node on one core, the generator on the other. */
export const alone = args => withNodes(1, { core: nodeCore }, ({ nodes }) =>
  measure(loadProgram, [...args, ...nodesOf(nodes), ...pidsOf(nodes)], { core: loadCore }));

/* What must be 0 in every run, whatever its speed. */
export function faultsOf(run, what) {
  return ['missing', 'twice', 'closed', 'failed', 'lost', 'refused']
    .filter(name => run[name] > 0).map(name => `${what}: ${run[name]} ${name}`);
}

export const coresOf = run => ({ node: run.node_cores, generator: run.own_cores });

export function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const short = value => {
  if (value === null || value === undefined) return '-';
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
};
