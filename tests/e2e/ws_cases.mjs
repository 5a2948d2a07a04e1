// WebSocket conformance of the frame code: our own wording of the 301 cases of the groups 1 to 7, 9 and 10
// that the Autobahn test suite made customary, under its numbers, run against a server that says everything
// back (tests/lib/echo_server.c). A case is what is sent, what must come back, and who closes with which
// code. Its verdict:
//
//   OK             what must come back came, and the connection ended as it should
//   NON-STRICT     lawful, but not the best: a failure was seen late
//   INFORMATIONAL  whatever happened is lawful
//   FAILED         all else
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { top } from '../lib/cluster.mjs';
import { BINARY, CLOSE, CONTINUED, PING, PONG, RawSocket, TEXT, chopped, closing, fragments, frame } from '../lib/raw_socket.mjs';
import { deadline, pause, within } from '../lib/wait.mjs';

const KIB = 1024, MIB = 1024 * KIB;

/* ---- the servers: one with the limits of the program, one that takes the large messages ---- */

async function startServer(...args) {
  const program = process.env.LIVETEA_ECHO_SERVER ?? path.join(top, 'build/dev/tests/lib/echo_server');
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise(resolve => child.on('exit', (code, signal) => resolve(code ?? signal)));
  const port = await within('port of the server', new Promise(resolve => child.stdout.once('data', data => resolve(Number(data)))));
  return { port, stop: () => { child.stdin.end(); return within('end of the server', ended); } };
}

/* ---- the cases ---- */

const cases = [];

/* events: those expected, in order; `ok` wins over `lax`. code: the close codes that are right.
 * `byServer`: it is the server that must fail the connection. */
const add = (name, what, fields) => cases.push({ name, what, ok: [], ...fields });

/* What must come back, then we close. */
const answered = (name, what, send, ok, fields) => add(name, what, { send, ok, codes: [1000], ...fields });
/* The server must fail the connection; what came before it is answered. */
const failed = (name, what, send, { code = 1002, ...fields } = {}) => add(name, what, { send, byServer: true, codes: [code], ...fields });

const text = payload => ['text', Buffer.from(payload)];
const binary = payload => ['binary', Buffer.from(payload)];
const pong = payload => ['pong', Buffer.from(payload)];
const bytewise = frames => frames.flatMap(one => chopped(one, 1));
const glued = frames => [Buffer.concat(frames)];

// 1: sizes at the borders of the three forms of a length
for (const [group, opcode, fill, reply] of [[1, TEXT, '*', text], [2, BINARY, 0xfe, binary]]) {
  [0, 125, 126, 127, 128, 65535, 65536].forEach((size, i) => {
    const payload = Buffer.alloc(size, fill);
    answered(`1.${group}.${i + 1}`, `${size} bytes`, [frame(opcode, payload)], [reply(payload)]);
  });
  const payload = Buffer.alloc(65536, fill);
  answered(`1.${group}.8`, '65536 bytes in packets of 997', chopped(frame(opcode, payload), 997), [reply(payload)]);
}

// 2: pings and pongs
answered('2.1', 'an empty ping', [frame(PING)], [pong('')]);
answered('2.2', 'a ping with text', [frame(PING, 'a cup of tea')], [pong('a cup of tea')]);
answered('2.3', 'a ping with bytes that are no text', [frame(PING, Buffer.from([0, 255, 254, 253, 252, 251, 0, 255]))], [pong([0, 255, 254, 253, 252, 251, 0, 255])]);
answered('2.4', 'a ping of 125 bytes', [frame(PING, Buffer.alloc(125, 0xfe))], [pong(Buffer.alloc(125, 0xfe))]);
failed('2.5', 'a ping of 126 bytes', [frame(PING, Buffer.alloc(126, 0xfe))]);
answered('2.6', 'a ping of 125 bytes, byte by byte', bytewise([frame(PING, Buffer.alloc(125, 0xfe))]), [pong(Buffer.alloc(125, 0xfe))]);
answered('2.7', 'an empty pong that nobody asked for', [frame(PONG)], []);
answered('2.8', 'a pong with a payload', [frame(PONG, 'unasked')], []);
answered('2.9', 'such a pong, then a ping', [frame(PONG, 'unasked'), frame(PING, 'asked')], [pong('asked')]);
{
  const ten = Array.from({ length: 10 }, (_, i) => `ping ${i}`);
  answered('2.10', 'ten pings', glued(ten.map(one => frame(PING, one))), ten.map(pong));
  answered('2.11', 'ten pings, byte by byte', bytewise(ten.map(one => frame(PING, one))), ten.map(pong));
}

