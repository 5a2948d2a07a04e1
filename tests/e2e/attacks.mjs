// What attackers try, one by one: the list of docs/security.md, whose numbers the names of the tests begin
// with. What other tests try already stands in tests/lib/attack_list.mjs; here is the rest, and at the
// end the whole list is printed with where each item is tried.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { attackList, findTests } from '../lib/attack_list.mjs';
import { Cluster, freePorts, program, run, top } from '../lib/cluster.mjs';
import { attribute, tags, textOf } from '../lib/html.mjs';
import { cookieOf, json, postForm, postJson, raw, request, responses, statusOf } from '../lib/http.mjs';
import { Page, Refused, Socket, View, topic, visit } from '../lib/phoenix.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { CLOSE, CONTINUED, PING, PONG, RawSocket, TEXT, closing, frame } from '../lib/raw_socket.mjs';
import { Sender } from '../lib/sender.mjs';
import { deadline, pause, slow, until, within } from '../lib/wait.mjs';

let cluster, node;
const others = []; // clusters of one test; taken down at the end

before(async () => {
  cluster = await Cluster.start({ nodes: 1, options: ['--chat-rate', '0'] });
  [node] = cluster.nodes;
}, { timeout: deadline(60_000) });

after(async () => {
  await Promise.all([cluster, ...others].map(one => one?.down()));
}, { timeout: deadline(60_000) });

async function another(options, more = {}) {
  const one = await Cluster.start({ nodes: 1, options, ...more });
  others.push(one);
  return one.nodes[0];
}

let rooms = 0;
const freshRoom = () => `attack-${++rooms}`;
const get = (where, options) => request(node.url + where, options);
const say = (room, fields, headers) => postJson(`${node.url}/api/rooms/${room}/messages`, fields, headers);
const history = async room => (await node.events({ upTo: await node.barrier() })).filter(event => event.room === room);
const fdsOf = one => fs.readdirSync(`/proc/${one.pid}/fd`).length;
const socketPath = page => `/live/websocket?vsn=2.0.0&_csrf_token=${encodeURIComponent(page.csrf)}`;
const rawAt = (page, base = node) => RawSocket.open(base.httpPort, { path: socketPath(page), origin: base.url });
const joinOf = (page, base = node) => JSON.stringify(['4', '4', topic, 'phx_join', { url: `${base.url}/lobby`, params: { _csrf_token: page.csrf }, session: page.session, static: null, sticky: false }]);
/* With a page, so that it is not let go for being without one where all takes long. */
async function rawJoined(page, base = node) {
  const socket = await rawAt(page, base);
  await socket.write(frame(TEXT, joinOf(page, base)));
  await socket.until('answer to the join', () => socket.events.length > 0);
  return socket;
}

