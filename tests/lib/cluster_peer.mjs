// Somebody at the cluster port: what a node says there (docs/formats.md), and anything else.
import { createHmac, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { within } from './wait.mjs';

export const RAFT = 1, RPC = 2, ASK = 3;
export const FORM = 1, BEAT = 2, FORWARD = 3, BARRIER = 5, PRESENCE = 7;
export const helloSize = 384, challengeSize = 64;

export const u16 = value => Buffer.from([value & 255, value >> 8]);
export const u32 = value => { const bytes = Buffer.alloc(4); bytes.writeUInt32LE(value); return bytes; };
export const u64 = value => { const bytes = Buffer.alloc(8); bytes.writeBigUInt64LE(BigInt(value)); return bytes; };

/* What a node's directory says of itself: {node, id, cluster}. */
export function identityOf(node) {
  const lines = fs.readFileSync(path.join(node.dataDir, 'VERSION'), 'utf8').trim().split('\n');
  const known = Object.fromEntries(lines.map(line => line.split(' ')));
  return { name: known.node, id: BigInt(`0x${known.id}`), cluster: Buffer.from(known.cluster, 'hex'), address: `127.0.0.1:${node.clusterPort}` };
}

/* A preface as `from` sends it to `to`, both as identityOf. */
export function hello({ from, to, kind = RPC, magic = 'LVTEAC01', cluster = to.cluster, fromId = from.id, toId = to.id, nonce = randomBytes(32), address = `${from.name}=${from.address}` }) {
  const bytes = Buffer.alloc(helloSize);
  bytes.write(magic, 0, 'latin1');
  bytes[8] = kind;
  cluster.copy(bytes, 16);
  u64(fromId).copy(bytes, 32);
  u64(toId).copy(bytes, 40);
  nonce.copy(bytes, 48);
  bytes.write(address, 80, 'latin1');
  return bytes;
}

export const proof = (secret, side, ...parts) => parts.reduce((hmac, part) => hmac.update(part), createHmac('sha256', secret).update(side)).digest();

/* An rpc frame. */
export const rpcFrame = (type, body = Buffer.alloc(0), { id = 1, length } = {}) =>
  Buffer.concat([u32(length ?? 9 + body.length), Buffer.from([type]), u64(id), body]);

/* Commands as one node forwards them to the leader. */
export function forwarded(commands, count = commands.length) {
  const text = (value, bytes = Buffer.isBuffer(value) ? value : Buffer.from(value)) => {
    const head = bytes.length < 256 ? Buffer.from([0xd9, bytes.length]) : bytes.length < 65536 ? Buffer.from([0xda, bytes.length >> 8, bytes.length & 255])
      : Buffer.from([0xdb, bytes.length >>> 24, bytes.length >> 16 & 255, bytes.length >> 8 & 255, bytes.length & 255]);
    return Buffer.concat([head, bytes]);
  };
  const sixteen = bytes => Buffer.concat([Buffer.from([0xc4, bytes.length]), bytes]);
  const number = value => { const bytes = Buffer.alloc(9); bytes[0] = 0xcf; bytes.writeBigUInt64BE(BigInt(value), 1); return bytes; };
  const bytes = commands.map(({ room, sender, body, senderId = randomBytes(16), id = randomBytes(16), unseen = 0, at = 0, retried = false }) =>
    Buffer.concat([Buffer.from([0x98]), text(room), text(sender), text(body), sixteen(senderId), sixteen(id), number(unseen), number(at), Buffer.from([retried ? 0xc3 : 0xc2])]));
  return Buffer.concat([u32(count), ...bytes]);
}

/* What raft's own transport would begin with, and one message of it. */
export const raftPreamble = (id, address = '127.0.0.1:1') => {
  const padded = Buffer.alloc(Math.ceil((address.length + 1) / 8) * 8);
  padded.write(address);
  return Buffer.concat([u64(1), u64(id), u64(padded.length), padded]);
};
export const raftMessage = (type, words, headerLength = words.length * 8) => Buffer.concat([u64(type), u64(headerLength), ...words.map(u64)]);

/* A connection to the port that remembers what came and how it ended. */
export class Caller {
  static async open(port) {
    const caller = new Caller(net.connect({ port, host: '127.0.0.1', noDelay: true }));
    await within('connection', new Promise((resolve, reject) => {
      caller.socket.once('connect', resolve);
      caller.socket.once('error', reject);
    }));
    return caller;
  }

  constructor(socket) {
    this.socket = socket;
    this.got = Buffer.alloc(0);
    this.isOver = false;
    socket.on('error', () => {});
    socket.on('data', part => { this.got = Buffer.concat([this.got, part]); this.look?.(); });
    this.closed = new Promise(resolve => socket.on('close', () => { this.isOver = true; this.look?.(); resolve(); }));
  }

  say(bytes) {
    return new Promise(resolve => (this.socket.destroyed ? resolve() : this.socket.write(bytes, () => resolve())));
  }

  /* The first `size` bytes, or fewer when the other side ends. */
  async hear(size) {
    await within(`${size} bytes`, new Promise(resolve => {
      this.look = () => { if (this.got.length >= size || this.isOver) resolve(); };
      this.look();
    }));
    return this.got.subarray(0, size);
  }

  over(ms = 5_000) { return within('end of the connection', this.closed, ms); }
  cut() { this.socket.destroy(); return this.closed; }

  /* Both steps, with this secret. Resolves to the two messages, for who wants to say them again. */
  async shake(secret, fields) {
    const first = hello(fields);
    await this.say(first);
    const challenge = Buffer.from(await this.hear(challengeSize));
    if (challenge.length < challengeSize) return { first, challenge, second: null };
    const isTheirs = proof(secret, 'srv', first, challenge.subarray(0, 32)).equals(challenge.subarray(32));
    const second = proof(secret, 'cli', first, challenge);
    await this.say(second);
    return { first, challenge, second, isTheirs };
  }
}
