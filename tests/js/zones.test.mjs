// What is drawn on the picture becomes text that Python takes.
import test from "node:test";
import assert from "node:assert/strict";
import { Pen, isFlat, zoneOutline, zoneText } from "../../camredact/live/static/zones.js";

const A = [.1, .2], B = [.6, .3], C = [.4, .9];

/** A click of a mouse or a tap of a finger, which trembles a little. */
function click(pen, [x, y]) {
  pen.down([x, y]);
  pen.move([x + .004, y]);
  return pen.up([x + .004, y]);
}

test("a rectangle's corners are put in order, and numbers have four places", () => {
  assert.equal(zoneText("hide", [[.61234567, .9], [0, .1]]), "hide 0,0.1 0.6123,0.9");
  assert.equal(zoneText("show", [A, B, [1, 1 / 3]]), "show 0.1,0.2 0.6,0.3 1,0.3333");
});

test("an outline has a rectangle's four corners, or a polygon's own", () => {
  assert.deepEqual(zoneOutline("hide 0,0.1 0.5,1"), ["hide", [[0, .1], [.5, .1], [.5, 1], [0, 1]]]);
  assert.deepEqual(zoneOutline("show 0.1,0.2 0.6,0.3 0.4,0.9"), ["show", [A, B, C]]);
});

test("a drag is a rectangle", () => {
  const pen = new Pen();
  pen.down(A);
  for (const p of [[.2, .3], C]) { pen.move(p); assert.deepEqual(pen.points, [A, p]); }
  assert.deepEqual(pen.up(C), [A, C]);
});

test("clicks are corners, until the first one is clicked again", () => {
  const pen = new Pen();
  for (const p of [A, B, C]) assert.equal(click(pen, p), null);
  pen.move([.5, .5]);
  assert.deepEqual(pen.points.at(-1), [.5, .5], "the line follows the pointer");
  assert.equal(click(pen, A).length, 3);
});

test("a double click ends a polygon with that corner, once, and never one of two corners", () => {
  const pen = new Pen();
  for (const p of [A, A, B, B, C]) assert.equal(click(pen, p), null);
  assert.equal(click(pen, C).length, 3);
});

test("a polygon ends at the last corner that Python takes", () => {
  const pen = new Pen(), ring = Array.from({ length: 32 }, (_, i) => [.5 + .4 * Math.cos(i / 5), .5 + .4 * Math.sin(i / 5)]);
  for (const p of ring.slice(1)) assert.equal(click(pen, p), null);
  assert.equal(click(pen, [.5, .5]).length, 32);
});

test("what spans nothing is no zone", () => {
  for (const points of [[A, [.9, .2]], [A, [.1, .9]], [A, A, A], [[.1, .1], [.5, .5], [.9, .9], [.3, .3]]])
    assert.ok(isFlat(points), JSON.stringify(points));
  for (const points of [[A, C], [A, B, C], [[.1, .1], [.5, .5], [.9, .9], [.9, .1]]]) assert.ok(!isFlat(points));
});
