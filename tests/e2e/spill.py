"""Every operator that holds rows, with a budget of 16 MB and about ten times as much data, inside a memory cgroup: the
result must be DuckDB's and the spill counter above zero."""
import os, shutil, subprocess, sys
from project import PEERS, Project, check, memory_cgroup, skip

if not shutil.which("node") or not os.path.isdir(os.path.join(PEERS, "node_modules/@duckdb/node-api")):
    skip("needs Node.js and the npm packages of tests/peers (npm ci)")

ROWS, KEYS = 2_500_000, 1_000_000

CONTRACTS = """
contract Row { int64 id [[required]]; int64 k [[required]]; int32 v; string s [[required]]; }
contract Other { int64 k [[required]]; string name [[required]]; }
"""
SOURCE = """    @source("data/rows.ndjson")
    @contract("contracts/c.contract#Row")
    Given rows arrive
"""
# name: what the feature does, DuckDB's words for the same, whether the order of rows counts
CASES = {
    "sort": ("    When records are sorted by k descending, id\n", "SELECT * FROM r ORDER BY k DESC, id", True),
    "group": ("    When records are grouped by k, computing:\n      | n | count() |\n      | total | sum(v) |\n      | most | max(s) |\n",
              "SELECT k, count(*) AS n, sum(v) AS total, max(s) AS most FROM r GROUP BY k", False),
    "deduplicate": ("    When duplicates by k are dropped\n",
                    "SELECT id, k, v, s FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY id) AS n FROM r) WHERE n = 1 ORDER BY id", True),
    "join": ("    When records are joined with \"data/others.ndjson\" with contract \"contracts/c.contract#Other\" on k = others.k\n"
             "     And fields id, k and others.name are kept\n     And field \"others.name\" is renamed to \"name\"\n",
             "SELECT r.id, r.k, o.name FROM r JOIN o ON r.k = o.k ORDER BY r.id, o.name", True),
}
DUCKDB = r"""
import { DuckDBInstance } from '@duckdb/node-api';
const db = await (await DuckDBInstance.create(':memory:')).connect();
const [what, root, ...rest] = process.argv.slice(2);
if (what === 'make') {
  await db.run(`COPY (SELECT range AS id, (hash(range) % %KEYS%)::BIGINT AS k, CASE WHEN range % 17 = 0 THEN NULL ELSE (range * 7919 % 100003)::INT END AS v,
    'row ' || (range * 31 % 65537) || ' of the table' AS s FROM range(%ROWS%)) TO '${root}/data/rows.ndjson' (FORMAT json)`);
  await db.run(`COPY (SELECT (hash(range * 3) % %KEYS%)::BIGINT AS k, 'other ' || range AS name FROM range(%KEYS%) ) TO '${root}/data/others.ndjson' (FORMAT json)`);
} else {
  const [sql, file, ordered] = rest;
  await db.run(`CREATE VIEW r AS SELECT * FROM read_json('${root}/data/rows.ndjson', format='newline_delimited', columns={id:'BIGINT',k:'BIGINT',v:'INTEGER',s:'VARCHAR'})`);
  await db.run(`CREATE VIEW o AS SELECT * FROM read_json('${root}/data/others.ndjson', format='newline_delimited', columns={k:'BIGINT',name:'VARCHAR'})`);
  await db.run(`CREATE TABLE theirs AS ${sql}`);
  await db.run(`CREATE TABLE ours AS SELECT * FROM read_json('${file}', format='newline_delimited')`);
  const one = async (q) => Number((await db.runAndReadAll(q)).getRows()[0][0]);
  const different = await one('SELECT count(*) FROM ((FROM ours EXCEPT ALL FROM theirs) UNION ALL (FROM theirs EXCEPT ALL FROM ours))');
  const rows = await one('SELECT count(*) FROM ours');
  let misplaced = 0;
  if (ordered === 'true') {
    misplaced = await one(`SELECT count(*) FROM (SELECT *, row_number() OVER () AS n FROM ours) a POSITIONAL JOIN (SELECT *, row_number() OVER () AS m FROM theirs) b WHERE a.id <> b.id`);
  }
  console.log(JSON.stringify({ rows, different, misplaced }));
}
""".replace("%ROWS%", str(ROWS)).replace("%KEYS%", str(KEYS))

with Project(on_disk=True) as p:
    p.write("contracts/c.contract", CONTRACTS)
    p.write("data/.keep", "")
    p.write("peer.mjs", DUCKDB)
    os.symlink(os.path.join(PEERS, "node_modules"), p.path("node_modules"))
    subprocess.run(["node", p.path("peer.mjs"), "make", p.root], check=True)
    enter, leave = memory_cgroup(256 << 20)
    print("memory cgroup of 256 MiB:", "yes" if enter else "this host does not let us make one")
    try:
        for name, (words, sql, ordered) in CASES.items():
            p.write(f"features/{name}.dsl", f"Feature: {name}\n  Scenario: {name}\n{SOURCE}{words}    @sink(\"out/{name}.ndjson\")\n    Then the result is written\n")
            p.runi("run", f"features/{name}.dsl", "--memory", "16Mi", "--threads", "2", enter=enter)
            record = [r for r in p.records() if r["feature"] == f"features/{name}.dsl"][0]
            check(record["spilled_bytes"] > 0, f"{name}: nothing was spilled, so nothing was tested")
            done = subprocess.run(["node", p.path("peer.mjs"), "compare", p.root, sql, p.path(f"out/{name}.ndjson"), str(ordered).lower()],
                                  check=True, capture_output=True, text=True)
            print(name, done.stdout.strip(), "spilled", record["spilled_bytes"], "peak", record["peak_memory_bytes"])
            check('"different":0,"misplaced":0' in done.stdout, f"{name}: not DuckDB's result: {done.stdout}")
            os.unlink(p.path(f"out/{name}.ndjson"))
    finally:
        leave()
