// The way to a worker of the page: the same faults as everywhere, and a worker's own.
import test from "node:test";
import assert from "node:assert/strict";
import { localTransport } from "../../camredact/page/static/local.js";
import { locally } from "./doubles.mjs";
import { FAULTS, STATES, WORKER_FAULTS, campaign } from "./faults.mjs";

const ALL = { ...FAULTS, ...WORKER_FAULTS };

test(`${Object.keys(ALL).length} faults in ${Object.keys(STATES).length} states, by a worker: not one pixel`,
  async () => {
  const { trials, seen, failed } = await campaign(1, 1, 5, locally, ALL);
  assert.deepEqual(failed, []);
  assert.ok(trials === Object.keys(ALL).length * Object.keys(STATES).length && seen > 1000 * trials);
});

test("a frame waits here while the worker has one, and is thrown away when asked for", () => {
  const platform = { setTimeout() {}, clearTimeout() {} }, sent = [], heard = [];
  const worker = { postMessage: ([m]) => sent.push(m), terminate() { this.ended = true; } };
  const way = localTransport({ make: () => worker, platform });
  way.onMessage(m => heard.push(m));
  assert.throws(() => way.ready(), /being loaded/);
  worker.onmessage({ data: [{ kind: "ready" }, []] });
  assert.ok(way.ready());
  for (const frame of ["one", "two"]) way.send(frame, []);
  assert.deepEqual([sent, way.ready()], [["one"], false]);
  worker.onmessage({ data: [{ kind: "matte" }, []] });
  assert.deepEqual([sent, way.ready(), heard.length], [["one", "two"], true, 1]);
  way.send("three", []);
  way.drop();
  worker.onmessage({ data: [{ kind: "matte" }, []] });
  assert.deepEqual(sent, ["one", "two"]);
  way.close();
  assert.ok(worker.ended);
});
