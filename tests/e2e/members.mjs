// Members come and go while people write: a lost disk, a lost machine, a leader that is taken out, three
// nodes that become five and three again, seven. What was acknowledged stays, on every member.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { Cluster, differences } from '../lib/cluster.mjs';
import { Crowd } from '../lib/crowd.mjs';
import { admit, change, passes, promote, remove, say, transferTo, voters, votersAre } from '../lib/members.mjs';
import { deadline, slow, until } from '../lib/wait.mjs';

const limit = { timeout: deadline(150_000) };
const options = ['--chat-rate', '0', '--store-keep-log', '64'];
const rate = Number(process.env.LIVETEA_RATE ?? (slow ? 60 : 200));
const people = Number(process.env.LIVETEA_PEOPLE ?? (slow ? 30 : 100));

async function assertSame(cluster) {
  await cluster.level(deadline(30_000));
  const histories = {};
  for (const node of cluster.up) histories[node.name] = await node.events();
  assert.deepEqual(differences(histories), []);
  return Object.values(histories)[0];
}

/* A node that nobody wants any more: it ends by itself, with 0, and does not start again. */
async function isGone(node) {
  node.expectedEnd = true;
  assert.equal(await node.end(deadline(30_000)), 0, node.logTail());
  node.start();
  assert.equal(await node.end(), 3, node.logTail());
  assert.match(node.log(), /removed/);
  assert.match(node.log(), /members add/);
}

