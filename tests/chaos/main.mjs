// Chaos: real nodes under every fault that the fault list knows, one after another, while clients write and pages
// look on; then each node's own history is held against all that clients and pages were told.
//
//   start, a leader, calm, faults for some time, heal all, clients finish, the nodes are level, check
//
// The random choices of a run come from its seed; what the machines make of them does not repeat. scripts/chaos
// starts this in namespaces of its own. Exit: 0 all promises held, 1 one was broken, 2 bad usage, 77 nothing that
// is needed is here (only with --strict).
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pause, slow, until, within } from '../lib/wait.mjs';
import { buckets, check, errorNames } from './checker.mjs';
import { faults, possible, release, strike, usual } from './faults.mjs';
import { Client, History, Watcher } from './people.mjs';
import { World } from './world.mjs';

const RATE = Number(process.env.LIVETEA_RATE ?? 100); // commands a second, of all clients
const CALM_MS = 3000;
const CLIENTS_A_NODE = 2;
const rooms = ['tea', 'coffee'];

function usage(text) {
  console.error(`chaos: ${text}`);
  process.exit(2);
}

function argumentsOf(argv) {
  const options = { seconds: 60, seeds: [1, 1], nodes: 3, faults: null, isStrict: false, keep: null };
  const number = (text, from, to) => {
    if (!/^\d+$/.test(text ?? '') || Number(text) < from || Number(text) > to) usage(`a number from ${from} to ${to} is needed, not '${text}'`);
    return Number(text);
  };
  for (let i = 0; i < argv.length; i++) {
    switch (argv[i]) {
      case '--seconds': options.seconds = number(argv[++i], 5, 86_400); break;
      case '--nodes': options.nodes = number(argv[++i], 3, 5); break;
      case '--seeds': {
        const [from, to = from] = (argv[++i] ?? '').split('..');
        options.seeds = [number(from, 0, 1e9), number(to, 0, 1e9)];
        break;
      }
      case '--faults': options.faults = (argv[++i] ?? '').split(',').filter(Boolean); break;
      case '--strict': options.isStrict = true; break;
      case '--keep': options.keep = argv[++i] ?? usage('--keep needs a directory'); break;
      default: usage(`unknown argument '${argv[i]}'`);
    }
  }
  if (options.nodes === 4) usage('3 or 5 nodes');
  for (const name of options.faults ?? []) if (!faults[name]) usage(`no fault '${name}': ${Object.keys(faults).join(', ')}`);
  return options;
}

