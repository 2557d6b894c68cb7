"What devices write: a clip is shown as players show it, and covered where it cannot be trusted."
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from camredact.media.clip import redact_clip
from camredact.media.container import TICKS, BadClip
from camredact.media.reader import ClipReader
from kit.clips import write
from kit.fakes import Even

clip = partial(redact_clip, dial="precise", progress=False, mode="none")
RED, BLUE = (200, 60, 60), (60, 60, 200)


class Seen(Even):
    "Hides nothing, and keeps what it was shown."
    def __init__(self) -> None: self.seen: list[np.ndarray] = []

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.seen.append(rgb.copy())
        return np.zeros(rgb.shape[:2], np.float32), np.ones(rgb.shape[:2], np.float32)


def flat(colour: tuple[int, ...] = (120, 130, 140), n: int = 10, h: int = 96, w: int = 128) -> list[np.ndarray]:
    return [np.full((h, w, 3), colour, np.uint8)]*n


def frames(path: Path) -> list[np.ndarray]:
    reader = ClipReader(path)
    try: return [f.rgb for f in reader]
    finally: reader.close()


def lower(path: Path) -> np.ndarray:
    "The mean colour of the first frame below what `Even` covers."
    rgb = frames(path)[0]
    return rgb[len(rgb)*3//4:].reshape(-1, 3).mean(0)


def length(path: Path) -> float:
    with av.open(str(path)) as box:
        return max(float((p.pts + p.duration)*p.time_base) for p in box.demux(video=0) if p.size)


def encoded(stream: av.VideoStream, pictures: list[np.ndarray]) -> list[av.Packet]:
    "All packets of these pictures."
    shown = [av.VideoFrame.from_ndarray(rgb, "rgb24") for rgb in pictures]
    return [p for f in (*shown, None) for p in stream.encode(f)]


def two_tracks(path: Path, default: int) -> Path:
    with av.open(str(path), "w") as box:
        made = [box.add_stream("libx264", rate=10, width=128, height=96, pix_fmt="yuv420p") for _ in range(2)]
        for n, s in enumerate(made): s.disposition = av.stream.Disposition(int(n == default))  # 1: default
        for s, colour in zip(made, (RED, BLUE)): box.mux(encoded(s, flat(colour, 4)))
    return path


@pytest.mark.parametrize("name", ["in.mkv", "in.mp4"])
def test_the_track_that_players_show_is_shown_and_others_are_told(tmp_path: Path, name: str) -> None:
    source = two_tracks(tmp_path/name, 1)
    for track, colour in ((None, BLUE), (1, RED), (2, BLUE)):
        done = clip(source, tmp_path/"out.mp4", segmenter=Even(), track=track, overwrite=True)
        assert np.abs(lower(tmp_path/"out.mp4") - colour).max() < 12 and f"track {track or 2} of 2" in str(done)
    with pytest.raises(BadClip, match="choose 1 to 2"): clip(source, tmp_path/"x.mp4", segmenter=Even(), track=3)


def test_a_packet_that_is_flagged_is_covered_and_no_other(tmp_path: Path) -> None:
    "In a transport stream a packet misses its turn: FFmpeg flags it, and decodes it without a complaint."
    source = write(tmp_path/"in.ts", flat(n=20), "mpeg2video", "yuv420p", g="20")
    data = bytearray(source.read_bytes())
    video = [at for at in range(0, len(data), 188) if data[at + 1] & 0x1f == 1 and data[at + 2] == 0]
    at = video[len(video)*2//3]
    data[at + 3] = data[at + 3] & 0xf0 | (data[at + 3] + 5) & 15
    source.write_bytes(data)
    flagged = flagged_in(source)
    done = clip(source, tmp_path/"out.mp4", segmenter=Seen())
    assert flagged and (done.frames, done.unread) == (20, len(flagged))
    assert [n for n, rgb in enumerate(frames(tmp_path/"out.mp4")) if np.ptp(rgb) > 60] == flagged


@pytest.mark.parametrize("form, codec", [("h264", "libx264"), ("hevc", "libx265")])
def test_raw_streams_have_all_their_frames_once(tmp_path: Path, form: str, codec: str) -> None:
    "With frames that are shown in another order than they are stored in."
    with av.open(str(tmp_path/"in"), "w", format=form) as box:
        more = {"x265-params": "log-level=none:bframes=2"} if codec == "libx265" else {"bf": "2"}
        s = box.add_stream(codec, rate=10, width=128, height=96, pix_fmt="yuv420p", options=more)
        box.mux(encoded(s, [np.full((96, 128, 3), 10*i, np.uint8) for i in range(20)]))
    done = clip(tmp_path/"in", tmp_path/"out.mp4", segmenter=Even())
    assert (done.frames, done.unread) == (20, 0)
    greys = [rgb[80:].mean() for rgb in frames(tmp_path/"out.mp4")]
    assert greys == sorted(greys) and .7 < length(tmp_path/"out.mp4") < 2.1


def flagged_in(source: Path) -> list[int]:
    "The numbers of packets that FFmpeg flags as corrupt."
    with av.open(str(source)) as box: return [n for n, p in enumerate(box.demux(video=0)) if p.is_corrupt]


def again(folder: Path, first: list[np.ndarray], second: list[np.ndarray], sound: bool = False) -> Path:
    "Two recordings in one file, each with a clock that begins at nought."
    parts = []
    for n, pictures in enumerate((first, second)):
        with av.open(str(folder/f"{n}.ts"), "w") as box:
            s = box.add_stream("libx264", rate=10, options={"bf": "2"})
            s.height, s.width, s.pix_fmt = *pictures[0].shape[:2], "yuv420p"
            tone = box.add_stream("aac", rate=48000, layout="mono") if sound else None
            packets = encoded(s, pictures)
            for at in range(0, 4800*len(pictures) if sound else 0, 1024):
                f = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                f.sample_rate, f.pts, f.time_base = 48000, at, Fraction(1, 48000)
                packets += tone.encode(f)
            if tone: packets += tone.encode(None)
            for p in sorted(packets, key=lambda p: float(p.dts*p.time_base)): box.mux(p)
        parts.append((folder/f"{n}.ts").read_bytes())
    (folder/"again.ts").write_bytes(b"".join(parts))
    return folder/"again.ts"


@pytest.mark.parametrize("sound", [False, True])
def test_a_clock_that_begins_again_goes_on(tmp_path: Path, sound: bool) -> None:
    "Nobody can tell whether the counter steps at a join or a loss: the frame that is flagged there is covered."
    source = again(tmp_path, flat(RED), flat(BLUE), sound)
    if sound:
        with pytest.warns(UserWarning): done = clip(source, tmp_path/"out.mp4", segmenter=Seen(), keep_audio=True)
    else: done = clip(source, tmp_path/"out.mp4", segmenter=Seen())
    reader = ClipReader(tmp_path/"out.mp4")
    shots = list(reader)
    steps = np.diff([s.at for s in shots])/TICKS
    assert done.frames == len(shots) == 20 and done.unread == len(flagged_in(source)) <= 1
    assert (steps > .05).all() and (steps < .16).all()
    assert abs(length(tmp_path/"out.mp4") - 2) < .1
    if sound:
        with av.open(str(tmp_path/"out.mp4")) as box:
            ends = [float(p.pts*p.time_base) for p in box.demux(audio=0) if p.size]
        assert ends == sorted(ends) and 1.7 < ends[-1] < 2.2


def test_a_shape_that_changes_is_kept_between_bars(tmp_path: Path) -> None:
    "A square stays one, for the network as well."
    wide, high = (np.full((*size, 3), 40, np.uint8) for size in ((96, 160), (160, 96)))
    for rgb in (wide, high): rgb[28:68, 28:68] = 230
    again(tmp_path, [wide]*10, [high]*10)
    model = Seen()
    done = clip(tmp_path/"again.ts", tmp_path/"out.mp4", segmenter=model)
    assert done.frames == 20
    for rgb in (frames(tmp_path/"out.mp4")[-1], model.seen[-1]):
        y, x = np.nonzero(rgb[..., 0] > 150)
        shape = np.ptp(y)/np.ptp(x)*(rgb.shape[1]/rgb.shape[0])/(160/96)
        assert .8 < shape < 1.25, shape


def framed() -> list[np.ndarray]:
    "Grey frames of 128 x 96 with 16 red columns at each side."
    rgb = np.full((96, 128, 3), 120, np.uint8)
    rgb[:, :16] = rgb[:, -16:] = 220, 30, 30
    return [rgb]*4


def with_clap(path: Path) -> Path:
    "A clean aperture, in a box at the end of the codec's description."
    data = write(path, framed(), "libx264", "yuv420p").read_bytes()
    clap = struct.pack(">I4s8I", 40, b"clap", 96, 1, 96, 1, 0, 1, 0, 1)
    grown, lo = bytearray(data), 0
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        at = data.rindex(b"moov") - 4 if name == b"moov" else data.index(name, lo) - 4
        size = struct.unpack(">I", data[at:at + 4])[0]
        grown[at:at + 4] = struct.pack(">I", size + len(clap))
        lo = at + 8
    path.write_bytes(grown[:at + size] + clap + grown[at + size:])
    return path


def with_pixel_crop(path: Path) -> Path:
    "FFmpeg writes no cropping, so elements of the same length that it does write become it."
    data = write(path, framed(), "libx264", "yuv420p", notes={"stereo_mode": "mono"}).read_bytes()
    assert data.count(bytes.fromhex("53b88100")) == 1
    path.write_bytes(data.replace(bytes.fromhex("53b88100"), bytes.fromhex("54cc8110")))
    return path


@pytest.mark.parametrize("name, make, left, right", [("in.mov", with_clap, 16, 16), ("in.mp4", with_clap, 16, 16),
    ("in.mkv", with_pixel_crop, 16, 0)])
def test_what_a_container_crops_is_cut_off(tmp_path: Path, name: str, make: Callable, left: int, right: int) -> None:
    source = make(tmp_path/name)
    model = Seen()
    clip(source, tmp_path/"out.mp4", segmenter=model)
    for rgb in (frames(tmp_path/"out.mp4")[0], model.seen[0]):
        redness = rgb[..., 0].astype(int) - rgb[..., 1]
        assert (redness[:, :rgb.shape[1]//2] < 60).all() and (redness > 100).any() == (right == 0)
    assert frames(tmp_path/"out.mp4")[0].shape == (96, 128 - left - right, 3)
    data = source.read_bytes()
    if name == "in.mkv":
        source.write_bytes(data.replace(bytes.fromhex("54cc8110"), bytes.fromhex("54cc81ff")))
        with pytest.raises(BadClip): clip(source, tmp_path/"x.mp4", segmenter=Even())


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_the_last_frame_is_as_long_as_it_was(tmp_path: Path, suffix: str) -> None:
    with av.open(str(tmp_path/"in.mp4"), "w") as box:
        s = box.add_stream("libx264", rate=10, width=128, height=96, pix_fmt="yuv420p", options={"bf": "0"})
        ready = encoded(s, flat())
        ready[-1].duration = round(4/ready[-1].time_base)
        for p in ready: box.mux(p)
    done = clip(tmp_path/"in.mp4", tmp_path/f"out{suffix}", segmenter=Even())
    assert done.frames == 10 and abs(length(tmp_path/f"out{suffix}") - 4.9) < .1


def deep(path: Path, curve: int, codes: tuple[int, int]) -> Path:
    "Ten-bit frames of BT.2020 in two greys, left and right, by their luma."
    y = np.repeat(np.repeat(np.array(codes, np.uint16), 64)[None], 96, 0)
    with av.open(str(path), "w") as box:
        s = box.add_stream("libx265", rate=10, width=128, height=96, options={"x265-params": "log-level=none:qp=8"})
        c = s.codec_context
        c.pix_fmt, c.color_primaries, c.color_trc, c.colorspace, c.color_range = "yuv420p10le", 9, curve, 9, 1
        for n in range(3):
            f = av.VideoFrame(128, 96, "yuv420p10le")
            for plane, values in zip(f.planes, (y, *[np.full((48, 64), 512, np.uint16)]*2)):
                line = np.zeros((values.shape[0], plane.line_size//2), np.uint16)
                line[:, :values.shape[1]] = values
                plane.update(line.tobytes())
            f.colorspace, f.color_range, f.pts = 9, 1, n
            box.mux(s.encode(f))
        box.mux(s.encode())
    return path


@pytest.mark.parametrize("curve, codes", [(18, (397, 721)), (16, (397, 573))])
def test_high_dynamic_range_becomes_ordinary(tmp_path: Path, curve: int, codes: tuple[int, int]) -> None:
    "A grey card and reference white, in HLG and PQ; the network sees the same."
    model = Seen()
    clip(deep(tmp_path/"in.mp4", curve, codes), tmp_path/"out.mp4", segmenter=model)
    for rgb in (frames(tmp_path/"out.mp4")[0], model.seen[0]):
        w = rgb.shape[1]
        assert 90 < rgb[:, :w//3].mean() < 140 and rgb[:, -w//3:].mean() > 205
    with av.open(str(tmp_path/"out.mp4")) as box:
        f = next(box.decode(video=0))
        assert (int(f.colorspace), int(f.color_primaries), int(f.color_trc)) == (1, 1, 1)


def tagged(path: Path, size: tuple[int, int], matrix: int, tags: tuple[int, int, int]) -> Path:
    "A red in yuv420p, with these primaries, curve and matrix said."
    with av.open(str(path), "w") as box:
        s = box.add_stream("libx264", rate=10, width=size[1], height=size[0], pix_fmt="yuv420p", options={"crf": "6"})
        c = s.codec_context
        c.color_primaries, c.color_trc, c.colorspace = tags
        for n in range(2):
            f = av.VideoFrame.from_ndarray(np.full((*size, 3), RED, np.uint8), "rgb24")
            f = f.reformat(format="yuv420p", dst_colorspace=matrix)
            f.colorspace, f.color_range, f.pts = tags[2], int(tags[2] != 2), n
            box.mux(s.encode(f))
        box.mux(s.encode())
    return path


@pytest.mark.parametrize("size, matrix, tags, meant", [((96, 128), 9, (9, 14, 9), (250, 3, 54)),
    ((720, 1280), 1, (2, 2, 2), RED), ((96, 128), 5, (2, 2, 2), RED), ((720, 1280), 1, (1, 1, 1), RED)])
def test_wide_gamut_and_untagged_clips_have_their_colours(tmp_path: Path, size: tuple[int, int], matrix: int,
        tags: tuple[int, int, int], meant: tuple[int, int, int]) -> None:
    clip(tagged(tmp_path/"in.mp4", size, matrix, tags), tmp_path/"out.mp4", segmenter=Seen())
    assert np.abs(lower(tmp_path/"out.mp4") - meant).max() < 8


def test_an_animated_webp_is_a_clip(tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.full((96, 128, 3), 40*i, np.uint8)) for i in range(6)]
    pictures[0].save(tmp_path/"in.webp", save_all=True, append_images=pictures[1:], duration=100, lossless=True)
    done = clip(tmp_path/"in.webp", tmp_path/"out.mp4", segmenter=Even())
    assert done.frames == 6 and abs(length(tmp_path/"out.mp4") - .6) < .05
    assert np.abs([rgb[80:].mean() - 40*i for i, rgb in enumerate(frames(tmp_path/"out.mp4"))]).max() < 6
    data = (tmp_path/"in.webp").read_bytes()
    (tmp_path/"in.webp").write_bytes(data[:len(data)//2])
    with pytest.raises(BadClip): clip(tmp_path/"in.webp", tmp_path/"x.mp4", segmenter=Even())


def test_a_still_and_a_film_in_one_file_are_a_film(tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.full((96, 128, 3), 40*i, np.uint8)) for i in range(6)]
    pictures[0].save(tmp_path/"in.avif", save_all=True, append_images=pictures[1:], duration=100)
    assert clip(tmp_path/"in.avif", tmp_path/"out.mp4", segmenter=Even()).frames == 6


def test_a_recording_that_was_not_ended_is_told(tmp_path: Path) -> None:
    data = write(tmp_path/"in.mp4", flat(n=20), "libx264", "yuv420p").read_bytes()
    (tmp_path/"in.mp4").write_bytes(data[:data.rindex(b"moov") - 4])
    with pytest.raises(BadClip, match="was not ended, and its index"):
        clip(tmp_path/"in.mp4", tmp_path/"x.mp4", segmenter=Even())


def test_the_sound_that_players_play_is_kept(tmp_path: Path) -> None:
    with av.open(str(tmp_path/"in.mkv"), "w") as box:
        film = box.add_stream("libx264", rate=10, width=128, height=96, pix_fmt="yuv420p")
        sounds = [box.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(2)]
        for s, default in zip(sounds, (False, True)):
            s.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
        for value, s in zip((1000, 2000), sounds):
            f = av.AudioFrame.from_ndarray(np.full((1, 8000), value, np.int16), "s16", "mono")
            f.sample_rate = 8000
            box.mux(s.encode(f))
        for rgb in flat(): box.mux(film.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        box.mux(film.encode())
    reader = ClipReader(tmp_path/"in.mkv", keep_audio=True)
    heard = [bytes(p) for p in reader if isinstance(p, av.Packet)]
    assert heard and all(set(np.frombuffer(b, np.int16)) == {2000} for b in heard) and "track 2 of 2" in reader.others()
    reader.close()
