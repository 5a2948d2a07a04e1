// A history for ever: raft's log is cut, and yet no event is lost and no command is done twice.
//
// A node is away while so many events are written that the others cut their logs; it fetches what it
// lacks, is killed while it does, and ends with the same history. A command that is sent again after all
// that is answered with its first number, by every node. LIVETEA_LONG=1: the sizes of the goals, in about
// half an hour; LIVETEA_EVENTS, LIVETEA_KILLS, LIVETEA_HISTORY choose one.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../lib/cluster.mjs';
import { fill } from '../lib/fill.mjs';
import { Flood } from '../lib/flood.mjs';
import { change } from '../lib/members.mjs';
import { deadline, pause, until } from '../lib/wait.mjs';

const isLong = process.env.LIVETEA_LONG === '1';
const count = (name, usual, long) => Number(process.env[`LIVETEA_${name}`] ?? (isLong ? long : usual));
const history = count('HISTORY', 150_000, 1_000_000); // before the first start; more than RAM keeps ids of
const events = count('EVENTS', 20_000, 1_000_000);
const kills = count('KILLS', 3, 20);
const options = ['--chat-rate', '0', '--store-keep-log', '64', '--http-max-per-address', '0'];
const limit = { timeout: deadline(isLong ? 3_600_000 : 180_000) + kills * deadline(20_000) };

const lastOf = async (node, number) => (await node.events({ after: number - 1, upTo: number })).at(-1);

/* All nodes stand at the same number with the same digest, which stands for all before it. */
async function assertSame(cluster) {
  const number = await cluster.level(deadline(60_000));
  const digests = new Set();
  for (const node of cluster.up) digests.add((await lastOf(node, number)).digest);
  assert.equal(digests.size, 1, 'two nodes have different histories');
  return number;
}

