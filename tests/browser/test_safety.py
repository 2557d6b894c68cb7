"""Nothing of a frame is kept: everything that writes anything down is turned on, and all of it is searched.

The frames carry a patch of one colour that nothing else has. The search is for the heads of picture files, as bytes, in
base64 and as Python prints them, and for that colour in a row, as arrays would hold it.
"""
import base64
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from kit.lab import SETTINGS, Server, Studio, launch
from kit.stamps import cells
from kit.traces import MARK, NEAR, marked_film, pictures, written

AUTOSAVE = {"@jupyterlab/docmanager-extension:plugin": {"autosave": True, "autosaveInterval": 2}}
TURNED_ON = """
import logging, sys
handlers = [logging.StreamHandler(sys.stdout), logging.FileHandler("kernel.log")]
logging.basicConfig(level=logging.DEBUG, handlers=handlers, force=True)
logging.getLogger("camredact").setLevel(logging.DEBUG)
shell = get_ipython()
shell.history_manager.db_log_output = True
shell.run_line_magic("xmode", "Verbose")
"""
def test_search_finds_every_form_of_a_picture(tmp_path: Path) -> None:
    film = marked_film(tmp_path).read_bytes()
    jpeg = film[film.index(b"\xff\xd8"):film.index(b"\xff\xd9") + 2]
    frame = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    rgba = cv2.cvtColor(frame, cv2.COLOR_BGR2RGBA)
    for data in (jpeg, base64.b64encode(jpeg), repr(jpeg).encode(), frame.tobytes(), rgba.tobytes(),
        cv2.imencode(".png", frame)[1].tobytes()):
        assert pictures(b"before it" + data + b"after it")
    assert not pictures(bytes(range(256))*40)


@pytest.mark.browser
def test_nothing_of_a_frame_is_written_anywhere(playwright: Any, tmp_path: Path) -> None:
    home, temporary = tmp_path / "lab", tmp_path / "temporary"
    temporary.mkdir()
    server = Server(home, settings={**SETTINGS, **AUTOSAVE}, env={"TMPDIR": str(temporary)},
        more=["--ServerApp.log_level=DEBUG"]).wait()
    try:
        studio = Studio(server, launch(playwright, marked_film(tmp_path)))
        tab = studio.open("everything.ipynb", [TURNED_ON, *cells()])
        tab.run_all()
        tab.wait_state("live")
        for fault in ("raise", "nan", "memory"):
            tab.wait_shown(5)
            tab.execute(f"double.fault = {fault!r}")
            if fault != "nan": tab.wait_state("failed")
            tab.execute("double.fault = None")
            tab.wait_state("live")
        arrived = np.array(tab.execute("print(*double.last[-40:-20, 20:40].reshape(-1, 3).mean(0))").split(), float)
        assert (np.abs(arrived - MARK) < NEAR).all(), f"the mark came to the kernel as {arrived}: nothing proved"
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            tab.execute("frames = cam.frames, cam.session; 1/0")
        tab.press("snapshot")
        tab.press("record")
        tab.wait_shown(10)
        tab.press("record")
        tab.command("docmanager:save")
        tab.execute("%history -o -t")
        time.sleep(3)  # the autosave
        notebook = tab.save()
        assert "widgets" in notebook["metadata"], "the widgets' state is not in the notebook: nothing proved"
        logs = server.log.read_text(errors="replace"), (server.root / "kernel.log").read_text()
        assert "[D " in logs[0] and "a frame failed" in logs[1], "nothing was logged: the test would prove nothing"
        studio.close()
        studio.browser.close()
    finally: server.close()
    names = {name for name, _ in written(home)}
    assert any("history.sqlite" in n for n in names) and any("checkpoint" in n for n in names), names
    found = {name: pictures(data) for folder in (home, temporary) for name, data in written(folder)}
    assert not any(found.values()), {k: v[:3] for k, v in found.items() if v}
