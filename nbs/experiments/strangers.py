"""What hostile files do to the commands, and what is left behind: this checkout, and an earlier one beside it.

Each is a whole command in a process of its own, which is stopped after a while or at 3 GB.

example: git worktree add --detach ../before 30648af
         make measure WHAT=strangers ARGS="--before ../before"
"""
import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import onnx
from kit.command import write_clip
from kit.lab import free_port
from kit.models import constant, endless_model, write_model
from kit.server import ask, alone, form, request
from media import peak
from PIL import Image
from record import record

ROOT = Path(__file__).parents[2]
MOST = 3000  # MB at which a command is stopped
LONG = 16_000_000  # pixels
HOLDS = """import sys
try: from camredact.widget import Camera
except ModuleNotFoundError: from camredact.live.widget import Camera
state = Camera(model=sys.argv[1]).get_state()
print(*sorted(name for name, value in state.items() if "of-somebody" in repr(value)))"""


def start(
    checkout: Path,  # whose camredact runs
    folder: Path,    # of the command's own, for all that it keeps
    *args: object,   # of the command
) -> subprocess.Popen:
    "A command in a session of its own; what it says goes to `folder/said`."
    module = re.search(r"camredact *= *([\w.]+):main", (checkout/"settings.ini").read_text())[1]
    places = {f"{name}_DIR": str(folder/name) for name in ("JUPYTER_RUNTIME", "JUPYTER_CONFIG")}
    env = {**os.environ, **places, "PYTHONPATH": str(checkout), "XDG_DATA_HOME": str(folder), "TMPDIR": str(folder)}
    code = f"import sys; from {module} import main; sys.exit(main())"
    return subprocess.Popen([sys.executable, "-c", code, *map(str, args)], stdin=subprocess.DEVNULL,
        stdout=(folder/"said").open("w"), stderr=subprocess.STDOUT, env=env, cwd=folder,
        start_new_session=True)


def end(
    process: subprocess.Popen,  # of `start`
) -> None:
    "Ends a command and what it started."
    try: os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError: pass
    process.wait()


def watch(
    process: subprocess.Popen,  # of `start`
    seconds: float = 20,        # that it may take
) -> tuple[float, str]:
    "The MB that a command held at most, and how it ended; it is stopped where it does not."
    until, most = time.monotonic() + seconds, 0.
    while process.poll() is None and time.monotonic() < until and most < MOST:
        most = max(most, peak(process.pid))
        time.sleep(.02)
    status = process.poll()
    end(process)
    how = "stopped at 3 GB" if most >= MOST else f"no end within {seconds:g} s" if status is None else f"status {status}"
    return most, how


def photo(
    checkout: Path,  # whose camredact runs
    folder: Path,    # of the command's own
    *args: object,   # the photo, and options
) -> str:
    "What `photo` takes, how it ends, and its last words where it refuses."
    most, how = watch(start(checkout, folder, "photo", *args, "-o", folder/"out.png"))
    return how if how.startswith("stopped") else f"{how}, {most:.0f} MB"


def line(folder: Path) -> Path:
    "A PNG of one pixel's width: few bytes, many rows."
    Image.new("RGB", (1, LONG), (128, 128, 128)).save(folder/"line.png")
    return folder/"line.png"


def fifo(folder: Path) -> Path:
    "A FIFO into which nobody writes."
    os.mkfifo(folder/"fifo.png")
    return folder/"fifo.png"


def small(folder: Path) -> Path:
    "A photo without harm."
    Image.new("RGB", (64, 64), (128, 128, 128)).save(folder/"small.png")
    return folder/"small.png"


def said(
    folder: Path,           # of a running command
    pattern: str,           # what to wait for
    seconds: float = 60,    # for so long
) -> re.Match[str]:
    "The first match in what a command says; raises TimeoutError."
    until = time.monotonic() + seconds
    while not (found := re.search(pattern, (folder/"said").read_text())):
        if time.monotonic() > until: raise TimeoutError((folder/"said").read_text()[-500:])
        time.sleep(.05)
    return found


def service(
    checkout: Path,  # whose camredact runs
    folder: Path,    # of the command's own
) -> str:
    "What the service takes for a PNG of one pixel's width, beyond what it had, and what it answers."
    process = start(checkout, folder, "serve", "--port", 0)
    port = int(said(folder, r"http://[\w.]+:(\d+)")[1])
    body, kind = form(small(folder).read_bytes())
    while alone(ask(port, request("/redact?categories=Car", body, kind)))[0] == 503: time.sleep(.2)
    before = peak(process.pid)
    body, kind = form(line(folder).read_bytes())
    try: status = alone(ask(port, request("/redact?categories=Car", body, kind)))[0]
    except (TimeoutError, OSError, EOFError): status = None
    most = watch(process, 5)[0]
    return f"{f'status {status}' if status else 'no answer'}, {most - before:.0f} MB more"


def learner(folder: Path) -> Path:
    "A learner's file of 4 MB that unpacks to 4 GB."
    path = folder/"big.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as box:
        with box.open("a/data.pkl", "w", force_zip64=True) as file:
            for _ in range(4096): file.write(bytes(1 << 20))
    return path