describe('who one is', () => {
  test('S-1 no origin that only looks like ours is let in, and none but ours', async () => {
    const tea = await another(['--http-public-url', 'https://tea.example', '--http-behind-proxy', 'true', '--http-allowed-origins', 'https://cups.example:8443']);
    const page = await Page.open(tea.url, '/lobby');
    const upgrade = async origin => {
      try {
        await (await Socket.open(tea.url, { csrf: page.csrf, origin })).cut();
        return 101;
      } catch (error) {
        if (error instanceof Refused) return error.status;
        throw error;
      }
    };
    for (const origin of ['https://tea.example', 'https://tea.example:443', 'https://cups.example:8443']) {
      assert.equal(await upgrade(origin), 101, origin);
    }
    for (const origin of ['https://evil-tea.example', 'https://tea.example.evil', 'https://eviltea.example', 'https://sub.tea.example', 'http://tea.example',
      'https://tea.example:80', 'https://tea.example:4430', 'https://tea.example@evil.example', 'https://evil.example/https://tea.example',
      'https://evil.example#tea.example', 'https://tea.example, https://evil.example', 'tea.example', '//tea.example', 'https:tea.example', 'https://',
      'https://cups.example', 'null', 'file://', tea.url, ' ', 'https://tea.example%00.evil.example', 'https://[tea.example]', 'https://[tea.example']) {
      assert.equal(await upgrade(origin), 403, origin);
    }
  });

  test('S-3 a cookie of another key, of eight kilobytes, twice, or of another kind is none', async () => {
    const page = await Page.open(node.url, '/', { name: 'Kari' });
    const stranger = await another([]);
    const foreign = await Page.open(stranger.url, '/', { name: 'Kari' });
    const good = page.cookie.split('=')[1];
    assert.match(textOf((await get('/', { headers: { cookie: `livetea=${good}` } })).text), /You are Kari/);
    for (const bad of [foreign.cookie.split('=')[1], page.csrf, page.session, `${good}${'A'.repeat(7500)}`, 'A'.repeat(7500), `"${good}"`, ` ${good}x`, `${good}%00`, good.toUpperCase()]) {
      const answer = await get('/', { headers: { cookie: `livetea=${bad}` } });
      assert.equal(answer.status, 200);
      assert.doesNotMatch(textOf(answer.text), /You are Kari/, bad.slice(0, 60));
    }
    for (const name of ['Livetea', 'livetea2', 'xlivetea', ' livetea x']) {
      assert.doesNotMatch(textOf((await get('/', { headers: { cookie: `${name}=${good}` } })).text), /You are Kari/, name);
    }
  });

  test('S-4 behind TLS the cookie is Secure', async () => {
    const tea = await another(['--http-public-url', 'https://tea.example', '--http-behind-proxy', 'true']);
    const [cookie] = (await request(`${tea.url}/`)).headers['set-cookie'];
    assert.ok(cookie.split('; ').includes('Secure'), cookie);
    assert.ok(cookie.split('; ').includes('HttpOnly'));
    assert.ok(Buffer.from(/^livetea=([^;]+)/.exec(cookie)[1], 'base64url').length >= 16 + 32, 'sixteen random bytes and a signature');
  });

  test('S-6 what is said to a topic or under a join that are not there reaches nobody', async () => {
    const room = freshRoom();
    const view = await visit(node.url, `/${room}`);
    const long = `lv:${'x'.repeat(10_240)}`;
    for (const name of ['lv:x', 'lv:', 'lv:lt ', 'LV:LT', '']) {
      const ref = view.socket.nextRef();
      const reply = await view.socket.ask(ref, ref, name, 'phx_join', { url: `${node.url}/lobby`, params: {}, session: view.page.session, static: null, sticky: false });
      assert.equal(reply[4].status, 'error', name);
    }
    const fields = new URLSearchParams({ _csrf_token: view.page.csrf, nonce: randomUUID(), message: 'astray' }).toString();
    for (const [joinRef, name] of [['99', topic], [null, topic], ['', topic], [view.joinRef, 'lv:other'], [view.joinRef, 'phoenix']]) {
      view.socket.push([joinRef, view.socket.nextRef(), name, 'event', { type: 'form', event: 'send_message', value: fields, meta: {} }]);
    }
    await view.socket.heartbeat();
    assert.deepEqual(await history(room), []);
    await view.send('the page is none the worse');
    // Four pages on one connection: each join replaces the one before.
    for (let i = 0; i < 5; i++) await view.join();
    await view.send('and there is one');
    assert.equal((await history(room)).length, 2);
    view.socket.push([view.joinRef, view.socket.nextRef(), long, 'phx_join', {}]);
    assert.notEqual((await within('end', view.socket.closed)).code, 1000, 'a topic of ten kilobytes');
  });

  test('S-7 sender and room are those of the session, whatever the form says', async () => {
    const [room, elsewhere] = [freshRoom(), freshRoom()];
    const view = await visit(node.url, `/${room}`, { name: 'Kari' });
    const { nonce } = view.composer;
    const lies = { sender: 'Mallory', name: 'Mallory', user: 'Mallory', sender_id: '00'.repeat(16), room: elsewhere, topic: elsewhere, at_ms: '1', number: '7', seq: '7', unseen_up_to: '9' };
    await view.submit('send_message', { _csrf_token: view.page.csrf, ...lies, nonce, message: 'it is me' });
    await view.push('send_message', { ...lies, nonce: randomUUID(), message: 'as a value' });
    const plain = await view.page.postForm(`/${room}`, { ...lies, nonce: randomUUID(), message: 'by a plain form' });
    assert.equal(plain.status, 303);
    const events = await history(room);
    assert.ok(events.length >= 2);
    assert.deepEqual(new Set(events.map(event => event.sender)), new Set(['Kari']));
    assert.equal(new Set(events.map(event => event.sender_id)).size, 1);
    assert.notEqual(events[0].sender_id, lies.sender_id);
    assert.ok(events.every(event => Math.abs(Date.parse(event.at) - Date.now()) < 3_600_000));
    assert.deepEqual(await history(elsewhere), []);
    await view.close();
  });

  test('S-29 a name at the API is nobody on a page, however it is spelled', async () => {
    const room = freshRoom();
    const view = await visit(node.url, `/${room}`, { name: 'Kari' });
    await view.send('from the page');
    const [mine] = await history(room);
    for (const sender of ['Kari', mine.sender_id, `api\u00a0Kari`]) {
      const answer = await say(room, { sender, text: 'from a program', id: `api-${sender}` });
      assert.equal(answer.status, 201, answer.text);
    }
    assert.equal((await say(room, { sender: 'Kari', text: 'x', id: 'forged', sender_id: mine.sender_id })).status, 400);
    const events = await history(room);
    assert.equal(events.length, 4);
    assert.equal(events.filter(event => event.sender_id === mine.sender_id).length, 1);
    assert.equal(new Set(events.map(event => event.sender_id)).size, 4);
    await view.close();
  });

  test('S-55 after a change of the secret both are good, and later only the new one', async () => {
    const tea = await another(['--chat-rate', '0']);
    const { secretFile } = tea.cluster;
    const old = fs.readFileSync(secretFile, 'utf8');
    const fresh = (await run(['gen-secret'])).out;
    const before = await Page.open(tea.url, '/keys', { name: 'Kari' });
    const restart = async text => {
      await tea.stop();
      fs.writeFileSync(secretFile, text, { mode: 0o600 });
      await tea.start().ready();
    };
    const isKari = async cookie => /You are Kari/.test(textOf((await request(`${tea.url}/`, { headers: { cookie } })).text));

    await restart(fresh + old);
    assert.ok(await isKari(before.cookie));
    const view = await View.join(before);
    await view.send('with the old key');
    await view.close();
    const between = await Page.open(tea.url, '/keys', { cookie: before.cookie });
    const renamed = cookieOf(await between.postForm('/session', { name: 'Kari' }), before.cookie);

    await restart(fresh);
    assert.ok(await isKari(renamed), 'the newer key signs');
    assert.ok(!await isKari(before.cookie), 'the older one is forgotten');
    await assert.rejects(Socket.open(tea.url, { csrf: before.csrf }), error => error.status === 403);
    await restart(old);
    assert.ok(!await isKari(renamed), 'it was not the older key that signed');
  });
});