describe('a cluster of three', () => {
  let cluster;
  before(async () => {
    cluster = await Cluster.start({ nodes: 3, options });
    for (let i = 0; i < 300; i++) await say(cluster.nodes[i % 3], 'before', `message ${i}`);
  }, limit);
  after(() => cluster?.down(), limit);
  afterEach(async () => { await assertSame(cluster); }, limit);

  test('a node that lost its disk says how to come back, and comes back under a new name', limit, async () => {
    const three = cluster.nodes[2];
    await three.kill();
    fs.rmSync(three.dataDir, { recursive: true });
    three.start();
    assert.equal(await three.end(), 3, three.logTail());
    assert.match(three.log(), /livetea members remove tea-3/);
    assert.match(three.log(), /cluster\.join/);
    assert.match(three.log(), /livetea members add tea-3=\S+ --promote/);
    const four = await cluster.startNode();
    await admit(cluster, four);
    await remove(cluster, three.name);
    await votersAre(cluster, 'tea-1 tea-2 tea-4');
    assert.equal((await say(four, 'after', 'from the new one')).status, 201);
  });

  test('and under its old name, once that is off the list', limit, async () => {
    const four = cluster.nodes.find(node => node.number === 4);
    await four.kill();
    // While the leader has not missed it, it counts as the member that is asked for: done.
    const refused = await until('the leader misses it', async () => {
      const answer = await change(cluster, 'POST', 'members', { name: four.name, address: four.address });
      return answer.status === 200 ? null : answer;
    });
    assert.equal(refused.status, 409, refused.text);
    assert.equal(refused.value.error, 'name_used');
    await remove(cluster, four.name);
    const again = await cluster.startNode({ number: 4 });
    await admit(cluster, again);
    await votersAre(cluster, 'tea-1 tea-2 tea-4');
    await cluster.level();
    assert.equal((await again.events()).length, (await cluster.nodes[0].events()).length, 'with the whole history');
    for (let i = 0; i < 300; i += 30) {
      const retry = await say(again, 'before', `message ${i}`);
      assert.equal(retry.status, 201);
      assert.equal(retry.value.number, i + 1, 'it knows what was done before it was there');
    }
  });

  test('the leader is removed, is told, ends with 0, and never starts again', limit, async () => {
    const five = await cluster.startNode();
    await admit(cluster, five);
    const leader = await cluster.leader();
    leader.expectedEnd = true; // at once, or before we look
    await remove(cluster, leader.name);
    await isGone(leader);
    assert.notEqual((await cluster.leader()).name, leader.name);
    for (const node of cluster.up) assert.equal((await say(node, 'after', `without the leader, at ${node.name}`)).status, 201);
    cluster.nodes = cluster.nodes.filter(node => node !== leader);
  });

  test('a removed node that was down hears of it when it comes back', limit, async () => {
    const six = await cluster.startNode();
    await admit(cluster, six);
    const leader = await cluster.leader();
    const away = cluster.up.find(node => node !== leader && node !== six);
    await away.kill();
    await remove(cluster, away.name);
    away.start();
    await isGone(away);
    cluster.nodes = cluster.nodes.filter(node => node !== away);
    await votersAre(cluster, cluster.up.map(node => node.name).sort().join(' '));
  });

  test('what cannot be added is refused, with a word and a sentence, and nothing changes', limit, async () => {
    const before_ = await voters(cluster.up[0]);
    const [one, two] = cluster.up;
    const newcomer = await cluster.startNode();
    try {
      const cases = [
        [{ name: two.name, address: newcomer.address }, 409, 'name_used'],
        [{ name: 'tea-99', address: two.address }, 409, 'address_used'],
        [{ name: 'tea-99', address: (await cluster.leader()).address }, 409, 'address_used'],
        [{ name: 'tea 99', address: '127.0.0.1:7000' }, 400],
        [{ name: 'tea-99', address: 'nowhere' }, 400],
        [{ name: 'tea-99' }, 400],
        [{ address: '127.0.0.1:7000' }, 400],
        [{ name: 7, address: [] }, 400],
        [{ name: 'x'.repeat(33), address: '127.0.0.1:7000' }, 400],
        [{ name: 'tea-99', address: '127.0.0.1:0' }, 400]];
      const ask = (method, where, body) => until('an answer that holds', async () => {
        const answer = await one.admin(method, where, body);
        return passes(answer) ? null : answer;
      }, 30_000, 100);
      for (const [body, status, word] of cases) {
        const answer = await ask('POST', 'members', body);
        assert.equal(answer.status, status, `${JSON.stringify(body)}: ${answer.text}`);
        if (word) assert.equal(answer.value.error, word, answer.text);
        assert.match(answer.value.message, /\S.*\.$/);
      }
      const nobody = await ask('DELETE', 'members/nobody');
      assert.equal(nobody.status, 409, nobody.text);
      assert.equal(nobody.value.error, 'unknown_member');
      assert.equal((await one.admin('POST', 'members', { name: 'tea-99', address: '127.0.0.1:7000' }, { token: 'wrong' })).status, 401);
      await votersAre(cluster, before_);
    } finally {
      await newcomer.kill();
      cluster.nodes = cluster.nodes.filter(node => node !== newcomer);
    }
  });

  test('the last ones that hold the history cannot be removed', limit, async () => {
    const leader = await cluster.leader();
    const [dead, alive] = cluster.up.filter(node => node !== leader);
    await dead.kill();
    await until('it is seen', async () => (await leader.member(dead.name)).state === 'away');
    const refused = await until('it is refused', async () => {
      const answer = await (await cluster.leader()).admin('DELETE', `members/${alive.name}`);
      return answer.status === 200 || answer.value?.error === 'not_healthy' ? answer : null;
    }, 30_000, 100);
    assert.equal(refused.status, 409, refused.text);
    assert.match(refused.value.message, /\S.*\.$/);
    await dead.start().ready();
  });
});

