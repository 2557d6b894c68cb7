"The commands, as a person types them: each in a process of its own, but for what is refused before anything begins."
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

import av
import cv2
import numpy as np
import psutil
import pytest
from kit.command import COMMAND, Live, needs_weights, refused, run, write_clip
from kit.models import endless_model
from PIL import Image

from camredact.app import cli, lab
from camredact.core.categories import InputError
from camredact.media.sources import plan_clips


Here = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def here(capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Here:
    "Runs a command in this process, to its end; it may not serve."
    def serve(*_: object) -> None: raise AssertionError("it was not refused")
    monkeypatch.setattr(lab, "serve", serve)
    monkeypatch.setattr(cli, "ends_tidily", nullcontext)
    def command(*args: str) -> subprocess.CompletedProcess:
        capfd.readouterr()
        try: status = cli.main(args)
        except SystemExit as e: status = e.code or 0
        return subprocess.CompletedProcess(args, status, *capfd.readouterr())
    return command


@pytest.mark.parametrize("args, words", [
    ([], ["command", "camredact --help"]),
    (["lvie"], ["'lvie'", "'live'"]),
    (["live", "--port", "many"], ["--port", "'many'"]),
    (["live", "--prot", "8888"], ["--prot"]),
    (["live", "--source"], ["--source"]),
    (["live", "--source", "missing.webm"], ["no such file: missing.webm"]),
    (["live", "--source", "."], ["no such file"]),
    (["live", "--model", "missing.onnx"], ["no such file: missing.onnx"]),
    (["live", "--model", "missing.pth"], ["no such file: missing.pth"]),
    (["live", "--model", "nonesuch"], ["nonesuch"]),
    (["photo"], ["IN"]),
    (["clip", "a.mp4"], ["-o"]),
    (["leaktest"], ["{in} {out}"])])
def test_bad_arguments_are_refused_in_one_line(args: list[str], words: list[str], here: Here) -> None:
    refused(here(*args), *words)


@pytest.mark.parametrize("name, content, words", [
    ("empty.webm", b"", ["is empty"]),
    ("text.webm", b"just words\n" * 200, ["not a clip"]),
    ("noise.mp4", bytes(range(256)) * 20, ["not a clip"]),
    ("text.avi", b"just words\n" * 200, [".webm and .mp4"])])
def test_file_that_is_not_a_clip_is_refused(tmp_path: Path, name: str, content: bytes, words: list[str],
    here: Here) -> None:
    (tmp_path/name).write_bytes(content)
    refused(here("live", "--source", str(tmp_path/name)), *words)


def test_list_of_other_files_called_a_clip_opens_none_of_them(tmp_path: Path) -> None:
    private = write_clip(tmp_path/"private.webm", "libvpx", "yuv420p")
    (tmp_path/"in.mp4").write_text("ffconcat version 1.0\nfile private.webm\n")
    long_ago = time.time() - 9*86400
    os.utime(private, (long_ago, long_ago))
    refused(run("live", "--source", str(tmp_path/"in.mp4")), "list of other files")
    assert private.stat().st_atime == long_ago


@pytest.mark.parametrize("name, codec, pix_fmt", [
    ("film.avi", "mjpeg", "yuvj420p"), ("film.mkv", "libvpx", "yuv420p"), ("film.mp4", "mpeg4", "yuv420p")])
def test_clip_that_browsers_cannot_play_is_refused(tmp_path: Path, name: str, codec: str, pix_fmt: str,
    here: Here) -> None:
    clip = write_clip(tmp_path/name, codec, pix_fmt)
    refused(here("live", "--source", str(clip)), "browsers play .webm and .mp4", f"ffmpeg -i {name} film.webm")


def test_clip_under_a_false_name_is_refused(tmp_path: Path, here: Here) -> None:
    clip = write_clip(tmp_path/"film.avi", "mjpeg", "yuvj420p").rename(tmp_path/"film.mp4")
    refused(here("live", "--source", str(clip)), "is called .mp4 but is avi")


@pytest.mark.parametrize("name", ["words.onnx", "words.pth"])
def test_file_that_is_not_a_model_is_refused(tmp_path: Path, name: str, here: Here) -> None:
    (tmp_path/name).write_text("just words\n" * 200)
    refused(here("live", "--model", str(tmp_path/name)), name)


@needs_weights
def test_port_in_use_is_refused(here: Here) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused(here("live", "--port", port), f"port {port} is in use", "--port")
    refused(here("live", "--port", "70000"), "out of range")


@needs_weights
def test_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path/"file").touch()
    refused(run("live", XDG_DATA_HOME=str(tmp_path/"file")), "XDG_DATA_HOME")


