// What the runs gave: a line for each seed, tables of all, and the same as JSON for whoever quotes it.
import fs from 'node:fs';
import { buckets, errorNames } from './checker.mjs';
import { faults } from './faults.mjs';

/* P10, of a LAN with an election timeout of 300 ms: from the leader's end to the next acknowledgement. */
const p10 = { medianMs: 800, worstMs: 1200, clientMs: 5000 };
const counted = ['commands', 'acked', 'unknown', 'unknownPresent', 'refused', 'retried', 'lost', 'twice', 'gaps', 'reorders', 'mounts', 'views'];

const ms = value => (value === null ? '-' : Number.isFinite(value) ? `${Math.round(value)}` : 'never');
const ascending = list => [...list].sort((a, b) => a - b);
const at = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? null;
const spread = list => {
  const sorted = ascending(list);
  return { p50: at(sorted, 0.5), p99: at(sorted, 0.99), max: sorted.at(-1) ?? null };
};
const mib = kib => Math.round(kib / 102.4) / 10;

const countsLine = sums => `${sums.commands} commands, ${sums.acked} acked, ${sums.unknown} unknown (${sums.unknownPresent} of them in), ` +
  `${sums.refused} refused, ${sums.lost} lost, ${sums.twice} twice, ${sums.gaps} gaps, ${sums.reorders} reorders`;

export function printSeed({ seed, nodes, counts, stats, problems, levelMs }) {
  const wrong = Object.entries(counts).map(([name, n]) => `${name} ${n}`);
  const struck = Object.values(stats.faults).reduce((sum, n) => sum + n, 0);
  console.log(`seed ${seed}, ${nodes} nodes: ${wrong.length || problems.length ? `FAILED ${wrong.join(', ')}${problems.length ? ` and ${problems.length} problems` : ''}` : 'held'}; ${struck} faults; ` +
    `${countsLine(stats)}; ack p50 ${ms(stats.p50)} p99 ${ms(stats.p99)} max ${ms(stats.max)} ms; level ${ms(levelMs)} ms after the last`);
}

/* fault -> how often, and how soon the cluster and the slowest client had something new accepted. */
function recoveryOf(results) {
  const all = results.flatMap(({ stats }) => stats.recoveries);
  const table = {};
  for (const name of Object.keys(faults)) {
    const some = all.filter(({ f }) => f === name);
    if (some.length === 0) continue;
    const histogram = Array(buckets.length + 1).fill(0);
    for (const { first } of some) {
      const place = buckets.findIndex(limit => first <= limit);
      histogram[place < 0 ? buckets.length : place]++;
    }
    table[name] = { times: some.length, afterItsEnd: !some[0].majority, histogram, cluster: spread(some.map(one => one.first)), worstClient: spread(some.map(one => one.worst)) };
  }
  return table;
}

/* What P10 says of the loss of a leader, by kill -9 while a majority is left. */
function p10Of(results) {
  const some = results.flatMap(({ stats }) => stats.recoveries).filter(({ f, leader, majority }) => leader && majority && ['kill_one', 'kill_leader'].includes(f));
  const first = spread(some.map(one => one.first)), client = spread(some.map(one => one.worst));
  const isKept = some.length === 0 ? null : first.p50 <= p10.medianMs && first.max <= p10.worstMs && client.max <= p10.clientMs;
  return { kills: some.length, medianMs: first.p50, worstMs: first.max, worstClientMs: client.max, limits: p10, isKept };
}

/* Of each node over its run: memory at the begin, each minute, at the end; and the end by the first minute's, when all
 * has been used once. A node that a fault restarted begins anew. */
function memoryOf({ seed, nodes, memory }) {
  const node = i => {
    const samples = memory.map(({ s, nodes: all }) => all[i] && { s, rss: mib(all[i].rss), own: mib(all[i].own) }).filter(Boolean);
    const warm = samples.length > 2 ? samples[1] : samples[0];
    return { samples,
      largestRss: Math.max(...samples.map(one => one.rss)), largestOwn: Math.max(...samples.map(one => one.own)),
      rssRatio: samples.at(-1).rss / warm.rss, ownRatio: samples.at(-1).own / warm.own };
  };
  return { seed, of: Array.from({ length: nodes }, (_, i) => node(i)) };
}

