// HTTP as a test needs it: requests that keep every header as given, and raw bytes on a socket.
import http from 'node:http';
import net from 'node:net';
import { deadline, within } from './wait.mjs';

/* One request on a connection of its own. Resolves to {status, headers, text, bytes}. */
export function request(url, { method = 'GET', headers = {}, body, localAddress, ms = 15_000 } = {}) {
  return within(`answer to ${method} ${url}`, new Promise((resolve, reject) => {
    const outgoing = http.request(url, { method, headers, localAddress, agent: false }, answer => {
      const parts = [];
      answer.on('data', part => parts.push(part));
      answer.on('error', reject);
      answer.on('end', () => {
        const bytes = Buffer.concat(parts);
        resolve({ status: answer.statusCode, headers: answer.headers, rawHeaders: answer.rawHeaders,
                  bytes, text: bytes.toString() });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  }), ms);
}

export async function json(url, options) {
  const answer = await request(url, options);
  return { ...answer, value: JSON.parse(answer.text) };
}

export const post = (url, body, headers = {}) =>
  request(url, { method: 'POST', body, headers: { 'content-length': Buffer.byteLength(body), ...headers } });

export const postJson = (url, value, headers = {}) =>
  post(url, typeof value === 'string' ? value : JSON.stringify(value),
       { 'content-type': 'application/json', ...headers });

export const postForm = (url, fields, headers = {}) =>
  post(url, new URLSearchParams(fields).toString(),
       { 'content-type': 'application/x-www-form-urlencoded', ...headers });

/* Writes bytes to a fresh connection and reads until the other side closes it, or until `enough`
 * says that the text is complete. Resolves to {text, bytes, closed}. */
export function raw(port, bytes, { host = '127.0.0.1', ms = 5_000, enough = () => false, end = false } = {}) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, host);
    const parts = [];
    let timer;
    const finish = closed => {
      clearTimeout(timer);
      socket.destroy();
      const all = Buffer.concat(parts);
      resolve({ text: all.toString('latin1'), bytes: all, closed });
    };
    timer = setTimeout(() => finish(false), deadline(ms));
    socket.on('connect', () => {
      socket.write(bytes);
      if (end) socket.end();
    });
    socket.on('data', part => {
      parts.push(part);
      if (enough(Buffer.concat(parts).toString('latin1'))) finish(false);
    });
    // A reset after an answer is still a closed connection.
    socket.on('error', error => (socket.connecting ? reject(error) : finish(true)));
    socket.on('close', () => finish(true));
  });
}

/* How many responses stand in what came back; the body before one may end without a line end. */
export const responses = text => (text.match(/HTTP\/1\.[01] \d{3} /g) ?? []).length;
export const statusOf = text => Number(/^HTTP\/1\.[01] (\d{3}) /.exec(text)?.[1] ?? 0);

/* The cookies that an answer sets, as the header that brings them back. */
export function cookieOf(answer, before = '') {
  const jar = new Map(before.split('; ').filter(Boolean).map(pair => pair.split(/=(.*)/s).slice(0, 2)));
  for (const line of answer.headers['set-cookie'] ?? []) {
    const [name, value] = line.split(';')[0].split(/=(.*)/s);
    jar.set(name, value);
  }
  return [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
}
