// A long history for nodes that have never run, by bench_fill of the same build.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { program } from './cluster.mjs';

const fillProgram = process.env.LIVETEA_FILL ?? path.resolve(path.dirname(program), '../../tests/bench/bench_fill');

/* `cluster` is prepared, none of its nodes runs. Resolves to what bench_fill measured. */
export async function fill(cluster, events, { ids = 'rising', more = [] } = {}) {
  if (!fs.existsSync(fillProgram)) throw new Error(`no program at ${fillProgram}: build bench_fill, or set LIVETEA_FILL`);
  const sorted = [...cluster.nodes].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const node of sorted) fs.mkdirSync(node.dir, { recursive: true });
  const { stdout } = await promisify(execFile)(fillProgram, ['--events', String(events), '--ids', ids, '--peers', cluster.members(), ...more,
    ...sorted.map(node => node.dataDir)]);
  return JSON.parse(stdout);
}
