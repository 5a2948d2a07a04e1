// Data directories as an earlier release left them: tests/fixtures/FORMAT/KIND.tar.gz, and beside them
// what that release said its history is. tests/fixtures/make.mjs makes them.
//
//   const { cluster, history } = await fromRelease('format-1', 'three');   // no node runs yet
//
// The members' addresses stand in raft's log, so the nodes of a fixture always have the same ones, the port too:
// 17077 of 127.77.1.1 to .3, loopback addresses that nobody else has a reason to use. It is below the ports that the
// kernel gives away by itself (from 32768 on), so that no connection gets it by chance.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { Cluster, top } from './cluster.mjs';

const kinds = { alone: 1, three: 3 };
export const fixtures = path.join(top, 'tests/fixtures');

/* A cluster whose nodes have the addresses of the fixtures, without any data. */
export async function prepareFixture(kind, options = {}) {
  const cluster = await Cluster.prepare({ nodes: kinds[kind], ...options });
  for (const node of cluster.nodes) {
    const own = node.address;
    const before = node.options.bind(node);
    node.options = more => before(more).map(word => (word === own ? node.address : word));
    Object.defineProperty(node, 'address', { value: `127.77.1.${node.number}:17077` });
  }
  cluster.peers = cluster.members();
  return cluster;
}

/* The same with the data, as the release's nodes left it. */
export async function fromRelease(format, kind, options = {}) {
  const cluster = await prepareFixture(kind, options);
  const from = path.join(fixtures, format, kind);
  const archive = zlib.gunzipSync(fs.readFileSync(`${from}.tar.gz`));
  execFileSync('tar', ['-xpf', '-', '-C', cluster.dir], { input: archive, stdio: ['pipe', 'ignore', 'inherit'] });
  const history = fs.readFileSync(`${from}.ndjson`, 'utf8').split('\n').filter(Boolean).map(line => JSON.parse(line));
  return { cluster, history };
}

/* Keeps what the stopped nodes of a cluster have, and their history. */
export function keepAsFixture(cluster, format, kind, history) {
  const to = path.join(fixtures, format, kind);
  fs.mkdirSync(path.dirname(to), { recursive: true });
  const parts = ['secret', ...cluster.nodes.map(node => `${node.name}/data`)];
  const archive = execFileSync('tar', ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@0', '--format=ustar',
    '-C', cluster.dir, '-cf', '-', ...parts], { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'inherit'] });
  fs.writeFileSync(`${to}.tar.gz`, zlib.gzipSync(archive, { level: 9 }));
  fs.writeFileSync(`${to}.ndjson`, history.map(event => `${JSON.stringify(event)}\n`).join(''));
}
