// A thousand bad clients at once at one node of three (docs/security.md, S-17, S-18, S-20, S-21, S-22): they may
// cost it 256 MiB, and who writes there waits three times as long as without them, not longer.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Cluster, top } from '../lib/cluster.mjs';
import { postJson, request } from '../lib/http.mjs';
import { visit } from '../lib/phoenix.mjs';
import { deadline, pause, slow, until, within } from '../lib/wait.mjs';

const bad = Number(process.env.LIVETEA_BAD_CLIENTS ?? 1000);
const messages = Number(process.env.LIVETEA_BAD_MESSAGES ?? (slow ? 100 : 400));
const MIB = 1 << 20;

let cluster, node;

before(async () => {
  cluster = await Cluster.start({ nodes: 3, options: ['--chat-rate', '0', '--http-max-per-address', '0'] });
  [node] = await cluster.followers();
}, { timeout: deadline(60_000) });

after(() => cluster?.down(), { timeout: deadline(60_000) });

const rss = () => Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${node.pid}/status`, 'utf8'))[1]) * 1024;
const sockets = async () => Number(/^livetea_websocket_connections (\d+)$/m.exec((await request(`${node.url}/metrics`)).text)?.[1]);
const closed = async () => Object.fromEntries([...(await request(`${node.url}/metrics`)).text.matchAll(/^livetea_websocket_closed_total\{reason="(\w+)"\} (\d+)$/gm)].map(([, reason, n]) => [reason, Number(n)]));

/* Milliseconds from the submit to its reply, one message after the other. */
async function acknowledgements(view) {
  const times = [];
  for (let i = 0; i < messages; i++) {
    const start = performance.now();
    const after = await view.send(`message ${i}`);
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

  const crowd = fork(path.join(top, 'tests/lib/bad_crowd.mjs'), [JSON.stringify({ base: node.url, port: node.httpPort, room: 'busy', count: bad })]);
  os.setPriority(crowd.pid, 19); // they are on machines of their own, as it were
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
    const figures = `without: ${shown(without)}; with: ${shown(during)}; without again: ${shown(again)}; ` +
      `memory ${Math.round(before / MIB)} MiB, at most ${Math.round(most / MIB)} MiB; ${connections} sockets at the end; closed ${JSON.stringify(reasons)}; they: ${JSON.stringify(counts)}`;
    context.diagnostic(figures);
    for (const kind of ['endless', 'floods', 'json', 'deaf']) assert.ok(counts[kind] > 0, kind);
    assert.ok(reasons.protocol > bad / 10, 'the floods and the rest were closed');
    if (slow) return; // what a sanitizer costs says nothing of a release
    assert.ok(most - before < 256 * MIB, figures);
    assert.ok(during.p99 < 3 * Math.max(without.p99, again.p99), figures);
  } finally {
    clearInterval(watch);
    talking = false;
    await talk;
    crowd.kill('SIGKILL');
    await view.close();
  }
  await within('a message', postJson(`${node.url}/api/rooms/good/messages`, { sender: 'after', text: 'all is well', id: 'after' }).then(answer => assert.equal(answer.status, 201)));
});
