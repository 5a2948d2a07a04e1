// Chaos: real nodes under every fault that the fault list knows, one after another, while clients write and pages
// look on; then each node's own history is held against all that clients and pages were told.
//
//   start, a leader, calm, faults for some time, heal all, clients finish, the nodes are level, check
//
// The random choices of a run come from its seed; what the machines make of them does not repeat. scripts/chaos
// starts this in namespaces of its own, and has the options. Exit: 0 all promises held (with --expect: that error was
// found), 1 not so, 2 bad usage, 77 something that is needed is not here (only with --strict).
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pause, until, within } from '../lib/wait.mjs';
import { check, errorNames } from './checker.mjs';
import { faults, possible, release, strike, usual } from './faults.mjs';
import { Client, History, Watcher } from './people.mjs';
import { printSeed, report } from './report.mjs';
import { World } from './world.mjs';

const RATE = Number(process.env.LIVETEA_RATE ?? 100); // commands a second, of all clients
const CALM_MS = 3000;
const CLIENTS_A_NODE = 2;
const MEMORY_EVERY_MS = 60_000;
const rooms = ['tea', 'coffee'];
process.setMaxListeners(32); // every disk has one for the exit

function usage(text) {
  console.error(`chaos: ${text}`);
  process.exit(2);
}

function argumentsOf(argv) {
  const options = { seconds: 60, rounds: null, seeds: [1, 1], nodes: 3, faults: null, keep: null, report: null, expect: null,
    isStrict: false, isLoopback: false, isShort: false, hasLimits: false };
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
      case '--rounds': options.rounds = number(argv[++i], 1, 10_000); break;
      case '--short': options.isShort = true; break;
      case '--limits': options.hasLimits = true; break;
      case '--strict': options.isStrict = true; break;
      case '--loopback': options.isLoopback = true; break;
      case '--expect': options.expect = argv[++i]; break;
      case '--report': options.report = argv[++i] ?? usage('--report needs a file'); break;
      case '--keep': options.keep = argv[++i] ?? usage('--keep needs a directory'); break;
      default: usage(`unknown argument '${argv[i]}'`);
    }
  }
  if (options.nodes === 4) usage('3 or 5 nodes');
  if (options.isShort) options.rounds ??= 1;
  if (options.expect !== null && !errorNames[options.expect]) usage(`no error '${options.expect}': ${Object.keys(errorNames).join(', ')}`);
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
  const onExit = () => release(world);
  process.once('exit', onExit);
  let keep = options.keep !== null, watch;
  const memory = [];
  try {
    for (const node of world.nodes) node.start();
    await world.ready();
    await world.leader();
    const { clients, watchers } = settleIn(world, history, random, text => problems.push(text));
    const working = [...clients.map(client => client.write()), ...watchers.map(watcher => watcher.watch())];
    await pause(CALM_MS);

    const begin = performance.now();
    const founders = [...world.nodes];
    const look = () => memory.push({ s: Math.round((performance.now() - begin) / 1000), nodes: founders.map(node => node.memory) });
    look();
    watch = setInterval(look, MEMORY_EVERY_MS);
    const names = possible(world, options.faults ?? usual).able;
    const holdMs = options.isShort ? [1000, 2000] : [1500, 4500];
    let left = options.rounds === null ? Infinity : options.rounds * names.length;
    for (let order = []; left > 0 && (options.rounds !== null || performance.now() - begin < options.seconds * 1000); left--) {
      if (order.length === 0) order = shuffled(names, random);
      const name = order.pop();
      await strike(world, name, { random, history, say, holdMs }).catch(error => {
        problems.push(`${name}: ${error.message}`);
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
    await within('end of all clients', Promise.all(working.slice(0, clients.length)), 30_000).catch(error => problems.push(`${error.message}; ${clients.map(client => `${client.sub}: ${client.isConnected ? 'connected' : client.lastFailure}`).join(', ')}`));
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
    await until(`all pages show number ${last}`, () => watchers.every(one => one.isConnected) &&
      [...clients, ...watchers].every(one => one.seen >= lastOf(one.room)), 15_000).catch(() => {});
    look();
    const seconds = memory.at(-1).s;
    const seen = history.records.slice();
    for (const one of [...clients, ...watchers]) {
      one.stop();
      one.leave();
    }
    await Promise.allSettled(working);
    for (const { node, code, signal } of world.deaths) problems.push(`${node} ended by itself with ${code ?? signal}`);
    const result = check(seen, { isTimed: !options.isShort });
    const complaints = world.nodes.flatMap(node => node.log().match(/ERROR: (Address|Thread|Leak|Undefined)\w*Sanitizer.*|runtime error: .*/g) ?? []);
    for (const complaint of new Set(complaints)) problems.push(`a sanitizer complained: ${complaint}`);
    const digests = histories.filter(Boolean).map(events => events.at(-1)?.digest);
    if (new Set(digests).size > 1) problems.push(`the digests differ: ${digests.join(' ')}`);
    // Whatever the clocks did: times never go back.
    const back = (histories.find(Boolean) ?? []).find((event, i, all) => i > 0 && event.at < all[i - 1].at);
    if (back) problems.push(`number ${back.number} is older than the one before it: ${back.at}`);
    keep ||= problems.length > 0 || result.errors.length > 0;
    if (keep) for (const node of world.nodes) node.said = await node.status().catch(error => error.message);
    return { seed, nodes: options.nodes, seconds, ...result, problems, memory, levelMs };
  } finally {
    clearInterval(watch);
    if (keep) keepAll(world, history, seed, options.keep);
    await world.close();
    process.off('exit', onExit);
  }
}

/* What is needed to see what went wrong: the history, the nodes' logs, what they said in the end, and their files. */
function keepAll(world, history, seed, where) {
  const dir = where ?? fs.mkdtempSync(path.join(process.env.LIVETEA_CHAOS_KEEP ?? os.tmpdir(), 'livetea-chaos-failed-'));
  fs.mkdirSync(dir, { recursive: true });
  fs.writeFileSync(path.join(dir, `seed-${seed}.ndjson`), history.records.map(record => JSON.stringify(record)).join('\n') + '\n');
  for (const node of [...world.nodes, world.spare]) {
    const name = path.join(dir, `seed-${seed}-${node.name}`);
    if (fs.existsSync(node.logFile)) fs.copyFileSync(node.logFile, `${name}.log`);
    const raft = path.join(node.dataDir, 'raft');
    const files = fs.existsSync(raft) ? fs.readdirSync(raft).map(file => `${file} ${fs.statSync(path.join(raft, file), { throwIfNoEntry: false })?.size}`) : [];
    fs.writeFileSync(`${name}.json`, JSON.stringify({ files, said: node.said }, null, 1));
  }
  console.log(`history and logs of seed ${seed}: ${dir}`);
}

const isCheck = process.argv[2] === '--check'; // for scripts/chaos: are these words right?
const options = argumentsOf(process.argv.slice(isCheck ? 3 : 2));
if (isCheck) process.exit(0);
const problem = options.isLoopback ? 'as was asked for' : World.problem();
if (problem && options.isStrict) {
  console.log(`skipped: ${problem}`);
  process.exit(77);
}
if (problem) console.log(`${problem}: the nodes share this machine's loopback and disk`);
else World.lay(options.nodes * (CLIENTS_A_NODE + 1));
const { able, left } = possible({ size: options.nodes, ...World.means(!problem) }, options.faults ?? usual);
if (left.length) console.log(`left out: ${left.join('; ')}`);
if (able.length === 0) usage('none of these faults is possible here');
const results = [];
for (let seed = options.seeds[0]; seed <= options.seeds[1]; seed++) {
  const result = await runSeed(seed, options, !problem);
  printSeed(result);
  results.push(result);
}
const about = { nodes: options.nodes, seeds: options.seeds, faults: able, left, commandsPerSecond: RATE, cpus: os.availableParallelism(), isApart: !problem, isShort: options.isShort };
const { errors, failed, p10 } = report(results, { about, file: options.report });
if (options.expect !== null) {
  const found = errors[options.expect] ?? 0;
  console.log(found ? `as expected: ${options.expect} ${found}` : `${options.expect} was expected, and not found`);
  process.exit(found ? 0 : 1);
}
process.exit(failed || (options.hasLimits && p10.isKept === false) ? 1 : 0);
