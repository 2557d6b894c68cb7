// Two ways for a notebook's frames. What is shown, and what each end gets, is looked at.
import test from "node:test";
import assert from "node:assert/strict";
import { commTransport } from "../../camredact/live/static/jupyter.js";
import { Loop } from "../../camredact/live/static/loop.js";
import { PAUSE } from "../../camredact/live/static/rules.js";
import { pack, unpack } from "../../camredact/live/static/socket.js";
import { addresses, waysTransport } from "../../camredact/live/static/ways.js";
import { CHOICE, Platform, camera, png, seen, settle } from "./doubles.mjs";

const HERE = { protocol: "http:", hostname: "127.0.0.1", host: "127.0.0.1:8888" };
const HUB = { protocol: "https:", hostname: "hub.example.org", host: "hub.example.org" };
const SECRETS = { port: 4321, token: "T", proof: "P" };

test("the same machine is tried first, and a proxy where Jupyter's pages are", () => {
  assert.deepEqual(addresses(4321, HERE, "/"),
    [["direct", "ws://127.0.0.1:4321/"], ["proxy", "ws://127.0.0.1:8888/proxy/4321/"]]);
  assert.deepEqual(addresses(4321, HUB, "/user/me/"), [["proxy", "wss://hub.example.org/user/me/proxy/4321/"]]);
});

/** A loop over a comm, whose kernel answers "way" when told to, and the sockets that are tried. */
function live(place = HERE) {
  const platform = new Platform(), video = camera(), made = [], comm = { sent: [], asked: 0 };
  class Socket {
    constructor(url, protocols) {
      if (Socket.refuses) throw new SyntaxError("no socket");
      Object.assign(this, { url, protocols, readyState: 0, bufferedAmount: 0, sent: [] });
      made.push(this);
    }
    open() { this.readyState = 1; this.onopen?.(); }
    say(data) { this.onmessage?.({ data }); }
    send(bytes) { this.sent.push(unpack(bytes)); }
    close() { if (this.readyState !== 3) { this.readyState = 3; this.onclose?.(); } }
    answer([message, buffers]) { this.say(pack(message, buffers)); }
  }
  let listen;
  const frames = { widget_manager: { kernel: { connectionStatus: "connected" } }, off() {},
    on: (_, f) => { listen = f; },
    send: (message, _, buffers) => message.kind === "way" ? comm.asked++ : comm.sent.push([message, buffers]) };
  let loop;
  const lost = error => { if (loop.video) loop.fail(error); };
  const transport = waysTransport(commTransport(frames), { place, Socket, now: platform.now, lost });
  loop = new Loop({ transport, platform, budgetOf: () => 32 * 32 });
  loop.choose(CHOICE, "Live.");
  loop.play(video);
  /** What an honest kernel answers to a frame. */
  const honest = ([{ kind, ...echo }, [jpeg]]) => { const [w, h] = [...new Uint8Array(jpeg)].map(n => 32 * n);
    return [{ kind: "matte", ...echo, width: w, height: h, ms: { predict: 8 } }, [png(w, h)]]; };
  const shoot = async () => { video.number++; video.tick(); await settle(); };
  const round = async () => {
    const before = comm.sent.length;
    await shoot();
    if (comm.sent.length > before) listen(...honest(comm.sent.at(-1)));
    else made.at(-1).answer(honest(made.at(-1).sent.at(-1)));
    await settle();
  };
  const tell = (said = SECRETS) => listen({ kind: "way", ...said });
  /** A socket that has proved itself. */
  const proved = async () => { await round(); tell(); made[0].open(); made[0].say("P"); return made[0]; };
  return { platform, loop, comm, frames, made, Socket, transport, honest, shoot, round, tell, proved,
    pixels: () => seen(loop.screen).length };
}

test("frames go over the comm until a socket has said the proof, and then over that", async () => {
  const { comm, made, transport, round, tell, pixels } = live();
  await round();
  assert.deepEqual([comm.asked, comm.sent.length, transport.way, pixels() > 0], [1, 1, "comm", true]);
  tell();
  assert.deepEqual([made[0].url, made[0].protocols], ["ws://127.0.0.1:4321/", ["camredact", "token.T"]]);
  made[0].open();
  await round();
  assert.deepEqual([comm.sent.length, made[0].sent.length, transport.way], [2, 0, "comm"]);
  made[0].say("P");
  await round();
  assert.deepEqual([comm.sent.length, made[0].sent.length, transport.way, comm.asked], [2, 1, "direct", 1]);
  assert(pixels());
});

