// Real nodes, real sockets, real disks: a cluster of livetea processes in a directory of its own.
//
//   const cluster = await Cluster.start({ nodes: 3, options: ['--chat-rate', '0'] });
//   await cluster.leader().kill(); ...
//   await cluster.down();
//
// Each node is a process of ours; only those are ever signalled. Whatever happens, none outlives the
// test: the ones that still run are killed when the test's process ends.
import { spawn, spawnSync } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { json, postJson, request } from './http.mjs';
import { deadline, pause, slow, until, within } from './wait.mjs';

export const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const program = process.env.LIVETEA_BIN ?? path.join(top, 'build/dev/src/app/livetea');

// A node takes every LIVETEA_ variable for a setting; those that steer the tests are not for it.
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LIVETEA_')));

const children = new Set();
const dirs = new Set(); // of clusters that nobody took down
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  if (process.env.LIVETEA_KEEP === '1') return;
  for (const dir of dirs) {
    try {
      fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 }); // who was killed may write for a moment
    } catch (error) {
      console.error(`${dir} stays: ${error.message}`);
    }
  }
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

const isFree = port => new Promise(resolve => {
  const probe = net.createServer();
  probe.once('error', () => resolve(false));
  probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
});

const given = new Set();

/* `count` free ports below those that the system hands out to outgoing connections: a port of a node
 * that is down must not be taken by somebody's connection before the node comes back. Nor by a test of
 * tests/sim, which runs at the same time: theirs are from 20,000 on. None is given out twice. */
export async function freePorts(count) {
  const ports = [];
  while (ports.length < count) {
    const port = 12_000 + Math.floor(Math.random() * 8_000);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

/* Runs the program once to its end. Resolves to {code, out, err}. */
export function run(args, { input = '', env = {}, ms = 30_000 } = {}) {
  let child;
  return within(`end of livetea ${args[0] ?? ''}`, new Promise((resolve, reject) => {
    child = spawn(program, args, { env: { ...environment, ...env }, stdio: 'pipe' });
    children.add(child);
    let out = '', err = '';
    child.stdout.on('data', text => { out += text; });
    child.stderr.on('data', text => { err += text; });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      children.delete(child);
      resolve({ code: code ?? signal, out, err });
    });
  }), ms).finally(() => children.has(child) && child.kill('SIGKILL')); // what did not end in time
}

export class Node {
  constructor(cluster, number, httpPort, clusterPort) {
    this.cluster = cluster;
    this.number = number;
    this.name = `tea-${number}`;
    this.httpPort = httpPort;
    this.clusterPort = clusterPort;
    this.url = `http://127.0.0.1:${httpPort}`;
    this.dir = path.join(cluster.dir, this.name);
    this.dataDir = path.join(this.dir, 'data');
    this.logFile = path.join(this.dir, 'log');
    this.program = undefined; // another release than the one that is tested
    this.env = {}; // beside the cluster's
    this.join = ''; // members that it asks to let it in; empty: it is a founder
    this.child = null;
    this.ended = null; // promise of {code, signal}
  }

  options(more = []) {
    const { cluster } = this;
    return ['--node-name', this.name, '--node-data-dir', this.dataDir,
      '--node-secret-file', cluster.secretFile,
      '--http-listen', `127.0.0.1:${this.httpPort}`,
      '--cluster-listen', `127.0.0.1:${this.clusterPort}`,
      ...(this.join ? ['--cluster-join', this.join] : cluster.size > 1 ? ['--cluster-peers', cluster.peers] : []),
      '--cluster-election-timeout', cluster.electionTimeout, '--cluster-heartbeat', cluster.heartbeat,
      '--log-format', 'text', ...cluster.options, ...more];
  }

  /* The program, and what stands before it where it is to run in a place of its own. */
  command() { return [this.program ?? program]; }

  start(more = []) {
    if (this.isUp) throw new Error(`${this.name} runs already`);
    fs.mkdirSync(this.dir, { recursive: true });
    const log = fs.openSync(this.logFile, 'a');
    const [file, ...first] = this.command();
    const child = spawn(file, [...first, 'serve', ...this.options(more)],
      { stdio: ['ignore', log, log], env: { ...environment, ...this.cluster.env, ...this.env } });
    fs.closeSync(log);
    children.add(child);
    this.child = child;
    this.isPaused = false;
    this.expectedEnd = false;
    this.ended = new Promise(resolve => {
      child.on('error', error => resolve({ code: null, signal: null, error }));
      child.on('exit', (code, signal) => {
        children.delete(child);
        if (this.child === child) this.child = null;
        if (!this.expectedEnd) this.cluster.deaths.push({ node: this.name, code, signal });
        resolve({ code, signal });
      });
    });
    return this;
  }

