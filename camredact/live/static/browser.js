// The browser: time, canvases, pictures, films, and the camera, one stream at a time and never with sound.

const JPEG = .85;

/** What the loop wants of a browser, in one place, so that tests can give it something else. */
export function browserPlatform() {
  const media = navigator.mediaDevices;
  return {
    now: () => performance.now(),
    setTimeout: (f, ms) => setTimeout(f, ms),
    clearTimeout: id => clearTimeout(id),
    nonce: () => Array.from(crypto.getRandomValues(new Uint8Array(16)), b => b.toString(16).padStart(2, "0")).join(""),
    hidden: () => document.hidden,
    onVisibility(f) {
      document.addEventListener("visibilitychange", f);
      return () => document.removeEventListener("visibilitychange", f);
    },
    onView(element, f) {
      const observer = new IntersectionObserver(entries => f(entries.at(-1).isIntersecting));
      observer.observe(element);
      return () => observer.disconnect();
    },
    canvas: (width, height) => Object.assign(document.createElement("canvas"), { width, height }),
    bitmap: video => createImageBitmap(video),
    decode: (bytes, type) => createImageBitmap(new Blob([bytes], { type })),
    encode: async canvas => (await blob(canvas, "image/jpeg", JPEG)).arrayBuffer(),
    async encodesFaithfully() {  // four blocks of colour, by the way that frames go: within what JPEG may change
      const blocks = [[0, 0, 0], [255, 255, 255], [200, 40, 40], [40, 40, 200]], size = 16;
      const canvas = this.canvas(4 * size, size), c = canvas.getContext("2d", { willReadFrequently: true });
      for (const [i, rgb] of blocks.entries()) {
        c.fillStyle = `rgb(${rgb})`;
        c.fillRect(i * size, 0, size, size);
      }
      const back = await createImageBitmap(new Blob([await this.encode(canvas)], { type: "image/jpeg" }));
      c.clearRect(0, 0, 4 * size, size);
      c.drawImage(back, 0, 0);
      back.close();
      const read = i => c.getImageData((i + .5) * size, size / 2, 1, 1).data;
      return blocks.every((rgb, i) => rgb.every((v, k) => Math.abs(v - read(i)[k]) < 24));
    },
    png: canvas => blob(canvas, "image/png"),
    async video(stream) {
      const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
      video.srcObject = new MediaStream(stream.getVideoTracks());
      await video.play();
      return video;
    },
    frames: followFrames,
    place: () => location,
    recall: key => { try { return localStorage.getItem(`camredact-${key}`); } catch { return null; } },
    remember(key, value) {
      try { localStorage.setItem(`camredact-${key}`, value); } catch (error) { console.warn("camredact:", error); }
    },
    recorder: recordCanvas,
    window: openWindow,
    download(file, kind) {
      const href = URL.createObjectURL(file), when = new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-");
      Object.assign(document.createElement("a"), { href, download: `camredact-${when}.${kind}` }).click();
      setTimeout(() => URL.revokeObjectURL(href), 60000);
    },
    async cameras(clip, feed) {
      const all = [["default", "Default camera"], ["user", "Front camera"], ["environment", "Back camera"]];
      if (clip) all.unshift(["clip", "Clip"]);
      if (feed) all.unshift(["feed", feed]);
      for (const { kind, deviceId, label } of await media?.enumerateDevices() ?? [])
        if (kind === "videoinput" && deviceId && label) all.push([deviceId, label]);
      return all;
    },
    onCameras(f) {
      media?.addEventListener("devicechange", f);
      return () => media?.removeEventListener("devicechange", f);
    },
  };
}

function blob(canvas, type, quality) {
  return new Promise((yes, no) => {
    canvas.toBlob(b => b ? yes(b) : no(new Error(`the picture could not be saved as ${type}`)), type, quality);
  });
}

const ASK = 10;  // ms between looks whether the kernel can be asked for its stream's next picture

/** Calls `f` once for every new picture of a video, and often for a stream that the kernel reads; returns what ends
    that. */
function followFrames(video, f) {
  if (video.fed) {
    const asking = setInterval(f, ASK);
    return () => clearInterval(asking);
  }
  let on = true, seen = -1;
  const exact = "requestVideoFrameCallback" in video;
  const next = () => exact ? video.requestVideoFrameCallback(step) : requestAnimationFrame(step);
  const step = () => {
    if (!on) return;
    next();
    if (!exact && video.currentTime === seen) return;
    seen = video.currentTime;
    f();
  };
  next();
  return () => { on = false; video.pause(); video.srcObject = null; };
}

