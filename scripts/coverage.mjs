// What scripts/coverage prints, of gcovr's JSON.
import fs from 'node:fs';
import path from 'node:path';

const [input, exits] = process.argv.slice(2);
const EXIT = /\bgoto \w+;|\breturn (ERR_|-1|fail|bad|damaged|wrong|error|CLI_(?!DONE))|\berrmsg_set\(|_fatal\(|\bmem_exhausted\(|\b_?exit\(|\brv = ERR_|\babort\(/;

const floors = new Map();
const row = (name) => {
  if (!floors.has(name)) floors.set(name, { lines: 0, reached: 0, branches: 0, taken: 0, exits: 0, missed: 0 });
  return floors.get(name);
};
const list = [];
for (const { file, lines } of JSON.parse(fs.readFileSync(input)).files) {
  const source = fs.readFileSync(file, 'utf8').split('\n');
  for (const into of [row(path.dirname(file)), row('all')]) {
    for (const line of lines) {
      if (line['gcovr/noncode']) continue;
      const isExit = EXIT.test(source[line.line_number - 1] ?? '');
      into.lines += 1;
      into.reached += line.count > 0;
      into.branches += line.branches.length;
      into.taken += line.branches.filter(({ count }) => count > 0).length;
      into.exits += isExit;
      into.missed += isExit && line.count === 0;
      if (isExit && line.count === 0 && into === floors.get('all')) list.push(`${file}:${line.line_number}: ${source[line.line_number - 1].trim()}`);
    }
  }
}
const percent = (part, of) => (of === 0 ? '-' : `${((100 * part) / of).toFixed(1)} %`);
const cells = [['floor', 'lines', 'reached', 'branches', 'taken', 'error exits', 'not reached']];
for (const [name, { lines, reached, branches, taken, exits: all, missed }] of [...floors].sort(([a], [b]) => (a === 'all') - (b === 'all') || (a < b ? -1 : 1))) {
  cells.push([name, lines, percent(reached, lines), branches, percent(taken, branches), all, missed].map(String));
}
for (const cell of cells) console.log(cell.map((text, i) => (i === 0 ? text.padEnd(12) : text.padStart(12))).join(''));
fs.writeFileSync(exits, list.map((line) => `${line}\n`).join(''));
console.log(`\n${list.length} error exits that no test reached: ${exits}`);
