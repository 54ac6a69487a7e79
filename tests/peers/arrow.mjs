// Arrow IPC streams between Runink and npm apache-arrow, both ways: arrow.mjs ARROW_DUMP
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as arrow from 'apache-arrow';

const dump = process.argv[2];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runink-arrow-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
const run = (...args) =>
  execFileSync(dump, args, { encoding: 'utf8', maxBuffer: 1 << 30 }).trimEnd().split('\n').map((line) => JSON.parse(line));

let failures = 0;
const check = (holds, what) => {
  if (holds) return;
  failures += 1;
  if (failures <= 20) console.log(`differs: ${what}`);
};

// --- apache-arrow's values as Runink's plain text ------------------------------------------------------------------

const pad = (value, digits) => String(value).padStart(digits, '0');
const floor = (a, b) => { const q = a / b; return a % b < 0n ? q - 1n : q; };

function dayText(days) {
  const date = new Date(Number(days) * 86400000);
  return `${pad(date.getUTCFullYear(), 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`;
}
function clockText(micros) {
  const seconds = micros / 1000000n, fraction = micros % 1000000n;
  const text = `${pad(seconds / 3600n, 2)}:${pad((seconds / 60n) % 60n, 2)}:${pad(seconds % 60n, 2)}`;
  return fraction === 0n ? text : `${text}.${pad(fraction, 6)}`;
}
function stampText(micros) {
  const days = floor(micros, 86400000000n);
  return `${dayText(days)}T${clockText(micros - days * 86400000000n)}Z`;
}
function durationText(micros) {
  let out = micros < 0n ? '-P' : 'P';
  let rest = micros < 0n ? -micros : micros;
  const days = rest / 86400000000n;
  rest %= 86400000000n;
  if (days) out += `${days}D`;
  if (!rest && days) return out;
  out += 'T';
  const hours = rest / 3600000000n, minutes = (rest / 60000000n) % 60n, seconds = (rest / 1000000n) % 60n, fraction = rest % 1000000n;
  if (hours) out += `${hours}H`;
  if (minutes) out += `${minutes}M`;
  if (seconds || fraction || !rest) out += seconds + (fraction ? `.${pad(fraction, 6).replace(/0+$/, '')}` : '') + 'S';
  return out;
}
function decimalText(words, scale) {
  let value = 0n;
  for (let i = words.length - 1; i >= 0; i--) value = (value << 32n) | BigInt(words[i] >>> 0);
  if (value >> 127n) value -= 1n << 128n;
  const digits = pad(value < 0n ? -value : value, scale + 1);
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  return value < 0n ? `-${text}` : text;
}
const uuidText = (bytes) => Buffer.from(bytes).toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

const unitMicros = [1000000n, 1000n, 1n];
const micros = (raw, unit) => (unit === 3 ? BigInt(raw) / 1000n : BigInt(raw) * unitMicros[unit]);

// The value in row `i` of one chunk of a column. 64-bit counts are read from the raw memory: apache-arrow's get() turns
// timestamps into floating milliseconds.
function textOf(vector, data, i) {
  if (!vector.isValid(i)) return null;
  const type = vector.type, T = arrow.Type;
  const raw = () => data.values[i];
  switch (type.typeId) {
    case T.Null: return null;
    case T.Date: return dayText(Math.floor(Number(vector.get(i)) / 86400000));
    case T.Timestamp: return stampText(micros(raw(), type.unit));
    case T.Time: return clockText(micros(raw(), type.unit));
    case T.Duration: return durationText(micros(raw(), type.unit));
    case T.Decimal: return decimalText(vector.get(i), type.scale);
    case T.Binary: case T.LargeBinary: return Buffer.from(vector.get(i)).toString('base64');
    case T.FixedSizeBinary:
      return type.byteWidth === 16 ? uuidText(vector.get(i)) : Buffer.from(vector.get(i)).toString('base64');
    default: return nestedText(vector.get(i), type);
  }
}
function nestedText(value, type) {
  const T = arrow.Type;
  if (value === null || value === undefined) return null;
  switch (type.typeId) {
    case T.List: case T.LargeList: case T.FixedSizeList: return [...value].map((v) => nestedText(v, type.children[0].type));
    case T.Struct: return type.children.map((child) => nestedText(value[child.name], child.type));
    case T.Float: return value;  // compared as a number
    default: return String(value);
  }
}

function same(theirs, ours) {
  if (theirs === null || ours === null) return theirs === ours;
  if (Array.isArray(theirs)) return Array.isArray(ours) && theirs.length === ours.length && theirs.every((v, i) => same(v, ours[i]));
  if (typeof theirs === 'number') {
    const words = { nan: NaN, inf: Infinity, '-inf': -Infinity };
    const number = ours in words ? words[ours] : Number(ours);
    // A float32 is shown with the digits that tell it from its neighbours.
    return Object.is(theirs, number) || Object.is(theirs, Math.fround(number));
  }
  return theirs === ours;
}

