"""Every operator that holds rows, with a budget of 16 MB and about ten times as much data, inside a memory cgroup: the
result must be DuckDB's and the spill counter above zero."""
import os, shutil, subprocess, sys
from project import PEERS, Project, check, memory_cgroup, skip

if not shutil.which("node") or not os.path.isdir(os.path.join(PEERS, "node_modules/@duckdb/node-api")):
    skip("needs Node.js and the npm packages of tests/peers (npm ci)")

ROWS, KEYS = 2_500_000, 1_000_000

CONTRACTS = """
contract Row { int64 id [[required]]; int64 k [[required]]; int32 v; string s [[required]]; }
contract Once { int64 id [[required]]; int64 u [[required, unique]]; string s [[required]]; }
contract Other { int64 k [[required]]; string name [[required]]; }
contract Heavy { int64 k [[required]]; int64 n [[required]]; }
"""
SOURCE = """    @source("data/rows.ndjson")
    @contract("contracts/c.contract#%s")
    Given rows arrive
"""
HEAVY = "with \"data/heavy.ndjson\" with contract \"contracts/c.contract#Heavy\" on k = heavy.k"
PAIR = "\n     And fields id and heavy.n are kept\n     And field \"heavy.n\" is renamed to \"n\"\n"
# name: what the feature does, DuckDB's words for the same, whether the order of rows counts
CASES = {
    "sort": ("    When records are sorted by k descending, id\n", "SELECT id, k, v, s FROM r ORDER BY k DESC, id", True),
    "group": ("    When records are grouped by k, computing:\n      | n | count() |\n      | total | sum(v) |\n      | most | max(s) |\n",
              "SELECT k, count(*) AS n, sum(v) AS total, max(s) AS most FROM r GROUP BY k", False),
    "deduplicate": ("    When duplicates by k are dropped\n",
                    "SELECT id, k, v, s FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY id) AS n FROM r) WHERE n = 1 ORDER BY id", True),
    # Every key but a few is there once; what repeats one becomes a dead letter.
    "unique": ("    When records are checked against the contract\n",
               "SELECT id, u, s FROM (SELECT *, row_number() OVER (PARTITION BY u ORDER BY id) AS n FROM r) WHERE n = 1 ORDER BY id", True),
    # One group that is larger than all memory, and three that are.
    "whole": ("    When records are aggregated, computing:\n      | n | count() |\n      | middle | quantile(v, 0.5) |\n      | high | quantile(id, 0.99) |\n      | ids | distinct_count(id) |\n      | texts | distinct_count(s) |\n",
              "SELECT count(*) AS n, quantile_cont(v, 0.5) AS middle, quantile_cont(id, 0.99) AS high, count(DISTINCT id) AS ids, count(DISTINCT s) AS texts FROM r", False),
    "heavy groups": ("    When records are grouped by k % 3 as g, computing:\n      | n | count() |\n      | middle | quantile(v, 0.5) |\n      | ids | distinct_count(id) |\n      | total | sum(v) |\n",
                     "SELECT k % 3 AS g, count(*) AS n, quantile_cont(v, 0.5) AS middle, count(DISTINCT id) AS ids, sum(v) AS total FROM r GROUP BY ALL", False),
    # One group with half of the rows among many small ones.
    "skewed groups": ("    When records are grouped by if(id % 2 == 0, 0, k) as g, computing:\n      | middle | quantile(v, 0.5) |\n      | ids | distinct_count(id) |\n",
                      "SELECT CASE WHEN id % 2 = 0 THEN 0 ELSE k END AS g, quantile_cont(v, 0.5) AS middle, count(DISTINCT id) AS ids FROM r GROUP BY ALL", False),
    "lists": ("    When records are grouped by k % 1000 as g, computing:\n      | first | first(id) |\n      | ids | list(id) |\n",
              "SELECT k % 1000 AS g, min(id) AS first, list(id ORDER BY id) AS ids FROM r GROUP BY ALL", False),
    # One key of the joined side has more rows than fit.
    "heavy join": (f"    When records are joined {HEAVY}{PAIR}", "SELECT r.id, h.n FROM r JOIN h ON r.k = h.k ORDER BY r.id, h.n", True),
    "heavy left join": (f"    When records are left joined {HEAVY}{PAIR}", "SELECT r.id, h.n FROM r LEFT JOIN h ON r.k = h.k ORDER BY r.id, h.n", True),
    "heavy join with a condition": (f"    When records are joined {HEAVY} and id % 1000 < heavy.n % 1000{PAIR}",
                                    "SELECT r.id, h.n FROM r JOIN h ON r.k = h.k AND r.id % 1000 < h.n % 1000 ORDER BY r.id, h.n", True),
    "heavy semi join": (f"    When records are semi joined {HEAVY}\n     And fields id and k are kept\n",
                        "SELECT id, k FROM r WHERE k IN (SELECT k FROM h) ORDER BY id", True),
    "heavy anti join with a condition": (f"    When records are anti joined {HEAVY} and heavy.n > 699990\n     And fields id and k are kept\n",
                                         "SELECT id, k FROM r WHERE NOT EXISTS (FROM h WHERE h.k = r.k AND h.n > 699990) ORDER BY id", True),
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
    'row ' || (range * 31 % 65537) || ' of the table' AS s, CASE WHEN range % 1000 = 7 THEN range // 2 ELSE range END AS u FROM range(%ROWS%)) TO '${root}/data/rows.ndjson' (FORMAT json)`);
  await db.run(`COPY (SELECT CASE WHEN range < 700000 THEN 7 ELSE range % 1000 + 100 END AS k, range AS n FROM range(800000)) TO '${root}/data/heavy.ndjson' (FORMAT json)`);
  await db.run(`COPY (SELECT (hash(range * 3) % %KEYS%)::BIGINT AS k, 'other ' || range AS name FROM range(%KEYS%) ) TO '${root}/data/others.ndjson' (FORMAT json)`);
} else {
  const [sql, file, ordered] = rest;
  await db.run(`CREATE VIEW r AS SELECT * FROM read_json('${root}/data/rows.ndjson', format='newline_delimited', columns={id:'BIGINT',k:'BIGINT',v:'INTEGER',s:'VARCHAR',u:'BIGINT'})`);
  await db.run(`CREATE VIEW h AS SELECT * FROM read_json('${root}/data/heavy.ndjson', format='newline_delimited', columns={k:'BIGINT',n:'BIGINT'})`);
  await db.run(`CREATE VIEW o AS SELECT * FROM read_json('${root}/data/others.ndjson', format='newline_delimited', columns={k:'BIGINT',name:'VARCHAR'})`);
  await db.run(`CREATE TABLE theirs AS ${sql}`);
  await db.run(`CREATE TABLE ours AS SELECT * FROM read_json('${file}', format='newline_delimited')`);
  const one = async (q) => Number((await db.runAndReadAll(q)).getRows()[0][0]);
  const different = await one('SELECT count(*) FROM ((FROM ours EXCEPT ALL FROM theirs) UNION ALL (FROM theirs EXCEPT ALL FROM ours))');
  const rows = await one('SELECT count(*) FROM ours');
  let misplaced = 0;
  if (ordered === 'true') {
    misplaced = await one(`SELECT count(*) FROM (SELECT *, row_number() OVER () AS place FROM ours) a POSITIONAL JOIN (SELECT *, row_number() OVER () AS place FROM theirs) b WHERE a.id <> b.id${sql.startsWith('SELECT r.id, h.n') ? ' OR a.n IS DISTINCT FROM b.n' : ''}`);
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
            if sys.argv[2:] and name not in sys.argv[2:]:
                continue
            file = name.replace(" ", "_")
            source = SOURCE % ("Once" if name == "unique" else "Row")
            p.write(f"features/{file}.dsl", f"Feature: {name}\n  Scenario: {name}\n{source}{words}    @sink(\"out/{file}.ndjson\")\n    Then the result is written\n")
            p.runi("run", f"features/{file}.dsl", "--memory", "16Mi", "--threads", "2", enter=enter)
            record = [r for r in p.records() if r["feature"] == f"features/{file}.dsl"][0]
            check(record["spilled_bytes"] > 0, f"{name}: nothing was spilled, so nothing was tested")
            done = subprocess.run(["node", p.path("peer.mjs"), "compare", p.root, sql, p.path(f"out/{file}.ndjson"), str(ordered).lower()],
                                  check=True, capture_output=True, text=True)
            print(name, done.stdout.strip(), "spilled", record["spilled_bytes"], "peak", record["peak_memory_bytes"], flush=True)
            check('"different":0,"misplaced":0' in done.stdout, f"{name}: not DuckDB's result: {done.stdout}")
            os.unlink(p.path(f"out/{file}.ndjson"))
    finally:
        leave()
