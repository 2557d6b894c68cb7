"The commands as a person types them, each in a process of its own."
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from camredact.core.models import models

COMMAND = [str(Path(sys.executable).with_name("camredact"))]
needs_weights = pytest.mark.skipif(not models(), reason="no weights in camredact/weights")


def run(*args: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess:
    "One command, to its end."
    return subprocess.run([*COMMAND, *args], capture_output=True, text=True, timeout=300, cwd=cwd,
        env={**os.environ, **env})


def write_clip(path: Path, codec: str, pix_fmt: str = "yuv420p") -> Path:
    "Three grey frames; the suffix chooses the container."
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=5, width=64, height=48, pix_fmt=pix_fmt)
        for grey in (0, 90, 180):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8))))
        out.mux(stream.encode())
    return path


def refused(done: subprocess.CompletedProcess, *words: str) -> None:
    "Asserts status 2 and one line that holds all of `words`."
    assert done.returncode == 2, f"status {done.returncode}: {done.stdout}{done.stderr}"
    assert done.stdout == "", done.stdout
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("camredact: "), done.stderr
    for word in words: assert word in done.stderr, done.stderr


class Live:
    "`camredact live` without a browser, in a home of its own."

    def __init__(self, home: Path, *args: str):
        self.process = subprocess.Popen([*COMMAND, "live", "--no-browser", *args], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True, env={**os.environ, "XDG_DATA_HOME": str(home),
                "JUPYTER_RUNTIME_DIR": str(home/"runtime"),
                "JUPYTER_CONFIG_DIR": str(home/"config"), "SSH_CONNECTION": "198.51.100.7 50022 203.0.113.5 22"})
        self.said: list[str] = []
        while "token=" not in "".join(self.said):
            line = self.process.stdout.readline()
            assert line, f"ended early: {self.said}"
            self.said.append(line)
        self.address = next(word for word in self.said[-1].split() if word.startswith("http"))
        self.server, self.token = self.address.split("/lab")[0], self.address.split("token=")[1]

    def get(self, path: str, token: bool = True, data: bytes | None = None, **headers: str) -> tuple[int, bytes, str]:
        "Status, body and final address of a request."
        headers = {**headers, "Authorization": f"token {self.token}"} if token else headers
        request = urllib.request.Request(self.server + path, data=data,
            headers={k.replace("_", "-"): v for k, v in headers.items()})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer: return answer.status, answer.read(), answer.url
        except urllib.error.HTTPError as e: return e.code, e.read(), e.url

    def end(self, how: int) -> tuple[int, float]:
        "Signals the process and waits; returns its status and the seconds that took."
        family, start = psutil.Process(self.process.pid).children(recursive=True), time.monotonic()
        self.process.send_signal(how)
        try: self.process.wait(90)
        finally:
            if self.process.poll() is None: self.process.kill()
        self.said += self.process.stdout.readlines()
        self.process.stdout.close()
        assert not psutil.wait_procs(family, timeout=20)[1], "something was left running"
        return self.process.returncode, time.monotonic() - start