function compare(table, lines, what, width = table.schema.fields.length) {
  let row = 1;
  for (const batch of table.batches) {
    const columns = table.schema.fields.map((_, c) => batch.getChildAt(c));
    for (let i = 0; i < batch.numRows; i++, row++) {
      for (let c = 0; c < width; c++) {
        const theirs = textOf(columns[c], columns[c].data[0], i), ours = lines[row]?.[c];
        check(ours !== undefined && same(theirs, ours),
              `${what}, row ${row}, ${table.schema.fields[c].name}: ${JSON.stringify(theirs)} there, ${JSON.stringify(ours)} here`);
      }
    }
  }
  check(lines.length === row, `${what}: ${row - 1} rows there, ${lines.length - 1} here`);
  return row - 1;
}

// --- our streams, read by apache-arrow -----------------------------------------------------------------------------

for (const [seed, rows] of [[1, 300], [2, 1], [3, 0], [4, 2000]]) {
  const file = path.join(folder, `ours-${seed}.arrow`);
  const expected = run('sample', file, String(seed), String(rows));
  const table = arrow.tableFromIPC(fs.readFileSync(file));
  const count = compare(table, expected, `our stream ${seed}`);
  check(count === rows + Math.floor(rows / 2), `our stream ${seed} has ${count} rows`);
  const kinds = Object.fromEntries(table.schema.fields.map((field) => [field.name, String(field.type)]));
  check(kinds.stamp === 'Timestamp<MICROSECOND, UTC>' && kinds.cabin === 'Dictionary<Int32, Utf8>' && kinds.day === 'Date32<DAY>' &&
        kinds.at === 'Time64<MICROSECOND>' && kinds.took === 'Duration<MICROSECOND>' && kinds.id === 'FixedSizeBinary[16]',
        `the types of our stream: ${JSON.stringify(kinds)}`);
  check(table.schema.fields.find((f) => f.name === 'id').metadata.get('ARROW:extension:name') === 'arrow.uuid', 'the extension of uuid');
}

// --- apache-arrow's streams and files, read by us ------------------------------------------------------------------

const text = ['', 'a', null, 'Zürich', '東京🛫', 'a text longer than sixteen bytes'];
const bytes = [new Uint8Array([]), new Uint8Array([0, 255, 1]), null, new Uint8Array([7]), new Uint8Array([1, 2]), null];
const big = [0n, 1n, null, -1n, 979150800n, 253402300799n];
const scaled = (by) => big.map((v) => (v === null ? null : v * by));
const clock = [0, 1, null, 86399, 66000, 43200];
const struct = new arrow.Struct([new arrow.Field('city', new arrow.Utf8(), true), new arrow.Field('zip', new arrow.Int32(), true)]);
const list = (type) => new arrow.List(new arrow.Field('item', type, true));
const made = {
  flag: [[true, false, null, true, false, true], new arrow.Bool()],
  i8: [[-128, 127, null, 0, 1, -1], new arrow.Int8()],
  i16: [[-32768, 32767, null, 0, 1, -1], new arrow.Int16()],
  i32: [[-2147483648, 2147483647, null, 0, 1, -1], new arrow.Int32()],
  i64: [[-(2n ** 63n), 2n ** 63n - 1n, null, 0n, 1n, -1n], new arrow.Int64()],
  u8: [[0, 255, null, 1, 2, 3], new arrow.Uint8()],
  u16: [[0, 65535, null, 1, 2, 3], new arrow.Uint16()],
  u32: [[0, 4294967295, null, 1, 2, 3], new arrow.Uint32()],
  u64: [[0n, 2n ** 64n - 1n, null, 1n, 2n, 3n], new arrow.Uint64()],
  f32: [[0, -0, null, 1.5, NaN, Infinity], new arrow.Float32()],
  f64: [[0, -0, null, 0.1, NaN, -Infinity], new arrow.Float64()],
  utf8: [text, new arrow.Utf8()],
  large_utf8: [text, new arrow.LargeUtf8()],
  binary: [bytes, new arrow.Binary()],
  large_binary: [bytes, new arrow.LargeBinary()],
  fixed: [[1, 2, null, 4, 5, 6].map((v) => (v === null ? null : new Uint8Array([v, 0, 255]))), new arrow.FixedSizeBinary(3)],
  day: [[0, 86400000, null, -86400000, 979084800000, 0].map((v) => (v === null ? null : new Date(v))), new arrow.DateDay()],
  date64: [[0, 86400000, null, -86400000, 979084800000, 0].map((v) => (v === null ? null : new Date(v))), new arrow.DateMillisecond()],
  stamp_s: [big.map((v) => (v === null ? null : Number(v) * 1000)), new arrow.TimestampSecond()],
  stamp_ms: [big.map((v) => (v === null ? null : Number(v) * 1000)), new arrow.TimestampMillisecond('UTC')],
  stamp_us: [big.map((v) => (v === null ? null : Number(v) * 1000)), new arrow.TimestampMicrosecond('UTC')],
  stamp_ns: [[0, 1, null, -1, 979150800000, 5].map((v) => v), new arrow.TimestampNanosecond('Europe/Berlin')],
  time_s: [clock, new arrow.TimeSecond()],
  time_ms: [clock.map((v) => (v === null ? null : v * 1000)), new arrow.TimeMillisecond()],
  time_us: [clock.map((v) => (v === null ? null : BigInt(v) * 1000000n)), new arrow.TimeMicrosecond()],
  time_ns: [clock.map((v) => (v === null ? null : BigInt(v) * 1000000000n)), new arrow.TimeNanosecond()],
  took_s: [big, new arrow.DurationSecond()],
  took_ms: [scaled(1000n), new arrow.DurationMillisecond()],
  took_ns: [big.map((v) => (v === null ? null : v * 1000n)), new arrow.DurationNanosecond()],
  fare: [[0n, 1n, null, 12345n, 99n, 2n ** 100n].map((v) => v === null ? null : new Uint32Array(new BigUint64Array([v & (2n ** 64n - 1n), v >> 64n]).buffer)),
         new arrow.Decimal(2, 38, 128)],
  tags: [[['a', null], [], null, ['東京'], ['b', 'c', 'd'], ['']], list(new arrow.Utf8())],
  pairs: [[[1, 2], [3, null], null, [5, 6], [7, 8], [9, 10]],
          new arrow.FixedSizeList(2, new arrow.Field('item', new arrow.Int32(), true))],
  stops: [[[{ city: 'a', zip: 1 }], [], null, [{ city: null, zip: 2 }, { city: 'b', zip: null }], [], []], list(struct)],
  words: [['a', 'b', null, 'a', 'c', 'b'], new arrow.Dictionary(new arrow.Utf8(), new arrow.Int8())],
  wide_words: [['x', 'y', null, 'x', 'x', 'y'], new arrow.Dictionary(new arrow.Utf8(), new arrow.Uint32())],
  nothing: [[null, null, null, null, null, null], new arrow.Null()],
};

