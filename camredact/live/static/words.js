// What the loop says: its state, the words for it, and who hears of them.

export const WORDS = {
  idle: "Not started. Press Start.",
  stopped: "Stopped. The camera is off.",
  waiting: "Covered until the first matte.",
  choice: "Covered until the first matte of the new choice.",
  hidden: "Covered while the picture is not in view.",
  late: "Covered: the mattes take longer than a picture may be old.",
  frame: "Covered: the camera gives no new picture.",
  altered: "this browser alters what a page reads from a canvas. Allow canvas access for this page, then Start.",
  version: "the kernel runs another version of camredact: restart it, run the notebook again and reload this page.",
  away: "Jupyter has lost its connection to the kernel.",
  apart: "the process beside the kernel has ended. Frames go over Jupyter's comm until there is another.",
  coming: "the network is on its way from the kernel to this page.",
  damaged: "the network came damaged from the kernel: press Stop, then Start.",
  silent: "No answer from the kernel for 10 seconds. The camera is off. Press Start, or run the notebook again.",
  closed: "The kernel behind this camera is gone: run the notebook again.",
  ended: "The camera ended: it was unplugged, or another program took it. Start asks for it again.",
};

/** How frames reach the kernel, in a notebook. */
export const WAYS = { comm: "over Jupyter's comm", direct: "over a socket", proxy: "through Jupyter's proxy",
  page: "in this page" };

const NOTICE = 5000;  // ms that a notice is said

/** A state and its words. Listeners hear what changes: "screen", "raw", "state", "tick" and, at the end, "left". */
export class Teller {
  constructor(platform) { Object.assign(this, { platform, listeners: new Set(), waits: "" }); }

  say(state, words) {
    this.plain = words;
    if (this.platform.now() < this.noticeUntil) words += ` ${this.notice}`;
    if (this.state === state && this.words === words) return;
    Object.assign(this, { state, words });
    this.notify("state");
  }

  /** Something to know that changes no state: said for a while beside whatever else is said. */
  warn(notice) {
    Object.assign(this, { notice, noticeUntil: this.platform.now() + NOTICE });
    this.say(this.state, this.plain);
  }

  /** What an answer says of frames that wait for cells; nothing, where they do not. */
  hearWaits(words = "") {
    if (words === this.waits) return;
    this.waits = words;
    this.notify("state");
  }

  notify(what) {
    for (const listener of this.listeners) try { listener(what); } catch (error) { console.error("camredact:", error); }
  }
}
