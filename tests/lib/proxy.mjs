// A real proxy before one node, with what deploy/ says of it: HAProxy or nginx, if it is installed.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { freePorts, top } from './cluster.mjs';
import { within } from './wait.mjs';

const deploy = name => fs.readFileSync(path.join(top, 'deploy', name), 'utf8');

/* deploy/'s own lines, but for the addresses. */
const configurations = {
  haproxy: (port, node) => deploy('haproxy.cfg').replace(/bind :8080/, `bind 127.0.0.1:${port}`).replace(/^ {4}server tea-[23] .*\n/gm, '')
    .replace(/server tea-1 \S+/, `server tea-1 127.0.0.1:${node}`),
  nginx: (port, node, dir) => {
    const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${dir}/nginx-${name};`).join('\n');
    return `daemon off; master_process off; pid ${dir}/nginx.pid; error_log ${dir}/nginx.log; events {}\nhttp { access_log off;\n${scratch}\n${
      deploy('nginx.conf').replace(/listen 8080/, `listen 127.0.0.1:${port}`).replace(/^ {4}server 10\.0\.0\.1[23].*\n/gm, '').replace(/10\.0\.0\.11:4000/, `127.0.0.1:${node}`)}\n}\n`;
  },
};
const starts = { haproxy: file => ['-db', '-f', file], nginx: (file, dir) => ['-p', dir, '-e', `${dir}/nginx.log`, '-c', file] };

export class Proxy {
  static isThere(kind) { return spawnSync('sh', ['-c', `command -v ${kind}`]).status === 0; }

  /* `dir` is for its files. */
  static async start(kind, dir, nodePort) {
    const proxy = new Proxy();
    [proxy.port] = await freePorts(1);
    proxy.url = `http://127.0.0.1:${proxy.port}`;
    const file = path.join(dir, `${kind}.conf`);
    fs.writeFileSync(file, configurations[kind](proxy.port, nodePort, dir));
    proxy.said = '';
    proxy.child = spawn(kind, starts[kind](file, dir), { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [proxy.child.stdout, proxy.child.stderr]) stream.on('data', text => { proxy.said += text; });
    proxy.ended = new Promise(resolve => proxy.child.on('exit', resolve));
    process.on('exit', () => proxy.child.kill('SIGKILL'));
    return proxy;
  }

  stop() {
    this.child.kill('SIGKILL');
    return within('end of the proxy', this.ended);
  }
}
