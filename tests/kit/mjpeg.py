"A camera that sends MJPEG over HTTP, and what becomes of its stream."
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from kit.clips import jpeg


def pictures_of(film: Path) -> list[bytes]:
    "The JPEGs of a .mjpeg file."
    return re.findall(rb"\xff\xd8.*?\xff\xd9", film.read_bytes(), re.S)


class MjpegServer:
    "Plays JPEGs in a loop to whoever asks. `fault` is what happens to all streams: hang, end, or garbage."

    def __init__(
        self,
        pictures: list[bytes],  # JPEGs
        fps: float = 15,  # pictures a second
        port: int = 0,  # 0: any that is free
        status: int = 200,  # of every answer
    ):
        self.pictures, self.fps, self.fault, self.watching, self.opened = pictures, fps, "", 0, 0
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("content-type", "multipart/x-mixed-replace; boundary=next")
                self.end_headers()
                camera.opened += 1
                camera.watching += 1
                try: camera.play(self.wfile.write)
                except OSError: pass
                finally: camera.watching -= 1

            def log_message(self, *_: object) -> None: pass

        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(.05,), daemon=True).start()

    @property
    def port(self) -> int: return self.http.server_port

    @property
    def url(self) -> str: return f"http://me:secret@127.0.0.1:{self.port}/mjpeg?key=secret"

    def play(
        self,
        write: Callable[[bytes], object],  # to the client
    ) -> None:
        "Sends picture after picture; raises `OSError` where nobody reads them."
        for n in count():
            while self.fault == "hang": time.sleep(.02)
            if self.fault == "end": return
            data = self.pictures[n % len(self.pictures)]
            if self.fault == "garbage": data = data[:200] + bytes(len(data) - 200)
            write(b"--next\r\ncontent-type: image/jpeg\r\ncontent-length: %d\r\n\r\n%s\r\n" % (len(data), data))
            time.sleep(1/self.fps)

    def resize(self, height: int, width: int) -> None:
        "From now on the pictures have another size."
        rows = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for data in self.pictures]
        self.pictures[:] = [jpeg(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)) for rgb in rows]

    def close(self) -> None:
        "Ends all streams, and listens no more."
        self.fault = "end"
        self.http.shutdown()
        self.http.server_close()

    def __enter__(self) -> "MjpegServer": return self

    def __exit__(self, *_: object) -> None: self.close()
