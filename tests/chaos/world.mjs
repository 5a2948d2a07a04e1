// The machines: each node in a network namespace and on a disk of its own, and the means to break them.
//
//   cluster bridge (no address, no way out)      client bridge, 10.77.0.1: the driver and its clients
//      |          |          |                      |          |          |
//   peers0     peers0     peers0                  pages0     pages0     pages0
//     tea-1      tea-2      tea-3                   tea-1      tea-2      tea-3
//
// So a link between nodes can be cut, thinned or slowed down while browsers still reach all of them. scripts/chaos
// starts all this in namespaces of its own (network, mounts, processes): when the driver ends, however it ends,
// the kernel takes down processes, links and mounts. Without them (`isApart` false) the nodes share the loopback
// and the directory, and what needs more is left out.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Cluster, Node, freePorts, program, top } from '../lib/cluster.mjs';
import { json } from '../lib/http.mjs';
import { SmallDisk } from '../lib/small_disk.mjs';
import { slow, until } from '../lib/wait.mjs';

const DISK_MIB = 1024;
const fakeTime = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib'].map(dir => `${dir}/faketime/libfaketime.so.1`).find(file => fs.existsSync(file));
const sanitizers = process.env.LIVETEA_SANITIZERS ?? '';
const throttles = throttlesOf();
const powerLoss = process.env.LIVETEA_POWER_LOSS ?? path.join(top, 'build/release/tests/chaos/power_loss');

const run = (file, ...args) => execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const finds = file => spawnSync(file, ['--version']).error === undefined;

/* Where the writes of a disk can be held back: for the nodes, who are where we are, and for the kernel's own. */
function throttlesOf() {
  const [, place] = /^\d+:(?:[^:]*,)?blkio(?:,[^:]*)?:(.*)$/m.exec(fs.readFileSync('/proc/self/cgroup', 'utf8')) ?? [];
  if (place === undefined) return [];
  const files = [...new Set(['/', place])].map(dir => path.join('/sys/fs/cgroup/blkio', dir, 'blkio.throttle.write_iops_device'));
  return files.every(file => fs.existsSync(file)) ? files : [];
}

/* How often a second something small is written and flushed there. */
function flushesPerSecond(dir) {
  const file = path.join(dir, 'probe'), fd = fs.openSync(file, 'w'), bytes = Buffer.alloc(4096);
  const begin = performance.now();
  let count = 0;
  for (; count < 200 && performance.now() - begin < 500; count++) {
    fs.writeSync(fd, bytes, 0, bytes.length, 0);
    fs.fdatasyncSync(fd);
  }
  const ms = performance.now() - begin;
  fs.closeSync(fd);
  fs.rmSync(file);
  return (count * 1000) / ms;
}

export class Machine extends Node {
  constructor(world, number, httpPort, clusterPort) {
    super(world, number, httpPort, clusterPort);
    this.troubles = 0; // faults that it is under
    this.troubledAt = -Infinity; // and when the last one began or ended
    if (world.isApart) {
      this.host = `10.77.0.${10 + number}`;
      this.clusterHost = `10.78.0.${10 + number}`;
      this.space = `tea-${number}`;
      this.#plug();
      this.disk = SmallDisk.make(path.join(this.dir, 'disk'), DISK_MIB);
      this.dataDir = path.join(this.disk.path, 'data');
    } else this.host = this.clusterHost = '127.0.0.1';
    this.url = `http://${this.host}:${httpPort}`;
    this.clockFile = path.join(this.dir, 'clock');
    if (world.hasFakeTime) {
      fs.mkdirSync(this.dir, { recursive: true });
      this.setClock(0);
      this.env = { LD_PRELOAD: fakeTime, FAKETIME_TIMESTAMP_FILE: this.clockFile, FAKETIME_CACHE_DURATION: '1', DONT_FAKE_MONOTONIC: '1', NO_FAKE_STAT: '1', FAKETIME_DISABLE_SHM: '1' };
    }
  }

  get address() { return `${this.clusterHost}:${this.clusterPort}`; }
  get isTroubled() { return this.troubles > 0; }

  trouble(by) {
    this.troubles += by;
    this.troubledAt = performance.now();
  }

  options(more = []) {
    const { cluster } = this;
    return ['--node-name', this.name, '--node-data-dir', this.dataDir, '--node-secret-file', cluster.secretFile,
      '--http-listen', `${this.host}:${this.httpPort}`, '--cluster-listen', this.address,
      ...(this.join ? ['--cluster-join', this.join] : ['--cluster-peers', cluster.peers]),
      '--cluster-election-timeout', cluster.electionTimeout, '--cluster-heartbeat', cluster.heartbeat,
      '--log-format', 'text', ...cluster.options, ...more];
  }