// 3: reserved bits
{
  const behind = (opcode, rsv) => [frame(TEXT, 'first'), frame(opcode, 'second', { rsv }), frame(PING)];
  failed('3.1', 'RSV 1', [frame(TEXT, 'first', { rsv: 1 })]);
  failed('3.2', 'RSV 2 behind a good message', glued(behind(TEXT, 2)), { ok: [text('first')], lax: [] });
  failed('3.3', 'RSV 3, frame by frame', behind(TEXT, 3), { ok: [text('first')], lax: [] });
  failed('3.4', 'RSV 4, byte by byte', bytewise(behind(TEXT, 4)), { ok: [text('first')], lax: [] });
  failed('3.5', 'RSV 5 on a binary message', [frame(BINARY, Buffer.alloc(8, 0xfe), { rsv: 5 })]);
  failed('3.6', 'RSV 6 on a ping', [frame(PING, 'x', { rsv: 6 })]);
  failed('3.7', 'RSV 7 on a close', [frame(CLOSE, closing(1000), { rsv: 7 })]);
}

// 4: reserved opcodes
for (const [group, opcodes] of [[1, [3, 4, 5, 6, 7]], [2, [11, 12, 13, 14, 15]]]) {
  opcodes.forEach((opcode, i) => {
    const odd = frame(opcode, i % 2 === 1 || i === 4 ? 'payload' : '');
    const name = `4.${group}.${i + 1}`;
    if (i < 2) failed(name, `opcode ${opcode}`, [odd]);
    else {
      const frames = [frame(TEXT, 'first'), odd, frame(PING)];
      failed(name, `opcode ${opcode} behind a good message`, i === 4 ? bytewise(frames) : glued(frames), { ok: [text('first')], lax: [] });
    }
  });
}

// 5: fragments
{
  const two = fragments(TEXT, ['fragment 1', 'fragment 2']);
  const whole = text('fragment 1fragment 2');
  const pinged = [two[0], frame(PING, 'between'), two[1]];
  const ways = [['in one packet', glued], ['frame by frame', frames => frames], ['byte by byte', bytewise]];
  failed('5.1', 'a ping in two fragments', fragments(PING, ['frag', 'ment']));
  failed('5.2', 'a pong in two fragments', fragments(PONG, ['frag', 'ment']));
  ways.forEach(([way, cut], i) => {
    answered(`5.${3 + i}`, `a text in two, ${way}`, cut(two), [whole]);
    answered(`5.${6 + i}`, `a ping between two fragments, ${way}`, cut(pinged), [pong('between'), whole]);
    for (const [at, fin] of [[9, true], [12, false]]) {
      failed(`5.${at + i}`, `a ${fin ? 'last' : 'middle'} fragment of nothing, then a text, ${way}`,
        cut([frame(CONTINUED, 'of nothing', { fin }), frame(TEXT, 'whole')]));
    }
  });
  failed('5.15', 'a text in two, a middle fragment of nothing, a text', glued([...two, frame(CONTINUED, 'of nothing', { fin: false }), frame(TEXT, 'whole')]),
    { ok: [whole], lax: [] });
  for (const [i, fin] of [false, true].entries()) {
    failed(`5.${16 + i}`, `a ${fin ? 'last' : 'middle'} fragment of nothing before a text in two, twice`,
      glued(Array.from({ length: 2 }, () => [frame(CONTINUED, 'of nothing', { fin }), ...two]).flat()));
  }
  failed('5.18', 'both fragments begin a text', glued([frame(TEXT, 'fragment 1', { fin: false }), frame(TEXT, 'fragment 2')]));
  const five = fragments(TEXT, ['1', '2', '3', '4', '5']);
  for (const [i, cut] of [glued, frames => frames].entries()) {
    answered(`5.${19 + i}`, `five fragments, a ping after the second and the fourth, ${ways[i][0]}`,
      [...cut([five[0], five[1], frame(PING, 'one')]), { wait: 1 }, ...cut([five[2], five[3], frame(PING, 'two'), five[4]])],
      [pong('one'), pong('two'), text('12345')]);
  }
}