function tableOf(columns, parts) {
  const vectors = Object.fromEntries(Object.entries(columns).map(([name, [values, type]]) => [name, arrow.vectorFromArray(values, type)]));
  let table = new arrow.Table(vectors);
  for (let i = 1; i < parts; i++) table = table.concat(new arrow.Table(vectors));
  return table;
}

for (const form of ['stream', 'file']) {
  for (const parts of [1, 3]) {
    const table = tableOf(made, parts);
    const file = path.join(folder, `theirs-${form}-${parts}.arrow`);
    fs.writeFileSync(file, arrow.tableToIPC(table, form));
    compare(table, run('read', file), `their ${form} of ${parts} batches`);
  }
}

// A struct at the top level comes out as columns of its members.
{
  const values = [{ city: 'a', zip: 1 }, null, { city: null, zip: 3 }];
  const file = path.join(folder, 'struct.arrow');
  fs.writeFileSync(file, arrow.tableToIPC(new arrow.Table({ billing: arrow.vectorFromArray(values, struct) }), 'stream'));
  const lines = run('read', file);
  check(JSON.stringify(lines) === JSON.stringify([{ 'billing.city': 'string', 'billing.zip': 'int32' }, ['a', '1'], [null, null], [null, '3']]),
        `a struct: ${JSON.stringify(lines)}`);
}

// What Runink cannot hold is refused by name.
for (const [name, vector, reason] of [
  ['half', arrow.vectorFromArray([1, 2], new arrow.Float16()), 'float16'],
  ['span', arrow.vectorFromArray([new Int32Array([1, 2])], new arrow.IntervalDayTime()), 'an interval'],
]) {
  const file = path.join(folder, `${name}.arrow`);
  fs.writeFileSync(file, arrow.tableToIPC(new arrow.Table({ [name]: vector }), 'stream'));
  let message = '';
  try { execFileSync(dump, ['read', file], { stdio: 'pipe' }); } catch (error) { message = String(error.stderr); }
  check(message.includes(`"${name}" is ${reason}`), `${name} is refused: ${message}`);
}

// --- a real file ---------------------------------------------------------------------------------------------------

{
  const file = fileURLToPath(new URL('node_modules/vega-datasets/data/flights-200k.arrow', import.meta.url));
  const table = arrow.tableFromIPC(fs.readFileSync(file));
  const rows = compare(table, run('read', file), 'flights-200k.arrow');
  check(rows === 200000, `flights-200k.arrow has ${rows} rows`);
}

console.log(failures === 0 ? 'Runink and apache-arrow agree' : `${failures} differences`);
process.exit(failures === 0 ? 0 : 1);