def reads(
    checkout: Path,  # whose camredact runs
    folder: Path,    # of the command's own
) -> str:
    "Whether a model may take its numbers from another file beside it."
    (folder/"other.bin").write_bytes(b"\0\0\0A")  # 8 as a float
    path = write_model(folder/"m.onnx", [constant("unused", [0.])])
    model = onnx.load(path)
    number = onnx.TensorProto(name="number", data_type=onnx.TensorProto.FLOAT, dims=[1],
        data_location=onnx.TensorProto.EXTERNAL)
    number.external_data.add(key="location", value="other.bin")
    model.graph.initializer.append(number)
    path.write_bytes(model.SerializeToString())
    status = watch(start(checkout, folder, "photo", small(folder), "-o", folder/"out.png", "--model", path))[1]
    return "read" if (folder/"out.png").exists() else f"refused, {status}"


def deaf(
    checkout: Path,  # whose camredact runs
    folder: Path,    # of the command's own
    signals: list[int],
) -> str:
    "Whether a command whose model never ends still hears these signals."
    model = endless_model(folder/"endless.onnx")
    process = start(checkout, folder, "photo", small(folder), "-o", folder/"out.png", "--model", model)
    time.sleep(12)
    if process.poll() is not None: raise RuntimeError((folder/"said").read_text())
    for how in signals:
        process.send_signal(how)
        time.sleep(.5)
    return watch(process, 5)[1]


def left(
    checkout: Path,  # whose camredact runs
    folder: Path,    # of the command's own
    how: int,        # the signal that ends `live`
    again: bool,     # whether it is started once more
) -> str:
    "How many copies or links of a clip are left, and how many of the server's secrets."
    (data := folder/"data").mkdir()
    clip = write_clip(folder/"private.mp4", "libx264")
    process = start(checkout, data, "live", "--source", clip, "--no-browser", "--port", free_port())
    for n in range(2 if again else 1):
        said(data, "token=")
        process.send_signal(how)
        try: process.wait(30)
        finally: end(process)
        if again and not n:
            process = start(checkout, data, "live", "--no-browser", "--port", free_port())
            how = signal.SIGTERM
    files = [path for path in data.rglob("*") if path.is_file()]
    clips = [path for path in files if path.read_bytes() == clip.read_bytes()]
    secrets = [path for path in files if "cookie_secret" in path.name or path.name.startswith("jpserver")]
    return f"{len(clips)} of the clip, {len(secrets)} of the server"


def traits(
    checkout: Path,  # whose camredact runs
    folder: Path,    # of the command's own
) -> str:
    "The synced traits in which the folder of a model of one's own stands."
    (own := folder/"of-somebody").mkdir()
    path = own/"mine.onnx"
    path.write_bytes((checkout/"camredact"/"weights"/"fast.onnx").read_bytes())
    done = subprocess.run([sys.executable, "-c", HOLDS, path], env={**os.environ, "PYTHONPATH": str(checkout)},
        cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip() or "none"


def options(
    checkout: Path,  # whose camredact runs
    folder: Path,    # of the command's own
) -> str:
    "Whether a finished clip says with which options it was encoded."
    clip = write_clip(folder/"in.mp4", "mpeg4")
    how = watch(start(checkout, folder, "clip", clip, "-o", folder/"out.mp4"), 60)[1]
    if not (folder/"out.mp4").exists(): return how
    return "told" if b"threads=" in (folder/"out.mp4").read_bytes() else "not told"


Probe = Callable[[Path, Path], str]
PROBES: dict[str, Probe] = {
    "`live --source`, SIGHUP: files that are left": lambda c, f: left(c, f, signal.SIGHUP, False),
    "`live --source`, SIGKILL, another start: files that are left": lambda c, f: left(c, f, signal.SIGKILL, True),
    "synced traits that hold the folder of one's own model": traits,
    "x264's options in a finished clip": options,
    "`photo`, a PNG of 1 x 16,000,000": lambda c, f: photo(c, f, line(f)),
    "the service, the same PNG": service,
    "a model that keeps numbers in another file": reads,
    "a model without an end, SIGINT twice": lambda c, f: deaf(c, f, [signal.SIGINT]*2),
    "a model without an end, SIGTERM": lambda c, f: deaf(c, f, [signal.SIGTERM]),
    "a learner of 4 MB that unpacks to 4 GB": lambda c, f: photo(c, f, small(f), "--model", learner(f)),
    "`photo /dev/zero`": lambda c, f: photo(c, f, "/dev/zero"),
    "`photo`, a FIFO into which nobody writes": lambda c, f: photo(c, f, fifo(f)),
}


def found(
    probe: Probe,
    checkout: Path,
) -> str:
    "What a probe finds, in a folder of its own."
    with tempfile.TemporaryDirectory() as folder: return probe(checkout, Path(folder))


def main() -> None:
    "Each probe before and after."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--before", type=Path, required=True, help="a checkout of an earlier commit")
    p.add_argument("--only", default="", help="probes whose name holds this; nothing is recorded then")
    a = p.parse_args()
    rows = []
    for name, probe in PROBES.items():
        if a.only not in name: continue
        rows.append({"finding": name, "before": found(probe, a.before.resolve()), "after": found(probe, ROOT)})
        print(rows[-1], flush=True)
    commit = subprocess.run(["git", "-C", a.before, "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
        check=True).stdout.strip()
    how = f"strangers.py --before a checkout of {commit}; the packages of today for both; each stopped at 3 GB"
    if not a.only: record("strangers-files", rows, how)


if __name__ == "__main__": main()