// 6: UTF-8
const hex = digits => Buffer.from(digits.replaceAll(' ', ''), 'hex');
const kosme = hex('ce ba e1 bd b9 cf 83 ce bc ce b5');
const single = payload => chopped(payload, 1);
const utf8 = (name, what, payload, isValid) =>
  (isValid ? answered(name, what, [frame(TEXT, payload)], [text(payload)]) : failed(name, what, [frame(TEXT, payload)], { code: 1007 }));
{
  const words = Buffer.from('Hei-µ@ßöäüàá-UTF-8!!');
  answered('6.1.1', 'an empty text', [frame(TEXT)], [text('')]);
  answered('6.1.2', 'three empty fragments', fragments(TEXT, ['', '', '']), [text('')]);
  answered('6.1.3', 'the middle one of three is not empty', fragments(TEXT, ['', 'middle', '']), [text('middle')]);
  answered('6.2.1', 'valid, whole', [frame(TEXT, words)], [text(words)]);
  answered('6.2.2', 'valid, cut between two characters', fragments(TEXT, [words.subarray(0, 14), words.subarray(14)]), [text(words)]);
  answered('6.2.3', 'valid, in fragments of a byte', fragments(TEXT, single(words)), [text(words)]);
  answered('6.2.4', 'valid, longer characters, in fragments of a byte', fragments(TEXT, single(kosme)), [text(kosme)]);
  const wrong = Buffer.concat([kosme, hex('ed a0 80'), Buffer.from('edited')]);
  failed('6.3.1', 'a surrogate, whole', [frame(TEXT, wrong)], { code: 1007 });
  failed('6.3.2', 'a surrogate, in fragments of a byte', fragments(TEXT, single(wrong)), { code: 1007 });
  // Beyond U+10FFFF: wrong with the second byte of f4 90 80 80 already.
  const tail = Buffer.from('edited');
  for (const [i, parts] of [[kosme, hex('f4 90 80 80'), tail], [Buffer.concat([kosme, hex('f4')]), hex('90'), Buffer.concat([hex('80 80'), tail])]].entries()) {
    const late = { code: 1007, early: true };
    const [first, second, third] = fragments(TEXT, parts);
    failed(`6.4.${1 + i}`, 'too large a character, seen as soon as it is', [first, frame(PING), { wait: 1 }, second, { fails: true }, third], { ...late, ok: [pong('')] });
    const bytes = frame(TEXT, Buffer.concat(parts));
    const from = bytes.length - parts[1].length - parts[2].length;
    failed(`6.4.${3 + i}`, 'so in one frame that comes in three packets',
      [bytes.subarray(0, from), { quiet: true }, bytes.subarray(from, from + parts[1].length), { fails: true }, bytes.subarray(from + parts[1].length)], late);
  }
}
{
  const list = (group, what, entries) => entries.forEach(([digits, isValid], i) =>
    utf8(`6.${group}.${i + 1}`, what, Buffer.isBuffer(digits) ? digits : hex(digits), isValid));
  const valid = some => some.map(one => [one, true]);
  const invalid = some => some.map(one => [one, false]);
  const around = middle => Buffer.concat([Buffer.from('hei'), hex(middle), Buffer.from('verden')]);
  const starts = (from, to) => Buffer.from(Array.from({ length: to - from + 1 }, (_, i) => [from + i, 0x20]).flat());
  const cut = ['c0', 'e0 80', 'f0 80 80', 'f8 80 80 80', 'fc 80 80 80 80', 'df', 'ef bf', 'f7 bf bf', 'fb bf bf bf', 'fd bf bf bf bf'];
  const encoded = code => Buffer.from(String.fromCodePoint(code));

  list(5, 'valid characters of one to four bytes', valid([around('24'), around('c2 a2'), around('e2 82 ac'), around('f0 a4 ad a2'), kosme]));
  list(6, 'beginnings of a valid text', Array.from({ length: 11 }, (_, i) => [kosme.subarray(0, i + 1), [2, 5, 7, 9, 11].includes(i + 1)]));
  list(7, 'the first character of a length', valid(['00', 'c2 80', 'e0 a0 80', 'f0 90 80 80']));
  list(8, 'the first of five and six bytes', invalid(['f8 88 80 80 80', 'fc 84 80 80 80 80']));
  list(9, 'the last character of a length', valid(['7f', 'df bf', 'ef bf bf', 'f4 8f bf bf']));
  list(10, 'the last of four, five, six bytes', invalid(['f7 bf bf bf', 'fb bf bf bf bf', 'fd bf bf bf bf bf']));
  list(11, 'other borders', [...valid(['ed 9f bf', 'ee 80 80', 'ef bf bd', 'f4 8f bf bf']), ['f4 90 80 80', false]]);
  list(12, 'continuations of nothing', invalid(['80', 'bf', '80 bf', '80 bf 80', '80 bf 80 bf', '80 bf 80 bf 80', '80 bf 80 bf 80 bf',
    Buffer.from(Array.from({ length: 64 }, (_, i) => 0x80 + i))]));
  list(13, 'first bytes alone', invalid([starts(0xc0, 0xdf), starts(0xe0, 0xef), starts(0xf0, 0xf7), starts(0xf8, 0xfb), starts(0xfc, 0xfd)]));
  list(14, 'the last byte is missing', invalid(cut));
  list(15, 'all of these in a row', invalid([cut.join('')]));
  list(16, 'bytes that never occur', invalid(['fe', 'ff', 'fe fe ff ff']));
  list(17, 'a slash in more bytes than one', invalid(['c0 af', 'e0 80 af', 'f0 80 80 af', 'f8 80 80 80 af', 'fc 80 80 80 80 af']));
  list(18, 'the largest that is too long', invalid(['c1 bf', 'e0 9f bf', 'f0 8f bf bf', 'f8 87 bf bf bf', 'fc 83 bf bf bf bf']));
  list(19, 'NUL in more bytes than one', invalid(['c0 80', 'e0 80 80', 'f0 80 80 80', 'f8 80 80 80 80', 'fc 80 80 80 80 80']));
  list(20, 'a surrogate alone', invalid(['ed a0 80', 'ed ad bf', 'ed ae 80', 'ed af bf', 'ed b0 80', 'ed be 80', 'ed bf bf']));
  list(21, 'surrogates in pairs', invalid(['ed a0 80', 'ed ad bf', 'ed ae 80', 'ed af bf'].flatMap(high => ['ed b0 80', 'ed bf bf'].map(low => `${high} ${low}`))));
  list(22, 'valid: what is no character in any plane', valid(Array.from({ length: 17 }, (_, plane) => [0xfffe, 0xffff].map(low => encoded(plane * 0x10000 + low))).flat()));
  list(23, 'valid: the specials', valid(Array.from({ length: 7 }, (_, i) => encoded(0xfff9 + i))));
}

