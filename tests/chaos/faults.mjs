// What is done to the machines. Each fault has the means that it needs, and says whether a majority is left that
// can go on writing; `act` begins it, waits `hold` ms, and ends it.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { admit, remove } from '../lib/members.mjs';
import { pause, until } from '../lib/wait.mjs';

const others = (world, nodes) => world.nodes.filter(node => !nodes.includes(node));
const isolate = (world, nodes) => {
  for (const node of nodes) {
    for (const chain of ['INPUT', 'OUTPUT']) node.cut(chain, others(world, nodes));
  }
};
const healLinks = world => [...world.nodes, world.spare].forEach(node => node.heal());

const cutLinks = (begin, more) => ({ needs: 'links', ...more, async act(context) {
  begin(context);
  context.started();
  await pause(context.hold);
  healLinks(context.world);
} });

const away = (down, more) => ({ ...more, async act({ nodes, hold, started }) {
  await Promise.all(nodes.map(down));
  started();
  await pause(hold);
  for (const node of nodes) node.start();
} });

const standStill = more => ({ ...more, async act({ nodes, hold, started }) {
  for (const node of nodes) node.pause();
  started();
  await pause(hold * 1.4);
  for (const node of nodes) node.resume();
} });

const clock = seconds => ({ needs: 'clock', isHarmless: true, async act({ nodes: [node], random, hold, started }) {
  node.setClock(random() < 0.5 ? seconds : -seconds);
  started();
  await pause(hold);
  node.setClock(0);
} });

const powerCut = more => ({ needs: 'disks', ...more, async act({ world, nodes, hold, started }) {
  started();
  await world.losePower(nodes);
  await pause(hold / 2);
  for (const node of nodes) node.start();
} });

/* The file that was written last, of the raft log or the history. */
function newestFile(dir) {
  const files = ['raft', 'history'].flatMap(sub => fs.readdirSync(path.join(dir, sub)).map(name => path.join(dir, sub, name)))
    .filter(file => !/lock/.test(file) && fs.statSync(file).size > 0);
  return files.sort((a, b) => fs.statSync(b).mtimeMs - fs.statSync(a).mtimeMs)[0];
}

function flipBits(file, random) {
  const bytes = fs.readFileSync(file);
  let end = bytes.length; // what was written, not the zeros that wait behind it
  while (end > 1 && bytes[end - 1] === 0) end--;
  for (let i = 0; i < 3; i++) bytes[Math.floor(random() * end)] ^= 1 << Math.floor(random() * 8);
  fs.writeFileSync(file, bytes);
}

/* Off the list, an empty disk, and back under the same name: as the operations page says. */
async function rejoin(world, node) {
  await node.kill();
  await remove(world, node.name);
  fs.rmSync(node.dataDir, { recursive: true, force: true });
  node.join = others(world, [node]).map(one => `${one.name}=${one.address}`).join(', ');
  node.start();
  await admit(world, node);
}

/* Two of the faults, each on a node of its own, the second some time after the first. The first that failed tells. */
async function both(context, names) {
  const { world, nodes, random, hold, say, started } = context;
  let missing = names.length;
  const oneMore = () => --missing === 0 && started();
  say(names.join(' and '));
  const wait = random() * hold * 0.7;
  const ends = await Promise.allSettled(names.map(async (name, i) => {
    if (i > 0) await pause(wait);
    await faults[name].act({ ...context, nodes: faults[name].count === 1 ? [nodes[i % nodes.length]] : nodes, started: oneMore });
  }));
  for (const { reason } of ends) if (reason) throw reason;
}

/* What can go together with another fault on another node. */
const pairs = ['kill_one', 'stop_one', 'pause_one', 'isolate_one', 'one_way_in', 'one_way_out', 'loss', 'slow_link', 'clock_second',
  'clock_hour', 'disk_full', 'disk_frozen', 'disk_slow', 'power_one'];
const pairsOf = world => possible(world, pairs).able;
const oneOf = (list, random) => list[Math.floor(random() * list.length)];

