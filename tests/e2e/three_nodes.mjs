// A page outlives its node: three people, three nodes, and the node that serves one of them dies, with
// words in the box. Lines 53 to 56 of the checklist in docs/protocol.md, and the demonstration that
// the whole program is for.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Browser } from '../lib/browser.mjs';
import { Cluster, differences } from '../lib/cluster.mjs';
import { json } from '../lib/http.mjs';
import { Front } from '../lib/front.mjs';
import { deadline, until } from '../lib/wait.mjs';

const limit = { timeout: deadline(90_000) };
const hosts = ['tea-1.test', 'tea-2.test', 'tea-3.test'];

let browser;
before(async () => { browser = await Browser.start({ hosts }); }, limit);
after(() => browser?.stop(), limit);

/* All that a page must be told about the nodes is known: it can go to each of them. */
const acquainted = cluster => until('the nodes know each other\'s addresses', async () => {
  const said = await Promise.all(cluster.up.map(node => node.status()));
  return said.every(status => status.members.length === cluster.nodes.length && status.members.every(member => member.http));
});

async function start({ nodes = 3, names = false, options = [] } = {}) {
  const cluster = await Cluster.prepare({ nodes, options: ['--chat-rate', '0', ...options] });
  for (const node of cluster.nodes) {
    node.publicUrl = names ? `http://${hosts[node.number - 1]}:${node.httpPort}` : node.url;
    node.begin = () => node.start(['--http-public-url', node.publicUrl]);
    node.begin();
  }
  await cluster.ready();
  await acquainted(cluster);
  return cluster;
}

const visit = (node, room, name) => browser.visit(node.publicUrl, `/${room}`, { name });
const history = async (node, room, upTo) => (await node.events({ upTo })).filter(event => event.room === room);
const lastOn = async tab => Number((await tab.messages()).at(-1).id.slice(2));
const nodeOf = (cluster, host) => cluster.nodes.find(node => new URL(node.publicUrl).host === host);

async function leave(...tabs) {
  for (const tab of tabs) await tab.context.close();
}

/* At once, unless the node has not all of it yet: then it says so, and the rest follows. */
async function showsAgain(tab, messages) {
  let shown;
  await until('the page shows the same', async () => isDeepStrictEqual(shown = await tab.messages(), messages))
    .catch(() => assert.deepEqual(shown, messages));
}

/* Ends with the same history everywhere, whatever the test was. */
async function close(cluster) {
  try {
    const last = await cluster.level();
    const histories = {};
    for (const node of cluster.up) histories[node.name] = await node.events({ upTo: last });
    assert.deepEqual(differences(histories), []);
  } finally {
    await cluster.down();
  }
}

