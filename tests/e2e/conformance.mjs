// The wire protocol, line by line: the checklist of docs/protocol.md, as far as a raw WebSocket client
// can check it. Each test has the number of its line. What needs the stock client in a browser is
// tested elsewhere. One file, though longer than 500 lines: it is one list, and is read beside it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import { Cluster, top } from '../lib/cluster.mjs';
import { attribute, element, escape, inside, tags, textOf } from '../lib/html.mjs';
import { request } from '../lib/http.mjs';
import { Page, Refused, Socket, View, nobodyLeads, topic, visit } from '../lib/phoenix.mjs';
import { deadline, slow, until, within } from '../lib/wait.mjs';

const version = name => JSON.parse(fs.readFileSync(path.join(top, 'node_modules', name, 'package.json'))).version;

let cluster, one, two, three;
const views = []; // all that were joined, for the check of their trees at the end

before(async () => {
  cluster = await Cluster.start({ nodes: 3, options: ['--chat-rate', '0'] });
  [one, two, three] = cluster.nodes;
}, { timeout: deadline(60_000) });

after(() => cluster?.down(), { timeout: deadline(30_000) });

let rooms = 0;
const freshRoom = () => `room-${++rooms}`;

async function enter(where, { node = one, name = 'Kari', ...rest } = {}) {
  const view = await visit(node.url, where, { name, ...rest });
  views.push(view);
  return view;
}

async function joinAt(page, options) {
  const view = await View.join(page, options);
  views.push(view);
  return view;
}

/* Changes one character of a base64url text to another one of that alphabet. */
const changed = (text, at) => {
  const other = text[at] === 'A' ? 'B' : 'A';
  return text.slice(0, at) + other + text.slice(at + 1);
};

const history = async (room, node = one) => (await node.events({ upTo: await node.barrier() })).filter(event => event.room === room);

/* Fills a room through the API, `parallel` at a time. */
async function fill(room, count, { node = one, text = i => `filling ${i}`, parallel = 16, from = 0 } = {}) {
  let next = from;
  await Promise.all(Array.from({ length: parallel }, async () => {
    while (next < count) {
      const i = next++;
      await node.post(room, text(i));
    }
  }));
}

/* Submits these very fields; again, under their id, while nobody leads. */
const submitted = (view, fields) => until('somebody leads, and takes the message', async () => {
  const reply = await view.submit('send_message', fields);
  return nobodyLeads(view.composer.hint) ? null : reply;
}, 30_000, 200);

const refusal = async promise => {
  try {
    const socket = await promise;
    socket.cut();
  } catch (error) {
    if (error instanceof Refused) return error.status;
    throw error;
  }
  return 101;
};

describe('the page and the upgrade', () => {
  test('§11.1 a room page has one live root, a title and three scripts', async () => {
    const page = await Page.open(one.url, '/lobby');
    assert.equal(page.status, 200);
    assert.equal((page.html.match(/data-phx-session=/g) ?? []).length, 1);
    assert.equal(attribute(page.root, 'id'), 'lt');
    assert.notEqual(attribute(page.root, 'data-phx-main'), undefined);
    assert.equal(attribute(page.root, 'data-phx-static'), '');
    assert.equal(tags(page.html, 'title').length, 1);
    const scripts = tags(page.html, 'script').map(tag => attribute(tag, 'src'));
    assert.equal(scripts.length, 3);
    assert.match(scripts[0], /^\/assets\/phoenix\.min\.js\?v=\w/);
    assert.match(scripts[1], /^\/assets\/phoenix_live_view\.min\.js\?v=\w/);
    assert.match(scripts[2], /^\/assets\/app\.js\?v=\w/);
    assert.ok(page.csrf);
  });

  test('§11.2 the two client scripts are the bytes of the npm packages', async () => {
    const page = await Page.open(one.url, '/lobby');
    const scripts = tags(page.html, 'script').map(tag => attribute(tag, 'src'));
    for (const name of ['phoenix', 'phoenix_live_view']) {
      const answer = await request(one.url + scripts.find(src => src.startsWith(`/assets/${name}.min.js`)));
      assert.equal(answer.status, 200);
      assert.match(answer.headers['content-type'], /javascript/);
      assert.ok(answer.bytes.equals(fs.readFileSync(path.join(top, `node_modules/${name}/priv/static/${name}.min.js`))));
    }
  });

  test('§11.3 the upgrade with token and version is taken', async () => {
    const page = await Page.open(one.url, '/lobby');
    assert.equal(await refusal(Socket.open(one.url, { csrf: page.csrf })), 101);
  });

  test('§11.4 so is one with a long query', async () => {
    const page = await Page.open(one.url, '/lobby');
    const query = `_track_static%5B0%5D=${encodeURIComponent(`${one.url}/assets/phoenix.min.js`)}&_track_static%5B1%5D=${'x'.repeat(900)}` +
      `&_mounts=0&_mount_attempts=0&_live_referer=undefined&_csrf_token=${encodeURIComponent(page.csrf)}&vsn=2.0.0`;
    assert.equal(await refusal(Socket.open(one.url, { query })), 101);
  });

  test('§11.5 another protocol version is refused before the upgrade', async () => {
    const page = await Page.open(one.url, '/lobby');
    for (const vsn of ['1.0.0', '2.0.1', '', null]) {
      const status = await refusal(Socket.open(one.url, { csrf: page.csrf, vsn }));
      assert.ok(status >= 400 && status < 500, `vsn ${vsn}: ${status}`);
    }
  });

  test('§11.6 a foreign Origin is refused (S-1)', async () => {
    const page = await Page.open(one.url, '/lobby');
    const port = one.httpPort;
    for (const origin of ['http://evil.example', 'null', null, '', `https://127.0.0.1:${port}`, 'http://127.0.0.1',
      `http://127.0.0.1:${port}1`, `http://127.0.0.1:${port}.evil.example`, `http://x127.0.0.1:${port}`, `http://127.0.0.1:1`]) {
      assert.equal(await refusal(Socket.open(one.url, { csrf: page.csrf, origin })), 403, `Origin ${origin}`);
    }
    for (const node of cluster.nodes) {
      assert.equal(await refusal(Socket.open(one.url, { csrf: page.csrf, origin: node.url })), 101, node.name);
    }
  });

  test('§11.65 an upgrade without a good csrf token is refused (S-2)', async () => {
    const page = await Page.open(one.url, '/lobby');
    assert.equal(await refusal(Socket.open(one.url, {})), 403);
    assert.equal(await refusal(Socket.open(one.url, { csrf: '' })), 403);
    for (let at = 0; at < page.csrf.length; at += 3) {
      assert.equal(await refusal(Socket.open(one.url, { csrf: changed(page.csrf, at) })), 403, `character ${at}`);
    }
    assert.equal(await refusal(Socket.open(one.url, { csrf: page.session })), 403, 'a token of another kind');
  });

  test('§11.7 a heartbeat is answered before any join', async () => {
    const page = await Page.open(one.url, '/lobby');
    const socket = await Socket.open(one.url, { csrf: page.csrf });
    const reply = await socket.ask(null, '1', 'phoenix', 'heartbeat', {});
    assert.deepEqual([...reply], [null, '1', 'phoenix', 'phx_reply', { status: 'ok', response: {} }]);
    await socket.close();
  });
});

