"Streams that the kernel reads: MJPEG over HTTP, and RTSP from GStreamer's server where that is installed."
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from kit.clips import jpeg
from kit.mjpeg import MjpegServer
from kit.numbered import read_stamp, stamp

from camredact.core.categories import InputError
from camredact.media.stream import Stream
from camredact.streets.street import draw_street

STREET = draw_street(4).picture  # 240 x 320


@pytest.fixture
def camera() -> Iterator[MjpegServer]:
    "A camera of 30 numbered pictures."
    with MjpegServer([jpeg(stamp(STREET.copy(), n)) for n in range(30)], fps=30) as camera: yield camera


def fails(stream: Stream, seconds: float = 8) -> str:
    "What a stream says in the end; fails where that takes longer, or where a password is said."
    began = time.monotonic()
    with pytest.raises(InputError) as e:
        for _ in stream: assert time.monotonic() - began < seconds, "it goes on"
    assert time.monotonic() - began < seconds
    said = str(e.value)
    assert "secret" not in said + repr(stream) and "\n" not in said and len(said) < 200
    return said


def test_pictures_come_in_order_and_whole(camera: MjpegServer) -> None:
    numbers = [read_stamp(picture) for picture in islice(Stream(camera.url), 40)]
    assert None not in numbers and all((b - a) % 30 == 1 for a, b in zip(numbers, numbers[1:])), numbers


def test_another_size_on_the_way_is_the_pictures_own(camera: MjpegServer) -> None:
    shapes = []
    for n, picture in enumerate(Stream(camera.url)):
        if n == 10: camera.resize(160, 120)
        shapes.append(picture.shape)
        assert read_stamp(picture) is not None
        if n == 60: break
    assert set(shapes) == {(240, 320, 3), (160, 120, 3)} and shapes == sorted(shapes, reverse=True)


def test_a_stream_that_hangs_or_ends_says_so_soon(camera: MjpegServer) -> None:
    stream = Stream(camera.url)
    for fault, words in (("hang", "no picture came for 2 seconds"), ("end", "it has ended")):
        pictures = iter(stream)
        next(pictures)
        camera.fault = fault
        began = time.monotonic()
        with pytest.raises(InputError, match=words):
            for _ in pictures: pass
        assert time.monotonic() - began < 4
        camera.fault = ""


def test_who_stops_looking_lets_the_camera_go(camera: MjpegServer) -> None:
    pictures = iter(Stream(camera.url))
    next(pictures)
    assert camera.watching == 1
    pictures.close()
    until = time.monotonic() + 5
    while camera.watching and time.monotonic() < until: time.sleep(.02)
    assert camera.watching == 0


@pytest.mark.parametrize("status, words", [(401, "asks for a password"), (404, "no stream of that name")])
def test_a_camera_that_refuses_is_said_with_the_way_out(status: int, words: str) -> None:
    with MjpegServer([], status=status) as camera:
        camera.fault = "end"
        assert words in fails(Stream(camera.url))


def test_an_address_at_which_nobody_listens_is_said(camera: MjpegServer) -> None:
    camera.close()
    assert "nothing listens there" in fails(Stream(camera.url))
    assert "nothing listens there" in fails(Stream(f"rtsp://me:secret@127.0.0.1:{camera.port}/1"))
    assert "/dev/video99: there is no such device" in fails(Stream("/dev/video99"))


@pytest.mark.parametrize("kind, text", [
    ("application/vnd.apple.mpegurl", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{path}\n#EXT-X-ENDLIST\n"),
    ("text/plain", "ffconcat version 1.0\nfile 'file:{path}'\n"),
    ("application/sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 26\n")])
def test_a_server_that_leads_to_other_files_is_not_followed(tmp_path: Path, kind: str, text: str) -> None:
    from kit.clips import write
    secret = write(tmp_path/"clip.mp4", [np.full((64, 64, 3), 200, np.uint8)]*10, codec="libx264", pix_fmt="yuv420p")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(text.format(path=secret).encode())

        def log_message(self, *_: object) -> None: pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert "lead to other streams or files" in fails(Stream(f"http://127.0.0.1:{server.server_port}/list"))
    server.shutdown()
    server.server_close()


RTSP = """
import gi, sys
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service="0")
factory = GstRtspServer.RTSPMediaFactory(shared=True)
factory.set_launch("( multifilesrc location=%s/%%03d.jpg loop=true caps=image/jpeg,framerate=15/1 ! jpegparse "
    "! rtpjpegpay name=pay0 pt=26 )" % sys.argv[1])
server.get_mount_points().add_factory("/street", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


@pytest.fixture
def rtsp(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    "The address of an RTSP stream of 30 numbered pictures, and the server; skips where GStreamer's is not installed."
    python = shutil.which("python3", path="/usr/bin") or "python3"
    for n in range(30): (tmp_path/f"{n:03}.jpg").write_bytes(jpeg(stamp(STREET.copy(), n)))
    server = subprocess.Popen([python, "-W", "ignore", "-c", RTSP, str(tmp_path)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    port = server.stdout.readline().strip()
    if not port:
        pytest.skip("GStreamer's RTSP server is not installed: apt-get install gir1.2-gst-rtsp-server-1.0 "
            "gstreamer1.0-plugins-good python3-gi")
    yield f"rtsp://127.0.0.1:{port}/street", server
    server.kill()
    server.communicate()


def test_rtsp_pictures_come_in_order_and_the_end_is_said(rtsp: tuple[str, subprocess.Popen]) -> None:
    address, server = rtsp
    pictures = iter(Stream(address))
    numbers = [read_stamp(picture) for picture in islice(pictures, 45)]
    assert None not in numbers and all((b - a) % 30 in (1, 2) for a, b in zip(numbers, numbers[1:])), numbers
    server.kill()
    began = time.monotonic()
    with pytest.raises(InputError):
        for _ in pictures: pass
    assert time.monotonic() - began < 5
    assert "nothing listens there" in fails(Stream(address))


def test_an_rtsp_path_that_is_not_there_is_said(rtsp: tuple[str, subprocess.Popen]) -> None:
    assert "no stream of that name" in fails(Stream(rtsp[0].replace("street", "other")))
