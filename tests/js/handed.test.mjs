// The network's files on their way from the kernel to a notebook's page.
import test from "node:test";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { handOver, handedTransport } from "../../camredact/live/static/handed.js";
import { Platform, settle } from "./doubles.mjs";

/** Lets hashes be computed, which is done beside. */
const later = () => new Promise(yes => setTimeout(yes, 30));

const FILES = { "worker.js": Buffer.from("one two three"), "local.js": Buffer.from("x") };
const sha = bytes => createHash("sha256").update(bytes).digest("hex");
const listed = Object.fromEntries(Object.entries(FILES).map(([name, b]) => [name, [b.length, sha(b)]]));

/** A kernel at the other end of a comm; `spoil(message, answer)` gives what it says instead, or nothing. */
function world(spoil = (_, answer) => answer) {
  const platform = new Platform(), asked = [];
  let hear = () => {};
  const send = message => {
    asked.push(message);
    const { kind, name, at } = message;
    const honest = kind === "files" ? [{ kind, files: listed }, []]
      : [{ kind, name, at }, [new DataView(Uint8Array.from(FILES[name].subarray(at, at + 5)).buffer)]];
    const said = spoil(message, honest, asked.length);
    if (said) queueMicrotask(() => hear(...said));
  };
  const comm = { send, ready: () => true, onMessage: f => { hear = f; }, drop() {}, close() {} };
  const begin = more => handOver(comm, { platform, hears: f => { hear = f; }, ...more });
  return { platform, comm, asked, begin };
}

test("files come in pieces, one after the other", async () => {
  const { begin, asked } = world(), shares = [];
  const found = await begin({ told: share => shares.push(share) });
  for (const name of Object.keys(FILES)) assert.deepEqual(Buffer.from(found[name]), FILES[name]);
  assert.deepEqual(asked.map(m => m.at), [undefined, 0, 5, 10, 0]);
  assert.equal(shares.at(-1), 1);
});

test("a piece that is lost is asked for again, and one for another question is no answer", async () => {
  const lost = world((message, answer, n) => n === 2 ? null : answer), waiting = lost.begin();
  await lost.platform.pass(11000);
  await later();
  assert.deepEqual(Buffer.from((await waiting)["worker.js"]), FILES["worker.js"]);
  const other = world((message, [said, buffers], n) => n === 2 ? [{ ...said, at: 5 }, buffers] : [said, buffers]);
  const second = other.begin();
  await other.platform.pass(11000);
  await later();
  assert.deepEqual(Buffer.from((await second)["worker.js"]), FILES["worker.js"]);
});

const DAMAGE = {
  changed: ([said]) => [said, [new DataView(Uint8Array.from([1, 2, 3, 4, 5]).buffer)]],
  empty: ([said]) => [said, [new DataView(new ArrayBuffer(0))]],
  long: ([said]) => [said, [new DataView(new ArrayBuffer(99))]],
  none: ([said]) => [said, []],
};

for (const [name, damage] of Object.entries(DAMAGE)) {
  test(`a piece that is ${name} ends it, and covers for good, until Start is pressed again`, async () => {
    let honest = false;
    const { platform, comm, asked } = world((message, answer) => message.name === "worker.js" && !honest
      ? damage(answer) : answer);
    const loaded = [], load = async address => { loaded.push(address); throw new Error("loaded"); };
    const way = handedTransport(comm, { platform, load });
    assert.throws(() => way.ready(), /on its way.* 0 % are here/);
    await later();
    const before = asked.length;
    for (let i = 0; i < 3; i++) assert.throws(() => way.ready());
    await settle();
    assert.deepEqual([asked.length, loaded.length], [before, 0], "it goes on");
    honest = true;
    way.drop();
    assert.throws(() => way.ready(), /on its way/);
    await later();
    assert.equal(loaded.length, 1);
    assert.throws(() => way.ready(), /loaded/);
  });
}

test("a comm that is shut is thrown before anything else, and a closed camera asks for nothing more", async () => {
  const { platform, comm, asked } = world(() => null), way = handedTransport(comm, { platform });
  assert.throws(() => way.ready(), /on its way/);
  comm.ready = () => { throw new Error("away"); };
  assert.throws(() => way.ready(), /away/);
  way.close();
  await platform.pass(30000);
  assert.equal(asked.length, 1);
});