describe('what people write', () => {
  test('S-8 on the wire nothing of it is markup, in pages, diffs and joins', async () => {
    const room = freshRoom();
    const reader = await visit(node.url, `/${room}`, { name: 'Reader' });
    const view = await visit(node.url, `/${room}`, { name: '<s>"Kari\'&' });
    const nasty = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', '</textarea><svg onload=alert(1)>', '<iframe srcdoc=x>', '<a href="javascript:alert(1)">x</a>',
      '[x](javascript:alert(1))', '[x](JaVaScRiPt&colon;alert(1))', '[x](&#106;avascript:alert(1))', '[x](data:text/html,<script>)', '[x](vbscript:x)', '<javascript:alert(1)>',
      '[x]: javascript:alert(1)\n[x]', '&#x3c;script&#x3e;', '\u2028<script>\u2029', '<!--', ']]><script>', '`<script>`', '```\n<script>\n```', '    <script>', '> <script>',
      '| <script> |\n|-|\n| <b> |', '![<script>](http://x.example/<script>)', 'http://x.example/"onmouseover="alert(1)', '\\<script\\>', '<scr\u200bipt>', '＜script＞'];
    for (const text of nasty) {
      const after = await view.send(text);
      assert.equal(after.hint, '', text);
    }
    await reader.shown('＜script＞');
    const dead = await Page.open(node.url, `/${room}`);
    const late = await View.join(dead);
    // Of what was written no tag may stand in any text that a browser would take for HTML.
    const ours = /<\/?(?:script|img|iframe|s)[\s>/]|<svg on|<!--/i;
    for (const [what, texts] of [['a diff', reader.socket.frames.map(one => one.text)], ['a join', late.socket.frames.map(one => one.text)], ['a page', [dead.inner]]]) {
      for (const text of texts) assert.ok(!ours.test(text), `${what}: ${ours.exec(text)?.[0]} in ${text.slice(Math.max(0, text.search(ours) - 60), text.search(ours) + 80)}`);
    }
    for (const html of [reader.html, late.html, dead.inner]) {
      for (const tag of tags(html, 'a')) assert.match(attribute(tag, 'href') ?? '#', /^(\/(?!\/)|#|https?:\/\/|mailto:)/, tag);
      for (const tag of tags(html, '*')) assert.ok(!/\son[a-z]+\s*=/i.test(tag.replace(/"[^"]*"/g, '""')), tag);
    }
    assert.equal((await history(room)).length, nasty.length);
    await Promise.all([reader, view, late].map(one => one.close()));
  });

  test('S-8 controls, halves of characters and tricks with direction are refused or harmless', async () => {
    const room = freshRoom();
    const view = await visit(node.url, `/${room}`);
    for (const escape of ['%00', '%1b%5b31m', '%07', '%7f', '%c2%85', '%ed%a0%80', '%ff', '%c0%80']) {
      await view.submit('send_message', `_csrf_token=${encodeURIComponent(view.page.csrf)}&nonce=${randomUUID()}&message=a${escape}b`);
    }
    assert.deepEqual(await history(room), [], 'none of them is in the log');
    const page = await Page.open(node.url, '/');
    for (const name of ['a\u202eb', 'a\u2066b', '\u200b', 'a\u0000', '\ufeff', 'a\u061cb']) {
      const cookie = cookieOf(await page.postForm('/session', { name }), page.cookie);
      assert.ok(!textOf((await get('/', { headers: { cookie } })).text).includes(name), JSON.stringify(name));
    }
    const marks = `a${'\u0301'.repeat(1000)}`;
    await view.send(marks);
    const [event] = await history(room);
    assert.ok(event.text.normalize('NFD').startsWith('a\u0301'));
    await view.close();
  });

  test('S-20 odd JSON is answered or ends the connection, and ends nothing else', async () => {
    const witness = await visit(node.url, `/${freshRoom()}`);
    const many = `{${Array.from({ length: 5000 }, (_, i) => `"k${i}":${i}`).join(',')}}`;
    const odd = ['[null,"1","phoenix","heartbeat",{"a":1,"a":2}]', '[null,"1","phoenix","heartbeat",-0]', '[null,"1","phoenix","heartbeat",9223372036854775808]',
      '[null,"1","phoenix","heartbeat",1e999]', '[null,"1","phoenix","heartbeat","\\ud800"]', '[null,"1","phoenix","heartbeat","\\u0000"]',
      '[null,"1","phoenix","heartbeat",{"\\u0000":1}]', `[null,"1","phoenix","heartbeat",${many}]`, `[null,"1","phoenix","heartbeat",${'['.repeat(17)}${']'.repeat(17)}]`,
      `${'['.repeat(30_000)}`, `${'{"a":'.repeat(12_000)}`, `"${'\\'.repeat(60_000)}"`, '[null,"1","phoenix","heartbeat",{}],[]', '[null,"1","phoenix","heartbeat",{}]\u0000',
      '\ufeff[null,"1","phoenix","heartbeat",{}]', 'nul', '-', '[null,"1","phoenix","heartbeat",01]', "[null,'1','phoenix','heartbeat',{}]", '[null,"1","phoenix","heartbeat",{},]',
      `[null,"${'1'.repeat(33)}","phoenix","heartbeat",{}]`, '[[],"1","phoenix","heartbeat",{}]', '[null,{"a":1},"phoenix","heartbeat",{}]', '[null,"1",7,"heartbeat",{}]',
      `[null,"1","phoenix","${'e'.repeat(60_000)}",{}]`, '[1,2,3,4,5]', '[null,null,null,null,null]', '[null,"1","phoenix","heartbeat",1E+2147483648]',
      `[null,"1","phoenix","heartbeat",${'9'.repeat(60_000)}]`, `[null,"1","phoenix","heartbeat",0.${'0'.repeat(60_000)}1]`];
    const verdicts = await Promise.all(odd.map(async text => {
      const socket = await Socket.open(node.url, { csrf: witness.page.csrf });
      socket.push(text);
      if (socket.isOpen) socket.push('[null,"after","phoenix","heartbeat",{}]');
      const verdict = await Promise.race([socket.closed.then(({ code }) => code),
        socket.frame('answer', got => got[1] === 'after').then(() => 'answered', () => socket.closeCode)]);
      await socket.cut();
      return verdict;
    }));
    verdicts.forEach((verdict, i) => assert.ok(['answered', 1002, 1003, 1007, 1008, 1009].includes(verdict), `${odd[i].slice(0, 80)}: ${verdict}`));
    // Lawful, if odd: minus nothing, an object of many keys, an event of a long name, a number of many digits.
    const lawful = new Set(odd.filter(text => /-0\]$|"k1":1|"eee|,0\.000/.test(text)));
    verdicts.forEach((verdict, i) => assert.equal(verdict === 'answered', lawful.has(odd[i]), `${odd[i].slice(0, 80)}: ${verdict}`));
    await witness.send('nobody else noticed');
    await witness.close();
  });
});

describe('requests', () => {
  const form = 'POST /session HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n';
  const hidden = 'GET /status HTTP/1.1\r\nHost: x\r\n\r\n';
  const length = hidden.length;
  const chunked = 'Transfer-Encoding: chunked\r\n';
  const ambiguous = {
    'a length that hides a request behind an end chunk': `${form}Content-Length: ${length + 5}\r\n${chunked}\r\n0\r\n\r\n${hidden}`,
    'so with the lines in the other order': `${form}${chunked}Content-Length: ${length + 5}\r\n\r\n0\r\n\r\n${hidden}`,
    'a body on GET': `GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n${hidden}`,
    'chunks on GET': `GET /livez HTTP/1.1\r\nHost: x\r\n${chunked}\r\n0\r\n\r\n${hidden}`,
    'equal lengths, twice': `${form}Content-Length: 0\r\nContent-Length: 0\r\n\r\n${hidden}`,
    'a length in a list': `${form}Content-Length: 0, ${length}\r\n\r\n${hidden}`,
    'a length with a tail': `${form}Content-Length: 0 ${length}\r\n\r\n${hidden}`,
    'a negative length': `${form}Content-Length: -1\r\n\r\n${hidden}`,
    'a length in other digits': `${form}Content-Length: ٠\r\n\r\n${hidden}`,
    'a folded length': `${form}Content-Length:\r\n ${length}\r\n\r\n${hidden}`,
    'a blank in the name of the length': `${form}Content-Length : ${length}\r\n\r\n${hidden}`,
    'a tab before the colon': `${form}Content-Length\t: ${length}\r\n\r\n${hidden}`,
    'chunked by tab': `${form}Transfer-Encoding:\tchunked,\tchunked\r\n\r\n0\r\n\r\n${hidden}`,
    'chunked in quotes': `${form}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n${hidden}`,
    'chunked with a vertical tab': `${form}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${hidden}`,
    'chunked behind identity': `${form}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n${hidden}`,
    'chunked for HTTP/1.0': `POST /session HTTP/1.0\r\n${chunked}Connection: keep-alive\r\n\r\n0\r\n\r\n${hidden}`,
    'an extension of two kilobytes': `${form}${chunked}\r\n0;${'x'.repeat(2048)}\r\n\r\n${hidden}`,
    'an extension with a bare LF': `${form}${chunked}\r\n1;\nx\r\n0\r\n\r\n${hidden}`,
    'a chunk that ends with LF': `${form}${chunked}\r\n1\r\nx\n0\r\n\r\n${hidden}`,
    'a trailer': `${form}${chunked}\r\n0\r\nContent-Length: 9\r\n\r\n${hidden}`,
    'a chunk size with a sign': `${form}${chunked}\r\n+0\r\n\r\n${hidden}`,
    'a chunk size that wraps': `${form}${chunked}\r\nfffffffffffffffff1\r\nx\r\n0\r\n\r\n${hidden}`,
    'a first header that is folded': `GET /livez HTTP/1.1\r\n X: y\r\nHost: x\r\n\r\n${hidden}`,
    'a header without a name': `GET /livez HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n${hidden}`,
    'an end of the head without CR': `GET /livez HTTP/1.1\r\nHost: x\r\n\n${hidden}`,
    'Host with a path': `GET /livez HTTP/1.1\r\nHost: x/status\r\n\r\n${hidden}`,
    'an absolute target of our own': `GET http://x/livez HTTP/1.1\r\nHost: x\r\n\r\n${hidden}`,
    'a target without a slash': `GET livez HTTP/1.1\r\nHost: x\r\n\r\n${hidden}`,
    'two blanks': `GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n${hidden}`,
    'a tab for a blank': `GET\t/livez HTTP/1.1\r\nHost: x\r\n\r\n${hidden}`,
    'HTTP/1.1 in small letters': `GET /livez http/1.1\r\nHost: x\r\n\r\n${hidden}`,
    'HTTP/1.10': `GET /livez HTTP/1.10\r\nHost: x\r\n\r\n${hidden}`,
  };

  test('S-12 whatever two readers could read differently is one 400 and the end', async () => {
    await Promise.all(Object.entries(ambiguous).flatMap(([what, bytes]) => [0, 1].map(async bytewise => {
      const answer = bytewise ? await rawSlowly(bytes) : await raw(node.httpPort, Buffer.from(bytes));
      assert.ok([400, 413, 431, 501, 505].includes(statusOf(answer.text)), `${what}: ${JSON.stringify(answer.text.slice(0, 60))}`);
      assert.equal(responses(answer.text), 1, `${what}: ${responses(answer.text)} responses`);
      assert.ok(!answer.text.includes('"cluster"'), `${what}: the hidden request was answered`);
      assert.equal(answer.closed, true, `${what}: still open`);
    })));
    // A request inside of a lawful body is part of it.
    for (const bytes of [`${form}Content-Length: ${length}\r\nConnection: close\r\n\r\n${hidden}`,
      `${form}${chunked}Connection: close\r\n\r\n${length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`]) {
      const answer = await raw(node.httpPort, bytes);
      assert.equal(responses(answer.text), 1);
      assert.ok(!answer.text.includes('"cluster"'));
    }
  });

  /* In pieces of seven bytes, each in a packet of its own. */
  async function rawSlowly(bytes) {
    const socket = await RawSocket.open(node.httpPort, { path: null });
    const all = Buffer.from(bytes);
    for (let at = 0; at < all.length && !socket.isOver; at += 7) await socket.write(all.subarray(at, at + 7));
    const closed = await socket.over().then(() => true, () => false);
    const text = socket.head === undefined ? '' : `${socket.head}\r\n\r\n${Buffer.concat(socket.parts).toString('latin1')}`;
    await socket.cut();
    return { text, closed };
  }

  for (const proxy of ['haproxy', 'nginx']) {
    const skip = Proxy.isThere(proxy) ? false : `${proxy} is not installed`;
    test(`S-12 so behind ${proxy}`, { skip, timeout: deadline(90_000) }, () => behindProxy(proxy));
    test(`S-12 pages and their sockets pass ${proxy} as deploy/ has it, and outlive a node`, { skip, timeout: deadline(90_000) }, () => passingBy(proxy));
  }

  /* The proxy and the node never disagree about where a request ends: the node has taken as many as there
   * came answers of it back, whatever they were made of, and none that stood in a body. */
  async function behindProxy(proxy) {
    const tea = await another(['--http-behind-proxy', 'true', '--http-public-url', 'http://127.0.0.1', '--chat-rate', '0']);
    const front = await Proxy.start(proxy, tea.cluster.dir, [tea]);
    try {
      await front.ready();
      const refused = [400, 405, 413, 414, 417, 431, 501, 505]; // by the reader: such a one is not counted as a request
      const ofNode = text => text.split(/(?=HTTP\/1\.1 \d)/).filter(one => /^x-livetea-node:/im.test(one) && !refused.includes(statusOf(one))).length;
      const counts = async () => (await request(`${tea.url}/metrics`)).text.matchAll(/^livetea_http_requests_total\{route="([^"]*)"[^}]*\} (\d+)$/gm);
      const count = async isMeant => [...await counts()].reduce((sum, [, route, n]) => sum + (isMeant(route) ? Number(n) : 0), 0);
      const body = 'POST /session HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n';
      const outer = 'POST /rooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n';
      const [size, hex] = [body.length, body.length.toString(16)];
      const isChat = route => ['/rooms', '/session', '/status'].includes(route);
      const isFromBody = route => route === '/session';
      const whole = [`${outer}Content-Length: ${size}\r\n\r\n${body}`, `${outer}Transfer-Encoding: chunked\r\n\r\n${hex}\r\n${body}\r\n0\r\n\r\n`];
      const inBodies = [...[`Content-Length: ${size}\r\nContent-Length: ${size}`, `Content-Length: +${size}`, `Content-Length: ${size}\r\nContent-Length: 0`,
        `Content-Length: ${size}\r\nX: \rTransfer-Encoding: chunked`, `Content-Length: ${size}\r\nTransfer_Encoding: chunked`, `Content-Length: ${size}\r\n Transfer-Encoding: chunked`,
        `Content-Length: ${size}\r\nTransfer-Encoding : chunked`, `Content-Length: ${size}\r\nX: a\0Transfer-Encoding: chunked`].map(lines => `${outer}${lines}\r\n\r\n${body}`),
      ...[`0${hex}`, `${hex};x=y`, `${hex} `, `0x${hex}`].map(length => `${outer}Transfer-Encoding: chunked\r\n\r\n${length}\r\n${body}\r\n0\r\n\r\n`)];
      const lawful = front.say(whole);
      await until('what is lawful passes', () => lawful.every(one => ofNode(one.text) === 1));
      const said = [...lawful, ...front.say(inBodies)];
      // One that is meant, behind them; and once it is counted, all that the node took before is counted.
      const agree = async () => {
        await Promise.race([Promise.all(said.map(one => one.answered)), pause(2_000)]); // some wait for more, and get none
        const { headers } = await postForm(`${front.url}/session`, {});
        assert.equal(headers['x-livetea-node'], tea.name);
        meant++;
        await until('as many requests as answers', async () => {
          const [taken, answers] = [await count(isChat), said.reduce((sum, one) => sum + ofNode(one.text), 0) + meant];
          if (taken !== answers) throw new Error(`${taken} requests, ${answers} answers`);
          return true;
        });
      };
      let meant = 0;
      await agree();
      assert.equal(await count(isFromBody), 1, 'what stood in a body was taken for a request');
      said.push(...front.say(Object.values(ambiguous).map(bytes => bytes.replace('/livez', '/status'))));
      await agree();
      await until('some of them pass, as the proxy understands them', async () => await count(isFromBody) > 2);
      await agree();
    } finally {
      await front.stop();
    }
  }

  async function passingBy(proxy) {
    const [port] = await freePorts(1);
    const trio = await Cluster.start({ nodes: 3, options: ['--http-behind-proxy', 'true', '--http-public-url', `http://127.0.0.1:${port}`, '--chat-rate', '0'] });
    others.push(trio);
    const front = await Proxy.start(proxy, trio.dir, trio.nodes, port);
    // They come back by themselves, as pages do: the proxy cuts them off from a node that it takes for dead.
    const people = ['Kari', 'Maja'].map(name => new Sender({ urls: [front.url], name, room: freshRoom() }));
    try {
      await front.ready();
      const say = async (somebody, text) => assert.ok(await within('answer', somebody.send(text), 30_000), text);
      const [kari, maja] = people;
      await say(kari, 'through the proxy');
      await (await trio.leader()).kill();
      await until('pages come from the others', async () => (await request(`${front.url}/lobby`)).status === 200);
      await say(kari, 'with two nodes');
      await say(maja, 'and who comes new');
    } finally {
      for (const somebody of people) somebody.stop();
      await front.stop();
    }
  }

  test('S-31 a token of a megabyte is refused before it is read', async () => {
    const answer = await raw(node.httpPort, `POST /api/cluster/drain HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${'x'.repeat(1 << 20)}\r\n\r\n`);
    assert.equal(responses(answer.text) <= 1, true);
    assert.ok([0, 431].includes(statusOf(answer.text)), answer.text.slice(0, 60));
    assert.equal(answer.closed, true);
    assert.equal((await node.status()).node.draining, false);
  });

  test('S-28 no answer tells which program, file or library is behind it', async () => {
    for (const bytes of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'GET /a/b HTTP/1.1\r\nHost: x\r\n\r\n', 'BREW / HTTP/1.1\r\nHost: x\r\n\r\n', 'x\r\n\r\n', 'GET /api/rooms/x/messages?limit=x HTTP/1.1\r\nHost: x\r\n\r\n',
      'POST /session HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n', 'GET /live/websocket HTTP/1.1\r\nHost: x\r\n\r\n']) {
      const { text } = await raw(node.httpPort, bytes, { ms: 1_000, enough: got => got.includes('\r\n\r\n') });
      const head = text.split('\r\n\r\n')[0];
      assert.ok(head.length > 0);
      assert.doesNotMatch(head, /^(server|x-powered-by|via):/im);
      assert.doesNotMatch(text, /livetea\/\d|llhttp|libuv|wslay|jansson|src\/|\.c:\d|errno|0x[0-9a-f]{8}/i);
    }
  });
});

describe('frames', () => {
  test('S-17 a message that never ends costs no more than its limit', { timeout: deadline(120_000) }, async () => {
    const page = await Page.open(node.url, '/lobby');
    const rss = () => Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${node.pid}/status`, 'utf8'))[1]) * 1024;
    const count = slow ? 30 : 100;
    const before = rss();
    const sockets = await Promise.all(Array.from({ length: count }, () => rawJoined(page)));
    // Sixty of sixty-four kilobytes, and then nothing; a fragment of no byte, again and again.
    await Promise.all(sockets.map(socket => socket.write(frame(TEXT, Buffer.alloc(60_000, 0x20), { fin: false }))));
    await Promise.all(sockets.map(socket => socket.write(Buffer.concat(Array.from({ length: 2_000 }, () => frame(CONTINUED, '', { fin: false }))))));
    await Promise.all(sockets.map(socket => socket.write(frame(PING, 'there?'))));
    await Promise.all(sockets.map(socket => socket.until('pong', () => socket.events.some(([kind]) => kind === 'pong'))));
    const each = (rss() - before) / count;
    if (!slow) assert.ok(each <= 256 * 1024, `${Math.round(each / 1024)} KiB for each`);
    await Promise.all(sockets.map(socket => socket.write(frame(CONTINUED, Buffer.alloc(6_000, 0x20), { fin: false }))));
    await Promise.all(sockets.map(socket => socket.over(20_000)));
    for (const socket of sockets) assert.equal(socket.closeCode, 1009);
  });

  test('S-17 a million empty fragments, or one-byte ones up to the limit', { timeout: deadline(120_000) }, async () => {
    const page = await Page.open(node.url, '/lobby');
    const empty = await rawJoined(page);
    const some = Buffer.concat(Array.from({ length: 10_000 }, () => frame(CONTINUED, '', { fin: false })));
    await empty.write(frame(TEXT, '', { fin: false }));
    for (let i = 0; i < (slow ? 10 : 100); i++) await empty.write(some);
    await empty.write(frame(PING, 'still there?'));
    await empty.until('pong', () => empty.events.some(([kind]) => kind === 'pong'), 30_000);
    await empty.cut();
    const single = await rawJoined(page);
    const bytes = Buffer.concat(Array.from({ length: 10_000 }, () => frame(CONTINUED, ' ', { fin: false })));
    await single.write(frame(TEXT, ' ', { fin: false }));
    for (let i = 0; i < 7 && !single.isOver; i++) await single.write(bytes);
    await single.over(20_000);
    assert.equal(single.closeCode, 1009);
  });

  test('S-18 a flood of closes is one close', async () => {
    const page = await Page.open(node.url, '/lobby');
    const socket = await rawAt(page);
    await socket.write(Buffer.concat(Array.from({ length: 20_000 }, () => frame(CLOSE, closing(1001)))));
    await socket.over();
    assert.equal(socket.events.filter(([kind]) => kind === 'close').length, 1);
    assert.equal(socket.closeCode, 1001);
  });

  test('S-18 who floods is told 1008, and others are answered meanwhile', { timeout: deadline(60_000) }, async () => {
    const view = await visit(node.url, `/${freshRoom()}`);
    const page = await Page.open(node.url, '/lobby');
    const floods = await Promise.all([PING, PONG].flatMap(opcode => Array.from({ length: 10 }, async () => {
      const socket = await rawAt(page);
      return { socket, bytes: Buffer.concat(Array.from({ length: 10_000 }, () => frame(opcode, 'x'.repeat(100)))) };
    })));
    const flooding = Promise.all(floods.map(({ socket, bytes }) => socket.write(bytes).then(() => socket.over())));
    for (let i = 0; i < 10; i++) await view.send(`meanwhile ${i}`);
    await flooding;
    for (const { socket } of floods) {
      assert.equal(socket.closeCode, 1008);
      assert.ok(socket.events.length <= 60, `${socket.events.length} answers to a flood`);
    }
    await view.close();
  });
});

describe('connections', () => {
  test('S-21 who connects and says nothing, or a body byte by byte, is let go', { timeout: deadline(60_000) }, async () => {
    const start = performance.now();
    const silent = await RawSocket.open(node.httpPort, { path: null });
    const dripping = await RawSocket.open(node.httpPort, { path: null });
    await dripping.write('POST /session HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n');
    const drip = setInterval(() => dripping.write('a'), 300);
    await Promise.all([silent, dripping].map(socket => socket.over(20_000))).finally(() => clearInterval(drip));
    assert.ok(performance.now() - start > 8_000, 'not before ten seconds');
    assert.equal(dripping.status, 408);
    assert.equal(silent.status, undefined);
  });

  test('S-23 beyond the limit of a node the idle go, and when there are none one gets a 503', async () => {
    const most = 40;
    const small = await another(['--http-max-connections', `${most}`, '--http-threads', '1', '--http-max-per-address', '0']);
    const page = await Page.open(small.url, '/lobby');
    const open = count => Promise.all(Array.from({ length: count }, () => RawSocket.open(small.httpPort, { path: null })));
    const ask = async socket => { // 0: closed without a word
      await socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
      await Promise.race([socket.until('answer', () => socket.status !== undefined).catch(() => {}), socket.closed]);
      return socket.status ?? 0;
    };
    const idle = await open(most + 20);
    await until('20 have gone for the last', () => idle.filter(socket => socket.isOver).length >= 20);
    const [last] = await open(1);
    assert.equal(await ask(last), 200);

    const pages = await Promise.all(Array.from({ length: most }, () => rawJoined(page, small)));
    await Promise.all([...idle, last].map(socket => socket.over()));
    const late = await open(20);
    const refused = await Promise.all(late.map(ask));
    assert.ok(refused.every(status => status === 503 || status === 0), refused.join());
    assert.ok(refused.includes(503));
    assert.ok(pages.every(socket => !socket.isOver), 'a page stays');
    await Promise.all([...late, ...pages].map(socket => socket.cut()));
    await until('there is room again', async () => (await request(`${small.url}/livez`)).status === 200);
  });

  test('S-23 of thousands of connections from one address few are served, and other addresses are', { timeout: deadline(120_000) }, async () => {
    const tea = await another(['--http-threads', '1']); // each has limits of its own
    const count = process.env.LIVETEA_LONG === '1' ? 10_000 : 2_000;
    const room = 2 * 200; // twice the pages that one address may have
    const before = fdsOf(tea);
    const served = [];
    let refused = 0;
    for (let at = 0; at < count; at += 100) {
      const some = await Promise.all(Array.from({ length: 100 }, () => RawSocket.open(tea.httpPort, { path: null, localAddress: '127.6.0.1' })));
      await Promise.all(some.map(socket => socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')));
      await Promise.all(some.map(socket => socket.until('answer', () => socket.status !== undefined, 20_000).catch(() => {})));
      const away = some.filter(({ status }) => status !== 200);
      assert.ok(away.every(({ status, isOver }) => status === 429 || isOver));
      await Promise.all(away.map(socket => socket.over(20_000)));
      served.push(...some.filter(({ status }) => status === 200));
      refused += away.length;
      assert.ok(fdsOf(tea) <= before + room + 164, `${fdsOf(tea) - before} descriptors`);
    }
    assert.equal(served.length + refused, count);
    const left = served.filter(socket => socket.isOver).length; // let go for being idle, where all this takes long
    assert.ok(served.length >= room && served.length <= room + left, `${served.length} were served`);
    assert.equal((await request(`${tea.url}/lobby`, { localAddress: '127.6.0.2' })).status, 200);
    await Promise.all(served.map(socket => socket.cut()));
    await until('there is room again', async () => (await request(`${tea.url}/livez`, { localAddress: '127.6.0.1' })).status === 200);
  });

  test('S-23 without descriptors the cluster goes on, and so do pages when there are some again', { timeout: deadline(120_000) }, async () => {
    const trio = await Cluster.start({ nodes: 3, options: ['--chat-rate', '0', '--http-max-per-address', '0'] });
    others.push(trio);
    const without = async () => {
      const leader = await trio.leader();
      const view = await visit(leader.url, '/fds');
      const limit = fdsOf(leader) + 30;
      assert.equal(spawnSync('prlimit', ['--pid', String(leader.pid), `--nofile=${limit}:`]).status, 0);
      const sockets = [];
      for (let i = 0; i < 100; i++) sockets.push(await RawSocket.open(leader.httpPort, { path: null }));
      for (let i = 0; i < 20; i++) await view.say(`without descriptors ${i}`);
      const leads = await Promise.all(trio.nodes.filter(other => other !== leader).map(async one => (await one.status()).cluster.leader === leader.name));
      assert.equal(spawnSync('prlimit', ['--pid', String(leader.pid), '--nofile=4096:']).status, 0);
      await Promise.all(sockets.map(socket => socket.cut()));
      await until('pages are served again', async () => (await request(`${leader.url}/livez`)).status === 200);
      await view.say('and with some');
      await view.close();
      return leads.every(Boolean);
    };
    // That it leads no more may be the machine's doing, but not each time.
    assert.ok(await without() || await without() || await without(), 'it still leads');
  });

  test('S-24 a thousand messages of a hundred sessions from one address are no thousand', { timeout: deadline(120_000) }, async () => {
    const strict = await another(['--http-threads', '1']); // each has limits of its own
    const sessions = slow ? 20 : 60;
    const views = [];
    for (let i = 0; i < sessions; i++) views.push(await visit(strict.url, '/crowd', { name: `Bot ${i}`, localAddress: '127.4.0.1' }));
    const start = performance.now();
    await Promise.all(views.map(async view => {
      for (let i = 0; i < 12; i++) await view.send(`spam ${i}`);
    }));
    const more = (performance.now() - start) / 100; // ten a second
    const { number } = JSON.parse((await postJson(`${strict.url}/api/rooms/barrier/messages`, { sender: 'barrier', text: 'here' })).text);
    const events = (await strict.events({ upTo: number })).filter(event => event.room === 'crowd');
    const bySender = new Map();
    for (const event of events) bySender.set(event.sender_id, (bySender.get(event.sender_id) ?? 0) + 1);
    assert.ok([...bySender.values()].every(count => count <= 12), 'no sender got more than its share');
    assert.ok(events.length <= 101 + more, `${events.length} messages of one address, and ${100 + more} might be`);
    assert.ok(events.length >= 60, `${events.length}`);
    const other = await visit(strict.url, '/crowd', { name: 'Elsewhere', localAddress: '127.4.0.2' });
    assert.equal((await other.send('from another address')).hint, '');
    await Promise.all([...views, other].map(view => view.close()));
  });

  test('S-24 who says of every message that it is a second copy has as many again, and no more', { timeout: deadline(60_000) }, async () => {
    const strict = await another(['--http-threads', '1']);
    const page = await Page.open(strict.url, '/claims', { name: 'Mallory', localAddress: '127.4.0.3' });
    const views = [];
    for (let i = 0; i < 8; i++) views.push(await View.join(page));
    const start = performance.now();
    for (const view of views) {
      for (let i = 0; i < 7; i++) { // of more than 16 events that wait for an answer nothing is done
        const value = new URLSearchParams({ _csrf_token: page.csrf, nonce: randomUUID(), message: `claim ${i}` }).toString();
        for (const event of ['recover', 'send_message']) view.socket.push([view.joinRef, view.socket.nextRef(), topic, 'event', { type: 'form', event, value, meta: {} }]);
      }
    }
    for (const view of views) await view.socket.heartbeat(); // all of it is on its way
    const { number } = JSON.parse((await postJson(`${strict.url}/api/rooms/barrier/messages`, { sender: 'barrier', text: 'here' })).text);
    const taken = (await strict.events({ upTo: number })).filter(event => event.room === 'claims').length;
    const most = 20 + Math.ceil((performance.now() - start) / 1000);
    assert.ok(taken <= most, `${taken} were taken, and ${most} might be written`);
    assert.ok(taken >= 20, `${taken}: a page that has to ask again is not held up`);
    await Promise.all(views.map(view => view.close()));
  });

  test('S-26 nothing leaks, whenever a connection breaks off and whatever was said', { timeout: deadline(300_000) }, async context => {
    const page = await Page.open(node.url, '/lobby', { name: 'Kari' });
    const view = await visit(node.url, `/${freshRoom()}`);
    const join = joinOf(page);
    const head = `GET ${socketPath(page)} HTTP/1.1\r\nHost: x\r\nOrigin: ${node.url}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
    const hello = Buffer.from('160301020001000001fc0303', 'hex'); // of TLS
    const states = ['', 'G', 'GET / HTTP/1.1\r\nHost', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'POST /session HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc', hello,
      head.slice(0, 40), head, Buffer.concat([Buffer.from(head), frame(TEXT, join).subarray(0, 30)]), Buffer.concat([Buffer.from(head), frame(TEXT, join)]),
      Buffer.concat([Buffer.from(head), frame(TEXT, join), frame(PING, 'x'), frame(TEXT, 'half', { fin: false })]), Buffer.from(Array.from({ length: 500 }, (_, i) => i * 7 % 256)),
      'GET /api/events?after=999999999&wait=1s HTTP/1.1\r\nHost: x\r\n\r\n', 'GET /assets/phoenix.min.js HTTP/1.1\r\nHost: x\r\n\r\n'];
    const count = process.env.LIVETEA_LONG === '1' ? 100_000 : slow ? 2_000 : 10_000;
    const settled = async what => until(what, () => {
      const open = fs.readdirSync(`/proc/${node.pid}/fd`).map(fd => { try { return fs.readlinkSync(`/proc/${node.pid}/fd/${fd}`); } catch { return ''; } });
      return open.filter(one => one.startsWith('socket:')).length <= base ? { fds: open.length } : null;
    }, 30_000, 100);
    const rss = () => Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${node.pid}/status`, 'utf8'))[1]);
    let base = Infinity;
    const round = async times => {
      let next = 0;
      await Promise.all(Array.from({ length: 32 }, async () => {
        while (next < times) {
          const bytes = states[next++ % states.length];
          await new Promise(resolve => {
            const socket = net.connect(node.httpPort, '127.0.0.1');
            socket.on('error', () => {});
            socket.on('close', resolve);
            socket.on('connect', () => (bytes.length === 0 ? socket.resetAndDestroy() : socket.write(bytes, () => (next % 3 === 0 ? socket.destroy() : socket.resetAndDestroy()))));
          });
        }
      }));
    };
    base = fs.readdirSync(`/proc/${node.pid}/fd`).map(fd => { try { return fs.readlinkSync(`/proc/${node.pid}/fd/${fd}`); } catch { return ''; } }).filter(one => one.startsWith('socket:')).length;
    await round(count / 5);
    await settled('all connections are gone');
    const before = rss();
    const lines = node.log().split('\n').length;
    await round(count);
    await settled('all connections are gone again');
    const grown = rss() - before;
    context.diagnostic(`${grown} KiB more after ${count} connections`);
    if (!slow) assert.ok(grown < 4 * 1024, `${grown} KiB more after ${count} connections`);
    assert.ok(node.log().split('\n').length - lines < 200, 'the log is not flooded');
    await view.send('and all is well');
    await view.close();
  });
});

describe('what a node keeps to itself', () => {
  test('S-50 the secret is in no argument, environment, status, log or page', async () => {
    const secret = fs.readFileSync(cluster.secretFile, 'utf8').trim();
    const proc = name => fs.readFileSync(`/proc/${node.pid}/${name}`, 'latin1');
    const places = { arguments: proc('cmdline'), environment: proc('environ'), log: node.log(), status: (await get('/status')).text, metrics: (await get('/metrics')).text, page: (await get('/')).text,
      config: (await run(['check-config', ...node.options()])).out };
    for (const [where, text] of Object.entries(places)) {
      assert.ok(text.length > 0 || where === 'environment', where);
      assert.ok(!text.includes(secret), where);
    }
    if (!slow) assert.match(proc('limits'), /^Max core file size\s+0\s+0\s/m);
  });

  test('S-50 a secret that others can read, or none for a cluster, is a reason not to start', async () => {
    const file = path.join(cluster.dir, 'shown');
    for (const mode of [0o640, 0o604, 0o660, 0o666, 0o620]) {
      fs.writeFileSync(file, fs.readFileSync(cluster.secretFile));
      fs.chmodSync(file, mode);
      const isOfRoot = fs.statSync(file).uid === 0;
      const { code, err } = await run(['check-config', ...node.options(['--node-secret-file', file]).filter((word, i, all) => !(all[i - 1] === '--node-secret-file' && word === cluster.secretFile) && !(word === '--node-secret-file' && all[i + 1] === cluster.secretFile))]);
      // One of root's that our group may read is how systemd gives it.
      if (isOfRoot && mode === 0o640) continue;
      assert.notEqual(code, 0, mode.toString(8));
      assert.match(err, /secret/);
    }
    const { code, err } = await run(['check-config', '--node-name', 'tea-1', '--node-data-dir', path.join(cluster.dir, 'nowhere'), '--http-listen', '127.0.0.1:4999',
      '--cluster-listen', '127.0.0.1:7999', '--cluster-peers', 'tea-1=127.0.0.1:7999, tea-2=127.0.0.1:7998']);
    assert.notEqual(code, 0);
    assert.match(err, /secret/);
  });

  test('S-51 the directory is its owner\'s alone, and one process\'s', async () => {
    await say(freshRoom(), { sender: 'a', text: 'something to keep', id: randomUUID() });
    const look = file => {
      const about = fs.lstatSync(file, { throwIfNoEntry: false });
      if (about === undefined) return; // its name has changed, or it has gone, while we looked
      assert.equal(about.mode & 0o077, 0, `${file} has mode ${(about.mode & 0o777).toString(8)}`);
      assert.ok(!about.isSymbolicLink());
      if (about.isDirectory()) for (const name of fs.readdirSync(file)) look(path.join(file, name));
    };
    look(node.dataDir);
    const [http, port] = await freePorts(2);
    const second = await run(['serve', ...node.options(['--http-listen', `127.0.0.1:${http}`, '--cluster-listen', `127.0.0.1:${port}`])]);
    assert.notEqual(second.code, 0);
    assert.match(second.err, /use|lock|another process/i);
    assert.ok(await node.isReady());
  });

  test('S-52 a node needs no right that an ordinary user has not', { skip: process.getuid() === 0 ? false : 'this test is no root, so every test shows it' }, async () => {
    const tea = await another([]);
    await tea.stop();
    const nobody = 65534;
    const take = file => {
      fs.lchownSync(file, nobody, nobody);
      if (fs.lstatSync(file).isDirectory()) for (const name of fs.readdirSync(file)) take(path.join(file, name));
    };
    fs.chmodSync(tea.cluster.dir, 0o711);
    take(tea.dir);
    take(tea.cluster.secretFile);
    const { spawn } = await import('node:child_process');
    const copy = path.join(tea.dir, 'livetea'); // the build may lie where only its owner can go
    fs.copyFileSync(program, copy);
    fs.chmodSync(copy, 0o755);
    const child = spawn(copy, ['serve', ...tea.options()], { uid: nobody, gid: nobody, stdio: ['ignore', 'ignore', 'pipe'], cwd: tea.dir });
    let said = '';
    child.stderr.on('data', text => { said += text; });
    const ended = new Promise(resolve => child.on('exit', code => resolve(code)));
    try {
      await until('it is ready', () => tea.isReady(), 20_000).catch(error => { throw new Error(`${error.message}\n${said}`); });
      assert.match(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8'), /^CapEff:\t0000000000000000$/m);
      // S-50: what may not be dumped belongs to root, so that the same user's other processes cannot look in.
      if (!slow) assert.equal(fs.statSync(`/proc/${child.pid}/mem`).uid, 0, 'others may look into it');
      await postJson(`${tea.url}/api/rooms/plain/messages`, { sender: 'a', text: 'x', id: 'plain' }).then(answer => assert.equal(answer.status, 201));
    } finally {
      child.kill('SIGTERM');
      assert.equal(await within('end', ended, 20_000), 0, said);
    }
  });

  test('S-53 the unit keeps the node in a small room', () => {
    const unit = fs.readFileSync(path.join(top, 'deploy/livetea.service'), 'utf8');
    for (const line of ['DynamicUser=yes', 'NoNewPrivileges=yes', 'ProtectSystem=strict', 'ProtectHome=yes', 'PrivateTmp=yes', 'PrivateDevices=yes', 'ProtectKernelTunables=yes', 'ProtectKernelModules=yes',
      'ProtectKernelLogs=yes', 'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX', 'MemoryDenyWriteExecute=yes', 'CapabilityBoundingSet=', 'Restart=on-failure', 'StateDirectoryMode=0700', 'LimitNOFILE=65536', 'LimitCORE=0', 'MemoryMax=80%']) {
      assert.ok(unit.split('\n').includes(line), line);
    }
    assert.match(unit, /^SystemCallFilter=@system-service/m);
  });

  const hasAnalyze = spawnSync('sh', ['-c', 'command -v systemd-analyze']).status === 0;
  test('S-53 systemd finds that room small', { skip: hasAnalyze ? false : 'systemd-analyze is not there' }, () => {
    const said = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', path.join(top, 'deploy/livetea.service')], { encoding: 'utf8', env: { ...process.env, SYSTEMD_COLORS: '0' } });
    const exposure = /exposure level for .*: ([0-9.]+)/.exec(said.stdout);
    assert.ok(exposure, `systemd-analyze says no exposure level: ${said.stdout}${said.stderr}`);
    assert.ok(Number(exposure[1]) <= 2.0, `exposure ${exposure[1]}`);
  });
});

test('every item of the list is tried somewhere', () => {
  const rows = attackList.map(({ item, what, where }) => {
    const own = findTests('e2e/attacks.mjs', `${item} `);
    const named = where.flatMap(([file, name]) => {
      const found = findTests(file, name);
      assert.ok(found.length > 0, `${item}: there is no test "${name}" in tests/${file}`);
      return found;
    });
    const all = [...own, ...named];
    assert.ok(all.length > 0, `${item} is tried nowhere`);
    return [item, what, all];
  });
  const listed = fs.readFileSync(path.join(top, 'docs/security.md'), 'utf8').match(/^\| S-\d+/gm).map(text => text.slice(2));
  assert.deepEqual(rows.map(([item]) => item), [...new Set(listed)], 'the list of docs/security.md');
  const mistakes = fs.readFileSync(path.join(top, 'tests/mutations/security.txt'), 'utf8').match(/^S-\d+/gm);
  assert.deepEqual([...new Set(mistakes)], rows.map(([item]) => item), 'a mistake on purpose for each');
  for (const [item, what, all] of rows) console.log(`${item.padEnd(5)} ${what}\n${all.map(name => `        ${name}`).join('\n')}`);
});
