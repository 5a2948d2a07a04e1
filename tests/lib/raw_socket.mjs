// A WebSocket client without manners: it sends the bytes that it is given, and remembers what comes back
// and how the connection ended.
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { within } from './wait.mjs';

export const TEXT = 1, BINARY = 2, CONTINUED = 0, CLOSE = 8, PING = 9, PONG = 10;
const kinds = { [TEXT]: 'text', [BINARY]: 'binary', [CLOSE]: 'close', [PING]: 'ping', [PONG]: 'pong' };

const bytesOf = data => (Buffer.isBuffer(data) ? data : Buffer.from(data));

/* One frame as a client sends it. `length` is what its head claims, when that is not the payload's. */
export function frame(opcode, payload = '', { fin = true, rsv = 0, mask = true, length } = {}) {
  payload = bytesOf(payload);
  const size = BigInt(length ?? payload.length);
  const width = size < 126n ? 0 : size < 65536n ? 2 : 8;
  const head = Buffer.alloc(2 + width + (mask ? 4 : 0));
  head[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode;
  head[1] = (mask ? 0x80 : 0) | (width === 0 ? Number(size) : width === 2 ? 126 : 127);
  if (width === 2) head.writeUInt16BE(Number(size), 2);
  if (width === 8) head.writeBigUInt64BE(size, 2);
  if (!mask) return Buffer.concat([head, payload]);
  const key = randomBytes(4);
  key.copy(head, 2 + width);
  const all = Buffer.allocUnsafe(head.length + payload.length);
  head.copy(all);
  for (let i = 0, at = head.length; i < payload.length; i++, at++) all[at] = payload[i] ^ key[i & 3];
  return all;
}

/* The payload of a close frame. */
export const closing = (code, reason = '') => {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return Buffer.concat([head, bytesOf(reason)]);
};

/* A message in fragments of these payloads. */
export const fragments = (opcode, payloads) => payloads.map((payload, i) =>
  frame(i === 0 ? opcode : CONTINUED, payload, { fin: i === payloads.length - 1 }));

/* Bytes cut into pieces of `size`. */
export const chopped = (bytes, size) =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));

export const handshake = (path, { host = '127.0.0.1', origin, fields = '' } = {}) =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
  `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${origin ? `Origin: ${origin}\r\n` : ''}${fields}\r\n`;

export class RawSocket {
  /* Connects, and asks for the upgrade unless `path` is null. */
  static async open(port, { path = '/', host = '127.0.0.1', localAddress, ...head } = {}) {
    const raw = new RawSocket(net.connect({ port, host, localAddress, noDelay: true }));
    await within('connection', new Promise((resolve, reject) => {
      raw.socket.once('connect', resolve);
      raw.socket.once('error', reject);
    }));
    if (path === null) return raw;
    raw.socket.write(handshake(path, head));
    await raw.until('answer to the upgrade', () => raw.status !== undefined);
    return raw;
  }

  constructor(socket) {
    this.socket = socket;
    this.events = []; // [kind, payload], a close with its code (null: without one) and its reason
    this.isOver = false; // the other side has ended the connection
    this.parts = [];
    this.size = 0; // bytes in parts
    this.need = 1; // so many make it worth to look
    this.waiting = null;
    socket.on('error', error => { this.error = error; });
    socket.on('data', part => this.#take(part));
    this.closed = new Promise(resolve => socket.on('close', () => {
      this.isOver = true;
      resolve();
      this.waiting?.();
    }));
    socket.on('end', () => { this.isEnded = true; });
  }

  #take(part) {
    this.parts.push(part);
    this.size += part.length;
    if (this.size < this.need) return;
    let bytes = this.parts.length === 1 ? part : Buffer.concat(this.parts);
    if (this.status === undefined) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end >= 0) {
        this.head = bytes.toString('latin1', 0, end);
        this.status = Number(this.head.split(' ')[1]);
        bytes = bytes.subarray(end + 4);
      }
    }
    if (this.status === 101) bytes = this.#frames(bytes);
    this.parts = [bytes];
    this.size = bytes.length;
    this.waiting?.();
  }

  /* Returns what is no whole frame yet. */
  #frames(bytes) {
    for (;;) {
      this.need = 2;
      if (bytes.length < 2) return bytes;
      const short = bytes[1] & 127;
      const at = short === 126 ? 4 : short === 127 ? 10 : 2;
      this.need = at;
      if (bytes.length < at) return bytes;
      const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
      this.need = at + length;
      if (bytes.length < at + length) return bytes;
      this.#frame(bytes[0], bytes[1], bytes.subarray(at, at + length));
      bytes = bytes.subarray(at + length);
    }
  }

  #frame(first, second, payload) {
    const kind = kinds[first & 15];
    const isLawful = (first & 0xf0) === 0x80 && (second & 0x80) === 0 && kind;
    if (!isLawful) this.events.push(['broken', Buffer.from([first, second])]);
    else if (kind === 'close') this.events.push(['close', payload.length < 2 ? null : payload.readUInt16BE(), payload.toString('utf8', 2)]);
    else this.events.push([kind, payload]);
  }

  /* Hands the bytes to the kernel, and takes what has come, before it resolves: a write that fails throws away what
   * was not read. */
  write(bytes) {
    if (this.socket.destroyed) return Promise.resolve();
    return new Promise(resolve => this.socket.write(bytes, () => setImmediate(resolve)));
  }

  /* Waits until `look` is true; throws when the connection ends before. */
  async until(what, look, ms = 10_000) {
    if (look()) return;
    await within(what, new Promise((resolve, reject) => {
      this.waiting = () => {
        if (look()) resolve();
        else if (this.isOver) reject(new Error(`the connection ended before: ${what}`));
      };
      this.waiting();
    }), ms).finally(() => { this.waiting = null; });
  }

  get closeFrame() { return this.events.find(([kind]) => kind === 'close'); }
  get closeCode() { return this.closeFrame?.[1]; }

  /* The end of the connection, by the other side. */
  over(ms = 5_000) { return within('end of the connection', this.closed, ms); }

  cut() {
    this.socket.destroy();
    return this.closed;
  }
}