test("a stranger at that port gets no frame", async () => {
  for (const words of ["Q", "", "p", pack({ kind: "matte" }, []), new ArrayBuffer(1)]) {
    const { comm, made, transport, round, tell } = live();
    await round();
    tell();
    made[0].open();
    made[0].say(words);
    assert.equal(made[0].readyState, 3, "it is not hung up on");
    await round();
    assert.deepEqual([made[0].sent.length, comm.sent.length, transport.way], [0, 2, "comm"]);
  }
});

test("what an unproved socket says is no answer", async () => {
  const { comm, made, shoot, tell, honest, pixels } = live();
  await shoot();
  tell();
  made[0].open();
  made[0].answer(honest(comm.sent[0]));
  await settle();
  assert.equal(pixels(), 0);
});

test("where nobody answers on this machine, the proxy is tried, and else there is the comm", async () => {
  const { comm, made, transport, round, tell } = live();
  await round();
  tell();
  made[0].close();
  assert.equal(made[1].url, "ws://127.0.0.1:8888/proxy/4321/");
  made[1].close();
  for (let i = 0; i < 3; i++) await round();
  assert.deepEqual([made.length, comm.asked, comm.sent.length, transport.way], [2, 1, 4, "comm"]);
  const far = live(HUB);
  await far.round();
  far.tell();
  far.made[0].open();
  far.made[0].say("P");
  await far.round();
  assert.deepEqual([far.transport.way, far.made[0].sent.length], ["proxy", 1]);
});

test("a browser that allows no socket, and a kernel that has no process, leave the comm", async () => {
  const { comm, made, Socket, transport, round, tell } = live();
  Socket.refuses = true;
  await round();
  tell();
  await round();
  tell({});
  await round();
  assert.deepEqual([made.length, comm.asked, comm.sent.length, transport.way], [0, 1, 3, "comm"]);
});

test("a socket that breaks covers at once, and the frames go over the comm", async () => {
  const { platform, comm, made, loop, transport, round, proved, pixels } = live();
  const socket = await proved();
  await round();
  assert(pixels());
  socket.close();
  assert.deepEqual([pixels(), loop.state, transport.way], [0, "failed", "comm"]);
  assert.match(loop.words, /process beside the kernel has ended/);
  await round().catch(() => {});
  assert.equal(pixels(), 0);
  await platform.pass(PAUSE);
  await round();
  assert(pixels(), "it does not go on over the comm");
  assert.equal(comm.asked, 1, "the kernel is asked for another at once");
  await platform.pass(5000);
  await round();
  assert.deepEqual([comm.asked, made.length], [2, 1]);
});

test("a damaged message on the socket covers", async () => {
  const { made, loop, round, proved, pixels } = live();
  await proved();
  for (const bytes of [[0, 0], [0, 0, 0, 9, 123], [255, 255, 255, 255, 123]]) {
    await round().catch(() => {});
    made[0].say(Uint8Array.from(bytes).buffer);
    assert.deepEqual([pixels(), loop.state], [0, "failed"]);
  }
});

test("an answer over the comm to a frame that went there still counts after the change", async () => {
  const { comm, made, shoot, round, tell, honest, transport, pixels } = live();
  await round();
  await shoot();
  tell();
  made[0].open();
  made[0].say("P");
  made[0].answer(honest(comm.sent.at(-1)));  // it does not matter which way it comes: what it says does
  await settle();
  assert(pixels());
  assert.equal(transport.way, "direct");
});

test("a frame does not wait in the browser", async () => {
  const { shoot, proved } = live();
  const socket = await proved();
  socket.bufferedAmount = 1;
  await shoot();
  assert.equal(socket.sent.length, 0);
  socket.bufferedAmount = 0;
  await shoot();
  assert.equal(socket.sent.length, 1);
});

test("Stop hangs up, and Start asks again", async () => {
  const { comm, made, loop, proved, transport } = live();
  const socket = await proved();
  loop.unfollow("stopped", "Stopped.");
  assert.deepEqual([socket.readyState, transport.way, loop.state], [3, "comm", "stopped"]);
  loop.play(camera());
  assert.equal(comm.asked, 1);
  const video = loop.video;
  video.tick();
  await settle();
  assert.deepEqual([comm.asked, made.length], [2, 1]);
});

test("what nobody asked for is not followed, nor what comes after the end", async () => {
  const { made, loop, round, tell } = live();
  tell();
  assert.equal(made.length, 0);
  await round();
  loop.close();
  tell();
  assert.equal(made.length, 0);
});

test("a comm that is away covers, socket or not: Stop would not come through", async () => {
  const { frames, loop, shoot, proved, pixels } = live();
  const socket = await proved();
  frames.widget_manager.kernel.connectionStatus = "connecting";
  await shoot();
  assert.deepEqual([socket.sent.length, loop.state, pixels()], [0, "failed", 0]);
});