function recordCanvas(canvas) {
  const mimeType = ["video/webm;codecs=vp8", "video/webm"].find(type => MediaRecorder.isTypeSupported(type));
  const stream = canvas.captureStream(), recorder = new MediaRecorder(stream, { mimeType }), parts = [];
  recorder.ondataavailable = e => parts.push(e.data);
  recorder.start(1000);
  return {
    stop: () => new Promise(yes => {
      recorder.onstop = () => { stopTracks(stream); yes(new Blob(parts, { type: recorder.mimeType })); };
      recorder.stop();
    }),
  };
}

/** An empty window: its page, and what closes it; null where none may be opened. Calls `left` once it, or this page, is
    left: a window outlives the page that paints it, and would go on showing the last picture. */
function openWindow(left) {
  const own = open("", "", "popup,width=660,height=500");
  if (!own) return null;
  for (const page of [window, own]) page.addEventListener("pagehide", left);
  return { page: own.document, close() { window.removeEventListener("pagehide", left); own.close(); } };
}

export const PATIENCE = 10000;  // ms for a stream that is there to give its first picture

export function stopTracks(stream) { for (const track of stream?.getTracks() ?? []) track.stop(); }

/** What to ask the browser for, never sound: "default", "user" (front), "environment" (back) or a device. */
export function constraintsFor(wanted, video = true) {
  if (wanted === "default") return { audio: false, video };
  const more = ["user", "environment"].includes(wanted) ? { facingMode: wanted } : { deviceId: { exact: wanted } };
  return { audio: false, video: { ...(video === true ? {} : video), ...more } };
}

/** What went wrong with the camera or the clip, and what to do about it. */
export function sourceWords(error, { hostname = "HOST", port = "8888" } = {}) {
  port ||= "80";  // which an address does not spell out
  const said = {
    Insecure: `Browsers give a camera only to pages on https, localhost or 127.0.0.1, and this page is on ${hostname}. `
      + `On your own machine run: ssh -L ${port}:127.0.0.1:${port} ${hostname}, and open this page at `
      + `127.0.0.1:${port}; or serve Jupyter over https.`,
    NotAllowedError: "The camera was not allowed. Allow it beside the browser's address bar, then Start.",
    NotFoundError: "No camera was found. Plug one in, or choose another source, then Start. Without any: "
      + 'camredact live --source demo plays a drawn street, Camera("/files/clip.webm") a clip beside the notebook.',
    OverconstrainedError: "That camera was not found. Choose another one, then Start.",
    NotReadableError: "The camera does not answer: another program may be using it. Close that, then Start.",
    Clip: "The clip cannot be played. Browsers play webm and mp4 (H.264), by a URL that this page can reach.",
    Mute: "The source gives no picture. Choose another one, then Start.",
  };
  return said[error?.name] ?? `The camera could not be opened: ${error?.message || error}`;
}

/** An error of a kind that `sourceWords` knows. */
export function named(name) { return Object.assign(new Error(name), { name }); }

/** Opens one stream at a time. `streams` is {capture(wanted) -> MediaStream, release()}. */
export class Source {
  constructor({ streams, platform, ended = () => {} }) {
    Object.assign(this, { streams, platform, ended, epoch: 0, stream: null });
  }

  /** The playing video; undefined where Stop, or another source, came in between. Rejects with the browser's error. */
  async open(wanted) {
    this.close();
    const epoch = this.epoch, stale = () => epoch !== this.epoch;
    let stream, timer;
    try {
      stream = await this.streams.capture(wanted);
      if (stale()) return void stopTracks(stream);
      this.stream = stream;
      for (const track of stream.getVideoTracks()) track.addEventListener("ended", () => stale() || this.ended());
      const late = new Promise((_, no) => { timer = this.platform.setTimeout(() => no(named("Mute")), PATIENCE); });
      const video = await Promise.race([this.platform.video(stream), late]);
      return stale() ? undefined : video;
    } catch (error) {
      if (stale()) return void stopTracks(stream);
      this.close();
      throw error;
    } finally {
      this.platform.clearTimeout(timer);
    }
  }

  /** Stops every track, so that the camera's light goes out, and forgets the stream, so that Start asks again. */
  close() {
    this.epoch++;
    stopTracks(this.stream);
    this.stream = null;
    this.streams.release();
  }
}