export const faults = {
  kill_one: away(node => node.kill(), { count: 1 }),
  kill_leader: away(node => node.kill(), { count: 1, isLeaders: true }),
  kill_majority: away(node => node.kill(), { count: 'majority' }),
  kill_all: away(node => node.kill(), { count: 'all' }),
  stop_one: away(node => node.stop(), { count: 1 }),
  pause_one: standStill({ count: 1 }),
  pause_majority: standStill({ count: 'majority' }),
  rolling: { count: 1, isLong: true, async act({ world, started }) {
    started();
    for (const node of world.nodes) {
      node.trouble(1);
      await node.stop();
      await node.start().ready();
      node.trouble(-1);
    }
  } },
  isolate_one: cutLinks(({ world, nodes }) => isolate(world, nodes), { count: 1 }),
  split: cutLinks(({ world, nodes }) => isolate(world, nodes), { count: 'minority' }),
  one_way_in: cutLinks(({ world, nodes: [node] }) => node.cut('INPUT', others(world, [node])), { count: 1 }),
  one_way_out: cutLinks(({ world, nodes: [node] }) => node.cut('OUTPUT', others(world, [node])), { count: 1 }),
  // Two sides that only one node can reach both of. With three nodes: one link is cut.
  bridge: cutLinks(({ world, nodes: [middle] }) => {
    const rest = others(world, [middle]), half = Math.floor(rest.length / 2);
    for (const node of rest.slice(0, half)) {
      for (const chain of ['INPUT', 'OUTPUT']) node.cut(chain, rest.slice(half));
    }
  }, { count: 1 }),
  ring: cutLinks(({ world: { nodes } }) => {
    nodes.forEach((node, i) => {
      const far = nodes.filter((_, j) => ![0, 1, nodes.length - 1].includes((j - i + nodes.length) % nodes.length));
      node.cut('INPUT', far);
    });
  }, { count: 1, nodes: 5 }),
  alone: cutLinks(({ world }) => world.nodes.forEach(node => isolate(world, [node])), { count: 'all' }),
  loss: cutLinks(({ world }) => world.nodes.forEach(node => node.lose(0.3)), { count: 1, isWide: true }),
  slow_link: cutLinks(({ nodes: [node] }) => node.slowDown('256kbit'), { count: 1 }),
  clock_second: { count: 1, ...clock(1) },
  clock_hour: { count: 1, ...clock(3600) },
  clock_day: { count: 1, ...clock(86_400) },
  disk_full: { needs: 'disks', count: 1, async act({ nodes: [node], hold, started }) {
    node.disk.fillTo(0);
    started();
    await pause(hold);
    node.disk.free();
  } },
  disk_frozen: { needs: 'disks', count: 1, async act({ nodes: [node], hold, started }) {
    started(); // the freeze itself waits for what is being written
    node.freeze();
    await pause(hold);
    node.thaw();
  } },
  disk_slow: { needs: 'throttle', count: 1, async act({ world, nodes: [node], hold, started, say }) {
    node.slowDisk(world.flushesPerSecond / 100);
    started();
    await pause(hold);
    say(`of ${Math.round(world.flushesPerSecond)} flushes a second ${(node.writesPerSecond / 2).toFixed(0)} are left`);
    node.quickDisk();
  } },
  power_one: powerCut({ count: 1 }),
  power_all: powerCut({ count: 'all' }),
  bit_flip: { needs: 'disks', count: 1, isLong: true, async act({ world, nodes: [node], random, started, say }) {
    await node.kill();
    started();
    const file = newestFile(node.dataDir);
    flipBits(file, random);
    node.start();
    node.expectedEnd = true;
    const ended = await Promise.race([node.ended.then(({ code }) => code), node.ready(15_000).then(() => 'ready', () => 'not ready')]);
    say(`${path.basename(path.dirname(file))}/${path.basename(file)}: ${ended === 'ready' ? 'it runs' : `exit ${ended}`}`);
    if (ended !== 'ready') await rejoin(world, node);
    else node.expectedEnd = false;
  } },
  // None, one or two are left. It may end with 1 when it cannot open a file that it needs: it has no reserve then, who
  // took it is not a client.
  descriptors: { needs: 'root', count: 1, async act({ nodes: [node], random, hold, started, say }) {
    node.expectedEnd = true;
    node.limitDescriptors(node.descriptors + Math.floor(random() * 3));
    started();
    await Promise.race([pause(hold), node.ended]);
    if (!node.isUp) return say(`exit ${(await node.ended).code}`);
    node.limitDescriptors(20_000);
    node.expectedEnd = false;
  } },
  member: { count: 1, isLong: true, isHarmless: true, async act({ world, hold, started }) {
    const { spare } = world;
    fs.rmSync(spare.dataDir, { recursive: true, force: true });
    started();
    spare.join = world.members();
    world.nodes.push(spare.start());
    try {
      await admit(world, spare);
      await pause(hold);
    } finally {
      spare.expectedEnd = true;
      // It counts until it is off the list: it may lead.
      await remove(world, spare.name).catch(async error => {
        await spare.kill();
        throw error;
      }).finally(() => { world.nodes = world.nodes.filter(node => node !== spare); });
    }
    await spare.end(20_000);
  } },
  // Each of two nodes has a fault: of three nodes, no majority may be left.
  overlap: { count: 2, isWide: true, isLong: true, async act(context) {
    const { world, random } = context;
    const first = oneOf(pairsOf(world), random);
    await both(context, [first, oneOf(pairsOf(world).filter(name => name !== first), random)]);
  } },
  member_under: { count: 1, isWide: true, isLong: true, async act(context) {
    await both(context, ['member', oneOf(pairsOf(context.world), context.random)]);
  } },
};