describe('joining', () => {
  test('§11.8 a join is answered with a tree and the client\'s version', async () => {
    const page = await Page.open(one.url, '/lobby', { name: 'Kari' });
    const socket = await Socket.open(one.url, { csrf: page.csrf });
    const view = new View(page, socket);
    views.push(view);
    await view.join({ ref: '4' });
    const frame = socket.frames[0];
    assert.deepEqual(frame.slice(0, 4), ['4', '4', topic, 'phx_reply']);
    assert.equal(frame[4].status, 'ok');
    assert.equal(frame[4].response.liveview_version, version('phoenix_live_view'));
    assert.ok(Array.isArray(frame[4].response.rendered.s));
    assert.equal(typeof frame[4].response.rendered.t, 'string');
    await socket.close();
  });

  test('§11.9 a session token that was changed by one byte is stale (S-5)', async () => {
    const page = await Page.open(one.url, '/lobby', { name: 'Kari' });
    const socket = await Socket.open(one.url, { csrf: page.csrf });
    const places = new Set([0, 1, 5, page.session.length - 2, page.session.length - 1]);
    for (let at = 0; at < page.session.length; at += 7) places.add(at);
    for (const at of places) {
      const view = new View(page, socket);
      const ref = socket.nextRef();
      const frame = await socket.ask(ref, ref, topic, 'phx_join', {
        url: `${one.url}/lobby`, params: { _csrf_token: page.csrf }, session: changed(page.session, at), static: null, sticky: false });
      assert.deepEqual([frame[0], frame[1]], [ref, ref]);
      assert.deepEqual(frame[4], { status: 'error', response: { reason: 'stale' } }, `character ${at} of ${page.session.length}`);
      socket.listeners.delete(view.listener);
    }
    for (const session of ['', null, 'x'.repeat(8192), 7]) {
      const ref = socket.nextRef();
      const [, , , , reply] = await socket.ask(ref, ref, topic, 'phx_join', {
        url: `${one.url}/lobby`, params: {}, session, static: null, sticky: false });
      assert.deepEqual(reply, { status: 'error', response: { reason: 'stale' } });
    }
    const view = await joinAt(page, { socket }); // the connection is none the worse
    await view.close();
  });

  test('§11.10 both tokens hold on every node (S-5)', async () => {
    const page = await Page.open(two.url, '/lobby', { name: 'Kari' });
    for (const node of cluster.nodes) {
      const view = await joinAt(page, { base: node.url });
      assert.ok(view.composer.nonce);
      await view.close();
    }
  });

  test('§11.11 a join by navigation shows the room of "redirect"', async () => {
    const [from, to] = [freshRoom(), freshRoom()];
    const page = await Page.open(one.url, `/${from}`, { name: 'Kari' });
    const view = await joinAt(page, { redirect: `${one.url}/${to}` });
    assert.match(view.title, new RegExp(`#${to}`));
    await view.say('only here');
    assert.deepEqual((await history(to)).map(event => event.text), ['only here']);
    await view.close();
  });

  test('§11.12 a room is found under its percent-encoded name and with a query', async () => {
    const room = `kaffe-øl.${freshRoom()}`;
    const where = `/${encodeURIComponent(room)}?from=a%2Fb&x=1+2`;
    const view = await enter(where);
    assert.match(view.title, new RegExp(`#${room.replaceAll('.', '\\.')}`));
    await view.say('skål');
    assert.equal((await history(room)).length, 1);
    const dead = await Page.open(one.url, where, { cookie: view.page.cookie });
    const link = html => element(html, 'form', tag => attribute(tag, 'id') === 'compose-form');
    assert.equal(attribute(link(dead.inner), 'action'), attribute(link(view.html), 'action'));
    assert.equal(decodeURIComponent(attribute(link(dead.inner), 'action')), `/${room}`);
    await view.close();
  });

  test('§11.13 an unknown topic is unmatched (S-6)', async () => {
    const page = await Page.open(one.url, '/lobby', { name: 'Kari' });
    const socket = await Socket.open(one.url, { csrf: page.csrf });
    for (const name of ['lv:zzz', 'foo:1', 'lv:', 'lvu:1']) {
      const ref = socket.nextRef();
      const frame = await socket.ask(ref, ref, name, 'phx_join', { url: `${one.url}/lobby`, params: {}, session: page.session, static: null, sticky: false });
      assert.deepEqual(frame[4], { status: 'error', response: { reason: 'unmatched topic' } }, name);
      assert.ok(frame[0] === ref || frame[0] === null);
    }
    const ref = socket.nextRef();
    const frame = await socket.ask(ref, ref, topic, 'event', { type: 'click', event: 'x', value: {} });
    assert.deepEqual(frame[4], { status: 'error', response: { reason: 'unmatched topic' } }, 'an event before any join');
    await socket.close();
  });

  test('§11.14 the tree pours into the HTML of the dead render', async () => {
    const room = freshRoom();
    const view = await enter(`/${room}`);
    await view.say('one **bold** word');
    await view.say('<script>alert(1)</script> & "quotes"');
    // What belongs to one render or one page alone: the command id, the style's nonce, what is unread.
    const settled = html => html.replace(/(name="nonce" value=")[^"]*/g, '$1').replace(/(<style) nonce="[^"]*"/g, '$1')
      .replace(/\.r-[0-9a-f]{8} [^{]*\{[^}]*\}/g, '').trim();
    const compare = where => until(`${where} is the same both ways`, async () => {
      const dead = await Page.open(one.url, where, { cookie: view.page.cookie });
      const [left, right] = [settled(dead.inner), settled(view.html)];
      if (left === right) return true;
      const at = [...left].findIndex((c, i) => c !== right[i]);
      throw new Error(`dead: ${left.slice(Math.max(0, at - 80), at + 120)}\nlive: ${right.slice(Math.max(0, at - 80), at + 120)}`);
    }, 8_000, 300);
    await view.join(); // what only comes after a submit (the jump to the box) is not in a fresh page
    await compare(`/${room}`);
    await view.patch('/');
    await compare('/');
    await view.close();
  });

  test('§11.16 a second join replaces the first', async () => {
    const view = await enter(`/${freshRoom()}`);
    const from = view.socket.frames.length;
    const reply = await view.join({ ref: '9' });
    assert.equal(reply.status, 'ok');
    assert.equal(view.socket.frames.findLast(frame => frame[3] === 'phx_reply')[1], '9');
    await view.say('once');
    await view.shown('once');
    await view.socket.heartbeat(); // whatever was on its way is there now
    const diffs = view.socket.frames.slice(from).filter(frame => frame[3] === 'diff' && frame.text.includes('once'));
    assert.equal(diffs.length, 1);
    await view.close();
  });

  test('§11.17 after a leave no diff comes', async () => {
    const room = freshRoom();
    const view = await enter(`/${room}`);
    assert.deepEqual(await view.leave(), { status: 'ok', response: {} });
    const from = view.socket.frames.length;
    await one.post(room, 'unheard');
    await view.socket.heartbeat();
    assert.deepEqual(view.socket.frames.slice(from).filter(frame => frame[3] === 'diff'), []);
    await view.close();
  });

  test('§11.18 a leave of the empty id is answered, and so is one for a topic never joined', async () => {
    const page = await Page.open(one.url, '/lobby', { name: 'Kari' });
    const socket = await Socket.open(one.url, { csrf: page.csrf });
    const reply = await socket.ask(null, '6', 'lv:', 'phx_leave', {});
    assert.deepEqual(reply[4], { status: 'ok', response: {} });
    assert.deepEqual((await socket.ask('4', '7', topic, 'phx_leave', {}))[4], { status: 'ok', response: {} });
    await socket.heartbeat();
    assert.ok(socket.isOpen);
    await socket.close();
  });

  test('§11.19 a leave and the next join may follow at once', async () => {
    const [from, to] = [freshRoom(), freshRoom()];
    const view = await enter(`/${from}`);
    const left = view.leave();
    const joined = view.join({ ref: '12', redirect: `${one.url}/${to}` });
    assert.equal((await left).status, 'ok');
    assert.equal((await joined).status, 'ok');
    const replies = view.socket.frames.filter(frame => frame[3] === 'phx_reply').slice(-2);
    assert.equal(replies[1][1], '12', 'the reply to the leave comes first');
    assert.match(view.title, new RegExp(`#${to}`));
    await view.close();
  });

  test('§11.66 cookies are not looked at: identity is the session token\'s (S-5)', async () => {
    const room = freshRoom();
    const kari = await Page.open(one.url, `/${room}`, { name: 'Kari' });
    const ola = await Page.open(one.url, `/${room}`, { name: 'Ola' });
    for (const cookie of [undefined, ola.cookie, 'livetea=nonsense']) {
      for (const node of cluster.nodes) {
        const socket = await Socket.open(node.url, { csrf: kari.csrf, origin: one.url, headers: cookie ? { cookie } : {} });
        const view = await joinAt(kari, { socket });
        await view.say(`by ${node.name} with ${cookie?.length}`);
        await view.close();
      }
    }
    const events = await history(room);
    assert.equal(events.length, 9);
    assert.deepEqual([...new Set(events.map(event => event.sender))], ['Kari']);
    assert.equal(new Set(events.map(event => event.sender_id)).size, 1);
  });

  test('§11.67 a session of another person than the csrf token\'s is stale (S-5)', async () => {
    const kari = await Page.open(one.url, '/lobby', { name: 'Kari' });
    const ola = await Page.open(one.url, '/lobby', { name: 'Ola' });
    const socket = await Socket.open(one.url, { csrf: ola.csrf });
    const view = new View(kari, socket);
    assert.deepEqual(await view.join(), { status: 'error', response: { reason: 'stale' } });
    await socket.close();
  });

  test('§11.68 P9: a join that has seen more than the node waits for it, two seconds at most', async () => {
    // The machine is so slow that the time of a join may be over.
    const isSlow = since => performance.now() - since > 1_500;
    /* A heartbeat that is sent behind it is answered at once, and so before a join that waits. */
    const join = (view, seen, start) => {
      const from = view.socket.frames.length;
      const joining = view.join({ seen });
      const waits = view.socket.heartbeat().then(() => {
        const first = view.socket.frames.slice(from).find(frame => frame[3] === 'phx_reply');
        assert.ok(first[2] === 'phoenix' || isSlow(start), 'answered at once');
      });
      return { joining, waits };
    };
    let view, last, isSeen = false;
    for (let tries = 0; !isSeen && tries < 10; tries++) {
      const room = freshRoom();
      const page = await Page.open(one.url, `/${room}`, { name: 'Kari' });
      view = new View(page, await Socket.open(one.url, { csrf: page.csrf }));
      views.push(view);
      last = await one.barrier();
      const start = performance.now();
      const { joining, waits } = join(view, last + 1, start);
      await waits;
      await one.post(room, 'now you see it');
      const cameLate = isSlow(start);
      assert.equal((await joining).status, 'ok');
      if (cameLate) continue;
      assert.equal(view.messages.length, 1);
      assert.doesNotMatch(view.htmlWithoutStreams(), /catching up/i);
      isSeen = true;
    }
    assert.ok(isSeen, 'the machine was too slow ten times');

    const start = performance.now();
    const { joining, waits } = join(view, last + 1_000_000, start);
    await waits;
    assert.equal((await joining).status, 'ok');
    assert.ok(performance.now() - start < deadline(5_000), 'two seconds at most');
    assert.match(view.htmlWithoutStreams(), /catching up/i);
    await view.close();
  });
});