// 7: closing
{
  const bye = frame(CLOSE, closing(1000));
  const ours = fields => ({ isClosing: true, ...fields });
  answered('7.1.1', 'a message, then a close', [frame(TEXT, 'last words'), bye], [text('last words')], ours());
  answered('7.1.2', 'two closes', [bye, bye], [], ours());
  answered('7.1.3', 'a ping behind the close', [bye, frame(PING)], [], ours());
  answered('7.1.4', 'a message behind the close', [bye, frame(TEXT, 'too late')], [], ours());
  answered('7.1.5', 'a close in the middle of a message', [frame(TEXT, 'frag', { fin: false }), bye, frame(CONTINUED, 'ment')], [], ours());
  answered('7.1.6', '256 KiB, a close, a ping', [Buffer.concat([frame(TEXT, Buffer.alloc(256 * KIB, 'x')), bye, frame(PING)])], null, ours({ isLarge: true }));
  const reason = 'x'.repeat(123);
  answered('7.3.1', 'a close without a code', [frame(CLOSE)], [], ours());
  failed('7.3.2', 'a close with half a code', [frame(CLOSE, Buffer.from([3]))]);
  answered('7.3.3', 'a close with a code', [bye], [], ours());
  answered('7.3.4', 'a close with a reason', [frame(CLOSE, closing(1000, 'that was it'))], [], ours());
  answered('7.3.5', 'a close with the longest reason', [frame(CLOSE, closing(1000, reason))], [], ours());
  failed('7.3.6', 'a close with a longer one', [frame(CLOSE, closing(1000, `${reason}x`))]);
  failed('7.5.1', 'a reason that is no UTF-8', [frame(CLOSE, closing(1000, hex('ce ba e1 bd b9 cf 83 ce bc ce b5 ed a0 80 65')))], { code: 1007 });
  [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].forEach((code, i) =>
    answered(`7.7.${i + 1}`, `code ${code}`, [frame(CLOSE, closing(code))], [], ours({ codes: [1000, code] })));
  [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].forEach((code, i) =>
    failed(`7.9.${i + 1}`, `code ${code}`, [frame(CLOSE, closing(code))]));
  [5000, 65535].forEach((code, i) => answered(`7.13.${i + 1}`, `code ${code}`, [frame(CLOSE, closing(code))], null, ours({ codes: [1000, 1002, code] })));
}

