// Many bad clients at once, as a process of their own, so that they take no turn of the loop of who measures:
//
//   fork(bad_crowd.mjs, [JSON.stringify({ base, port, room, count, kinds })])  ->  'here', then counts with 'stop'
//
// As many of each kind that is asked for: a message that never ends, floods of control frames, JSON that is
// none, heads a byte at a time, and pages that never read. Who is closed comes again a second later or so.
import net from 'node:net';
import { Page, topic } from './phoenix.mjs';
import { CONTINUED, PING, PONG, RawSocket, TEXT, frame } from './raw_socket.mjs';
import { pause } from './wait.mjs';

const { base, port, room, count, kinds } = JSON.parse(process.argv[2]);
const counts = { endless: 0, floods: 0, json: 0, drops: 0, deaf: 0, closed: {}, failed: 0 };
const sockets = new Set();
let stopped = false, here = 0;

const page = await Page.open(base, `/${room}`, { name: 'Bad' });
const where = `/live/websocket?vsn=2.0.0&_csrf_token=${encodeURIComponent(page.csrf)}`;
const addressOf = i => `127.5.${Math.floor(i / 100)}.${i % 100 + 1}`;

async function open(i, path = where) {
  const raw = await RawSocket.open(port, { path, origin: base, localAddress: addressOf(i) });
  sockets.add(raw);
  return raw;
}

const spaces = frame(TEXT, Buffer.alloc(60_000, 0x20), { fin: false });
const nothing = Buffer.concat(Array.from({ length: 500 }, () => frame(CONTINUED, '', { fin: false })));
const more = frame(CONTINUED, Buffer.alloc(6_000, 0x20));
const flood = Buffer.concat(Array.from({ length: 1_000 }, (_, i) => frame(i % 2 ? PING : PONG, 'x'.repeat(100))));
const odd = ['[', `${'['.repeat(30_000)}`, `{"a":${'1'.repeat(60_000)}}`, '[1,2,3,4,5]', `[null,"1","phoenix","heartbeat",${'{"a":'.repeat(5_000)}`, '["4","4","lv:lt","event",{"type":"form"}]', '"\\ud800"'];
const join = JSON.stringify(['4', '4', topic, 'phx_join', { url: `${base}/${room}`, params: { _csrf_token: page.csrf }, session: page.session, static: null, sticky: false }]);

const clients = {
  endless: async i => {
    const raw = await open(i);
    await raw.write(spaces);
    for (let n = 0; n < 10 && !raw.isOver && !stopped; n++) { await raw.write(nothing); await pause(500); }
    await raw.write(more);
    counts.endless++;
    return raw;
  },
  floods: async i => {
    const raw = await open(i);
    await raw.write(flood);
    counts.floods++;
    return raw;
  },
  json: async i => {
    const raw = await open(i);
    for (const text of odd) if (!raw.isOver) await raw.write(frame(TEXT, text));
    counts.json++;
    return raw;
  },
  drops: async i => {
    const raw = await open(i, null);
    for (const byte of `GET /${room} HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(100)}`) {
      if (raw.isOver || stopped) break;
      await raw.write(byte);
      await pause(1_000);
    }
    counts.drops++;
    return raw;
  },
  deaf: async i => {
    const raw = await open(i);
    await raw.write(frame(TEXT, join));
    await raw.until('answer to the join', () => raw.events.length > 0 || raw.isOver);
    raw.socket.pause();
    counts.deaf++;
    while (!raw.isOver && !stopped) { // it beats, so it is no silent one; a close that it does not read it would not see
      await raw.write(frame(TEXT, '[null,"9","phoenix","heartbeat",{}]'));
      await pause(1_000);
    }
    return raw;
  },
};

const all = Array.from({ length: count }, async (_, i) => {
  let isNew = true;
  await pause(Math.random() * 1_000); // nobody beats time for them
  while (!stopped) {
    let raw;
    try {
      const doing = clients[kinds[i % kinds.length]](i);
      if (isNew && ++here === count) process.send?.('here');
      isNew = false;
      raw = await doing;
      await Promise.race([raw.closed, pause(20_000)]);
      const code = raw.closeCode ?? raw.status ?? 'none';
      counts.closed[code] = (counts.closed[code] ?? 0) + 1;
    } catch {
      counts.failed++;
    }
    if (raw) {
      sockets.delete(raw);
      raw.cut();
    }
    if (!stopped) await pause(500 + Math.random() * 1_000);
  }
});

process.on('message', async () => {
  stopped = true;
  for (const raw of sockets) raw.cut();
  process.send(counts, () => process.exit(0));
});
process.on('disconnect', () => process.exit(0));
net.setDefaultAutoSelectFamily?.(false);
await Promise.all(all);