describe('messages', () => {
  test('§11.20 P9: a message is acknowledged by an empty box with a new nonce, and shown', async () => {
    const view = await enter(`/${freshRoom()}`);
    const before = view.composer;
    const from = view.socket.frames.length;
    const { nonce, text, reply } = await view.say('hi');
    assert.ok(reply.response.diff, 'the reply carries a diff');
    assert.notEqual(nonce, before.nonce);
    assert.match(nonce, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'a UUIDv7');
    assert.equal(text, '');
    await view.shown('hi');
    assert.equal(view.messages.length, 1);
    const [event] = await history(view.path.slice(1));
    assert.equal(event.id.replaceAll('-', ''), before.nonce.replaceAll('-', ''));
    assert.equal(view.messages[0].id, `m-${event.number}`);
    // The acknowledgement never runs ahead of the page: the message was there before.
    const frames = view.socket.frames.slice(from);
    const shown = frames.findIndex(frame => frame[3] === 'diff' && frame.text.includes(`m-${event.number}`));
    const replied = frames.findIndex(frame => frame[4] === reply);
    assert.ok(shown >= 0 && shown < replied, `shown by frame ${shown}, acknowledged by frame ${replied}`);
    await view.close();
  });

  const identical = async (nodes, room) => {
    const people = await Promise.all(nodes.map((node, i) => enter(`/${room}`, { node, name: `Guest ${i}` })));
    await people[0].say('the same bytes');
    await Promise.all(people.map(view => view.shown('the same bytes')));
    const texts = people.map(view => view.socket.frames.find(frame => frame[3] === 'diff' && frame.text.includes('the same bytes')).text);
    for (const text of texts) assert.equal(text, texts[0]);
    assert.match(texts[0], /^\[null,null,"lv:lt","diff",/);
    await Promise.all(people.map(view => view.close()));
  };

  test('§11.21 two readers of a room get identical bytes', () => identical([one, one], freshRoom()));
  test('§11.22 P2: so do three readers on three nodes', () => identical([one, two, three], freshRoom()));

  test('§11.23 no message crosses into another room', async () => {
    const [here, there] = [await enter(`/${freshRoom()}`), await enter(`/${freshRoom()}`)];
    await here.say('not for the neighbours');
    await here.shown('not for the neighbours');
    await there.socket.heartbeat();
    assert.ok(there.socket.frames.every(frame => !frame.text.includes('not for the neighbours')));
    assert.equal(there.messages.length, 0);
    await Promise.all([here.close(), there.close()]);
  });

  test('§11.24 P3: the same nonce with the same text is one message, on every node', async () => {
    const room = freshRoom();
    const page = await Page.open(one.url, `/${room}`, { name: 'Kari' });
    const first = await joinAt(page);
    const { nonce } = first.composer;
    await first.say('just once', { nonce });
    for (const node of [one, two, three]) {
      const again = await joinAt(page, { base: node.url });
      const after = await again.say('just once', { nonce });
      assert.equal(after.reply.status, 'ok');
      assert.equal(after.text, '');
      assert.notEqual(after.nonce, nonce);
      assert.equal(again.messages.length, 1);
      await again.close();
    }
    assert.equal((await history(room)).length, 1);
    await first.close();
  });

  test('§11.24 also after 2^17 other events', { skip: process.env.LIVETEA_LONG === '1' ? false : 'takes minutes: LIVETEA_LONG=1' }, async () => {
    const room = freshRoom();
    const page = await Page.open(one.url, `/${room}`, { name: 'Kari' });
    const view = await joinAt(page);
    const { nonce } = view.composer;
    await view.say('long ago', { nonce });
    await fill(freshRoom(), 2 ** 17 + 1000, { parallel: 128 });
    const after = await view.say('long ago', { nonce });
    assert.equal(after.text, '');
    assert.notEqual(after.nonce, nonce);
    assert.equal((await history(room)).length, 1);
    await view.close();
  });

  test('§11.25 blank text clears the box and sends nothing (S-10)', async () => {
    const room = freshRoom();
    const view = await enter(`/${room}`);
    for (const blank of ['%20%0A', '', '%0A', '%09%20', '%C2%A0', '%E3%80%80']) {
      const { nonce } = view.composer;
      const reply = await view.submit('send_message', `nonce=${nonce}&message=${blank}`);
      assert.equal(reply.status, 'ok', blank);
      assert.ok(reply.response !== undefined);
      assert.equal(view.composer.text, '');
    }
    assert.deepEqual(await history(room), []);
    await view.close();
  });

  test('§11.26 what people write is text, not HTML (S-8)', async () => {
    const view = await enter(`/${freshRoom()}`);
    await submitted(view, `nonce=${view.composer.nonce}&message=%3Cb%3E%26%22%27`);
    const item = await view.shown('&lt;b&gt;&amp;&quot;&#39;');
    assert.ok(!item.html.includes('<b>&'));
    await view.close();
  });

  test('§11.27 line breaks, plus and percent come through', async () => {
    const room = freshRoom();
    const view = await enter(`/${room}`);
    await submitted(view, `nonce=${view.composer.nonce}&message=line1%0Aline2`);
    await submitted(view, `nonce=${view.composer.nonce}&message=a+b%2B`);
    await submitted(view, `message=100%25%20%C3%A5%F0%9F%8D%B5&nonce=${view.composer.nonce}`);
    assert.deepEqual((await history(room)).map(event => event.text), ['line1\nline2', 'a b+', '100% å🍵']);
    assert.match((await view.shown('line2')).html, /line1\s*(<br\s*\/?>)?\s*line2/);
    await view.shown('a b+');
    await view.close();
  });

  test('§11.28 the longest text is taken, one more is refused and stays (S-10)', async () => {
    const room = freshRoom();
    const view = await enter(`/${room}`);
    const longest = '🍵'.repeat(4000);
    assert.equal((await view.say(longest)).text, '');
    const { nonce } = view.composer;
    const refused = await view.say('x'.repeat(4001));
    assert.equal(refused.reply.status, 'ok');
    assert.match(refused.hint, /too long: 4,001 of 4,000/);
    // The text stays: the reply does not touch the box, or brings the text back.
    assert.ok(refused.text === 'x'.repeat(4001) || refused.nonce === nonce);
    assert.deepEqual((await history(room)).map(event => [...event.text].length), [4000]);
    const shorter = await view.say('x'.repeat(4000));
    assert.equal(shorter.hint, '', 'the hint goes with the next message');
    assert.equal((await history(room)).length, 2);
    await view.close();
  });

  test('§11.29 what is no UTF-8 never leaves (S-10)', async () => {
    const room = freshRoom();
    const view = await enter(`/${room}`);
    for (const bad of ['%FF%FE', 'a%C3', '%C0%80', '%ED%A0%80', '%F5%80%80%80', 'a%00b', '%', '%zz', 'a%1Bb', '%E2%80%AEabc']) {
      const reply = await view.submit('send_message', `nonce=${view.composer.nonce}&message=${bad}`);
      assert.equal(reply.status, 'ok', bad);
    }
    await view.socket.heartbeat();
    assert.ok(view.socket.isOpen, 'the client would have closed on invalid UTF-8');
    for (const event of await history(room)) {
      assert.ok(!/[\u0000-\u0008\u000b-\u001f\u007f]/.test(event.text), JSON.stringify(event.text));
    }
    await view.close();
  });

  test('§11.30 an unknown event is answered {}', async () => {
    const view = await enter(`/${freshRoom()}`);
    for (const [type, value] of [['click', {}], ['form', 'a=b'], ['hook', { x: 1 }], ['keydown', { key: 'Enter' }], ['nonsense', null]]) {
      assert.deepEqual(await view.push('no_such_event', value, type), { status: 'ok', response: {} });
    }
    await view.close();
  });

  test('§11.31 an event of an earlier join has no effect (S-6)', async () => {
    const room = freshRoom();
    const view = await enter(`/${room}`);
    const old = view.joinRef;
    await view.join();
    view.socket.push([old, view.socket.nextRef(), topic, 'event',
      { type: 'form', event: 'send_message', value: `nonce=${view.composer.nonce}&message=ghost`, meta: {} }]);
    await view.say('real');
    assert.deepEqual((await history(room)).map(event => event.text), ['real']);
    await view.close();
  });

  test('§11.70 the same nonce with another text is refused, and the text stays', async () => {
    const room = freshRoom();
    const view = await enter(`/${room}`);
    const { nonce } = view.composer;
    await view.say('first', { nonce });
    const after = await view.say('second', { nonce });
    assert.equal(after.reply.status, 'ok');
    assert.equal(after.text, 'second');
    assert.notEqual(after.nonce, nonce);
    assert.equal(after.hint, 'Your earlier message was sent, this one not yet.');
    assert.equal((await history(room)).length, 1);
    assert.equal((await view.say('second')).text, '');
    assert.deepEqual((await history(room)).map(event => event.text), ['first', 'second']);
    await view.close();
  });

  test('§11.71 P3 P6: recover tells a sent message from a draft', async () => {
    const room = freshRoom();
    const page = await Page.open(one.url, `/${room}`, { name: 'Kari' });
    const view = await joinAt(page);
    const { nonce } = view.composer;
    await view.say('sent', { nonce });
    const other = await joinAt(page, { base: two.url });
    // A client recovers once for each join; a view that asks more often is put off.
    const recover = async (text, id) => {
      await other.join();
      return other.send(text, { nonce: id, event: 'recover' });
    };
    // Without a leader a node does not know, and the page keeps the text: then it asks again.
    const sent = await until('the node knows of the message', async () => {
      const after = await recover('sent', nonce);
      return other.question ? after : null;
    }, 30_000, 300);
    assert.equal(sent.text, '');
    const settled = await other.settle('');
    assert.equal(settled.text, '');
    assert.notEqual(settled.nonce, nonce);
    assert.equal(settled.hint, '');
    assert.equal(other.question, undefined);

    const draft = view.composer.nonce;
    const kept = await recover('a draft', draft);
    assert.equal(kept.text, 'a draft');
    assert.equal(kept.nonce, draft);
    assert.equal((await history(room)).length, 1, 'a draft is not sent');

    const used = await until('the node knows of the message', async () => {
      const after = await recover('changed', nonce);
      return after.nonce === nonce ? null : after;
    }, 30_000, 300);
    assert.equal(used.text, 'changed');
    assert.equal(used.hint, 'Your earlier message was sent, this one not yet.');

    // One in flight: asked for on another node while it is being sent.
    const flying = view.composer.nonce;
    const sending = view.say('flying', { nonce: flying });
    await recover('flying', flying);
    await sending;
    await until('the other page is asked', () => other.question, 5_000);
    const landed = await other.settle('flying');
    assert.equal(landed.text, '');
    assert.notEqual(landed.nonce, flying);
    assert.equal((await history(room)).length, 2);
    await Promise.all([view.close(), other.close()]);
  });

  test('§11.72 a message that was unknown to recover clears the box when it is applied', async () => {
    const room = freshRoom();
    const page = await Page.open(one.url, `/${room}`, { name: 'Kari' });
    const [left, right] = [await joinAt(page), await joinAt(page, { base: two.url })];
    const { nonce } = left.composer;
    const before = await left.send('late', { nonce, event: 'recover' });
    assert.deepEqual([before.text, before.nonce], ['late', nonce]);
    const from = left.socket.frames.length;
    await right.say('late', { nonce });
    await until('the page is asked what stands in its box', () => left.question, 5_000);
    assert.deepEqual([left.composer.text, left.composer.nonce], ['late', nonce], 'the form is as it was');
    const { text, nonce: fresh } = await left.settle('late');
    assert.equal(text, '');
    assert.notEqual(fresh, nonce);
    await left.socket.heartbeat();
    const since = left.socket.frames.slice(from);
    const asking = since.filter(frame => frame[3] === 'diff' && frame.text.includes('settle'));
    const clearing = since.filter(frame => frame.text.includes(fresh));
    assert.deepEqual([asking.length, clearing.length, clearing[0][3]], [1, 1, 'phx_reply']);
    assert.equal((await history(room)).length, 1);
    await Promise.all([left.close(), right.close()]);
  });

  test('§11.72 and takes nothing else that stands in the box by then', async () => {
    const room = freshRoom();
    const page = await Page.open(one.url, `/${room}`, { name: 'Kari' });
    const [left, right] = [await joinAt(page), await joinAt(page, { base: two.url })];
    const { nonce } = left.composer;
    await left.send('late', { nonce, event: 'recover' });
    await right.say('late', { nonce });
    await until('the page is asked what stands in its box', () => left.question, 5_000);
    const kept = await left.settle('late, and more ');
    assert.equal(kept.text, 'late, and more ');
    assert.notEqual(kept.nonce, nonce);
    assert.equal(kept.hint, 'Your earlier message was sent, this one not yet.');
    assert.equal((await history(room)).length, 1);
    await left.say('late, and more ');
    assert.deepEqual((await history(room)).map(event => event.text), ['late', 'late, and more']);
    await Promise.all([left.close(), right.close()]);
  });

  test('§11.75 typing is answered {} and is not in the log', async () => {
    const room = freshRoom();
    const kari = await enter(`/${room}`, { name: 'Kari' });
    const maja = await enter(`/${room}`, { node: two, name: 'Maja' });
    const before = await one.barrier();
    await until('Kari sees it', async () => { // shown for some seconds after each time that it is told
      if (/Maja is typing/.test(textOf(kari.htmlWithoutStreams()))) return true;
      const reply = await maja.submit('typing', `_csrf_token=x&nonce=${maja.composer.nonce}&message=hel`);
      assert.deepEqual(reply, { status: 'ok', response: {} });
      return false;
    }, 10_000, 1_000);
    assert.equal(await one.barrier(), before + 1);
    await Promise.all([kari.close(), maja.close()]);
  });
});

describe('older messages and other rooms', () => {
  const room = 'long-room';
  before(() => fill(room, 130, { parallel: 1 }), { timeout: deadline(60_000) });

  test('§11.32 §11.33 §11.34 older pages come in order until the first message', async () => {
    const view = await enter(`/${room}`);
    const all = (await history(room)).map(event => event.number);
    assert.equal(all.length, 130);
    assert.deepEqual(view.numbers, all.slice(-50));
    const page = async (id, count) => {
      const from = view.socket.frames.length;
      const reply = await view.push('older', { id, _overran: true });
      assert.equal(reply.status, 'ok');
      assert.deepEqual(view.numbers, all.slice(-count));
      return view.socket.frames.slice(from).find(frame => frame[3] === 'phx_reply').text;
    };
    const first = view.messages[0].id;
    const frame = await page(first, 100);
    const operations = /"stream":(\[.*?\](?:,\[.*?\])*\])/.exec(frame);
    assert.ok(operations, 'a stream in the reply');
    await page(first, 100); // the same page again does no harm
    await page(view.messages[0].id, 130);
    assert.deepEqual(await view.push('older', { id: view.messages[0].id }), { status: 'ok', response: {} });
    for (const id of ['m-', 'x', 'm--1', 'm-0', 'm-1x', '', 'm-999999999999999999999999', null, 7, {}]) {
      const reply = await view.push('older', { id });
      assert.equal(reply.status, 'ok', String(id));
      assert.deepEqual(view.numbers, all, String(id));
    }
    assert.deepEqual(await view.push('older', {}), { status: 'ok', response: {} });
    await view.close();
  });

  test('§11.35 §11.36 a patch shows the other room, and only that', async () => {
    const other = freshRoom();
    const view = await enter(`/${room}`);
    const from = view.socket.frames.length;
    const reply = await view.patch(`/${other}`);
    assert.equal(reply.status, 'ok');
    const { diff } = reply.response;
    assert.ok(Array.isArray(diff.s), 'a whole tree');
    assert.match(diff.t, new RegExp(`#${other}`));
    assert.deepEqual(view.messages, []);
    const streamOf = node => node && typeof node === 'object' && (node.stream ?? Object.values(node).map(streamOf).find(Boolean));
    assert.equal(streamOf(diff).length, 4, 'the stream is reset');
    await fill(room, 3, { text: i => `behind your back ${i}`, parallel: 1, node: two });
    await one.post(other, 'in the new room');
    await view.shown('in the new room');
    assert.equal(view.messages.length, 1);
    assert.ok(view.socket.frames.slice(from).every(frame => !frame.text.includes('behind your back')));

    const home = await view.patch('/');
    assert.ok(Array.isArray(home.response.diff.s));
    const after = view.socket.frames.length;
    await one.post(other, 'nobody looks');
    await view.socket.heartbeat();
    assert.ok(view.socket.frames.slice(after).every(frame => !/"stream"/.test(frame.text)));
    await view.patch(`/${other}`);
    assert.equal(view.messages.length, 2);
    await view.close();
  });

  test('§11.35 a patch to what is no page of ours navigates', async () => {
    const view = await enter(`/${room}`);
    for (const where of ['/api', '/assets/x', '/a/b', '/%20']) {
      const reply = await view.patch(where);
      assert.equal(reply.status, 'ok', where);
      assert.ok(reply.response.link_redirect || reply.response.redirect || reply.response.live_redirect, JSON.stringify(reply));
    }
    assert.ok(view.socket.isOpen);
    await view.close();
  });

  test('§11.37 the home page opens a room by its name', async () => {
    const view = await enter('/');
    const form = element(view.html, 'form', tag => attribute(tag, 'action') === '/rooms');
    assert.ok(form, 'a form that opens a room');
    const event = attribute(tags(form, 'form')[0], 'phx-submit');
    const field = attribute(tags(form, 'input').find(tag => attribute(tag, 'type') !== 'hidden'), 'name');
    for (const bad of ['', '   ', '/', '../x', 'cluster', '-x', 'x'.repeat(65)]) {
      const reply = await view.submit(event, { [field]: bad });
      assert.equal(reply.status, 'ok', bad);
      assert.equal(reply.response.live_redirect, undefined, `'${bad}' opened ${JSON.stringify(reply.response)}`);
    }
    const from = view.navigations.length;
    const reply = await view.submit(event, { [field]: '  New Room ' });
    const to = reply.response.live_redirect?.to ?? view.navigations.slice(from).find(([kind]) => kind !== 'redirect')?.[1].to;
    assert.equal(to, '/new-room');
    if (reply.response.live_redirect) {
      await view.leave();
      await view.join({ redirect: one.url + to });
    }
    assert.match(view.title, /#new-room/);
    await view.close();
  });
});

describe('under load', () => {
  test('§11.38 §11.39 P8: a join while messages flow has no gap and no repetition', { timeout: deadline(120_000) }, async () => {
    const room = freshRoom();
    await fill(room, 80, { text: i => `before ${i}` });
    let sent = 0, stopped = false;
    const seconds = slow ? 4 : 3;
    const flow = Promise.all(Array.from({ length: 32 }, async (_, i) => {
      const node = cluster.nodes[i % 3];
      while (!stopped) {
        await node.post(room, `flow ${sent++}`, { sender: `s${i}` });
      }
    }));
    const joined = [];
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end || sent < 100 || joined.length < 6) {
      joined.push(await enter(`/${room}`, { node: cluster.nodes[joined.length % 3], name: `Reader ${joined.length}` }));
      const again = joined[Math.floor(joined.length / 2)];
      if (joined.length % 3 === 0) await again.join({ seen: again.numbers.at(-1) });
    }
    stopped = true;
    await flow;
    await cluster.level();
    const all = (await history(room)).map(event => event.number);
    const last = all.at(-1);
    for (const view of joined) {
      await until('the last message is shown', () => view.numbers.at(-1) === last, 10_000);
      // What the last join brought, and then each live message, once, in order.
      const got = [...view.snapshot, ...view.live].map(id => all.indexOf(Number(id.slice(2))));
      got.forEach((rank, i) => assert.equal(rank, got[0] + i, `place ${i} of ${view.snapshot.length} + ${view.live.length}`));
      assert.deepEqual(view.problems, []);
    }
    // A node that was stopped for a while has more at once than is worth sending, and begins anew; but not as a rule.
    assert.ok(joined.some(view => view.resets === 0), 'a broadcast resets the stream');
    await Promise.all(joined.map(view => view.close()));
  });

  test('§11.74 P8: a page that does not read is closed with 4000 (S-22)', { timeout: deadline(120_000) }, async () => {
    const room = freshRoom();
    const lazy = await enter(`/${room}`);
    const lively = await enter(`/${room}`, { name: 'Lively' });
    const slowCount = async () => Number(/livetea_websocket_closed_total\{reason="slow"\} (\d+)/.exec((await request(`${one.url}/metrics`)).text)?.[1] ?? 0);
    const before = await slowCount();
    lazy.socket.ws._socket.pause();
    let sent = 0;
    const text = `${'🫖'.repeat(3900)} `;
    while (await slowCount() === before) {
      assert.ok(sent < 3000, `${sent} messages of 16 kB were queued for a page that does not read`);
      await fill(room, sent + 32, { text: i => text + i, from: sent });
      sent += 32;
    }
    lazy.socket.ws._socket.resume();
    const { code } = await within('close', lazy.socket.closed, 10_000);
    // The code itself may find no way through buffers that are full; the page reconnects either way.
    assert.ok([4000, 1006].includes(code), String(code));
    await lively.socket.heartbeat();
    assert.ok(lively.socket.isOpen, 'the others read on');
    await lively.close();
  });
});

