// A real proxy before nodes, with what deploy/ says of it: HAProxy or nginx, if it is installed.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { freePorts, top } from './cluster.mjs';
import { request } from './http.mjs';
import { slow, until, within } from './wait.mjs';

const deploy = name => fs.readFileSync(path.join(top, 'deploy', name), 'utf8');

// Where the system keeps them, which is in no ordinary user's path.
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };

/* deploy/'s own lines, but for the addresses, and for as many nodes as there are; what is slow is not
 * taken for dead. */
function deployed(file, port, nodes) {
  const text = deploy(file).replace(/(bind|listen) (?::)?8080/, `$1 127.0.0.1:${port}`).replace('inter 500ms', slow ? 'inter 5s' : 'inter 500ms');
  return text.replace(/^ *server .*10\.0\.0\.1(\d):4000.*\n/gm, (line, number) =>
    nodes.length < number ? '' : line.replace(/10\.0\.0\.1\d:4000/, `127.0.0.1:${nodes[number - 1].httpPort}`));
}
const configurations = {
  haproxy: deployed.bind(null, 'haproxy.cfg'),
  nginx: (port, nodes, dir) => {
    const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${dir}/nginx-${name};`).join('\n');
    return `daemon off; master_process off; pid ${dir}/nginx.pid; error_log ${dir}/nginx.log; events {}\nhttp { access_log off;\n${scratch}\n${deployed('nginx.conf', port, nodes)}\n}\n`;
  },
};
const starts = { haproxy: file => ['-db', '-f', file], nginx: (file, dir) => ['-p', dir, '-e', `${dir}/nginx.log`, '-c', file] };

export class Proxy {
  static isThere(kind) { return spawnSync('sh', ['-c', `command -v ${kind}`], { env }).status === 0; }

  /* `dir` is for its files. */
  static async start(kind, dir, nodes, port) {
    const proxy = new Proxy();
    proxy.port = port ?? (await freePorts(1))[0];
    proxy.url = `http://127.0.0.1:${proxy.port}`;
    const file = path.join(dir, `${kind}.conf`);
    fs.writeFileSync(file, configurations[kind](proxy.port, nodes, dir));
    proxy.sockets = [];
    proxy.said = '';
    proxy.child = spawn(kind, starts[kind](file, dir), { stdio: ['ignore', 'pipe', 'pipe'], env });
    for (const stream of [proxy.child.stdout, proxy.child.stderr]) stream.on('data', text => { proxy.said += text; });
    proxy.ended = new Promise(resolve => proxy.child.on('exit', resolve));
    process.on('exit', () => proxy.child.kill('SIGKILL'));
    return proxy;
  }

  ready() {
    return until('the proxy answers', async () => (await request(`${this.url}/livez`)).status === 200)
      .catch(error => { throw new Error(`${error.message}\n${this.said}`); });
  }

  /* Each text on a connection of its own, which stays open: what came back by now is its `text`, and
   * `answered` is when anything has, or the end. */
  say(texts) {
    return texts.map(bytes => {
      const one = { text: '', socket: net.connect(this.port, '127.0.0.1') };
      this.sockets.push(one.socket);
      one.answered = new Promise(resolve => {
        one.socket.on('data', part => {
          one.text += part.toString('latin1');
          resolve();
        });
        one.socket.on('close', resolve);
      });
      one.socket.on('error', () => {});
      one.socket.write(Buffer.from(bytes));
      return one;
    });
  }

  stop() {
    for (const socket of this.sockets) socket.destroy();
    this.child.kill('SIGKILL');
    return within('end of the proxy', this.ended);
  }
}
