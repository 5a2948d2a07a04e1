// A node whose disk is full takes no more, says so, leads no more, and does not end; the others go on. With
// room again it comes back by itself. Its data are on a small ext4 of their own, mounted by the test: that
// needs root and loop devices, else the test is left out and says why.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster, differences } from '../lib/cluster.mjs';
import { Crowd } from '../lib/crowd.mjs';
import { transferTo } from '../lib/members.mjs';
import { request } from '../lib/http.mjs';
import { SmallDisk } from '../lib/small_disk.mjs';
import { deadline, slow, until } from '../lib/wait.mjs';

const tryDir = fs.mkdtempSync(path.join(process.env.LIVETEA_TEST_DIR ?? os.tmpdir(), 'livetea-disk-'));
const problem = SmallDisk.problem(tryDir);
fs.rmSync(tryDir, { recursive: true });
const limit = { timeout: deadline(150_000) };
const skip = problem === null ? false : `no small disk can be made here: ${problem}`;
const rate = slow ? 60 : 200;
const people = slow ? 30 : 100;

describe('a full disk', { skip }, () => {
  let cluster, disk, node;
  before(async () => {
    cluster = await Cluster.prepare({ nodes: 3, options: ['--store-keep-log', '64'] });
    [node] = cluster.nodes;
    disk = SmallDisk.make(path.join(node.dir, 'disk'), 400);
    node.dataDir = path.join(disk.path, 'data');
    for (const one of cluster.nodes) one.start();
    await cluster.ready();
  }, limit);
  after(async () => {
    await Promise.all((cluster?.up ?? []).map(one => one.kill()));
    disk?.remove();
    await cluster?.down();
  }, limit);

  /* People write while `act` happens; everything that was accepted must be everywhere afterwards. */
  async function underLoad(context, act) {
    const first = await cluster.level();
    const crowd = new Crowd({ urls: cluster.nodes.map(one => one.url), people, rate });
    const said = [];
    try {
      await crowd.arrive(60_000);
      crowd.start();
      await crowd.more(people, 30_000);
      await act(crowd, text => said.push(text));
      await node.ready(60_000);
      await crowd.more(people, 30_000);
    } finally {
      disk.free();
      await crowd.settle(60_000);
    }
    await cluster.ready(60_000);
    await cluster.level(60_000);
    const histories = {};
    for (const one of cluster.nodes) histories[one.name] = await one.events();
    assert.deepEqual(differences(histories), []);
    const audits = Object.values(histories).map(events => crowd.audit(events.slice(first)));
    const lost = Math.max(...audits.map(audit => audit.lost)), twice = Math.max(...audits.map(audit => audit.twice));
    context.diagnostic(`${said.join('; ')}; ${crowd.acked.size} acknowledged, ${crowd.refusals} answers that said wait, ${lost} lost, ${twice} twice`);
    for (const { wrong } of audits) assert.deepEqual(wrong.slice(0, 5), []);
    assert.equal(crowd.open.size, 0);
    assert.deepEqual(cluster.deaths, [], 'nobody ended');
  }

  const since = at => `${Math.round(performance.now() - at)} ms`;

  async function fillUp(crowd, say) {
    const at = performance.now();
    disk.fillTo(0);
    await until('it says that its disk is full', async () => (await node.status()).node.disk_full === true, 20_000);
    say(`said after ${since(at)}`);
    await until('it is not ready', async () => (await request(`${node.url}/readyz`)).status === 503);
    assert.equal((await request(`${node.url}/livez`)).status, 200);
    await until('another leads', async () => (await cluster.nodes[1].status()).cluster.leader !== node.name &&
      (await cluster.leader()) !== node, 20_000);
    say(`another leads after ${since(at)}`);
    await crowd.more(2 * people, 60_000);
    await until('a person is told', async () => (await cluster.nodes[1].status()).events.some(event => event.event === 'disk_full') ||
      (await node.status()).events.some(event => event.event === 'disk_full'));
    assert.ok(node.isUp, node.logTail());
    const freed = performance.now();
    disk.free();
    await node.ready(60_000);
    say(`ready ${since(freed)} after there was room`);
    await until('it says so', async () => (await node.status()).node.disk_full === false);
  }

  test('a leader with little room hands over', limit, context => underLoad(context, async (crowd, say) => {
    await transferTo(cluster, node);
    const at = performance.now();
    disk.fillTo(150);
    await until('another leads', async () => (await cluster.leader()) !== node, 30_000);
    say(`another leads after ${since(at)}`);
    await until('it still follows', () => node.isReady());
    disk.free();
  }));

  test('P12: a follower\'s is full: it takes no more, and comes back by itself', limit, context => underLoad(context, async (crowd, say) => {
    if (await cluster.leader() === node) await transferTo(cluster, cluster.nodes[1]);
    await fillUp(crowd, say);
  }));

  test('P1 P12: killed with a full disk, it starts again when there is room', limit, context => underLoad(context, async (crowd, say) => {
    if (await cluster.leader() === node) await transferTo(cluster, cluster.nodes[1]);
    for (const knows of [false, true]) {
      disk.fillTo(0);
      if (knows) await until('it says that its disk is full', async () => (await node.status()).node.disk_full === true, 20_000);
      await crowd.more(people, 60_000);
      await node.kill();
      disk.free();
      node.start();
      const at = performance.now();
      await node.ready(60_000);
      say(`ready ${since(at)} after it was started`);
    }
  }));

  test('P1 P12: a leader\'s is full at once: another leads, and nothing is lost', limit, context => underLoad(context, async (crowd, say) => {
    await transferTo(cluster, node);
    await fillUp(crowd, say);
  }));
});