  command() {
    return this.space ? ['nsenter', `--net=/run/netns/${this.space}`, '--', program] : [program];
  }

  /* Two cables. */
  #plug() {
    run('ip', 'netns', 'add', this.space);
    for (const [bridge, cable, address] of [['pages', 'pages0', this.host], ['peers', 'peers0', this.clusterHost]]) {
      const end = `${bridge}-${this.number}`;
      run('ip', 'link', 'add', end, 'type', 'veth', 'peer', 'name', cable, 'netns', this.space);
      run('ip', 'link', 'set', end, 'master', bridge, 'up');
      run('ip', '-n', this.space, 'address', 'add', `${address}/24`, 'dev', cable);
      run('ip', '-n', this.space, 'link', 'set', cable, 'up');
    }
    run('ip', '-n', this.space, 'link', 'set', 'lo', 'up');
  }

  #inside(...command) { return run('nsenter', `--net=/run/netns/${this.space}`, '--', ...command); }
  #rule(...rule) { this.#inside('iptables', '-w', '-A', ...rule, '-j', 'DROP'); }

  /* Nothing comes in (INPUT) or goes out (OUTPUT) between this node and the others, or some of them. */
  cut(chain, others) {
    for (const { clusterHost } of others) this.#rule(chain, chain === 'INPUT' ? '-s' : '-d', clusterHost);
  }

  lose(share) { this.#rule('INPUT', '-i', 'peers0', '-m', 'statistic', '--mode', 'random', '--probability', String(share)); }
  slowDown(rate) { this.#inside('tc', 'qdisc', 'add', 'dev', 'peers0', 'root', 'tbf', 'rate', rate, 'burst', '16kb', 'latency', '400ms'); }
  heal() {
    this.#inside('iptables', '-w', '-F');
    spawnSync('nsenter', [`--net=/run/netns/${this.space}`, '--', 'tc', 'qdisc', 'del', 'dev', 'peers0', 'root']);
  }

  /* Seconds before or after the right time. */
  setClock(seconds) { fs.writeFileSync(this.clockFile, `${seconds < 0 ? '' : '+'}${seconds}`); }

  freeze() {
    this.isFrozen = true;
    run('fsfreeze', '--freeze', this.disk.path);
  }

  thaw() {
    if (this.isFrozen) run('fsfreeze', '--unfreeze', this.disk.path);
    this.isFrozen = false;
  }

  /* At most so many flushes a second, each of which is two writes: the data and the journal's. */
  slowDisk(flushes) {
    this.isSlow = true;
    this.writesPerSecond = Math.max(10, Math.round(2 * flushes));
    this.#throttle(this.writesPerSecond);
  }

  quickDisk() {
    if (this.isSlow) this.#throttle(0);
    this.isSlow = false;
  }

  #throttle(writes) {
    const { dev } = fs.statSync(this.disk.path);
    const device = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
    for (const file of throttles) fs.writeFileSync(file, `${device} ${writes}`);
  }

  get descriptors() { return fs.readdirSync(`/proc/${this.pid}/fd`).length; }
  limitDescriptors(limit) { run('prlimit', '--pid', String(this.pid), `--nofile=${limit}:`); }

  /* {rss, own} in KiB, null when it is down: all that is in memory, and what of it is no file's (the store is mapped). */
  get memory() {
    try {
      const status = fs.readFileSync(`/proc/${this.pid}/status`, 'utf8');
      return { rss: Number(/VmRSS:\s+(\d+)/.exec(status)[1]), own: Number(/RssAnon:\s+(\d+)/.exec(status)[1]) };
    } catch { return null; }
  }

  async kill() { if (this.isUp) await super.kill(); }
}

export class World extends Cluster {
  /* Why there can be no namespaces and disks here, or null. */
  static problem() {
    if (process.getuid() !== 0) return 'only root may make network namespaces and mount disks';
    if (process.env.LIVETEA_CHAOS_APART !== '1') return 'not started in namespaces of its own';
    for (const tool of ['ip', 'nsenter', 'iptables', 'fsfreeze', 'prlimit', 'mkfs.ext4', 'mount']) {
      if (!finds(tool)) return `${tool} is not installed`;
    }
    if (!fs.existsSync(powerLoss)) return `no program at ${powerLoss}`;
    const dir = fs.mkdtempSync(path.join(process.env.LIVETEA_TEST_DIR ?? os.tmpdir(), 'livetea-chaos-'));
    try {
      return SmallDisk.problem(dir);
    } finally {
      fs.rmSync(dir, { recursive: true, force: true });
    }
  }