// 9: large messages, many fragments, small packets, many messages
for (const [at, opcode, fill, reply] of [[0, TEXT, '*', text], [1, BINARY, 0xfe, binary]]) {
  const large = (name, what, size, cut) => add(name, what, { isLarge: true, codes: [1000], make: () => {
    const payload = Buffer.alloc(size, fill);
    return { send: cut(payload), ok: [reply(payload)] };
  } });
  [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB].forEach((size, i) =>
    large(`9.${1 + at}.${i + 1}`, `${size} bytes`, size, payload => [frame(opcode, payload)]));
  [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB].forEach((size, i) =>
    large(`9.${3 + at}.${i + 1}`, `4 MiB in fragments of ${size} bytes`, 4 * MIB, payload => glued(fragments(opcode, chopped(payload, size)))));
  [64, 128, 256, 512, KIB, 2 * KIB].forEach((size, i) =>
    large(`9.${5 + at}.${i + 1}`, `1 MiB in packets of ${size} bytes`, MIB, payload => chopped(frame(opcode, payload), size)));
  [0, 16, 64, 256, KIB, 4 * KIB].forEach((size, i) => add(`9.${7 + at}.${i + 1}`, `1000 messages of ${size} bytes, one after the other`,
    { isLarge: true, codes: [1000], make: () => {
      const payload = Buffer.alloc(size, fill);
      return { send: Array.from({ length: 1000 }, (_, n) => [frame(opcode, payload), { wait: n + 1 }]).flat(), ok: Array.from({ length: 1000 }, () => reply(payload)) };
    } }));
}

// 10: fragments as a library makes them
{
  const payload = Buffer.alloc(65536, '*');
  answered('10.1.1', '64 KiB in fragments of 1300 bytes', fragments(TEXT, chopped(payload, 1300)), [text(payload)]);
}

/* ---- how a case is played ---- */

const same = (got, wanted) => got.length === wanted.length &&
  got.every(([kind, payload], i) => kind === wanted[i][0] && payload.equals(wanted[i][1]));

/* Sends what is to be sent. Returns what was seen on the way. */
async function play(raw, { send, early }) {
  const seen = { isEarly: !early };
  for (const step of send) {
    if (Buffer.isBuffer(step)) {
      if (raw.isOver) break;
      await raw.write(step);
    } else if (step.wait !== undefined) {
      await raw.until(`${step.wait} answers`, () => raw.events.length >= step.wait);
    } else if (step.quiet) {
      await pause(50); // whatever it is not to be closed for yet has arrived by then
      if (raw.isOver || raw.events.length > 0) seen.tooEarly = true;
    } else if (step.fails) {
      seen.isEarly = await raw.until('a close', () => raw.isOver || raw.closeFrame !== undefined).then(() => true, () => false);
      if (seen.isEarly) break;
    }
  }
  return seen;
}