function demonstration(title, options) {
  describe(title, () => {
    let cluster;
    const room = 'tea-house';
    const people = ['Kari', 'Maja', 'Ola'];
    let tabs;

    before(async () => {
      cluster = await start(options);
      tabs = [];
      for (const [i, name] of people.entries()) tabs.push(await visit(cluster.nodes[i], room, name));
    }, limit);
    after(async () => {
      await leave(...tabs);
      await close(cluster);
    }, limit);

    const everybodySees = async text => { for (const tab of tabs) await tab.sees(text); };
    const sameForAll = async () => {
      const [first, ...others] = await Promise.all(tabs.map(tab => tab.messages()));
      for (const other of others) assert.deepEqual(other, first);
      return first.map(message => message.text);
    };

    test('P2: each page is served by its own node, and what one writes all read, in one order', limit, async () => {
      for (const [i, tab] of tabs.entries()) {
        assert.equal(await tab.server(), new URL(cluster.nodes[i].publicUrl).host);
        assert.match(await tab.page.locator('.side .foot').innerText(), new RegExp(`tea-${i + 1} serves you`));
      }
      for (const [i, tab] of tabs.entries()) await tab.say(`hello from ${people[i]}`);
      await everybodySees('hello from Ola');
      // All at once: whatever the order is, it is one.
      await Promise.all(tabs.map((tab, i) => tab.say(`at once, ${people[i]}`)));
      for (const name of people) await everybodySees(`at once, ${name}`);
      const texts = await sameForAll();
      assert.deepEqual(texts.slice(0, 3), people.map(name => `hello from ${name}`));
      assert.equal(texts.length, 6);
    });

    test('a draft stays in its box while the others write', limit, async () => {
      const [kari, maja, ola] = tabs;
      await maja.type('a draft of Maja');
      await kari.say('Kari goes on');
      await ola.say('so does Ola');
      await everybodySees('so does Ola');
      assert.equal(await maja.text, 'a draft of Maja');
      await maja.page.keyboard.press('Enter');
      await maja.isEmpty();
      await everybodySees('a draft of Maja');
    });

    for (const [focus, inBox] of [['in the box', true], ['elsewhere', false]]) {
      test(`P8 P9: the node that serves a page is killed, with words in its box and the focus ${focus}`, limit, async context => {
        const [kari, maja, ola] = tabs;
        const serverOf = async tab => nodeOf(cluster, await until('the page has a node', () => tab.server()));
        const node = await serverOf(maja);
        const before_ = await maja.messages();
        for (const tab of tabs) tab.expectsLoss();
        await maja.mark();
        await maja.type('not sent yet');
        if (!inBox) await maja.leaveBox();

        const role = await cluster.leader() === node ? 'the leader' : 'a follower';
        const at = Date.now();
        await node.kill();
        const back = await maja.backSince(at);
        await until('the box is as it was', async () => await maja.text === 'not sent yet' && !await maja.box.evaluate(box => box.readOnly));
        context.diagnostic(`${node.name}, ${role}, killed: the page was live on another node after ${back - at} ms`);

        const now = await serverOf(maja);
        assert.notEqual(now, node);
        await maja.assertSamePage();
        await showsAgain(maja, before_);
        assert.equal(await maja.hasFocus(), inBox);
        assert.match(await maja.page.locator('.side .foot').innerText(), new RegExp(`${now.name} serves you`));
        await until('the page has said who serves it', async () => // for some seconds
          (await maja.strips()).some(({ kind, text }) => /\bok\b/.test(kind) && text.endsWith(`${now.name} serves you now.`)));

        // Writing goes on, and Maja is still Maja, though no cookie is known to the new node.
        await maja.type(`, or now it is (${focus})`);
        await maja.page.keyboard.press('Enter');
        const text = `not sent yet, or now it is (${focus})`;
        await maja.isEmpty();
        await maja.sees(text);
        for (const tab of [kari, ola]) await tab.sees(text);
        const said = (await history(now, room, await lastOn(maja))).filter(event => event.sender === 'Maja');
        assert.equal(said.at(-1).text, text);
        assert.equal(new Set(said.map(event => event.sender_id)).size, 1);
        if (options.names) {
          assert.deepEqual((await maja.context.cookies(now.publicUrl)).map(cookie => cookie.name), [],
                           'no cookie goes to the other host');
        }

        node.begin();
        await cluster.ready();
        const fresh = await visit(node, room);
        await showsAgain(fresh, await maja.messages());
        await kari.say(`${node.name} is back (${focus})`);
        await everybodySees(`${node.name} is back (${focus})`);
        await fresh.sees(`${node.name} is back (${focus})`);
        await leave(fresh);
        await acquainted(cluster);
      });
    }

    test('P2: in the end all pages and all nodes show the same', limit, async () => {
      const texts = await sameForAll();
      assert.equal(new Set(texts).size, texts.length);
      for (const node of cluster.nodes) {
        const fresh = await visit(node, room);
        await fresh.sees(texts.at(-1)); // its node may be a little behind
        assert.deepEqual(await fresh.texts(), texts);
        await leave(fresh);
      }
    });
  });
}

demonstration('three nodes at three ports of one host', { names: false });
demonstration('three nodes at three host names', { names: true });

describe('one node, which is killed and comes back', () => {
  let cluster;
  before(async () => { cluster = await start({ nodes: 1 }); }, limit);
  after(() => cluster && close(cluster), limit);

  const lostAndBack = (room, doBefore) => async context => {
    const [node] = cluster.nodes;
    const a = (await visit(node, room, 'Kari')).expectsLoss();
    for (const text of ['one', 'two', 'three']) await a.say(text);
    await doBefore(a);
    const before_ = await a.messages();
    await a.mark();
    const killed = Date.now();
    await node.kill();
    await a.page.locator('.strip.lost').waitFor();
    assert.match(await a.page.locator('.strip.lost').innerText(), /Connection lost\. Reconnecting, and what you typed is kept\./);
    const lost = (await a.states()).find(state => state.at >= killed && /client-error/.test(state.state));
    const started = Date.now();
    node.begin();
    const back = await a.backSince(started);
    context.diagnostic(`seen as lost after ${lost.at - killed} ms, live again ${back - started} ms after the start`);
    await a.page.locator('.strip.lost').waitFor({ state: 'hidden' });
    await a.assertSamePage();
    await showsAgain(a, before_);
    await node.ready();
    return a;
  };

  test('§11.53 the page says so, comes back by itself and shows the same', limit, async context => {
    const a = await lostAndBack('one-node', async () => {})(context);
    await a.say('four');
    assert.deepEqual(await a.texts(), ['one', 'two', 'three', 'four']);
    await leave(a);
  });

  test('§11.54 a draft without the focus is there again', limit, async context => {
    const a = await lostAndBack('with-a-draft', async tab => {
      await tab.type('half a sentence');
      await tab.leaveBox();
    })(context);
    await until('the draft is there', async () => await a.text === 'half a sentence');
    await a.type(', and the rest');
    await a.page.keyboard.press('Enter');
    await a.isEmpty();
    await a.sees('half a sentence, and the rest');
    await leave(a);
  });
});

