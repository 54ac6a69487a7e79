// The agent's forwarder against somebody else's Fluentd-protocol server (@fluent-org/logger): shared keys, users, TLS, a
// server that goes and comes back, one that loses acknowledgements, one that is slow.
//
//   node fluentd.mjs FLUENTD_FEED
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FluentServer } from "@fluent-org/logger";

const feed = process.argv[2];
const folder = mkdtempSync(join(tmpdir(), "runink-fluentd-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

// A server and what it got. `sockets` are ended with it: its own close() waits for the other side.
async function serve(options = {}) {
  const server = new FluentServer({ listenOptions: { host: "127.0.0.1", port: 0 }, ...options });
  const entries = [];
  server.on("entry", (tag, time, record) => entries.push({ tag, time, record }));
  await server.listen();
  const stop = () => {
    const closed = server.close();
    for (const client of Object.values(server.clients)) client.socket.destroy();
    return closed;
  };
  return { entries, port: server.port, stop };
}

// A run of the forwarder: write lines, then end() gives what it says at its end.
function run(port, ...words) {
  const child = spawn(feed, [String(port), ...words], { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (data) => (said += data));
  const ended = new Promise((resolve) => child.on("close", resolve));
  return {
    write: (lines) => child.stdin.write(lines.map((line) => line + "\n").join("")),
    end: async () => {
      child.stdin.end();
      await ended;
      return said === "" ? null : JSON.parse(said);
    },
  };
}

async function until(so, what) {
  const end = Date.now() + 30_000;
  while (!so()) {
    assert.ok(Date.now() < end, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const numbered = (from, to) => Array.from({ length: to - from }, (_, i) => `etl s1 line ${from + i}`);
const logs = (entries) => new Set(entries.map((entry) => entry.record.log));
function assertAll(entries, to) {
  const got = logs(entries);
  for (let i = 0; i < to; ++i) assert.ok(got.has(`line ${i}`), `line ${i} is missing`);
}

async function plain() {
  const server = await serve();
  const forwarder = run(server.port);
  const before = Date.now();
  forwarder.write([...numbered(0, 5000), "web s2 é ünïcode 漢字", "web s2 "]);
  const counts = await forwarder.end();
  assert.deepEqual([counts.flushed, counts.acknowledged, counts.again, counts.failures], [true, 5002, 0, 0]);
  assert.equal(server.entries.length, 5002);
  assertAll(server.entries, 5000);
  const first = server.entries.find((entry) => entry.record.log === "line 0");
  assert.equal(first.tag, "runink.slice.etl");
  assert.deepEqual(first.record, { log: "line 0", stream: "stdout", slice: "s1", herd: "etl", node: "test-node" });
  const time = first.time.epoch ?? first.time.timestamp ?? first.time / 1000;
  assert.ok(Math.abs(time - before / 1000) < 3600, `time ${JSON.stringify(first.time)}`);
  assert.ok(server.entries.some((e) => e.tag === "runink.slice.web" && e.record.log === "é ünïcode 漢字"));
  await server.stop();
}

async function keysAndUsers() {
  const security = { serverHostname: "server", sharedKey: "open sesame", authorize: false, userDict: {} };
  const keyed = await serve({ security });
  const right = run(keyed.port, "key=open sesame");
  right.write(numbered(0, 10));
  assert.equal((await right.end()).acknowledged, 10);
  assertAll(keyed.entries, 10);
  const count = keyed.entries.length;
  for (const words of [["key=wrong"], []]) {
    const wrong = run(keyed.port, ...words, "flush-ms=1000", "answer-ms=300");
    wrong.write(["etl s1 secret"]);
    const counts = await wrong.end();
    assert.equal(counts.flushed, false);
    assert.equal(counts.acknowledged, 0);
    assert.ok(counts.failures > 0);
  }
  assert.equal(keyed.entries.length, count, "a wrong key was let in");
  await keyed.stop();

  const users = await serve({ security: { ...security, authorize: true, userDict: { me: "mine" } } });
  const me = run(users.port, "key=open sesame", "user=me", "password=mine");
  me.write(numbered(0, 10));
  assert.equal((await me.end()).acknowledged, 10);
  for (const words of [["user=me", "password=yours"], []]) {
    const other = run(users.port, "key=open sesame", ...words, "flush-ms=700");
    other.write(["etl s1 secret"]);
    assert.equal((await other.end()).acknowledged, 0);
  }
  assert.equal(users.entries.length, 10);
  await users.stop();

  // A server that does not know the key itself is not believed, whatever it answers.
  const impostor = net.createServer((socket) => {
    socket.write(Buffer.from([0x92, 0xa4, ...Buffer.from("HELO"), 0x82, 0xa5, ...Buffer.from("nonce"), 0xc4, 1, 7,
      0xa4, ...Buffer.from("auth"), 0xc4, 0]));
    socket.once("data", () => {
      const digest = "0".repeat(128);
      socket.write(Buffer.from([0x95, 0xa4, ...Buffer.from("PONG"), 0xc3, 0xa0, 0xa1, 0x78, 0xd9, 128,
        ...Buffer.from(digest)]));
      socket.on("data", (data) => (impostor.got = data));
    });
    socket.on("error", () => {});
  });
  await new Promise((resolve) => impostor.listen(0, "127.0.0.1", resolve));
  const careful = run(impostor.address().port, "key=open sesame", "flush-ms=700");
  careful.write(["etl s1 secret"]);
  assert.equal((await careful.end()).acknowledged, 0);
  assert.equal(impostor.got, undefined, "lines were sent to a server that does not know the key");
  impostor.close();
}

function openssl(...words) {
  execFileSync("openssl", words, { cwd: folder, stdio: "pipe" });
}
function makeAuthority(name) {
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${name}.key`,
    "-out", `${name}.pem`, "-days", "2", "-subj", `/CN=${name}`);
}
function issue(name, subject) {
  writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${subject}\n`);
  openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${name}.key`, "-out",
    `${name}.csr`, "-subj", `/CN=${name}`);
  openssl("x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1",
    "-extfile", `${name}.ext`, "-out", `${name}.pem`);
}

async function tls() {
  try {
    openssl("version");
  } catch {
    console.log("without TLS: openssl is not installed");
    return;
  }
  makeAuthority("ca");
  makeAuthority("other");
  issue("server", "DNS:logs.test,IP:127.0.0.1");
  const options = {
    tlsOptions: { key: readFileSync(join(folder, "server.key")), cert: readFileSync(join(folder, "server.pem")) },
    security: { serverHostname: "server", sharedKey: "k", authorize: false, userDict: {} },
  };
  for (const version of ["TLSv1.2", "TLSv1.3"]) {
    const server = await serve({ ...options,
      tlsOptions: { ...options.tlsOptions, minVersion: version, maxVersion: version } });
    const forwarder = run(server.port, "key=k", `ca=${join(folder, "ca.pem")}`);  // by its address
    forwarder.write(numbered(0, 3000));
    const counts = await forwarder.end();
    assert.deepEqual([version, counts.acknowledged, counts.failures], [version, 3000, 0]);
    const named = run(server.port, "key=k", `ca=${join(folder, "ca.pem")}`, "name=logs.test");
    named.write(["etl s1 by name"]);
    assert.equal((await named.end()).acknowledged, 1);
    const count = server.entries.length;
    for (const words of [[`ca=${join(folder, "other.pem")}`], [`ca=${join(folder, "ca.pem")}`, "name=other.test"]]) {
      const refused = run(server.port, "key=k", ...words, "flush-ms=700");
      refused.write(["etl s1 secret"]);
      const said = await refused.end();
      assert.equal(said.acknowledged, 0);
      assert.ok(said.failures > 0);
    }
    assert.equal(server.entries.length, count);
    await server.stop();
  }
}

async function goesAndComesBack() {
  const first = await serve();
  const forwarder = run(first.port, "flush-ms=30000");
  forwarder.write(numbered(0, 100));
  await until(() => logs(first.entries).size === 100, "the first hundred");
  await first.stop();
  forwarder.write(numbered(100, 200));
  await new Promise((resolve) => setTimeout(resolve, 300));  // some tries fail
  const second = await serve({ listenOptions: { host: "127.0.0.1", port: first.port } });
  forwarder.write(numbered(200, 300));
  const counts = await forwarder.end();
  assert.equal(counts.flushed, true);
  assert.ok(counts.failures > 0);
  assertAll([...first.entries, ...second.entries], 300);
  await second.stop();
}

// Between forwarder and server: `handle` gets both sockets.
async function between(port, handle) {
  const proxy = net.createServer((client) => {
    const server = net.connect(port, "127.0.0.1");
    for (const [one, other] of [[client, server], [server, client]]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
    handle(client, server);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return { port: proxy.address().port, stop: () => proxy.close() };
}

async function losesAcknowledgements() {
  const server = await serve();
  let connections = 0;
  const proxy = await between(server.port, (client, upstream) => {
    client.pipe(upstream);
    if (++connections > 2) upstream.pipe(client);
    else upstream.on("data", () => {});  // the acknowledgement is lost
  });
  const forwarder = run(proxy.port, "answer-ms=300");
  forwarder.write(numbered(0, 50));
  const counts = await forwarder.end();
  assert.deepEqual([counts.flushed, counts.acknowledged], [true, 50]);
  assert.ok(counts.again >= 2);
  assert.ok(server.entries.length >= 150, "what was not acknowledged was sent again");
  assertAll(server.entries, 50);
  proxy.stop();
  await server.stop();
}

async function isSlow() {
  const server = await serve();
  const proxy = await between(server.port, (client, upstream) => {
    upstream.pipe(client);
    client.on("data", (data) => {
      upstream.write(data);
      client.pause();
      setTimeout(() => client.resume(), 2);
    });
  });
  const forwarder = run(proxy.port, "chunk=500000");
  const filler = "x".repeat(1000);
  forwarder.write(Array.from({ length: 3000 }, (_, i) => `etl s1 line ${i} ${filler}`));
  const counts = await forwarder.end();
  assert.deepEqual([counts.flushed, counts.acknowledged], [true, 3000]);
  assert.equal(server.entries.length, 3000);
  proxy.stop();
  await server.stop();
}

for (const test of [plain, keysAndUsers, tls, goesAndComesBack, losesAcknowledgements, isSlow]) {
  await test();
  console.log(`${test.name}: fine`);
}
process.exit(0);
