// Node: an HTTP server and its clients, worker threads, child processes, crypto, files, the GC.
"use strict";
const assert = require("assert");
const child_process = require("child_process");
const crypto = require("crypto");
const fs = require("fs");
const http = require("http");
const zlib = require("zlib");
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");

const sha = (data) => crypto.createHash("sha256").update(data).digest("hex");

if (!isMainThread) {
  const memory = new Int32Array(workerData);
  let grown = [];
  for (let i = 0; i < 20000; i++) {
    Atomics.add(memory, 0, 1);
    grown.push({ i, text: "x".repeat(i % 100) });
    if (grown.length > 5000) grown = [];
  }
  parentPort.postMessage("done");
  return;
}

const end = Date.now() + Number(process.argv[2]) * 1000;
let rounds = 0;

const request = (port, body) =>
  new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, method: "POST", agent };
    const sent = http.request(options, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve(Buffer.concat(parts)));
    });
    sent.on("error", reject);
    sent.end(body);
  });

const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
const server = http.createServer((incoming, answer) => {
  const parts = [];
  incoming.on("data", (part) => parts.push(part));
  incoming.on("end", () => {
    const body = Buffer.concat(parts);
    crypto.pbkdf2(body, "salt", 10, 32, "sha256", (error, key) => {
      assert.ifError(error);
      answer.end(JSON.stringify({ sha: sha(body), key: key.toString("hex") }));
    });
  });
});

async function round(port) {
  const bodies = Array.from({ length: 32 }, (_, i) => crypto.randomBytes(1 + i * 997));
  const answers = await Promise.all(bodies.map((body) => request(port, body)));
  answers.forEach((answer, i) => {
    const told = JSON.parse(answer);
    assert.strictEqual(told.sha, sha(bodies[i]));
    assert.strictEqual(told.key, crypto.pbkdf2Sync(bodies[i], "salt", 10, 32, "sha256").toString("hex"));
  });
  const packed = await Promise.all(
    bodies.map((body) => new Promise((done, no) => zlib.gzip(body, (e, out) => (e ? no(e) : done(out))))),
  );
  packed.forEach((data, i) => assert(zlib.gunzipSync(data).equals(bodies[i])));
  const shared = new SharedArrayBuffer(4);
  await Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise((resolve, reject) => {
          const worker = new Worker(__filename, { workerData: shared });
          worker.on("error", reject);
          worker.on("exit", (code) => (code ? reject(new Error(`exit ${code}`)) : resolve()));
        }),
    ),
  );
  assert.strictEqual(new Int32Array(shared)[0], 60000);
  const told = await new Promise((resolve, reject) =>
    child_process.execFile("/bin/sh", ["-c", "echo $((6 * 7))"], (error, out) =>
      error ? reject(error) : resolve(out),
    ),
  );
  assert.strictEqual(told, "42\n");
  await fs.promises.writeFile("/tmp/node.file", bodies[31]);
  assert((await fs.promises.readFile("/tmp/node.file")).equals(bodies[31]));
  const begin = process.hrtime.bigint();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert(process.hrtime.bigint() - begin >= 18000000n);
  let garbage = [];
  for (let i = 0; i < 200000; i++) {
    garbage.push({ i, next: garbage[i - 1] });
    if (garbage.length > 50000) garbage = [];
  }
  rounds++;
}

server.listen(0, "127.0.0.1", async () => {
  try {
    do {
      await round(server.address().port);
    } while (Date.now() < end);
    agent.destroy();
    server.close();
    console.log(`${rounds} rounds`);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
});
