// A thousand bad clients at once at one node of three (docs/security.md, S-17, S-18, S-20, S-21, S-22): they may
// cost it 256 MiB, and who writes there waits three times as long as without them, not longer. Then pages that never
// read while ten thousand messages pass, and what of their memory is left five seconds after the last is gone.
// LIVETEA_BAD_KINDS=floods (or endless, json, drops, deaf; several with commas): all of them of that kind.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Cluster, top } from '../lib/cluster.mjs';
import { postJson, request } from '../lib/http.mjs';
import { Page, topic, visit } from '../lib/phoenix.mjs';
import { RawSocket, TEXT, frame } from '../lib/raw_socket.mjs';
import { deadline, pause, slow, until } from '../lib/wait.mjs';

const bad = Number(process.env.LIVETEA_BAD_CLIENTS ?? 1000);
const messages = Number(process.env.LIVETEA_BAD_MESSAGES ?? (slow ? 100 : 400));
const kinds = process.env.LIVETEA_BAD_KINDS?.split(',') ?? ['endless', 'floods', 'json', 'drops', 'deaf'];
const isMixed = kinds.length === 5;
const MIB = 1 << 20;

let cluster, node;

before(async () => {
  cluster = await Cluster.start({ nodes: 3, options: ['--chat-rate', '0', '--http-max-per-address', '0'] });
  [node] = await cluster.followers();
}, { timeout: deadline(60_000) });

after(() => cluster?.down(), { timeout: deadline(60_000) });

const rss = () => Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${node.pid}/status`, 'utf8'))[1]) * 1024;
/* Without the pages of its files that the kernel keeps for it. */
const own = tea => Number(/^RssAnon:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${tea.pid}/status`, 'utf8'))[1]) * 1024;
const sockets = async (tea = node) => Number(/^livetea_websocket_connections (\d+)$/m.exec((await request(`${tea.url}/metrics`)).text)?.[1]);
const closed = async (tea = node) => Object.fromEntries([...(await request(`${tea.url}/metrics`)).text.matchAll(/^livetea_websocket_closed_total\{reason="(\w+)"\} (\d+)$/gm)].map(([, reason, n]) => [reason, Number(n)]));

/* Milliseconds from the submit to its reply, one message after the other. */
async function acknowledgements(view) {
  const times = [];
  for (let i = 0; i < messages; i++) {
    const start = performance.now();
    const after = await view.say(`message ${i}`);
    times.push(performance.now() - start);
    assert.equal(after.hint, '');
    await pause(10);
  }
  times.sort((a, b) => a - b);
  return { p50: times[Math.floor(times.length * 0.5)], p90: times[Math.floor(times.length * 0.9)], p99: times[Math.floor(times.length * 0.99)] };
}

