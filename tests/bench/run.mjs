// Runs the benchmarks of docs/performance.md: starts nodes of its own, lets bench_load loose on them,
// and puts each figure beside its goal and beside what the machine can do, measured in the same run.
// Called by scripts/bench, which builds first.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { pause } from '../lib/wait.mjs';
import { inPairs, join, restart } from './history.mjs';
import { alone, coresOf, faultsOf, isPinned, limitProgram, loadProgram, measure, median, nodesOf, pidsOf, postsOf, programs, say, short,
         top, withNodes } from './nodes.mjs';

/* Deliveries a second of frames of that size, at 1, 4 and 16 frames a write. */
const fanoutLimit = (sockets, bytes) => measure(limitProgram, ['fanout', String(sockets), String(bytes), '0.7']);

async function fanout(browsers, ramp) {
  const run = await alone(['fanout', '--browsers', String(browsers), '--ramp', String(ramp), '--saturate',
    '--seconds', '1.5', '--warm', '0.3']);
  const limit = await fanoutLimit(browsers, Math.round(run.wire_bytes || 250));
  return {
    raw: { run, limit }, cores: coresOf(run), faults: run.deliveries_per_s === undefined ? ['no rate was reached'] : faultsOf(run, 'at the highest rate'),
    values: { rate: run.deliveries_per_s, saturated: run.saturated.deliveries_per_s, bytes: run.wire_bytes },
    limits: { rate: limit.deliveries_per_s_4, saturated: limit.deliveries_per_s_16 } };
}

async function joins(browsers, stages) {
  const run = await alone(['join', '--browsers', String(browsers), '--stages', String(stages)]);
  const stage = run[`stage_${browsers}`];
  return { raw: { run }, stage, faults: faultsOf({ closed: run.closed }, 'joined browsers'),
           cores: { node: stage.node_cpu_us_per_join * stage.joins_per_s / 1e6, generator: stage.own_cpu_us_per_join * stage.joins_per_s / 1e6 },
           run };
}

/* Takes the leader away again and again while 30 writers write, and brings it back. `value`s are of
 * all those times: the usual and the worst silence, and the longest that one writer waited. */
const failover = (times, takeAway) => withNodes(3, {}, async cluster => {
  const before = await cluster.level();
  const writing = measure(loadProgram, ['failover', '--browsers', '30', '--seconds', String(2 + times * 3.5), ...nodesOf(cluster.nodes)]);
  const moments = [];
  const act = async () => {
    await pause(1500);
    for (let i = 0; i < times; i++) {
      const leader = await cluster.leader();
      moments.push(Number(process.hrtime.bigint()) / 1e9);
      await takeAway(leader);
      await pause(1500);
      await leader.start().ready();
      await pause(500);
    }
  };
  const [run] = await Promise.all([writing, act()]);
  const stored = await cluster.level() - before;
  const silences = Object.entries(run).filter(([name]) => name.startsWith('silence_')).map(([, silence]) => silence);
  const each = moments.map(at => silences.filter(({ from_s: from }) => from > at - 0.1 && from < at + 3))
    .map(some => ({ ms: Math.max(20, ...some.map(one => one.ms)), worst: Math.max(20, ...some.map(one => one.worst_ms)) }));
  const faults = faultsOf({ lost: run.unanswered }, 'writers');
  if (stored !== run.accepted) faults.push(`${run.accepted} were accepted and ${stored} are stored`);
  return { raw: { run, each, stored }, faults, cores: {}, limits: {},
           values: { usual: median(each.map(one => one.ms)), worst: Math.max(...each.map(one => one.ms)),
                     writer: Math.max(...each.map(one => one.worst)), refused: run.refused } };
});