  /* What there is beside links and disks. */
  static means(isApart) {
    const noClock = sanitizers ? 'a build without sanitizers, for they and libfaketime must each be loaded before the other' : 'libfaketime';
    return { isApart, hasFakeTime: isApart && !sanitizers && fakeTime !== undefined, noClock, canThrottle: isApart && throttles.length > 0 };
  }

  /* The bridges, once for the driver's namespace. `clients` addresses for people in different places. What libfaketime
   * leaves in shared memory when a node is killed, by the number of its process, goes with the mount. */
  static lay(clients) {
    run('mount', '-t', 'tmpfs', 'shm', '/dev/shm');
    run('mount', '-t', 'tmpfs', 'netns', fs.existsSync('/run/netns') ? '/run/netns' : '/run');
    fs.mkdirSync('/run/netns', { recursive: true });
    run('ip', 'link', 'set', 'lo', 'up');
    for (const bridge of ['pages', 'peers']) {
      run('ip', 'link', 'add', bridge, 'type', 'bridge');
      run('ip', 'link', 'set', bridge, 'up');
    }
    run('ip', 'address', 'add', '10.77.0.1/24', 'dev', 'pages');
    for (let i = 0; i < clients; i++) run('ip', 'address', 'add', `10.77.0.${100 + i}/24`, 'dev', 'pages');
  }

  static async build({ nodes, isApart, options = [] }) {
    const world = new World();
    Object.assign(world, { size: nodes, options, env: {}, deaths: [], ...World.means(isApart) });
    world.dir = fs.mkdtempSync(path.join(process.env.LIVETEA_TEST_DIR ?? os.tmpdir(), 'livetea-chaos-'));
    world.secretFile = path.join(world.dir, 'secret');
    fs.writeFileSync(world.secretFile, run(program, 'gen-secret'), { mode: 0o600 });
    world.electionTimeout = slow ? '1000ms' : '300ms';
    world.heartbeat = slow ? '100ms' : '30ms';
    world.nodes = [];
    for (let number = 1; number <= nodes + 1; number++) { // and one that can be added
      const [http, peer] = isApart ? [4000, 7000] : await freePorts(2);
      world.nodes.push(new Machine(world, number, http, peer));
    }
    world.spare = world.nodes.pop();
    if (world.canThrottle) world.flushesPerSecond = flushesPerSecond(world.spare.disk.path);
    world.peers = world.members();
    return world;
  }

  /* The node that leads in the newest term that anybody names, or null. */
  async leaderNow() {
    const said = await Promise.all(this.up.map(node => json(`${node.url}/status`, { ms: 1000 }).then(({ value }) => value.cluster, () => null)));
    const newest = said.filter(one => one?.leader).sort((a, b) => b.term - a.term)[0];
    return this.nodes.find(node => node.name === newest?.leader) ?? null;
  }

  /* Everything that was done to links, disks and clocks is undone, and all run. */
  async heal() {
    if (this.isApart) this.spare.heal();
    for (const node of this.nodes) {
      if (this.isApart) {
        node.heal();
        node.thaw();
        node.quickDisk();
        node.disk.free();
      }
      if (this.hasFakeTime) node.setClock(0);
      if (node.isUp && node.isPaused) node.resume();
      if (!node.isUp) node.start();
    }
    await this.ready(20_000);
  }

  /* The power of these goes at one moment, and comes back. */
  async losePower(nodes, { lie = false } = {}) {
    for (const node of nodes) node.expectedEnd = true; // its disk fails under it
    run(powerLoss, ...nodes.map(node => node.disk.path));
    await Promise.all(nodes.map(node => node.kill()));
    for (const node of nodes) node.disk.remount({ lie });
  }

  /* Every node's history is the same, or the time is over. */
  async settle(ms = 10_000) {
    await until('the nodes have the same', async () => {
      const said = new Set(await Promise.all(this.up.map(node => node.lastNumber())));
      return said.size === 1;
    }, ms);
  }

  async close({ keep = false } = {}) {
    for (const node of [...this.nodes, this.spare]) {
      if (this.isApart) node.thaw();
      node.quickDisk();
      await node.kill();
    }
    for (const node of new Set([...this.nodes, this.spare])) {
      if (!this.isApart) continue;
      if (!keep) node.disk.remove();
      else {
        fs.cpSync(node.dataDir, path.join(node.dir, 'data'), { recursive: true, force: true });
        node.disk.remove();
      }
      spawnSync('ip', ['netns', 'delete', node.space]);
    }
    if (!keep) fs.rmSync(this.dir, { recursive: true, force: true });
  }
}