async function verdictOf(one, port) {
  const { send, ok, lax, codes, byServer, isClosing } = { ...one, ...one.make?.() };
  const raw = await RawSocket.open(port, { path: '/' });
  const notes = [];
  try {
    const seen = await play(raw, { send, early: one.early });
    if (seen.tooEarly) notes.push('failed before anything was wrong');
    if (!byServer) {
      if (ok !== null && !isClosing) await raw.until(`${ok.length} answers`, () => raw.events.length >= ok.length || raw.closeFrame !== undefined, 30_000).catch(error => notes.push(error.message));
      if (!isClosing) await raw.write(frame(CLOSE, closing(1000)));
    }
    // Who was wrong, or who closed, is rid of the connection at once; the server ends the stream.
    await raw.over(10_000).catch(() => notes.push('the connection is still there'));
    const events = raw.events.filter(([kind]) => kind !== 'close');
    const closes = raw.events.filter(([kind]) => kind === 'close');
    if (raw.events.at(-1)?.[0] !== 'close' && closes.length > 0) notes.push('something came behind the close');
    if (closes.length > 1) notes.push('more than one close');
    if (closes.length === 0 && ok !== null) notes.push('no close');
    // An answer to our close may be empty; a reason to fail a connection has to be told.
    const [, code] = closes[0] ?? [];
    const isCode = codes.includes(code) || (!byServer && code === null);
    if (closes.length > 0 && !isCode) notes.push(`close code ${code} and not ${codes.join(' or ')}`);
    if (ok === null) return { verdict: notes.length > 0 ? 'FAILED' : 'INFORMATIONAL', notes };
    if (notes.length > 0) return { verdict: 'FAILED', notes };
    if (same(events, ok)) return { verdict: seen.isEarly ? 'OK' : 'NON-STRICT', notes };
    if (lax && same(events, lax)) return { verdict: 'NON-STRICT', notes };
    const brief = list => list.map(([kind, payload]) => `${kind} ${payload.toString('latin1').slice(0, 30)} (${payload.length})`).join(', ') || 'nothing';
    notes.push(`got ${brief(events).slice(0, 300)}; wanted ${brief(ok).slice(0, 300)}`);
    return { verdict: 'FAILED', notes };
  } finally {
    await raw.cut();
  }
}

const counts = { 1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37, 9: 54, 10: 1 };
const names = { 1: 'frames', 2: 'pings and pongs', 3: 'reserved bits', 4: 'opcodes', 5: 'fragments', 6: 'UTF-8', 7: 'closing', 9: 'large and many', 10: 'fragments of a library' };
const verdicts = new Map();
let small, large;

before(async () => {
  [small, large] = await Promise.all([startServer(), startServer(String(16 * MIB))]);
}, { timeout: deadline(30_000) });

after(async () => {
  assert.equal(await small?.stop(), 0);
  assert.equal(await large?.stop(), 0);
}, { timeout: deadline(30_000) });

for (const group of Object.keys(counts)) {
  const some = cases.filter(one => one.name.split('.')[0] === group);
  describe(`${group}: ${names[group]} (S-16, S-17)`, { concurrency: group === '9' ? 4 : 16 }, () => {
    for (const one of some) {
      test(`${one.name} ${one.what}`, { timeout: deadline(60_000) }, async context => {
        const { verdict, notes } = await verdictOf(one, (one.isLarge ? large : small).port);
        verdicts.set(one.name, verdict);
        context.diagnostic(`${one.name} ${verdict}`);
        assert.notEqual(verdict, 'FAILED', notes.join('; '));
        // What this server can do it goes on doing.
        assert.equal(verdict, one.ok === null ? 'INFORMATIONAL' : 'OK', notes.join('; '));
      });
    }
  });
}

test('all 301 cases were played', () => {
  for (const [group, count] of Object.entries(counts)) {
    assert.equal(cases.filter(one => one.name.split('.')[0] === group).length, count, `group ${group}`);
  }
  assert.equal(new Set(cases.map(one => one.name)).size, 301);
  assert.equal(verdicts.size, 301);
  const tally = {};
  for (const verdict of verdicts.values()) tally[verdict] = (tally[verdict] ?? 0) + 1;
  console.log([...verdicts].map(([name, verdict]) => `${name} ${verdict}`).join('\n'));
  console.log(Object.entries(tally).map(([verdict, count]) => `${verdict}: ${count}`).join(', '));
});
