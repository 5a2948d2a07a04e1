// llvm-cov's export on standard input; arguments: the target, the files that it is aimed at. For coverage.sh.
import { readFileSync } from 'node:fs';
import path from 'node:path';

const [target, build, ...aims] = process.argv.slice(2);
const { data: [{ files, functions }] } = JSON.parse(readFileSync(0, 'utf8'));

// As the compiler was told it: relative to where it ran.
const placeOf = name => path.relative('.', path.resolve(path.isAbsolute(name) ? '' : build, name));

for (const { filename, summary: { lines, functions: entered } } of files) {
  const place = placeOf(filename);
  if (!aims.includes(place)) continue;
  const missed = functions.filter(({ count, filenames }) => count === 0 && placeOf(filenames[0]) === place)
    .map(({ name }) => name.replace(/.*:/, ''));
  console.log(target.padEnd(9), place.padEnd(28), `${lines.percent.toFixed(1)} %`.padStart(7),
    `${lines.covered} of ${lines.count} lines,`.padStart(20),
    `${entered.covered} of ${entered.count} functions${missed.length ? '; never: ' : ''}${missed.join(' ')}`);
}