describe('history', () => {
  let cluster, flood;
  before(async () => {
    cluster = await Cluster.prepare({ nodes: 3, options });
    await fill(cluster, history, { ids: 'random' });
    for (const node of cluster.nodes) node.start();
    await cluster.ready(60_000);
    flood = new Flood({ urls: () => cluster.up.map(node => node.url), width: isLong ? 512 : 64 });
  }, limit);
  after(async () => {
    flood?.close();
    await cluster?.down();
  }, limit);

  const early = []; // commands, each with the number it was first answered with
  /* Until there is an answer that holds: again under its id while there is none. */
  const send = (node, command) => until(`${node.name} answers ${command.id}`, async () => {
    const answer = await flood.post(node.url, command);
    return [0, 503, 504].includes(answer.status) ? null : answer;
  }, 30_000, 100);

  test('commands are sent, to be sent again much later', limit, async () => {
    for (const [i, node] of cluster.nodes.entries()) {
      for (const id of [`early ${i}`, `0193a1b2-0000-7000-8000-00000000000${i}`]) {
        const command = { room: 'early', sender: `Early ${i}`, text: `sent to ${node.name} as ${id}`, id };
        const { status, value } = await send(node, command);
        assert.equal(status, 201);
        early.push({ command, number: value.number });
      }
    }
    assert.equal(early[0].number, history + 1, 'the history goes on');
  });

  /* Writes `count` events without this node, until the others' logs begin behind its end. */
  async function writeWithout(node, count) {
    const { raft: { last_index: lastIndex } } = await node.status();
    await node.kill();
    const start = performance.now();
    await flood.send(count);
    const seconds = (performance.now() - start) / 1000;
    await until('the others have cut their logs', async () => {
      const said = await Promise.all(cluster.up.map(one => one.status()));
      if (said.every(({ raft }) => raft.log_first_index > lastIndex + 1)) return true;
      await flood.send(500);
      return false;
    }, 120_000);
    return count / seconds;
  }

  test(`P1 P2: a node that was away for ${events} events, and whose log was cut, comes back`, limit, async context => {
    const leader = await cluster.leader();
    const away = cluster.nodes.find(node => node !== leader);
    const before_ = (await away.status()).chat.events;
    const rate = await writeWithout(away, events);
    const start = performance.now();
    await away.start().ready(deadline(isLong ? 300_000 : 60_000));
    const seconds = (performance.now() - start) / 1000;
    const number = await assertSame(cluster);
    assert.ok(number - before_ >= events);
    const fetched = await away.metric('livetea_backfill_events_total{direction="in"}');
    assert.ok(fetched > 0, 'what it lacked did not come from other nodes');
    context.diagnostic(`written at ${rate.toFixed(0)}/s; ${number - before_} events behind, ${fetched} of them fetched, ready after ${seconds.toFixed(2)} s: ${((number - before_) / seconds).toFixed(0)} events/s from exec`);
  });

  test(`P1 P2: killed -9 at ${kills} moments of catching up, it ends with the same history`, limit, async context => {
    const leader = await cluster.leader();
    const away = cluster.nodes.find(node => node !== leader);
    let halfway = 0;
    for (let round = 1; round <= kills; round++) {
      await writeWithout(away, Math.ceil(events / kills));
      const from = (await leader.status()).chat.events;
      away.start();
      // Anywhere between its first word and its last event.
      await until('it fetches, or has fetched', async () => (await away.status()).cluster !== undefined, 20_000, 5).catch(() => {});
      await pause(Math.random() * 200);
      const status = await away.status().catch(() => null);
      if (status?.backfill && status.backfill.number < from) halfway++;
      await away.kill();
      await away.start().ready(deadline(120_000));
      await assertSame(cluster);
    }
    context.diagnostic(`${kills} kills, ${halfway} of them seen between its first and its last missing event`);
  });

  async function knowsThemAll(what) {
    for (const node of cluster.up) {
      for (const { command, number } of early) {
        const again = await send(node, command);
        assert.equal(again.status, 201, `${what}: ${node.name} does not know ${command.id}: ${JSON.stringify(again.value)}`);
        assert.equal(again.value.number, number, `${what}: ${node.name} gave ${command.id} a second number`);
        const other = await send(node, { ...command, text: 'another text' });
        assert.equal(other.status, 409, JSON.stringify(other.value));
        assert.equal(other.value.error, 'id_used');
      }
    }
  }

  test('P3 P11: a command sent again after all that has its first number, at every node', limit, async context => {
    const before_ = await cluster.level();
    await knowsThemAll('now');
    // Of the history from before the first start, far outside of what RAM remembers. Its senders are hashes
    // of sessions, which the API cannot speak for: the id is used, whoever asks.
    const [old] = await cluster.nodes[0].events({ after: 4, upTo: 5 });
    for (const node of cluster.up) assert.equal((await send(node, { room: old.room, sender: old.sender, text: old.text, id: old.id })).status, 409);
    for (const node of cluster.nodes) {
      assert.equal(await node.stop(), 0, node.logTail());
      await node.start().ready(deadline(60_000));
    }
    await knowsThemAll('after a restart of all');
    await Promise.all(cluster.nodes.map(node => node.kill()));
    for (const node of cluster.nodes) node.start();
    await cluster.ready(deadline(60_000));
    await knowsThemAll('after a kill of all');
    assert.equal(await assertSame(cluster), before_, 'no second message');
    context.diagnostic(`${early.length} commands, sent ${3 * early.length * cluster.nodes.length} times more after ${before_ - early[0].number} others: none twice`);
  });

  test('P1 P3: nothing that was accepted is lost, nothing is there twice', limit, async context => {
    const { lost, twice, last } = await flood.audit(cluster.nodes[2], { after: history, upTo: await cluster.level() });
    context.diagnostic(`${flood.accepted} accepted, ${flood.again} answers that said wait, ${lost} lost, ${twice} twice; ${last.number} events, digest ${last.digest}`);
    assert.equal(lost, 0);
    assert.equal(twice, 0);
    assert.deepEqual(flood.problems.slice(0, 5), []);
    const { raft } = await (await cluster.leader()).status();
    assert.ok(raft.snapshot_index > 0 && raft.log_first_index > 1, JSON.stringify(raft));
  });

  /* Its history is gone, as when its disk was changed, and raft's log still says how long it was. */
  async function forgets(node) {
    await node.ready(deadline(isLong ? 300_000 : 60_000));
    await node.kill();
    fs.rmSync(path.join(node.dataDir, 'history'), { recursive: true });
    node.start();
  }

  test(`a new node with an empty disk, killed -9 at ${kills} moments of its first ${history} events`, limit, async context => {
    const node = await cluster.startNode();
    const added = await change(cluster, 'POST', 'members', { name: node.name, address: node.address });
    assert.equal(added.status, 200, added.text);
    const start = performance.now();
    let halfway = 0;
    // Who is slower than the node finds that it has all of it, and takes it away again.
    for (let round = 0; round === 0 || (halfway === 0 && kills > 0 && round < 5); round++) {
      if (round > 0) await forgets(node);
      for (let kill = 1; kill <= kills; kill++) {
        // A little further each time, so that there is something to interrupt each time.
        const goal = Math.min(0.9, kill / (kills + 1)) * history;
        await until('it is on its way', async () => {
          const { backfill, chat } = await node.status();
          return chat.events >= goal * (0.8 + 0.2 * Math.random()) || (backfill === null && chat.events > history);
        }, isLong ? 300_000 : 60_000, 10);
        if ((await node.status().catch(() => null))?.backfill) halfway++;
        await node.kill();
        node.start();
      }
    }
    await node.ready(deadline(isLong ? 300_000 : 60_000));
    const seconds = (performance.now() - start) / 1000;
    const number = await assertSame(cluster);
    context.diagnostic(`${number} events in ${seconds.toFixed(2)} s with ${kills} kills, ${halfway} of them halfway`);
    assert.ok(halfway > 0 || kills === 0, 'no kill came while it fetched');
  });
});