const shown = times => Object.entries(times).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`).join(', ');

test(`${bad} bad clients cost less than 256 MiB and three times the time`, { timeout: deadline(240_000) }, async context => {
  const view = await visit(node.url, '/good', { name: 'Kari' });
  // What the deaf ones are shown and do not read, the same with and without them.
  let talking = true;
  const talk = (async () => {
    const text = 'tea '.repeat(1000);
    for (let i = 0; talking; i++) {
      await postJson(`${node.url}/api/rooms/busy/messages`, { sender: `talker ${i % 10}`, text, id: `busy ${i}` });
      await pause(100);
    }
  })();
  await acknowledgements(view); // warm
  const without = await acknowledgements(view);
  const before = rss();
  let most = before;

  const crowd = fork(path.join(top, 'tests/lib/bad_crowd.mjs'), [JSON.stringify({ base: node.url, port: node.httpPort, room: 'busy', count: bad, kinds })]);
  os.setPriority(crowd.pid, Math.min(19, os.getPriority() + 19)); // they are on machines of their own, as it were
  const said = [];
  crowd.on('message', message => said.push(message));
  const watch = setInterval(() => { most = Math.max(most, rss()); }, 50);
  try {
    await until('all are there', () => said.includes('here'), 30_000);
    const during = await acknowledgements(view);
    const connections = await sockets();
    const reasons = await closed();
    crowd.send('stop');
    await until('they have counted', () => said.some(one => typeof one === 'object'));
    const counts = said.find(one => typeof one === 'object');
    await until('all of them are gone', async () => await sockets() <= 1, 20_000);
    // Once more without them: what else the machine does is not theirs.
    const again = await acknowledgements(view);
    const left = rss();
    const figures = `without: ${shown(without)}; with: ${shown(during)}; without again: ${shown(again)}; ` +
      `memory ${Math.round(before / MIB)} MiB, at most ${Math.round(most / MIB)} MiB, in the end ${Math.round(left / MIB)} MiB; ${connections} sockets at the end; closed ${JSON.stringify(reasons)}; they: ${JSON.stringify(counts)}`;
    context.diagnostic(figures);
    for (const kind of kinds.filter(one => one !== 'drops')) assert.ok(counts[kind] > 0, kind);
    if (isMixed) assert.ok(reasons.protocol > bad / 10, 'the floods and the rest were closed');
    if (slow) return; // what a sanitizer costs says nothing of a release
    assert.ok(most - before < 256 * MIB, figures);
    const times = isMixed ? 3 : 2; // floods alone: S-18
    assert.ok(during.p99 < times * Math.max(without.p99, again.p99), figures);
  } finally {
    clearInterval(watch);
    talking = false;
    await talk;
    crowd.kill('SIGKILL');
    await view.close();
  }
  await node.post('good', 'all is well', { sender: 'after' });
});

test('S-22 pages that never read while ten thousand messages pass give their memory back', { timeout: deadline(240_000) }, async context => {
  const count = slow ? 20 : 200;
  const passing = slow ? 500 : 10_000;
  // Of its log it keeps little: that would be more than what they cost.
  const alone = await Cluster.start({ nodes: 1, options: ['--chat-rate', '0', '--http-max-per-address', '0', '--store-keep-log', '64'] });
  context.after(() => alone.down(tea));
  const [tea] = alone.nodes;
  const page = await Page.open(tea.url, '/deaf', { name: 'Deaf' });
  const where = `/live/websocket?vsn=2.0.0&_csrf_token=${encodeURIComponent(page.csrf)}`;
  const join = JSON.stringify(['4', '4', topic, 'phx_join', { url: `${tea.url}/deaf`, params: { _csrf_token: page.csrf }, session: page.session, static: null, sticky: false }]);
  for (let at = 0; at < passing; at += 500) await fill(tea, 'deaf', at, 500); // the same without them
  const closedBefore = (await closed(tea)).slow;
  const before = own(tea);
  let most = before;
  const watch = setInterval(() => { most = Math.max(most, own(tea)); }, 50);
  const deaf = await Promise.all(Array.from({ length: count }, async () => {
    const socket = await RawSocket.open(tea.httpPort, { path: where, origin: tea.url });
    await socket.write(frame(TEXT, join));
    await socket.until('answer to the join', () => socket.events.length > 0);
    socket.socket.pause();
    return socket;
  }));
  const start = performance.now();
  for (let at = 0; at < passing; at += 500) await fill(tea, 'deaf', passing + at, 500);
  const took = performance.now() - start;
  await until('all are closed for being slow', async () => (await closed(tea)).slow - closedBefore === count, 60_000);
  await until('and gone', async () => await sockets(tea) === 0);
  const gone = performance.now();
  clearInterval(watch);
  const marks = [];
  for (const second of [1, 2, 3, 4, 5]) {
    await pause(Math.max(0, gone + second * 1000 - performance.now()));
    marks.push(`${Math.round(own(tea) / MIB)}`);
  }
  const left = own(tea);
  const figures = `${passing} messages in ${Math.round(took)} ms past ${count} pages; memory ${Math.round(before / MIB)} MiB, at most ${Math.round(most / MIB)} MiB, ` +
    `1 to 5 s after: ${marks.join(', ')} MiB`;
  context.diagnostic(figures);
  await Promise.all(deaf.map(socket => socket.cut()));
  if (slow) return;
  assert.ok(left - before < 16 * MIB, figures);
});

/* Messages of two kilobytes, some at a time. */
async function fill(tea, room, from, count) {
  const text = 'tea '.repeat(500);
  await Promise.all(Array.from({ length: 20 }, async (_, lane) => {
    for (let i = lane; i < count; i += 20) {
      await tea.post(room, text, { sender: `talker ${lane}`, id: `${room} ${from + i}` });
    }
  }));
}