def package_copy(folder: Path) -> Path:
    "A copy of the package, to break."
    import camredact
    return Path(shutil.copytree(Path(camredact.__file__).parent, folder/"camredact",
        ignore=shutil.ignore_patterns("__pycache__")))


@needs_weights
def test_missing_and_corrupted_weights_are_refused(tmp_path: Path) -> None:
    package = package_copy(tmp_path)
    weights = package/"weights"/"fast.onnx"
    data = bytearray(weights.read_bytes())
    data[len(data)//2] ^= 1
    weights.write_bytes(data)
    refused(run("live", PYTHONPATH=str(tmp_path)), "corrupted", "reinstall")
    (package/"weights"/"fast.json").write_text("{")
    refused(run("live", PYTHONPATH=str(tmp_path)), "card", "corrupted", "reinstall")
    (package/"weights"/"fast.json").unlink()
    refused(run("live", PYTHONPATH=str(tmp_path)), "unknown model 'fast'", "accurate")
    weights.unlink()
    refused(run("live", PYTHONPATH=str(tmp_path)), "weights", "reinstall")


def test_training_without_its_packages_says_what_to_install(tmp_path: Path) -> None:
    for name in ("torch", "fastai", "timm"):
        (tmp_path/f"{name}.py").write_text(f"raise ModuleNotFoundError('no {name}', name='{name}')")
    refused(run("train", PYTHONPATH=str(tmp_path)), "pip install 'camredact[train]'")
    done = run("train", "--help", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0 and "example: camredact train" in done.stdout


@pytest.mark.parametrize("args", [[], ["live"], ["serve"], ["photo"], ["clip"], ["leaktest"], ["doctor"]])
def test_help_has_an_example(args: list[str], here: Here) -> None:
    done = here(*args, "--help")
    assert done.returncode == 0 and "example: camredact" in done.stdout and not done.stderr


@needs_weights
def test_photos_and_clips_are_written_and_bad_ones_named(tmp_path: Path, here: Here) -> None:
    "One bad file does not stop the others, and is named; nothing is written over; status 0, 1, 2."
    from camredact.streets.street import draw_street
    from PIL import Image
    Image.fromarray(draw_street(1, 120, 160).picture).save(tmp_path/"good.png")
    (tmp_path/"bad.jpg").write_text("no picture")
    done = run("photo", str(tmp_path), "-o", str(tmp_path/"clean"))
    assert done.returncode == 1 and "bad.jpg" in done.stderr, done
    assert done.stdout == "1 of 2 photos written; hidden: no people\n"
    assert [p.name for p in (tmp_path/"clean").iterdir()] == ["good.redacted.png"]
    refused(here("photo", str(tmp_path/"bad.jpg"), "-o", str(tmp_path/"one.png")), "bad.jpg")
    refused(here("photo", str(tmp_path/"good.png"), "-o", str(tmp_path/"good.png"), "--overwrite"), "good.png")
    refused(here("photo", str(tmp_path/"good.png"), "--hide", "no peple"), "no peple")
    refused(here("photo", str(tmp_path/"good.png"), "-o", str(tmp_path/"new.gif")), "new.gif")
    assert not (tmp_path/"new.gif").exists()
    source = write_clip(tmp_path/"clip.webm", "libvpx")
    done = run("clip", str(source), "-o", str(tmp_path/"clean.webm"), "--preview", str(tmp_path/"sheet.png"))
    assert done.returncode == 0 and "3 frames" in done.stdout and (tmp_path/"sheet.png").is_file(), done
    with av.open(str(tmp_path/"clean.webm")) as box: assert sum(1 for _ in box.decode(video=0)) == 3
    refused(here("clip", str(tmp_path/"bad.jpg"), "-o", str(tmp_path/"none.mp4")), "bad.jpg")
    assert not (tmp_path/"none.mp4").exists()


@needs_weights
def test_doctor_finds_all_well() -> None:
    done = run("doctor")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines[-1] == "all well" and any(line.startswith("ok  jupyterlab: 4.") for line in lines)


def check_clip(live: Live, folder: Path, clip: Path) -> None:
    "The clip is served by ranges, to whoever has the token, from a private folder."
    served = next(folder.glob("clip-*"))
    path = f"/files/{served.name}/clip.webm"
    assert live.get(path)[1] == clip.read_bytes()
    assert live.get(path, Range="bytes=4-9")[:2] == (206, clip.read_bytes()[4:10])
    assert live.get(path, token=False)[0] != 200 or "/login" in live.get(path, token=False)[2]
    assert folder.stat().st_mode & 0o077 == 0


def check_token(live: Live) -> None:
    "Without the token nothing is reached; it is in no command line, where others could read it."
    assert "/login" in live.get("/lab/tree/live.ipynb", token=False)[2]
    assert live.get("/api/contents", token=False)[0] == 403
    command = Path(f"/proc/{live.process.pid}/cmdline")
    if command.exists(): assert live.token not in command.read_text()


@contextmanager
def taken(port: int) -> Iterator[None]:
    "While a port is in use, by this test or by somebody else."
    with ExitStack() as stack:
        for _ in range(40):  # a server that has just ended may hold it a little longer
            with suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                break
            time.sleep(.25)
        yield


@needs_weights
@pytest.mark.xdist_group("port")  # two at once would find the same free port
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_live_serves_and_leaves_nothing_behind(tmp_path: Path, how: int) -> None:
    clip, folder = write_clip(tmp_path/"street.webm", "libvpx"), tmp_path/"camredact"/"live"
    with taken(8888): live = Live(tmp_path, "--source", str(clip))
    try:
        assert not live.server.endswith(":8888"), "not the next free port"
        assert live.get("/lab/tree/live.ipynb")[0] == 200
        check_token(live)
        check_clip(live, folder, clip)
        names = {item["name"] for item in json.loads(live.get("/api/contents")[1])["content"]}
        assert "live.ipynb" in names
        kernel = json.loads(live.get("/api/kernels",
            data=b'{"name": "python3"}')[1])  # a kernel must not outlive the server
        assert kernel["id"] and psutil.Process(live.process.pid).children()
        time.sleep(2)  # let it start
    finally: status, seconds = live.end(how)
    said = "".join(live.said)
    assert status == 0, f"status {status}, and it said:\n{said}"
    assert "camredact/app" not in said, said
    assert "Parent appears to have exited" not in said, "the kernel was left to find out by itself"
    assert seconds < 60
    assert "ssh -L" in said and "@203.0.113.5" in said
    assert [p.name for p in folder.iterdir() if not p.name.startswith(".")] == ["live.ipynb"]


def test_make_live_passes_its_options_on() -> None:
    root = Path(__file__).parents[2]
    if not shutil.which("make"): pytest.skip("make is not installed")
    said = subprocess.run(["make", "-n", "live", "ARGS=--no-browser --port 8899 --source FILE"], cwd=root,
        capture_output=True, text=True)
    assert said.returncode == 0 and "camredact live --no-browser --port 8899 --source FILE" in said.stdout, said


def test_error_of_eval_is_one_line() -> None:
    done = run("eval", "--no-such-option")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.startswith("camredact: "), done


def test_files_that_are_not_photos_are_counted(tmp_path: Path) -> None:
    (tmp_path/"in").mkdir()
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path/"in"/"a.png")
    for name in ("b.txt", "c.txt", "d.mov", ".hidden.txt"): (tmp_path/"in"/name).touch()
    done = run("photo", str(tmp_path/"in"), "-o", str(tmp_path/"out"))
    assert done.returncode == 0 and done.stderr.count("\n") == 1, done
    assert "4 files were passed over (2 .txt, 1 hidden, 1 .mov)" in done.stderr


@pytest.mark.parametrize("fault", [MemoryError(), RuntimeError("a wire\ncame off")], ids=repr)
def test_model_that_fails_at_the_only_photo_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture, fault: Exception) -> None:
    def fails(*_: object, **__: object) -> None: raise fault
    monkeypatch.setattr("camredact.media.photo.redact_photo", fails)
    assert cli.main(["photo", "in.png", "-o", str(tmp_path/"out.png")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "in.png failed: " + type(fault).__name__ in said


@needs_weights
@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP"])
def test_clip_that_is_interrupted_leaves_nothing(tmp_path: Path, how: str) -> None:
    "Also when its terminal is closed."
    if not hasattr(signal, how): pytest.skip(f"no {how} here")
    with av.open(str(tmp_path/"in.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=15, width=640, height=480, pix_fmt="yuv420p")
        for _ in range(600): out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((480, 640, 3), np.uint8))))
        out.mux(stream.encode())
    child = subprocess.Popen([*COMMAND, "clip", str(tmp_path/"in.mp4"), "-o", str(tmp_path/"out.mp4")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(getattr(signal, how), signal.SIG_DFL))  # whoever runs the tests may ignore it
    until = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until and child.poll() is None: time.sleep(.05)
    assert len(list(tmp_path.iterdir())) == 2, "it has not begun to write"
    child.send_signal(getattr(signal, how))
    assert child.wait(60) == 128 + getattr(signal, how)
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]


ENDLESS = """
import sys
from camredact.app import cli
from camredact.core.segment import OnnxSegmenter
score = OnnxSegmenter.score
OnnxSegmenter.score = lambda *args: print("in the model", flush=True) or score(*args)
sys.exit(cli.main(["photo", "in.png", "-o", "out.png", "--model", "endless.onnx"]))"""


@pytest.mark.parametrize("signals, status", [(["SIGTERM"], 143), (["SIGINT", "SIGINT"], 130)], ids=lambda s: str(s))
def test_model_without_end_is_ended(tmp_path: Path, signals: list[str], status: int) -> None:
    "Python sees no signal while a model runs."
    endless_model(tmp_path/"endless.onnx")
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path/"in.png")
    child = subprocess.Popen([sys.executable, "-c", ENDLESS], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # whoever runs the tests may ignore it
    try:
        assert child.stdout.readline() == "in the model\n"
        began = sum(psutil.Process(child.pid).cpu_times()[:2])
        while sum(psutil.Process(child.pid).cpu_times()[:2]) < began + .3: time.sleep(.05)
        for name in signals:
            child.send_signal(getattr(signal, name))
            time.sleep(.2)  # or the two become one
        assert child.wait(30) == status
    finally:
        child.kill()
        child.stdout.close()
    assert not (tmp_path/"out.png").exists()


@needs_weights
def test_one_bad_clip_does_not_stop_the_others(tmp_path: Path) -> None:
    for name in ("in", "out"): (tmp_path/name).mkdir()
    for name in ("a.mp4", "z.mp4"): write_clip(tmp_path/"in"/name, "libx264")
    (tmp_path/"in"/"bad.mp4").write_bytes(b"no clip")
    done = run("clip", str(tmp_path/"in"), "-o", str(tmp_path/"out"))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "bad.mp4" in done.stderr, done
    assert sorted(p.name for p in (tmp_path/"out").iterdir()) == ["a.redacted.mp4", "z.redacted.mp4"]
    refused(run("clip", str(tmp_path/"in"), "-o", str(tmp_path/"none.mp4")), "is not a folder")


def test_result_that_would_be_a_source_is_refused(tmp_path: Path) -> None:
    "Two clips, of which the one's result would be the other."
    a, b = tmp_path/"a.mp4", tmp_path/"a.redacted.mp4"
    for p in (a, b): p.write_bytes(b"clip")
    with pytest.raises(InputError, match="is a source"): plan_clips([a, b], tmp_path)
    assert list(plan_clips([a, tmp_path/"."/"a.mp4"], tmp_path)[0]) == [tmp_path/"."/"a.mp4"]
    assert b.read_bytes() == b"clip"


@needs_weights
def test_file_named_like_an_option_is_refused(tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    from camredact.streets.street import draw_street
    for name in ("a.png", "b.png", "-c.png"):
        cv2.imwrite(str(tmp_path/name), draw_street(3, 96, 128).picture[..., ::-1])
    monkeypatch.chdir(tmp_path)
    done = run("photo", "-o", "plain", "a.png", "b.png")
    assert (done.returncode, done.stdout) == (0, "2 of 2 photos written; hidden: no people\n"), done
    for name in ("--hide=Sky", "--model", "-o"):  # as a shell writes `photo *`
        (tmp_path/name).touch()
        refused(here("photo", name, "a.png", "b.png"), f"write ./{name}")
        (tmp_path/name).unlink()
    assert not list(tmp_path.glob("*.redacted.*"))


@needs_weights
def test_names_after_two_dashes_are_files(tmp_path: Path) -> None:
    from camredact.streets.street import draw_street
    for name in ("a.png", "b.png", "-c.png"):
        cv2.imwrite(str(tmp_path/name), draw_street(3, 96, 128).picture[..., ::-1])
    (tmp_path/"--hide=Sky").touch()
    for args, written in ((("a.png", "--", "b.png"), 2), (("--hide", "Sky,Car", "--", "a.png", "-c.png"), 2),
        (("-o", "x", "a.png", "--", "b.png", "-c.png"), 3)):
        done = run("photo", "--overwrite", *args, cwd=tmp_path)
        hidden = "Car, Sky" if "Sky,Car" in args else "no people"
        assert done.returncode == 0, done
        assert done.stdout == f"{written} of {written} photos written; hidden: {hidden}\n"
    done = run("photo", "--overwrite", "--", "a.png", "--hide=Sky", cwd=tmp_path)
    assert done.returncode == 1 and "--hide=Sky" in done.stderr and "hidden: no people" in done.stdout
    refused(run("doctor", "--", "a.png"), "nothing after --")


@needs_weights
def test_model_with_categories_in_another_order_is_refused(tmp_path: Path, here: Here,
    monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("onnx")
    from camredact.core.models import WEIGHTS
    from camredact.streets.street import draw_street
    model = onnx.load(WEIGHTS/"fast.onnx")
    notes = {p.key: p.value for p in model.metadata_props}
    cv2.imwrite(str(tmp_path/"a.png"), draw_street(3, 96, 128).picture[..., ::-1])
    monkeypatch.chdir(tmp_path)
    for codes in ({"codes": ",".join(notes["codes"].split(",")[::-1])}, {"codes": notes["codes"] + ",Dog"}, {}):
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, {"budget": notes["budget"], **codes})
        onnx.save(model, tmp_path/"turned.onnx")
        refused(here("photo", "a.png", "--model", "turned.onnx"), "order", "export it")
    assert not list(tmp_path.glob("*.redacted.*"))