const means = {
  root: { has: () => process.getuid() === 0, what: () => 'root' },
  links: { has: world => world.isApart, what: () => 'network namespaces' },
  disks: { has: world => world.isApart, what: () => 'disks of its own' },
  clock: { has: world => world.hasFakeTime, what: world => world.noClock },
  throttle: { has: world => world.canThrottle, what: () => 'disks of its own and the blkio controller of cgroups, version 1' },
};

/* Not among the usual ones: the disks lied, and what they had said was flushed was not, for a second. The history is
 * then one second short on every node, and nobody but the checker can know. */
faults.lying_disks = { needs: 'disks', count: 'all', async act({ world, started }) {
  for (const node of world.nodes) node.disk.remember();
  await pause(1000);
  started();
  await world.losePower(world.nodes, { lie: true });
  for (const node of world.nodes) node.start();
} };
export const usual = Object.keys(faults).filter(name => name !== 'lying_disks');

/* Those of the list that can be done here; and a sentence for each that cannot. */
export function possible(world, names) {
  const able = [], left = [];
  for (const name of names) {
    const { needs, nodes = 1 } = faults[name];
    if (nodes > world.size) left.push(`${name} needs ${nodes} nodes`);
    else if (needs && !means[needs].has(world)) left.push(`${name} needs ${means[needs].what(world)}`);
    else able.push(name);
  }
  return { able, left };
}

/* One fault from begin to end, and until all nodes are ready again. */
export async function strike(world, name, { random, history, say, holdMs: [holdMin, holdMax] }) {
  const fault = faults[name];
  const majority = Math.floor(world.size / 2) + 1;
  const count = { all: world.size, majority, minority: world.size - majority }[fault.count] ?? fault.count;
  const leader = await world.leaderNow();
  const hitsLeader = fault.isLeaders || random() < 0.6;
  const order = [...world.nodes].map(node => [node === leader ? (hitsLeader ? -1 : 2) : random(), node]).sort(([a], [b]) => a - b).map(([, node]) => node);
  const nodes = order.slice(0, count);
  const hold = holdMin + random() * (holdMax - holdMin);
  const isWide = fault.isWide || count >= majority;
  const touched = fault.isHarmless ? [] : isWide ? world.nodes : nodes;
  const record = { op: 'nemesis', f: name, n: nodes.map(node => node.number), leader: nodes.includes(leader), majority: count < majority };
  const words = [];
  for (const node of touched) node.trouble(1);
  try {
    await fault.act({ world, nodes, hold, random, say: text => words.push(text), started: () => history.add({ ...record, type: 'start' }) });
    history.add({ ...record, type: 'stop' });
    await world.heal();
  } finally {
    for (const node of touched) node.trouble(-1);
  }
  await until('a leader is there', () => world.leaderNow(), 10_000);
  say(`${name} ${nodes.map(node => node.name).join(' ')}${nodes.includes(leader) ? ' (leader)' : ''}${words.length ? `: ${words.join('; ')}` : ''}`);
}

/* A disk that stays frozen cannot be unmounted, and a throttle outlives its disk. */
export function release(world) {
  for (const node of [...world.nodes, world.spare]) {
    if (node.isFrozen) spawnSync('fsfreeze', ['--unfreeze', node.disk.path]);
    node.isFrozen = false;
    node.quickDisk();
  }
}