/* The benchmarks. Figures: unit, goal, and whether more or less is better. */
const benches = {
  F1: {
    name: 'fanout', what: 'one room, 1,000 browsers on one node',
    figures: { rate: { says: 'deliveries/s with p99 < 100 ms', goal: 400_000, more: true },
               saturated: { says: 'deliveries/s saturated', goal: 800_000, more: true },
               bytes: { says: 'F14: bytes on the wire per message and reader', goal: 260 } },
    run: () => fanout(1000, 150) },
  F2: {
    name: 'fanout-5000', what: 'one room, 5,000 browsers on one node',
    figures: { rate: { says: 'deliveries/s with p99 < 100 ms', goal: 250_000, more: true },
               saturated: { says: 'deliveries/s saturated', more: true } },
    run: () => fanout(5000, 20) },
  F3: {
    name: 'big-room', what: 'a message to 5,000 browsers, 4/s',
    figures: { p50: { says: 'p50, ms' }, p99: { says: 'p99, ms', goal: 60 } },
    async run() {
      const run = await alone(['fanout', '--browsers', '5000', '--rate', '4', '--seconds', '6', '--warm', '1']);
      const limit = await fanoutLimit(5000, Math.round(run.wire_bytes || 250));
      const writes = 5000 / limit.deliveries_per_s_1 * 1000;
      return { raw: { run, limit }, cores: coresOf(run), faults: faultsOf(run, '4/s'),
               values: { p50: run.p50_ms, p99: run.p99_ms }, limits: { p50: writes / 2, p99: writes } };
    } },
  F4: {
    name: 'idle', what: '10,000 joined browsers that do nothing',
    figures: { each: { says: 'bytes resident per browser', goal: 4096 },
               slope: { says: 'bytes per browser, slope of 2,000 to 10,000' } },
    async run() {
      const { run, ...rest } = await joins(10_000, 5);
      return { ...rest, values: { each: run.bytes_each, slope: run.slope_bytes_each }, limits: {} };
    } },
  F5: {
    name: 'join', what: '10,000 browsers connect and join at once',
    figures: { rate: { says: 'joins/s on one core', goal: 10_000, more: true },
               seconds: { says: 'seconds until all are live', goal: 3 } },
    async run() {
      const { stage, ...rest } = await joins(10_000, 1);
      return { ...rest, values: { rate: stage.joins_per_s, seconds: stage.seconds }, limits: {} };
    } },
  F6: {
    name: 'commit', what: 'form event to reply, three nodes',
    figures: { rate1: { says: '1 in flight: messages/s', goal: 1_500, more: true },
               p50: { says: '1 in flight: p50, ms', goal: 0.7 },
               rate64: { says: '64 in flight: messages/s', goal: 20_000, more: true },
               p99: { says: '64 in flight: p99, ms', goal: 10 },
               rate1024: { says: '1,024 in flight: messages/s', goal: 60_000, more: true },
               p99most: { says: '1,024 in flight: p99, ms' } },
    run: () => withNodes(3, {}, async cluster => {
      const before = await cluster.level();
      const run = await measure(loadProgram, ['commit', '--in-flight', '1,64,1024', '--seconds', '3',
        ...nodesOf(cluster.nodes), ...pidsOf(cluster.nodes)]);
      const stored = await cluster.level() - before;
      const levels = [1, 64, 1024].map(k => run[`in_flight_${k}`]);
      const accepted = levels.reduce((sum, level) => sum + level.accepted, 0);
      const disk = await measure(limitProgram, ['append', cluster.dir, '0.7']);
      const faults = levels.flatMap((level, i) => faultsOf(level, `level ${i + 1}`));
      if (stored !== accepted) faults.push(`${accepted} were accepted and ${stored} are stored`);
      return { raw: { run, disk, stored }, faults, cores: coresOf(levels[2]),
               values: { rate1: levels[0].messages_per_s, p50: levels[0].p50_ms, rate64: levels[1].messages_per_s,
                         p99: levels[1].p99_ms, rate1024: levels[2].messages_per_s, p99most: levels[2].p99_ms },
               limits: { rate1: 1000 / disk.fdatasync_p50_ms, p50: disk.fdatasync_p50_ms, p99: disk.fdatasync_p99_ms } };
    }) },
  F7: {
    name: 'cross', what: 'send on one node, 50 browsers on another, 100/s',
    figures: { p50: { says: 'p50, ms', goal: 1.2 }, p99: { says: 'p99, ms', goal: 4 } },
    run: () => withNodes(3, {}, async cluster => {
      const [a, b] = cluster.nodes;
      const run = await measure(loadProgram, ['fanout', '--browsers', '50', '--rate', '100', '--seconds', '5', '--warm', '1',
        ...nodesOf([b]), ...postsOf([a]), ...pidsOf(cluster.nodes)]);
      const disk = await measure(limitProgram, ['append', cluster.dir, '0.7']);
      const trip = await measure(limitProgram, ['pingpong', '0.3']);
      return { raw: { run, disk, trip }, cores: coresOf(run), faults: faultsOf(run, '100/s'),
               values: { p50: run.p50_ms, p99: run.p99_ms },
               limits: { p50: disk.fdatasync_p50_ms + 2 * trip.p50_ms, p99: disk.fdatasync_p99_ms + 2 * trip.p99_ms } };
    }) },
  F8: {
    name: 'rooms', what: '200 rooms of 5 browsers on three nodes',
    figures: { rate: { says: 'messages/s with p99 < 100 ms', goal: 10_000, more: true } },
    run: () => withNodes(3, {}, async ({ nodes }) => {
      const run = await measure(loadProgram, ['fanout', '--browsers', '1000', '--rooms', '200', '--ramp', '2500', '--seconds', '1.5',
        '--warm', '0.3', '--connections', '384', ...nodesOf(nodes), ...pidsOf(nodes)]);
      return { raw: { run }, cores: coresOf(run), faults: run.deliveries_per_s === undefined ? ['no rate was reached'] : faultsOf(run, 'at the highest rate'),
               values: { rate: run.deliveries_per_s / 5 }, limits: {} };
    }) },
  F9: {
    name: 'failover', what: 'kill -9 of the leader, 30 writers',
    figures: { usual: { says: 'longest silence, ms: the usual', goal: 800 },
               worst: { says: 'and the worst', goal: 1200, isWorst: true },
               writer: { says: 'longest wait of one writer, ms', goal: 1300, isWorst: true },
               refused: { says: 'messages refused' } },
    run: () => failover(4, leader => leader.kill()) },
  F10: {
    name: 'drain', what: 'SIGTERM to the leader, 30 writers',
    figures: { usual: { says: 'longest silence, ms (20 and less say 20): the usual', goal: 50 },
               worst: { says: 'and the worst', goal: 50, isWorst: true },
               refused: { says: 'messages refused' } },
    run: () => failover(3, leader => leader.stop()) },
  F11: restart,
  F12: join,
};

