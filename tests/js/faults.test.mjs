// Every fault in every state, some times each; `make measure WHAT=faults` does it more often. A failure names the seed that shows it.
import test from "node:test";
import assert from "node:assert/strict";
import { FAULTS, STATES, World, bySocket, campaign, trial } from "./faults.mjs";

const TIMES = Number(process.env.CAMREDACT_FAULTS ?? 1);

test(`${Object.keys(FAULTS).length} faults in ${Object.keys(STATES).length} states, ${TIMES} each: not one pixel`,
  async () => {
  const { trials, seen, failed } = await campaign(TIMES, 1, 3);
  assert.deepEqual(failed, []);
  assert.ok(trials === TIMES * Object.keys(FAULTS).length * Object.keys(STATES).length && seen > 1000 * trials);
});

test("the same by a socket: not one pixel", async () => {
  const { trials, seen, carried, failed } = await campaign(TIMES, 1, 3, bySocket);
  assert.deepEqual(failed, []);
  assert.ok(trials === TIMES * Object.keys(FAULTS).length * Object.keys(STATES).length && seen > 1000 * trials);
  assert.ok(carried > 3 * trials, `${carried} answers by the socket in ${trials} trials`);
});

test("the ledger tells on a picture that nothing allows", async () => {
  const w = await new World(7).open();
  await w.round();
  assert.equal(w.loop.state, "live");
  w.ledger.clear();
  assert.throws(() => w.check(), /unauthorised pixels on the screen/);
  await assert.rejects(trial("live", "no such fault", 7));
});
