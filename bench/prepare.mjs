// Makes the benchmark's input: 3 million flight records as NDJSON and CSV, from the Parquet file of npm vega-datasets.
// usage: node prepare.mjs PARQUET DATA_FOLDER
import { DuckDBInstance } from '@duckdb/node-api';

const [parquet, data] = process.argv.slice(2);
const db = await (await DuckDBInstance.create(':memory:')).connect();
const columns = (await db.runAndReadAll(`DESCRIBE SELECT * FROM '${parquet}'`)).getRows().map((r) => String(r[0]));
for (const name of ['date', 'delay', 'distance', 'origin', 'destination']) {
  if (!columns.includes(name)) throw new Error(`${parquet} has no column ${name}, but ${columns.join(', ')}`);
}
await db.run(`CREATE TABLE f AS SELECT strftime(date, '%Y/%m/%d %H:%M') AS date, delay::INT AS delay, greatest(distance::INT, 1) AS distance,
  origin, destination FROM '${parquet}' LIMIT 3000000`);
await db.run(`COPY f TO '${data}/flights.ndjson' (FORMAT json)`);
await db.run(`COPY f TO '${data}/flights.csv' (FORMAT csv, HEADER)`);

// 10 million orders and 100 thousand customers for the join. Made by arithmetic, so they are the same every time.
await db.run(`COPY (SELECT range AS id, ((range * 2654435761) % 100000)::INT AS customer, ((range * 40503) % 1000000) / 100.0 AS amount
  FROM range(10000000)) TO '${data}/orders.ndjson' (FORMAT json)`);
await db.run(`COPY (SELECT range::INT AS customer, ['gold', 'silver', 'bronze'][1 + (range % 3)::INT] AS segment FROM range(100000))
  TO '${data}/customers.ndjson' (FORMAT json)`);
