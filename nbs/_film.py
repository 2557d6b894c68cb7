"""The film at the top of the README: the live panel in JupyterLab, recorded while a drawn street plays.

    python nbs/_film.py nbs/images/panel.webp
"""
import base64
import io
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image

NBS = Path(__file__).parent
sys.path.append(str(NBS.parent/"tests"))
SIZE = (1000, 684)  # of the page in pixels
RATE = 8            # frames a second, at most
LARGEST = 3_000_000  # bytes of the film


def press_play(tab: Any) -> None:
    "Runs the live notebook and shows the panel without the file list."
    tab.run_all()
    tab.wait_state("live")
    tab.command("application:toggle-left-area")
    tab.scroll()
    tab.page.wait_for_timeout(1500)


def act(tab: Any) -> None:
    "What is seen: no people, then no sky and no trees, then no people again, with seconds between."
    wait = tab.page.wait_for_timeout
    wait(4500)
    tab.choose("preset", "no sky, no trees")
    wait(3500)
    tab.choose("preset", "no people")
    wait(3000)


def record(tab: Any) -> list[tuple[float, bytes]]:
    "The seconds and the JPEG of every picture that the browser painted during `act`."
    shots, cdp = [], tab.page.context.new_cdp_session(tab.page)

    def keep(event: dict[str, Any]) -> None:
        shots.append((event["metadata"]["timestamp"], base64.b64decode(event["data"])))
        cdp.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    cdp.on("Page.screencastFrame", keep)
    cdp.send("Page.startScreencast", {"format": "jpeg", "quality": 92})
    act(tab)
    cdp.remove_listener("Page.screencastFrame", keep)
    cdp.send("Page.stopScreencast")
    return shots


def thin(shots: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    "At most RATE pictures a second."
    kept = shots[:1]
    for shot in shots[1:]:
        if shot[0] - kept[-1][0] >= 1/RATE: kept.append(shot)
    return kept


def write(shots: list[tuple[float, bytes]], out: Path) -> None:
    "An animated WebP in which each picture stays as long as it did in the browser."
    times = [at for at, _ in shots]
    stays = [round(1000*(b - a)) for a, b in zip(times, times[1:])] + [1000//RATE]
    pictures = [Image.open(io.BytesIO(jpeg)) for _, jpeg in shots]
    pictures[0].save(out, save_all=True, append_images=pictures[1:], duration=stays, loop=0, quality=60, method=6)
    if out.stat().st_size > LARGEST: sys.exit(f"{out} has {out.stat().st_size:,} bytes: shorten the film")


def main(out: Path) -> None:
    "Records the film into `out`."
    from kit.lab import studio

    from camredact.app.lab import demo_clip
    with studio(env={"CAMREDACT_SOURCE": "/files/street.webm"}) as lab:
        shutil.copy(demo_clip(lab.server.home), lab.server.root/"street.webm")
        shutil.copy(NBS/"live.ipynb", lab.server.root/"live.ipynb")
        tab = lab.open("live.ipynb", size=SIZE)
        press_play(tab)
        shots = thin(record(tab))
    write(shots, out)
    print(f"{out}: {len(shots)} pictures, {out.stat().st_size:,} bytes")


if __name__ == "__main__": main(Path(sys.argv[1]))
