"""Makes data/flights.ndjson and data/airports.csv from the npm package vega-datasets (see PROVENANCE.md):

    (cd tests/peers && npm ci) && python3 examples/flights/prepare_data.py

The records of the package are all kept as they are. Between them stand records that were made bad on purpose, so that
the example has something to reject; the script prints the table of them that PROVENANCE.md holds.
"""
import json
import pathlib
import shutil

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent.parent / "tests/peers/node_modules/vega-datasets/data"

# (kind, how a good record's line becomes a bad one)
def with_field(field, value):
    return lambda record: json.dumps({**record, field: value}, separators=(",", ":")).encode()


BAD = [
    ("delay out of range", "delay.range", with_field("delay", 99999)),
    ("delay is text", "delay.type", with_field("delay", "n/a")),
    ("delay beyond int32", "delay.type", with_field("delay", 99999999999)),
    ("date in another format", "date.type", with_field("date", "01-02-2001")),
    ("date is null", "date.required", with_field("date", None)),
    ("airport in lower case", "origin.pattern", with_field("origin", "sfo")),
    ("negative distance", "distance.min", with_field("distance", -1)),
    ("no destination", "destination.required",
     lambda r: json.dumps({k: v for k, v in r.items() if k != "destination"}, separators=(",", ":")).encode()),
    ("lands where it started", "check distinct_airports", lambda r: with_field("destination", r["origin"])(r)),
    ("line cut off", "record", lambda r: json.dumps(r, separators=(",", ":")).encode()[:-20]),
    ("a field twice", "delay.type", lambda r: json.dumps(r, separators=(",", ":")).encode()[:-1] + b',"delay":0}'),
    ("bytes that are not UTF-8", "record",
     lambda r: json.dumps(r, separators=(",", ":")).encode().replace(b'"origin":"', b'"origin":"\xff')),
]
EVERY = 333  # a bad record after so many good ones


def main():
    flights = json.loads((PACKAGE / "flights-10k.json").read_text(encoding="utf-8"))
    lines, bad = [], []
    for number, record in enumerate(flights, 1):
        lines.append(json.dumps(record, separators=(",", ":")).encode())
        if number % EVERY == 0:
            kind, rule, spoil = BAD[(number // EVERY - 1) % len(BAD)]
            lines.append(spoil(record))
            bad.append((kind, rule, len(lines)))
    (HERE / "data/flights.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    shutil.copyfile(PACKAGE / "airports.csv", HERE / "data/airports.csv")
    print("| What is wrong | Rule | Lines of data/flights.ndjson |\n|---|---|---|")
    for kind, rule, _ in BAD:
        places = ", ".join(str(line) for k, _, line in bad if k == kind)
        print(f"| {kind} | `{rule}` | {places} |")
    print(f"\n{len(flights)} records of the package, {len(bad)} made bad.")


if __name__ == "__main__":
    main()