describe('what is no frame of ours', () => {
  test('§11.40 is closed or ignored, and disturbs nobody', async () => {
    const witness = await enter(`/${freshRoom()}`);
    const nested = '['.repeat(5000) + ']'.repeat(5000);
    const bad = {
      'a binary frame': [Buffer.from([0, 1, 1, 1, 1]), [1003]],
      'text that is no JSON': ['hello', [1002, 1003, 1007, 1008]],
      'a JSON object': ['{"topic":"lv:lt"}', [1002, 1003, 1008]],
      'an array of four': ['["4","4","lv:lt","event"]', [1002, 1003, 1008]],
      'an array of six': ['["4","4","lv:lt","event",{},1]', [1002, 1003, 1008]],
      'one megabyte': [`["4","4","lv:lt","event","${'x'.repeat(1 << 20)}"]`, [1009]],
      'just over 64 KiB': [`["4","4","lv:lt","event","${'x'.repeat(1 << 16)}"]`, [1009]],
      'deep nesting': [`["4","4","lv:lt","event",${nested}]`, [1002, 1003, 1008, 1009]],
      'a number as ref': ['["4",4,"lv:lt","phx_join",{}]', [1002, 1003, 1008]],
      'a ref of 10 KiB': [`["4","${'9'.repeat(10240)}","phoenix","heartbeat",{}]`, [1002, 1003, 1008]],
      'trailing garbage': ['[null,"1","phoenix","heartbeat",{}] x', [1002, 1003, 1008]],
      'a huge number': ['[null,"1","phoenix","heartbeat",{"a":1e999}]', [1002, 1003, 1008]],
      'half a surrogate': ['[null,"1","phoenix","heartbeat",{"a":"\\ud800"}]', [1002, 1003, 1008]],
      'a byte order mark': ['\ufeff[null,"1","phoenix","heartbeat",{}]', [1002, 1003, 1008]],
      'nothing': ['', [1002, 1003, 1008]],
    };
    for (const [what, [frame, codes]] of Object.entries(bad)) {
      const page = await Page.open(one.url, '/lobby', { name: 'Kari' });
      const socket = await Socket.open(one.url, { csrf: page.csrf });
      socket.ws.send(frame);
      // Ignored or closed: a heartbeat behind it tells which.
      if (socket.isOpen) socket.ws.send('[null,"77","phoenix","heartbeat",{}]');
      const verdict = await Promise.race([
        socket.closed.then(({ code }) => code),
        socket.frame('heartbeat', got => got[1] === '77', { ms: 10_000 }).then(() => 'ignored', () => socket.closeCode)]);
      assert.ok(verdict === 'ignored' || codes.includes(verdict), `${what}: ${verdict}`);
      assert.notEqual(verdict, 1000);
      await socket.cut();
    }
    await witness.say('still here');
    await witness.shown('still here');
    await witness.close();
  });

  test('§11.40 odd payloads of known events are answered', async () => {
    const view = await enter(`/${freshRoom()}`);
    for (const payload of [{}, [], null, 7, 'x', { type: 'form' }, { type: 'form', event: 'send_message' },
      { type: 'form', event: 'send_message', value: {} }, { type: 'form', event: 'send_message', value: null },
      { type: 'form', event: 7, value: 'a=b' }, { type: 'js', event: 'older', value: [] },
      { type: 'form', event: 'send_message', value: '&&=&=x&message' }]) {
      const reply = await view.ask('event', payload).catch(() => null);
      if (reply === null) {
        assert.ok([1002, 1003, 1008].includes(view.socket.closeCode), JSON.stringify(payload));
        return;
      }
      assert.equal(reply.status, 'ok', JSON.stringify(payload));
    }
    for (const payload of [{}, { url: 7 }, { url: 'nonsense' }, { url: 'http://evil.example/lobby' }, { url: `${one.url}/%zz` }]) {
      const reply = await view.ask('live_patch', payload);
      assert.equal(reply.status, 'ok', JSON.stringify(payload));
    }
    await view.say('and it still works', {}).catch(() => view.join());
    await view.close();
  });

  test('§11.41 an idle page gets PINGs', { timeout: deadline(45_000) }, async () => {
    const page = await Page.open(one.url, '/lobby', { name: 'Kari' });
    const view = await joinAt(page);
    await until('a PING came', () => view.socket.pings.length > 0, 36_000, 250);
    assert.ok(view.socket.isOpen);
    await view.close();
  });

  test('§11.63 phx_error makes the client rejoin', { skip: 'nothing that a client can send makes a view crash' }, () => {});
});