describe('a message is on its way when its node is killed', () => {
  let cluster;
  before(async () => { cluster = await start(); }, limit);
  after(() => cluster && close(cluster), limit);

  for (const [who, pick] of [['the leader', async () => cluster.leader()], ['a follower', async () => (await cluster.followers())[0]]]) {
    test(`§11.55 P3 P6: ${who} serves the page: the text is in the box, or the message is there once`, limit, async context => {
      const room = `on-its-way-${who.split(' ')[1]}`;
      const node = await pick();
      const others = cluster.nodes.filter(other => other !== node);
      const a = (await visit(node, room, 'Kari')).expectsLoss();
      await a.say('before');
      await a.mark();
      // Nothing can be committed from here on.
      for (const other of others) other.pause();
      const sent = a.events('send_message').length;
      await a.type('on its way');
      await a.page.keyboard.press('Enter');
      await until('the message is sent to the node', () => a.events('send_message').length === sent + 1);
      assert.equal(await a.text, 'on its way'); // nobody has said that it was taken
      const at = Date.now();
      await node.kill();
      for (const other of others) other.resume();
      await a.backSince(at);

      const look = async () => {
        const count = (await a.texts()).filter(text => text === 'on its way').length;
        const text = await a.text;
        const isFree = !await a.box.evaluate(box => box.readOnly);
        return isFree && ((count === 1 && text === '') || (count === 0 && text === 'on its way')) ? { count } : null;
      };
      await until('the text is in the box, or the message is there', look);
      // Whoever holds something of it is heard: then it is settled.
      node.begin();
      await cluster.ready();
      await cluster.level();
      const { count } = await until('the text is in the box, or the message is there', look);
      context.diagnostic(count === 1 ? 'it was sent' : 'it was not sent: the text is back in the box');
      await a.assertSamePage();
      if (count === 0) {
        await a.box.click();
        await a.page.keyboard.press('Enter');
        await a.isEmpty();
        await a.sees('on its way');
      }
      await a.say('after');
      assert.deepEqual(await a.texts(), ['before', 'on its way', 'after']);
      const last = await cluster.level();
      for (const one of cluster.nodes) {
        assert.deepEqual((await history(one, room, last)).map(event => event.text), ['before', 'on its way', 'after']);
      }
      await leave(a);
      await acquainted(cluster);
    });
  }
});

describe('a node that is stopped', () => {
  test('§11.56 its page moves to another node, without a load and with its draft', limit, async context => {
    const cluster = await start();
    try {
      const node = await cluster.leader();
      const a = (await visit(node, 'moving', 'Kari')).expectsLoss();
      await a.say('before');
      await a.mark();
      await a.type('a draft');
      await a.leaveBox();
      const at = Date.now();
      const stopped = node.stop();
      const back = await a.backSince(at);
      assert.equal(await stopped, 0);
      assert.notEqual(await a.server(), new URL(node.publicUrl).host);
      const closed = (await a.sockets()).filter(socket => new URL(socket.url).host === new URL(node.publicUrl).host && socket.opened);
      assert.deepEqual(closed.map(socket => socket.code), [1012]);
      context.diagnostic(`live on another node ${back - at} ms after SIGTERM`);
      await until('the draft is there', async () => await a.text === 'a draft');
      await a.assertSamePage();
      await a.type(', sent');
      await a.page.keyboard.press('Enter');
      await a.isEmpty();
      await a.sees('a draft, sent');
      node.begin();
      await cluster.ready();
      await leave(a);
    } finally {
      await close(cluster);
    }
  });

  test('§11.56 behind a proxy the same, and the page knows of no nodes', limit, async context => {
    const front = await Front.start();
    let cluster;
    try {
      cluster = await Cluster.prepare({ nodes: 3, options: ['--chat-rate', '0', '--http-behind-proxy', 'true', '--http-public-url', front.url] });
      for (const node of cluster.nodes) {
        node.publicUrl = front.url;
        node.start();
      }
      await cluster.ready();
      front.ports = cluster.nodes.map(node => node.httpPort);
      const a = (await visit(cluster.nodes[0], 'moving', 'Kari')).expectsLoss();
      assert.equal(await a.page.locator('meta[name=nodes]').getAttribute('content'), '');
      await a.say('before');
      await a.mark();
      await a.type('a draft');
      await a.leaveBox();
      const served = (await a.page.locator('.side .foot b').innerText()).trim();
      const node = cluster.nodes.find(one => one.name === served);
      const at = Date.now();
      const stopped = node.stop();
      const back = await a.backSince(at);
      assert.equal(await stopped, 0);
      context.diagnostic(`live on another node ${back - at} ms after SIGTERM`);
      await until('another node serves the page', async () => (await a.page.locator('.side .foot b').innerText()).trim() !== served);
      await until('the draft is there', async () => await a.text === 'a draft');
      await a.assertSamePage();
      await a.type(', sent');
      await a.page.keyboard.press('Enter');
      await a.isEmpty();
      await a.sees('a draft, sent');
      await until('the others see that it is away',
                  async () => (await json(`${front.url}/status`)).value.cluster.voters_up === 2);
      await leave(a);
    } finally {
      await front.stop();
      if (cluster) await close(cluster);
    }
  });
});
