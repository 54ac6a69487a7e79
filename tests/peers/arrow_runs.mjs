// Runs that read what npm apache-arrow writes, and write what it reads: arrow_runs.mjs RUNI
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import * as arrow from 'apache-arrow';

const runi = process.argv[2];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runink-arrow-runs-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
const write = (name, data) => {
  fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
  fs.writeFileSync(path.join(folder, name), data);
};

// More rows than a batch of Runink has, in two record batches, with kinds of columns that others choose by themselves.
const rows = 5000;
const numbers = Array.from({ length: rows }, (_, i) => i);
const table = new arrow.Table({
  id: arrow.vectorFromArray(numbers.map(BigInt), new arrow.Int64()),
  small: arrow.vectorFromArray(numbers.map((i) => (i % 7 === 0 ? null : i % 300)), new arrow.Int32()),
  word: arrow.vectorFromArray(numbers.map((i) => ['red', 'green', 'blue'][i % 3]), new arrow.Dictionary(new arrow.Utf8(), new arrow.Int8())),
  note: arrow.vectorFromArray(numbers.map((i) => `n"${i}`), new arrow.LargeUtf8()),
  ratio: arrow.vectorFromArray(numbers.map((i) => i / 4), new arrow.Float32()),
  flag: arrow.vectorFromArray(numbers.map((i) => i % 2 === 0), new arrow.Bool()),
  day: arrow.vectorFromArray(numbers.map((i) => new Date(Date.UTC(2001, 0, 1 + (i % 30)))), new arrow.DateDay()),
  tags: arrow.vectorFromArray(numbers.map((i) => [i % 5, null]), new arrow.List(new arrow.Field('item', new arrow.Int32()))),
});
const half = new arrow.Table([...table.slice(0, 3000).batches, ...table.slice(3000).batches]);
write('data/stream.arrow', arrow.tableToIPC(half, 'stream'));
write('data/file.arrow', arrow.tableToIPC(half, 'file'));
write('data/packed.arrow.gz', zlib.gzipSync(arrow.tableToIPC(half, 'stream')));
write('runink.toml', 'name = "peer"\n');
write('contracts/row.contract', `contract Row {
  int32 id [[required]]; uint8 small; enum(red, green, blue) word; string note; float64 ratio; bool flag; date day; list<int32> tags;
}\n`);

let failures = 0;
const check = (holds, what) => {
  if (holds) return;
  failures += 1;
  if (failures <= 20) console.log(`differs: ${what}`);
};
const iso = (i) => new Date(Date.UTC(2001, 0, 1 + (i % 30))).toISOString().slice(0, 10);
const kept = numbers.filter((i) => i % 7 === 0 || i % 300 <= 255);

for (const source of ['stream.arrow', 'file.arrow', 'packed.arrow.gz']) {
  write('features/f.dsl', `Feature: Peer
  Scenario: Read
    @source("data/${source}") @contract("contracts/row.contract")
    Given rows arrive
    When records are checked against the contract
    @sink("out/rows.ndjson")
    Then valid records are written
    @sink("out/rows.arrow", name="columns")
    And valid records are written
    @sink("out/rejected.ndjson")
    And rejected records are written
`);
  execFileSync(runi, ['run', '-q', 'features/f.dsl'], { cwd: folder });
  const lines = fs.readFileSync(path.join(folder, 'out/rows.ndjson'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
  check(lines.length === kept.length, `${source}: ${lines.length} records of ${kept.length}`);
  kept.forEach((i, at) => {
    const expected = { id: i, small: i % 7 === 0 ? null : i % 300, word: ['red', 'green', 'blue'][i % 3], note: `n"${i}`, ratio: i / 4,
                       flag: i % 2 === 0, day: iso(i), tags: [i % 5, null] };
    check(JSON.stringify(lines[at]) === JSON.stringify(expected), `${source}, record ${i}: ${JSON.stringify(lines[at])}`);
  });
  const letters = fs.readFileSync(path.join(folder, 'out/rejected.ndjson'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
  const refused = numbers.filter((i) => !kept.includes(i));
  check(letters.length === refused.length, `${source}: ${letters.length} letters of ${refused.length}`);
  refused.forEach((i, at) => {
    const letter = letters[at];
    check(letter.line === i + 1 && letter.offset === i && letter.rules[0].rule === 'small.type' && JSON.parse(letter.record).note === `n"${i}`,
          `${source}, letter of ${i}: ${JSON.stringify(letter)}`);
  });
  const back = arrow.tableFromIPC(fs.readFileSync(path.join(folder, 'out/rows.arrow')));
  check(back.numRows === kept.length, `${source}: ${back.numRows} rows of ${kept.length} in our stream`);
  check(kept.every((i, at) => back.get(at).id === i && back.get(at).note === `n"${i}`), `${source}: rows of our stream`);
}

console.log(failures === 0 ? `${kept.length} records and ${rows - kept.length} letters of each of 3 files agree` : `${failures} differences`);
process.exit(failures === 0 ? 0 : 1);