describe('without a leader', () => {
  test('§11.43 §11.44 P6 P7 P10: a message is kept in the box, and a room can be read', { timeout: deadline(90_000) }, async () => {
    const room = freshRoom();
    await fill(room, 5);
    await cluster.level();
    const leader = await cluster.leader();
    const [last, other] = cluster.nodes.filter(node => node !== leader);
    const page = await Page.open(last.url, `/${room}`, { name: 'Kari' });
    const view = await joinAt(page);
    const { nonce } = view.composer;
    leader.pause();
    other.pause();
    try {
      await until('the node knows that there is no leader', async () => (await last.status()).cluster.leader === null, 10_000);
      const start = performance.now();
      const after = await view.send('is anybody there?', { ms: 15_000 });
      assert.ok(performance.now() - start < deadline(10_000), 'answered within ten seconds');
      assert.equal(after.reply.status, 'ok');
      assert.equal(after.nonce, nonce);
      assert.match(after.hint, /Not sent: no leader|Not known yet/);
      assert.deepEqual(view.messages.filter(({ html }) => html.includes('is anybody')), [], 'shown, and not committed');
      await until('the page says that it is reading only', () => /Reading only/.test(textOf(view.htmlWithoutStreams())), 8_000);

      const reading = await Page.open(last.url, `/${room}`, { name: undefined, cookie: page.cookie });
      assert.equal(reading.status, 200);
      const joining = performance.now();
      const reader = await joinAt(reading);
      assert.ok(performance.now() - joining < deadline(10_000));
      assert.equal(reader.messages.length, 5);
      await reader.close();
    } finally {
      leader.resume();
      other.resume();
    }
    await cluster.ready();
    await until('it can be sent', async () => (await view.send('is anybody there?', { nonce })).nonce !== nonce, 15_000, 300);
    await cluster.level();
    assert.deepEqual((await history(room, last)).filter(event => event.text.startsWith('is anybody')).length, 1);
    await view.close();
  });
});

describe('at the end', () => {
  test('§11.15 no tree of any page ever had a hole too many or too few', () => {
    assert.ok(views.length > 30);
    for (const view of views) assert.deepEqual(view.problems, []);
  });

  test('§11.42 SIGTERM closes the listener first, then pages with 1012', { timeout: deadline(60_000) }, async () => {
    const [node] = await cluster.followers();
    const view = await visit(node.url, '/lobby');
    const stopping = node.stop();
    const { code } = await within('close', view.socket.closed, 15_000);
    assert.equal(code, 1012);
    await assert.rejects(request(`${node.url}/livez`), 'the listener was closed before');
    assert.equal(await stopping, 0);
  });
});