  get isUp() { return this.child !== null; }
  get pid() { return this.child?.pid; }

  #signal(name) {
    if (!this.child) throw new Error(`${this.name} does not run`);
    this.child.kill(name);
  }

  /* The node has no time to say goodbye. */
  async kill() {
    this.expectedEnd = true;
    const { ended } = this;
    this.#signal('SIGKILL');
    await ended;
  }

  /* SIGTERM; resolves to its exit code (or the signal's name). */
  async stop(ms = 20_000) {
    this.expectedEnd = true;
    const { ended } = this;
    this.#signal('SIGTERM');
    const { code, signal } = await within(`end of ${this.name}`, ended, ms);
    return code ?? signal;
  }

  /* Ends by itself, or is expected to: resolves to its exit code. */
  async end(ms = 20_000) {
    this.expectedEnd = true;
    const { code, signal, error } = await within(`end of ${this.name}`, this.ended, ms);
    if (error) throw error;
    return code ?? signal;
  }

  /* Comes to its end in good order if it can, so that a sanitizer looks for what nobody freed. */
  async leave() {
    const { ended, isPaused } = this;
    this.expectedEnd = true;
    if (!isPaused) this.#signal('SIGTERM');
    const timer = setTimeout(() => this.isUp && this.#signal('SIGKILL'), isPaused ? 0 : 15_000);
    await ended;
    clearTimeout(timer);
  }

  pause() { this.#signal('SIGSTOP'); this.isPaused = true; }
  resume() { this.#signal('SIGCONT'); this.isPaused = false; }

  get canAnswer() { return this.isUp && !this.isPaused; }

  async isReady() {
    return (await request(`${this.url}/readyz`, { ms: 2_000 })).status === 200;
  }

  async ready(ms = 20_000) {
    await until(`${this.name} is ready`, () => {
      if (!this.isUp) throw new Error(`it ended\n${this.logTail()}`);
      return this.isReady();
    }, ms).catch(error => {
      if (!this.isUp) throw new Error(`${this.name} ended instead of becoming ready\n${this.logTail()}`);
      throw error;
    });
    return this;
  }

  async status() { return (await json(`${this.url}/status`)).value; }

  /* One value of /metrics, as it stands there: name and labels. */
  async metric(name) {
    const { text } = await request(`${this.url}/metrics`);
    const line = text.split('\n').find(one => one.startsWith(`${name} `));
    return line && Number(line.slice(name.length));
  }

  get address() { return `127.0.0.1:${this.clusterPort}`; }

  /* A call of an administrator, with the cluster's token. Resolves to {status, value, bytes, ...};
   * value is null for what is no JSON. `where` is what stands behind /api/cluster/. */
  async admin(method, where, body, { ms = 60_000, token = this.cluster.token(), base = this.url } = {}) {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const answer = await request(`${base}/api/cluster/${where}`, { method, body: sent, ms, headers: {
      authorization: `Bearer ${token}`,
      ...(sent === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }) } });
    const isJson = answer.headers['content-type']?.startsWith('application/json');
    return { ...answer, value: isJson ? JSON.parse(answer.text) : null };
  }

  /* What this node says about one member, itself for instance; undefined when it knows none of that name. */
  async member(name) { return (await this.status()).members.find(member => member.name === name); }

  /* This node's own history, oldest first: the objects of /api/events. With `upTo` it waits for that
   * number; without, until the store, which follows what is applied, has all of it. */
  async events(options) {
    const all = [];
    for await (const some of this.#pages(options)) all.push(...some);
    return all;
  }

  /* The same one by one, for a history that is too long to be kept. */
  async *history(options) {
    for await (const some of this.#pages({ limit: 10_000, ...options })) yield* some;
  }

  async *#pages({ after = 0, upTo = null, base = this.url, limit = 1000 } = {}) {
    const wait = slow ? 2000 : 500; // longer than /status is old
    let end = performance.now() + deadline(20_000);
    for (;;) {
      if (upTo !== null && after >= upTo) return;
      const answer = await request(`${base}/api/events?after=${after}&limit=${limit}&wait=${wait}ms`, { ms: 30_000 });
      if (answer.status !== 200) throw new Error(`/api/events: ${answer.status} ${answer.text}`);
      const some = answer.text.split('\n').filter(Boolean).map(line => JSON.parse(line));
      if (some.length > 0) {
        yield some;
        after = some.at(-1).number;
        end = performance.now() + deadline(20_000);
        continue;
      }
      const last = upTo ?? (await json(`${base}/status`)).value.chat.events;
      if (after >= last) return;
      if (performance.now() > end) throw new Error(`${this.name} has no number ${last}, only ${after}`);
    }
  }

  /* Sends a message, and again under its id while the answer is that nobody knows or that another moment is better: until it
   * is accepted, or refused for good. Resolves to the answer, with its `value`. */
  async say(room, text, { id = randomUUID(), sender = 'tester', ms = 30_000 } = {}) {
    const end = performance.now() + deadline(ms);
    for (;;) {
      const answer = await postJson(`${this.url}/api/rooms/${encodeURIComponent(room)}/messages`, { sender, text, id });
      if (![503, 504].includes(answer.status) || performance.now() > end) return { ...answer, value: JSON.parse(answer.text) };
      await pause(100);
    }
  }

  /* The same for one that must be accepted. Resolves to {number, index, at}. */
  async post(room, text, options) {
    const { status, value, text: said } = await this.say(room, text, options);
    if (status !== 201) throw new Error(`${this.name} did not take a message: ${status} ${said}`);
    return value;
  }

  /* Sends a message that is only there to have the number that all others stand before. */
  async barrier() { return (await this.post('barrier', 'here', { sender: 'barrier' })).number; }

  /* The number of its last event. Status knows it too, but only once a second. */
  async lastNumber() {
    const { events } = (await this.status()).chat;
    return (await this.events({ after: events })).at(-1)?.number ?? events;
  }

  log() { return fs.existsSync(this.logFile) ? fs.readFileSync(this.logFile, 'utf8') : ''; }
  logTail(lines = 25) {
    return `${this.name}'s log ends:\n` + this.log().trimEnd().split('\n').slice(-lines).map(line => `    ${line}`).join('\n');
  }
}

export class Cluster {
  /* Starts the nodes and waits until all are ready (unless wait is false). */
  static async start(options = {}) {
    const cluster = await Cluster.prepare(options);
    for (const node of cluster.nodes) node.start();
    if (options.wait ?? true) await cluster.ready();
    return cluster;
  }

  /* Directory, secret and ports are there, no node runs yet. */
  static async prepare({ nodes = 3, options = [], env = {} } = {}) {
    if (!fs.existsSync(program)) throw new Error(`no program at ${program}: build it, or set LIVETEA_BIN`);
    const cluster = new Cluster();
    cluster.size = nodes;
    cluster.options = options;
    cluster.env = env;
    cluster.deaths = []; // of nodes that nobody stopped
    cluster.dir = fs.mkdtempSync(path.join(process.env.LIVETEA_TEST_DIR ?? os.tmpdir(), 'livetea-'));
    dirs.add(cluster.dir);
    cluster.secretFile = path.join(cluster.dir, 'secret');
    const made = spawnSync(program, ['gen-secret']);
    if (made.status !== 0) throw new Error(`gen-secret failed: ${made.stderr}`);
    fs.writeFileSync(cluster.secretFile, made.stdout, { mode: 0o600 });
    cluster.electionTimeout = slow ? '1000ms' : '300ms';
    cluster.heartbeat = slow ? '100ms' : '30ms';
    const ports = await freePorts(2 * nodes);
    cluster.nodes = Array.from({ length: nodes }, (_, i) => new Node(cluster, i + 1, ports[2 * i], ports[2 * i + 1]));
    cluster.peers = cluster.members();
    return cluster;
  }

  /* "tea-1=127.0.0.1:12345, ..." of all nodes, as a setting takes them. */
  members() { return this.nodes.map(node => `${node.name}=${node.address}`).join(', '); }

  /* Starts one node more, with an empty directory: it asks the others to let it in. It is no member
   * before `members add`. A name may be used again: `number` of a node that was removed and has ended. */
  async startNode({ number = Math.max(...this.nodes.map(node => node.number)) + 1, options = [] } = {}) {
    const before = this.nodes.findIndex(node => node.number === number);
    if (this.nodes[before]?.isUp) throw new Error(`tea-${number} runs already`);
    const [httpPort, clusterPort] = before < 0 ? await freePorts(2) : [this.nodes[before].httpPort, this.nodes[before].clusterPort];
    const node = new Node(this, number, httpPort, clusterPort);
    node.join = this.nodes.filter(one => one.number !== number).slice(0, 7).map(one => `${one.name}=${one.address}`).join(', ');
    if (before < 0) this.nodes.push(node);
    else {
      fs.rmSync(node.dataDir, { recursive: true, force: true });
      this.nodes[before] = node;
    }
    return node.start(options);
  }

  /* What an administrator shows, as all nodes and the program itself make it from the secret. */
  token() {
    const [newest] = fs.readFileSync(this.secretFile, 'utf8').split('\n').map(line => line.trim()).filter(Boolean);
    return createHmac('sha256', newest).update('admin').digest('base64url');
  }

  /* At some node that is up. */
  admin(method, where, body, options) { return this.up[0].admin(method, where, body, options); }

  get up() { return this.nodes.filter(node => node.canAnswer); }

  async ready(ms = 30_000) {
    await Promise.all(this.nodes.filter(node => node.isUp).map(node => node.ready(ms)));
    return this;
  }

  /* The leader that a majority of those who answer agree on. */
  async leader(ms = 15_000) {
    return until('the nodes agree on a leader', async () => {
      const said = await Promise.all(this.up.map(async node => ({ node, leader: (await node.status()).cluster.leader })));
      // One that waits to be let in knows of none.
      const names = new Set(said.filter(({ node, leader }) => leader || !node.join).map(({ leader }) => leader));
      if (names.size !== 1) return null;
      const leader = this.nodes.find(node => node.name === [...names][0]);
      return leader?.canAnswer ? leader : null;
    }, ms);
  }

  /* All agree on who leads, and in which term. Resolves to {leader, term}. */
  async standing(ms = 15_000) {
    return until('the nodes agree on a leader and its term', async () => {
      const leader = await this.leader(ms);
      const said = await Promise.all(this.up.filter(node => !node.join || node === leader).map(async node => (await node.status()).cluster));
      const { term } = said[0];
      return said.every(one => one.term === term && one.leader === leader.name) ? { leader, term } : null;
    }, ms);
  }

  /* Some node tells that one was elected that passes `test`, whoever leads by now. Resolves to {node, term}. */
  async elected(what, test, ms = 15_000) {
    return until(`${what} was elected`, async () => {
      const all = await Promise.all(this.up.map(async node => (await node.status()).events));
      return all.flat().find(one => one.event === 'elected' && test(one));
    }, ms);
  }

  async followers() {
    const leader = await this.leader();
    return this.up.filter(node => node !== leader);
  }

  /* All nodes that run have the same events, and none comes any more. Returns their number. */
  async level(ms = 15_000) {
    const { last } = await until('all nodes have applied the same events', async () => {
      const said = new Set(await Promise.all(this.up.map(node => node.lastNumber())));
      return said.size === 1 ? { last: [...said][0] } : null;
    }, ms);
    return last;
  }

  urls() { return this.up.map(node => node.url).join(','); }

  /* livetea COMMAND, told where the nodes and their secret are. */
  cli(args, { env = {}, ...options } = {}) {
    return run(args, { env: { LIVETEA_NODE: this.urls(), LIVETEA_NODE_SECRET_FILE: this.secretFile, NO_COLOR: '1', ...env }, ...options });
  }

  /* Stops everything and forgets it. Says so when a node died that nobody killed. LIVETEA_LEAKS=1: nodes are not
   * killed but end in good order, with the sanitizer's look for leaks; that takes its time. */
  async down({ keep = process.env.LIVETEA_KEEP === '1' } = {}) {
    await Promise.all(this.nodes.filter(node => node.isUp).map(node => (process.env.LIVETEA_LEAKS === '1' ? node.leave() : node.kill())));
    const { deaths } = this;
    const tails = deaths.map(({ node, code, signal }) =>
      `${node} ended by itself (${code ?? signal}). ${this.nodes.find(one => one.name === node).logTail(60)}`);
    const reports = this.nodes.map(node => node.log()).join('\n').match(/ERROR: (Address|Thread|Leak|Undefined)\w*Sanitizer.*|runtime error: .*/g);
    dirs.delete(this.dir);
    if (!keep) fs.rmSync(this.dir, { recursive: true, force: true });
    else console.error(`data and logs are kept in ${this.dir}`);
    if (tails.length) throw new Error(tails.join('\n'));
    if (reports) throw new Error(`a sanitizer complained: ${reports.join('; ')}`);
  }
}

/* Compares whole histories: dense numbers, and the same events with the same digests everywhere.
 * Returns a list of sentences, empty when all is well. */
export function differences(histories) {
  const wrong = [];
  const names = Object.keys(histories);
  const longest = names.reduce((a, b) => (histories[a].length >= histories[b].length ? a : b));
  for (const name of names) {
    const events = histories[name];
    events.forEach((event, at) => {
      if (event.number !== at + 1) wrong.push(`${name}: number ${event.number} at place ${at + 1}`);
    });
    if (events.length !== histories[longest].length) {
      wrong.push(`${name} has ${events.length} events, ${longest} has ${histories[longest].length}`);
    }
    const same = ['id', 'room', 'seq', 'sender_id', 'sender', 'text', 'at', 'digest'];
    for (let at = 0; at < events.length; at++) {
      const other = histories[longest][at];
      const field = same.find(key => events[at][key] !== other[key]);
      if (field) {
        wrong.push(`${name} and ${longest} differ first at number ${at + 1}, in ${field}`);
        break;
      }
    }
  }
  return wrong;
}