function summary(results, about) {
  const totals = Object.fromEntries(counted.map(field => [field, results.reduce((total, { stats }) => total + stats[field], 0)]));
  const errors = {};
  for (const { counts } of results) for (const [name, n] of Object.entries(counts)) errors[name] = (errors[name] ?? 0) + n;
  return { about, seeds: results.length, totals, errors,
    problems: results.reduce((total, { problems }) => total + problems.length, 0),
    ackMs: spread(results.flatMap(({ stats }) => stats.waits)),
    longestSilenceMs: Math.max(...results.map(({ stats }) => stats.silence)),
    faults: results.reduce((total, { stats }) => total + Object.values(stats.faults).reduce((sum, n) => sum + n, 0), 0),
    buckets, recovery: recoveryOf(results), p10: p10Of(results), memory: results.map(memoryOf),
    runs: results.map(({ seed, nodes, seconds, stats, counts, problems, levelMs }) => ({ seed, nodes, seconds, levelMs, ...Object.fromEntries(counted.map(field => [field, stats[field]])), faults: stats.faults, errors: counts, problems })) };
}

function printRecovery(recovery) {
  console.log('\nfirst acknowledgement of a command first sent after the fault began (* after it ended: no majority was left), in ms:');
  console.log('histogram and p50, p99, max of the cluster, then of each time\'s slowest client');
  const quantiles = ({ p50, p99, max }) => [p50, p99, max].map(value => ms(value).padStart(7)).join('');
  console.log(`  ${'fault'.padEnd(18)}times${buckets.map(limit => `<=${limit}`.padStart(8)).join('')}${'more'.padStart(6)}  |${['p50', 'p99', 'max'].map(text => text.padStart(7)).join('')}  |${['p50', 'p99', 'max'].map(text => text.padStart(7)).join('')}`);
  for (const [name, { times, afterItsEnd, histogram, cluster, worstClient }] of Object.entries(recovery)) {
    console.log(`  ${`${name}${afterItsEnd ? ' *' : ''}`.padEnd(18)}${String(times).padStart(5)}${histogram.map((n, i) => String(n || '.').padStart(i < buckets.length ? 8 : 6)).join('')}  |${quantiles(cluster)}  |${quantiles(worstClient)}`);
  }
}

function printMemory(memory) {
  console.log('\nmemory of each node (RSS in MiB): after three seconds, each minute, at the end; the end by the first minute, of all and of what is no file\'s');
  for (const { seed, of } of memory) {
    of.forEach(({ samples, rssRatio, ownRatio }, i) => console.log(`  seed ${seed} tea-${i + 1}: ${samples.map(({ rss }) => rss.toFixed(1)).join(', ')}; ` +
      `${rssRatio.toFixed(2)}, ${ownRatio.toFixed(2)} (${samples[0].own.toFixed(1)} to ${samples.at(-1).own.toFixed(1)})`));
  }
  const worst = field => Math.max(...memory.flatMap(({ of }) => of.map(one => one[field])));
  console.log(`  at most: RSS ${worst('largestRss').toFixed(1)} MiB, ${worst('rssRatio').toFixed(2)} times the first minute; no file's ${worst('largestOwn').toFixed(1)} MiB, ${worst('ownRatio').toFixed(2)} times`);
}

/* Prints it all, writes it to `file` if there is one, and returns it. */
export function report(results, { about, file }) {
  const all = summary(results, about);
  console.log(`\nall seeds: ${all.faults} faults; ${countsLine(all.totals)}`);
  console.log(`retried ${all.totals.retried}; ack p50 ${ms(all.ackMs.p50)} p99 ${ms(all.ackMs.p99)} max ${ms(all.ackMs.max)} ms; pages: ${all.totals.mounts} mounts, ` +
    `${all.totals.views} messages shown; longest silence ${ms(all.longestSilenceMs)} ms`);
  printRecovery(all.recovery);
  const { kills, medianMs, worstMs, worstClientMs, isKept } = all.p10;
  if (kills && !about.isShort) {
    console.log(`\nP10, ${kills} leaders killed: median ${ms(medianMs)} ms (${p10.medianMs}), worst ${ms(worstMs)} ms (${p10.worstMs}), slowest client ${ms(worstClientMs)} ms (${p10.clientMs}): ` +
      `${isKept ? 'within' : 'beyond'} its limits`);
  }
  printMemory(all.memory);
  const failed = results.filter(({ errors, problems }) => errors.length || problems.length);
  for (const { seed, errors, problems } of failed) {
    console.log(`\nseed ${seed}:`);
    for (const text of problems.slice(0, 20)) console.log(`  problem: ${text}`);
    for (const { name, text } of errors.slice(0, 40)) console.log(`  ${name} (${errorNames[name]}): ${text}`);
  }
  console.log(failed.length ? `\n${failed.length} of ${results.length} seeds FAILED` : `\n${results.length} of ${results.length} seeds held`);
  if (file) fs.writeFileSync(file, `${JSON.stringify(all, null, 1)}\n`);
  return { ...all, failed: failed.length };
}