/* mulberry32 */
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled(list, random) {
  const order = [...list];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

function settleIn(world, history, random, onProblem) {
  const clients = [], watchers = [];
  const count = world.nodes.length * CLIENTS_A_NODE;
  const address = i => (world.isApart ? `10.77.0.${100 + i}` : `127.2.0.${1 + i}`);
  for (let i = 0; i < count; i++) {
    clients.push(new Client({ history, world, sub: `a${i}`, at: i, room: rooms[i % 2], localAddress: address(i), random, onProblem, everyMs: (1000 * count) / RATE }));
  }
  world.nodes.forEach((_, i) => watchers.push(
    new Watcher({ history, world, sub: `s${i}`, at: i, room: rooms[i % 2], localAddress: address(count + i), random, onProblem })));
  return { clients, watchers };
}

async function runSeed(seed, options, isApart) {
  const random = randomOf(seed);
  const history = new History();
  const problems = [];
  const world = await World.build({ nodes: options.nodes, isApart, options: ['--chat-rate', '0', '--store-keep-log', '256'] });
  const say = text => process.env.LIVETEA_VERBOSE === '1' && console.log(`  ${new Date().toISOString().slice(11, 23)} ${text}`);
  process.once('exit', () => release(world));
  let keep = options.keep !== null;
  try {
    for (const node of world.nodes) node.start();
    await world.ready();
    await world.leader();
    const rss = [world.nodes.map(node => node.rssKiB)];
    const { clients, watchers } = settleIn(world, history, random, text => problems.push(text));
    const working = [...clients.map(client => client.write()), ...watchers.map(watcher => watcher.watch())];
    await pause(CALM_MS);

    const names = possible(world, options.faults ?? usual).able;
    const end = performance.now() + options.seconds * 1000;
    for (let order = []; performance.now() < end;) {
      if (order.length === 0) order = shuffled(names, random);
      await strike(world, order.pop(), { random, history, say }).catch(error => {
        problems.push(`after ${history.records.findLast(({ op }) => op === 'nemesis')?.f}: ${error.message}`);
        return world.heal().catch(failure => problems.push(failure.message));
      });
      for (const one of [...clients, ...watchers]) one.goHome();
      await pause(500 + random() * 1000);
    }

    await world.heal().catch(error => problems.push(error.message));
    history.add({ op: 'healed' });
    const healedAt = performance.now();
    await pause(2000);
    for (const client of clients) client.finish();
    await within('end of all clients', Promise.all(working.slice(0, clients.length)), 15_000).catch(error => problems.push(`${error.message}; ${clients.map(client => `${client.sub}: ${client.isConnected ? 'connected' : client.lastFailure}`).join(', ')}`));
    for (const client of clients) client.giveUp();
    await world.settle().catch(error => problems.push(error.message));
    const levelMs = performance.now() - healedAt;
    const histories = [];
    for (const node of world.nodes) {
      const events = await node.events().catch(() => null);
      histories.push(events);
      history.add({ op: 'final', n: node.number, log: events && events.map(({ number, text, room }) => [number, text, room]) });
    }
    // The pages are given the time that the last diff needs.
    const last = Math.max(...histories.map(events => events?.at(-1)?.number ?? 0));
    const lastOf = room => (histories[0] ?? []).findLast(event => event.room === room)?.number ?? 0;
    await until(`all pages show number ${last}`, () => [...clients, ...watchers].every(one => one.seen >= lastOf(one.room)), 5_000).catch(() => {});
    rss.push(world.nodes.map(node => node.rssKiB));
    const seen = history.records.slice();
    for (const one of [...clients, ...watchers]) {
      one.stop();
      one.leave();
    }
    await Promise.allSettled(working);
    for (const { node, code, signal } of world.deaths) problems.push(`${node} ended by itself with ${code ?? signal}`);
    const result = check(seen);
    const digests = histories.filter(Boolean).map(events => events.at(-1)?.digest);
    if (new Set(digests).size > 1) problems.push(`the digests differ: ${digests.join(' ')}`);
    // Whatever the clocks did: times never go back.
    const back = (histories.find(Boolean) ?? []).find((event, i, all) => i > 0 && event.at < all[i - 1].at);
    if (back) problems.push(`number ${back.number} is older than the one before it: ${back.at}`);
    keep ||= problems.length > 0 || result.errors.length > 0;
    return { seed, ...result, problems, rss, levelMs, records: seen };
  } finally {
    if (keep) keepAll(world, history, seed, options.keep);
    await world.close();
  }
}

/* What is needed to see what went wrong: the history, and the nodes' logs. */
function keepAll(world, history, seed, where) {
  const dir = where ?? fs.mkdtempSync(path.join(process.env.LIVETEA_CHAOS_KEEP ?? os.tmpdir(), 'livetea-chaos-failed-'));
  fs.mkdirSync(dir, { recursive: true });
  fs.writeFileSync(path.join(dir, `seed-${seed}.ndjson`), history.records.map(record => JSON.stringify(record)).join('\n') + '\n');
  for (const node of [...world.nodes, world.spare]) {
    if (fs.existsSync(node.logFile)) fs.copyFileSync(node.logFile, path.join(dir, `seed-${seed}-${node.name}.log`));
  }
  console.log(`history and logs of seed ${seed}: ${dir}`);
}

const ms = value => (Number.isFinite(value) ? `${Math.round(value)}` : 'never');
const countsLine = stats => `${stats.commands} commands, ${stats.acked} acked, ${stats.unknown} unknown (${stats.unknownPresent} of them in), ` +
  `${stats.refused} refused, ${stats.lost} lost, ${stats.twice} twice, ${stats.gaps} gaps`;

function printSeed({ seed, counts, stats, problems, levelMs }) {
  const wrong = Object.entries(counts).map(([name, n]) => `${name} ${n}`);
  const struck = Object.values(stats.faults).reduce((sum, n) => sum + n, 0);
  console.log(`seed ${seed}: ${wrong.length || problems.length ? `FAILED ${wrong.join(', ')}${problems.length ? ` and ${problems.length} problems` : ''}` : 'held'}; ${struck} faults; ` +
    `${countsLine(stats)}; ack p50 ${ms(stats.p50)} p99 ${ms(stats.p99)} max ${ms(stats.max)} ms; level ${ms(levelMs)} ms after the last`);
}

function printReport(results) {
  const sum = field => results.reduce((total, { stats }) => total + stats[field], 0);
  const waits = results.flatMap(({ stats }) => stats.waits).sort((a, b) => a - b);
  const at = q => ms(waits[Math.min(waits.length - 1, Math.floor(q * waits.length))] ?? 0);
  const total = Object.fromEntries(['commands', 'acked', 'unknown', 'unknownPresent', 'refused', 'lost', 'twice', 'gaps'].map(field => [field, sum(field)]));
  console.log(`\nall seeds: ${countsLine(total)}`);
  console.log(`retried ${sum('retried')}; ack p50 ${at(0.5)} p99 ${at(0.99)} max ${at(1)} ms; pages: ${sum('mounts')} mounts, ${sum('views')} messages shown; ` +
    `longest silence ${ms(Math.max(...results.map(({ stats }) => stats.silence)))} ms`);

  console.log('\nfirst acknowledgement of a command first sent after the fault began (* after it ended: no majority was left), in ms');
  console.log(`  ${'fault'.padEnd(18)}times${buckets.map(limit => `<=${limit}`.padStart(8)).join('')}${'more'.padStart(8)}${'median'.padStart(9)}${'worst'.padStart(8)}${'last client'.padStart(13)}`);
  const all = results.flatMap(({ stats }) => stats.recoveries);
  for (const name of Object.keys(faults)) {
    const some = all.filter(({ f }) => f === name);
    if (some.length === 0) continue;
    const first = some.map(one => one.first).sort((a, b) => a - b);
    const row = Array(buckets.length + 1).fill(0);
    for (const value of first) {
      const place = buckets.findIndex(limit => value <= limit);
      row[place < 0 ? buckets.length : place]++;
    }
    console.log(`  ${`${name}${some[0].majority ? '' : ' *'}`.padEnd(18)}${String(some.length).padStart(5)}${row.map(n => String(n || '.').padStart(8)).join('')}` +
      `${ms(first[Math.floor(first.length / 2)]).padStart(9)}${ms(first.at(-1)).padStart(8)}${ms(Math.max(...some.map(one => one.worst))).padStart(13)}`);
  }

  console.log('\nmemory of each node (RSS, MiB), begin to end');
  for (const { seed, rss: [begin, end] } of results) {
    console.log(`  seed ${seed}: ${begin.map((kib, i) => `${(kib / 1024).toFixed(1)} to ${end[i] === null ? '-' : (end[i] / 1024).toFixed(1)}`).join(', ')}`);
  }
  const failed = results.filter(({ errors, problems }) => errors.length || problems.length);
  for (const { seed, errors, problems } of failed) {
    console.log(`\nseed ${seed}:`);
    for (const text of problems.slice(0, 20)) console.log(`  problem: ${text}`);
    for (const { name, text } of errors.slice(0, 40)) console.log(`  ${name} (${errorNames[name]}): ${text}`);
  }
  console.log(failed.length ? `\n${failed.length} of ${results.length} seeds FAILED` : `\n${results.length} of ${results.length} seeds held`);
  return failed.length;
}

const options = argumentsOf(process.argv.slice(2));
const problem = slow && options.isStrict ? 'this is a sanitizer build, whose nodes are too slow for it' : World.problem();
if (problem && options.isStrict) {
  console.log(`skipped: ${problem}`);
  process.exit(77);
}
if (problem) console.log(`chaos: ${problem}: the nodes share this machine's loopback and disk`);
else World.lay(options.nodes * (CLIENTS_A_NODE + 1));
const left = possible({ size: options.nodes, isApart: !problem, hasFakeTime: !problem && !slow }, options.faults ?? usual).left;
if (left.length) console.log(`left out: ${left.join(', ')}`);
const results = [];
for (let seed = options.seeds[0]; seed <= options.seeds[1]; seed++) {
  const result = await runSeed(seed, options, !problem);
  delete result.records;
  printSeed(result);
  results.push(result);
}
process.exit(printReport(results) ? 1 : 0);
