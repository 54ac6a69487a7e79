// Makes the benchmark's input: 3 million flight records as NDJSON and CSV, from the Parquet file of npm vega-datasets.
// usage: node prepare.mjs PARQUET DATA_FOLDER
import { DuckDBInstance } from '@duckdb/node-api';

const [parquet, data] = process.argv.slice(2);
const db = await (await DuckDBInstance.create(':memory:')).connect();
const columns = (await db.runAndReadAll(`DESCRIBE SELECT * FROM '${parquet}'`)).getRows().map((r) => String(r[0]));
const find = (...names) => columns.find((c) => names.includes(c.toLowerCase()));
const date = find('date', 'fl_date'), delay = find('delay', 'arr_delay'), distance = find('distance');
const origin = find('origin'), destination = find('destination', 'dest');
const time = find('dep_time', 'time');
if (!delay || !distance) throw new Error(`unknown columns: ${columns.join(', ')}`);
// Where the file has no airports (flights-3m has none), routes are drawn from the row's number: 300 airports.
const code = (expr) => `chr(65 + ((${expr}) % 26)::INT) || chr(65 + ((${expr}) // 26 % 12)::INT) || 'X'`;
const o = origin ?? code('row_number() OVER () * 7919 % 300'), d = destination ?? code('(row_number() OVER () * 104729 + 13) % 300');
const when = date && time ? `strftime(${date}::DATE + to_minutes((floor(${time})::INT * 60 + ((${time} * 60) % 60)::INT) % 1440), '%Y/%m/%d %H:%M')`
  : date ? `strftime(${date}::TIMESTAMP, '%Y/%m/%d %H:%M')`
  : `strftime(TIMESTAMP '2001-01-01' + to_minutes((row_number() OVER () % 130000)::INT), '%Y/%m/%d %H:%M')`;
await db.run(`CREATE TABLE f AS SELECT ${when} AS date, ${delay}::INT AS delay, greatest(${distance}::INT, 1) AS distance,
  ${o} AS origin, ${d} AS destination FROM '${parquet}' LIMIT 3000000`);
await db.run(`COPY f TO '${data}/flights.ndjson' (FORMAT json)`);
await db.run(`COPY f TO '${data}/flights.csv' (FORMAT csv, HEADER)`);
console.log((await db.runAndReadAll('SELECT count(*) FROM f')).getRows()[0][0].toString());
