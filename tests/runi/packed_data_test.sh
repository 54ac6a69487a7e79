#!/usr/bin/env bash
# runi contract infer, diff and redact read what is packed, and standard input.
. "$(dirname "$0")/common.sh" "$1"

gzip -k data/orders.ndjson
"$runi" contract infer data/orders.ndjson -n Order >"$place/plain.contract" || fail "contract infer of a plain file"
"$runi" contract infer data/orders.ndjson.gz -n Order >"$place/gzip.contract" || fail "contract infer of gzip"
"$runi" contract infer - -n Order <data/orders.ndjson.gz >"$place/pipe.contract" || fail "contract infer of standard input"
grep -q "contract Order {" "$place/plain.contract" || fail "no contract was inferred"
for other in gzip pipe; do
  cmp -s "$place/plain.contract" "$place/$other.contract" || fail "the contract inferred from $other differs"
done

"$runi" contract redact contracts/order.contract data/orders.ndjson >"$place/plain.ndjson" 2>"$place/redact.log" || fail "contract redact"
cmp -s "$place/plain.ndjson" data/orders.ndjson && fail "nothing was redacted"
"$runi" contract redact contracts/order.contract - <data/orders.ndjson.gz >"$place/pipe.ndjson" 2>"$place/redact.log" || fail "contract redact of standard input"
cmp "$place/plain.ndjson" "$place/pipe.ndjson" || fail "what came from standard input was redacted otherwise"
"$runi" contract redact contracts/order.contract data/orders.ndjson.gz -O out.ndjson.gz 2>"$place/redact.log" || fail "contract redact to a file"
cmp "$place/plain.ndjson" <(gzip -dc out.ndjson.gz) || fail "the redacted file is another one"

code=0
"$runi" contract diff contracts/order.contract data/orders.ndjson.gz >"$place/diff.log" 2>&1 || code=$?
plain=0
"$runi" contract diff contracts/order.contract data/orders.ndjson >"$place/diff.plain.log" 2>&1 || plain=$?
[[ $code -eq $plain ]] || fail "contract diff of gzip ended with $code, of the plain file with $plain"
echo "read as the plain file"