describe('under load', () => {
  test(`three become five and three again while ${rate} messages a second are written`, { timeout: deadline(240_000) }, async context => {
    const cluster = await Cluster.start({ nodes: 3, options });
    const urls = cluster.nodes.map(node => node.url);
    const crowd = new Crowd({ urls, people, rate });
    let longest = 0, lastAt = performance.now();
    try {
      await crowd.arrive(60_000);
      crowd.start();
      await crowd.more(people, 30_000);
      lastAt = performance.now();
      crowd.onAck = ({ ackedAt }) => {
        longest = Math.max(longest, ackedAt - lastAt);
        lastAt = ackedAt;
      };
      for (let i = 0; i < 2; i++) {
        const node = await cluster.startNode();
        await admit(cluster, node);
        urls.push(node.url); // the senders share the list
        await crowd.more(people, 30_000);
      }
      await votersAre(cluster, 'tea-1 tea-2 tea-3 tea-4 tea-5');
      const gone = [await cluster.leader()];
      gone.push(cluster.up.find(node => node !== gone[0]));
      for (const node of gone) {
        node.expectedEnd = true;
        await remove(cluster, node.name);
        assert.equal(await node.end(deadline(30_000)), 0, node.logTail());
        await crowd.more(people, 30_000);
      }
      await votersAre(cluster, cluster.up.map(node => node.name).sort().join(' '));
      crowd.onAck = () => {};
      await crowd.settle(30_000);
      const events = await assertSame(cluster);
      const { lost, twice, wrong } = crowd.audit(events);
      context.diagnostic(`${crowd.acked.size} acknowledged, longest silence ${Math.round(longest)} ms, ${crowd.refusals} answers that said wait, ${lost} lost, ${twice} twice`);
      assert.deepEqual(wrong.slice(0, 5), []);
      assert.deepEqual(crowd.problems.slice(0, 5), []);
      assert.equal(crowd.open.size, 0);
    } finally {
      await crowd.settle(30_000);
      await cluster.down();
    }
  });

  test('seven nodes form, and three of them may die', limit, async () => {
    const cluster = await Cluster.start({ nodes: 7, options });
    try {
      await votersAre(cluster, cluster.nodes.map(node => node.name).join(' '));
      for (const node of cluster.nodes) assert.equal((await say(node, 'seven', `from ${node.name}`)).status, 201);
      await assertSame(cluster);
      const leader = await cluster.leader();
      const dead = [leader, ...cluster.nodes.filter(node => node !== leader).slice(0, 2)];
      await Promise.all(dead.map(node => node.kill()));
      await until('the four go on', async () => (await say(cluster.up[0], 'seven', 'without three')).status === 201, 30_000);
      for (const node of dead) node.start();
      await cluster.ready(60_000);
      await assertSame(cluster);
    } finally {
      await cluster.down();
    }
  });
});

describe('a stand-by', () => {
  test('has the history and serves pages, and has no vote', limit, async () => {
    const cluster = await Cluster.start({ nodes: 3, options });
    try {
      for (let i = 0; i < 50; i++) await say(cluster.nodes[0], 'before', `message ${i}`);
      const node = await cluster.startNode();
      const added = await change(cluster, 'POST', 'members', { name: node.name, address: node.address });
      assert.equal(added.status, 200, added.text);
      await node.ready(60_000);
      await votersAre(cluster, 'tea-1 tea-2 tea-3');
      assert.equal((await say(node, 'after', 'at the stand-by')).status, 201);
      const refused = await change(cluster, 'POST', 'transfer', { to: node.name });
      assert.equal(refused.status, 409, refused.text);
      assert.equal(refused.value.error, 'not_voter');
      await promote(cluster, node);
      await votersAre(cluster, 'tea-1 tea-2 tea-3 tea-4');
      await transferTo(cluster, node);
      await assertSame(cluster);
    } finally {
      await cluster.down();
    }
  });
});

describe('a node that was let in', () => {
  test('does not begin a second time with an empty log: it has forgotten its votes', limit, async () => {
    const cluster = await Cluster.start({ nodes: 1, options });
    try {
      const second = await cluster.startNode();
      await admit(cluster, second);
      await second.kill();
      for (const name of ['raft', 'history']) fs.rmSync(`${second.dataDir}/${name}`, { recursive: true });
      second.start();
      assert.equal(await second.end(), 3, second.logTail());
      assert.match(second.log(), /must not vote/);
      assert.match(second.log(), /livetea members remove tea-2/);
    } finally {
      await cluster.down();
    }
  });
});

describe('a lone node that others have joined', () => {
  test('begins another cluster when its directory is lost: it is no member of the old one', limit, async () => {
    const clusterOf = node => /^cluster ([0-9a-f]{32})$/m.exec(fs.readFileSync(`${node.dataDir}/VERSION`, 'utf8'))[1];
    const cluster = await Cluster.start({ nodes: 1, options });
    try {
      const first = cluster.nodes[0];
      const second = await cluster.startNode();
      await admit(cluster, second);
      const before = clusterOf(second);
      assert.equal(clusterOf(first), before);
      await first.kill();
      fs.rmSync(first.dataDir, { recursive: true });
      first.start();
      await first.ready();
      assert.notEqual(clusterOf(first), before);
      await until('each is a stranger to the other', () => /it is of another cluster/.test(first.log()));
      await until('the old member is away', async () => (await second.status()).members.find(member => member.name === first.name).state === 'away');
    } finally {
      await cluster.down();
    }
  });
});