/* Medians and ranges over the repeats. `ratio` is at least 1 where the goal is reached. */
function summary(id, runs) {
  const { what, name, figures } = benches[id];
  const rows = Object.entries(figures).map(([key, { says, goal, more = false, isWorst = false }]) => {
    const values = runs.map(run => run.values[key]).filter(Number.isFinite);
    const value = isWorst && values.length ? Math.max(...values) : median(values), limit = median(runs.map(run => run.limits[key]));
    return { figure: key, says, median: value, min: values.length ? Math.min(...values) : null,
             max: values.length ? Math.max(...values) : null, goal: goal ?? null, more,
             ratio: goal && value ? (more ? value / goal : goal / value) : null,
             limit, of_limit: limit && value ? (more ? value / limit : limit / value) : null };
  });
  return { id, name, what, figures: rows, faults: runs.flatMap(run => run.faults),
           node_cores: median(runs.map(run => run.cores.node)), generator_cores: median(runs.map(run => run.cores.generator)),
           runs: runs.map(run => run.raw) };
}

function table(results) {
  const head = ['', 'figure', 'median', 'range', 'goal', 'of goal', 'limit', 'of limit'];
  const rows = [head];
  for (const result of results) {
    rows.push([result.id, `${result.what} (node ${short(result.node_cores)}, generator ${short(result.generator_cores)} cores)`, '', '', '', '', '', '']);
    for (const row of result.figures) {
      rows.push(['', `  ${row.says}`, short(row.median), row.min === null ? '' : `${short(row.min)} to ${short(row.max)}`,
        row.goal === null ? '' : `${row.more ? '>=' : '<='} ${short(row.goal)}`, row.ratio ? short(row.ratio) : '',
        row.limit ? short(row.limit) : '', row.of_limit ? short(row.of_limit) : '']);
    }
  }
  const widths = head.map((_, i) => Math.max(...rows.filter(row => i !== 1 || row[2] !== '').map(row => row[i].length)));
  return rows.map(row => row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ').trimEnd()).join('\n');
}

function machine() {
  const git = args => { try { return execFileSync('git', ['-C', top, ...args]).toString().trim(); } catch { return null; } };
  return { cpu: os.cpus()[0].model, cores: os.cpus().length, memory: os.totalmem(), kernel: os.release(),
           commit: git(['rev-parse', '--short', 'HEAD']), load_before: os.loadavg()[0] };
}

function choose(names) {
  if (names.length === 0) return Object.keys(benches);
  return names.map(name => {
    const id = Object.keys(benches).find(one => one.toLowerCase() === name.toLowerCase() || benches[one].name === name) ??
      (name.toLowerCase() === 'f14' ? 'F1' : undefined);
    if (!id) {
      say(`bench: there is no '${name}'. There are: ${Object.entries(benches).map(([one, { name: word }]) => `${one} ${word}`).join(', ')}`);
      process.exit(2);
    }
    return id;
  });
}

const { values: given, positionals } = parseArgs({ allowPositionals: true, options: { events: { type: 'string' }, pairs: { type: 'string' } } });

function countOf(name, otherwise) {
  if (given[name] === undefined) return otherwise;
  if (/^[1-9]\d{0,11}$/.test(given[name])) return Number(given[name]);
  say(`bench: --${name} is a number`);
  process.exit(2);
}

for (const program of programs) {
  if (fs.existsSync(program)) continue;
  say(`bench: ${program} is not there; is the build complete?`);
  process.exit(1);
}
const repeats = Number(process.env.LIVETEA_REPEATS ?? 3);
const isPairs = positionals[0] === 'history';
const names = isPairs ? positionals.slice(1) : positionals;
const chosen = [...new Set(choose(isPairs && names.length === 0 ? ['F1', 'F6', 'F7'] : names))];
// All of them in ten minutes: then not with the longest history.
const events = countOf('events', positionals.length === 0 ? 1_000_000 : 10_000_000);
const started = performance.now();
const about = { at: new Date().toISOString(), ...machine() };
if (!isPinned) say('bench: one core only; node and generator share it, and the figures are lower bounds.');
if (about.load_before > 0.5) say(`bench: the machine is busy already (load ${about.load_before.toFixed(1)}).`);

function keep(name, result) {
  about.seconds = Math.round((performance.now() - started) / 1000);
  fs.mkdirSync(path.join(top, 'results'), { recursive: true });
  const file = path.join(top, 'results', name);
  fs.writeFileSync(file, `${JSON.stringify({ ...about, ...result }, null, 1)}\n`);
  return path.relative(process.cwd(), file);
}

if (isPairs) {
  const { text, rows, faults } = await inPairs(benches, chosen, { pairs: countOf('pairs', 5), events });
  const file = keep('bench-history.json', { events, rows, faults });
  console.log(text);
  for (const fault of faults) console.log(`WRONG  ${fault}`);
  say(`${about.seconds} s, ${events.toLocaleString('en-US')} events in the full store; all of it is in ${file}`);
  process.exit(faults.length ? 1 : 0);
}

const runs = Object.fromEntries(chosen.map(id => [id, []]));
for (let repeat = 1; repeat <= repeats; repeat++) {
  for (const id of chosen) {
    say(`${id} ${benches[id].name}, ${repeat} of ${repeats}`);
    try {
      runs[id].push(await benches[id].run({ events }));
    } catch (error) {
      say(`  ${error.message}`);
      runs[id].push({ values: {}, limits: {}, cores: {}, raw: null, faults: [error.message.split('\n')[0]] });
    }
  }
}
const results = chosen.map(id => summary(id, runs[id]));
const file = keep('bench.json', { repeats, events, results });
console.log(table(results));
const faults = results.flatMap(result => result.faults.map(fault => `${result.id}: ${fault}`));
for (const { id, generator_cores: cores } of results) {
  if (isPinned && cores > 0.97 && /F[1-5]$/.test(id)) console.log(`${id}: the generator was at its limit; the figure is a lower bound.`);
}
for (const fault of faults) console.log(`WRONG  ${fault}`);
say(`${about.seconds} s; all runs are in ${file}`);
process.exit(faults.length ? 1 : 0);
