"JupyterLab as `camredact live` starts it: what its settings say of comms, and what becomes of its files."
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jupyterlab.commands import get_app_dir
from jupyterlab_server.settings_utils import get_settings

from camredact.app.lab import KERNELS, lab_arguments, run_folders, source_url
from kit.command import write_clip

COMMS = "commsOverSubshells"


def setting(
    folder: Path,               # an empty one
    known: dict[str, Any],      # the properties that this JupyterLab knows
    own: dict[str, str],        # the user's settings
) -> str | None:
    "What a page is told of comms by a JupyterLab that got what `camredact live` writes."
    schemas, private, user = (folder/name for name in ("schemas", "private", "user"))
    private.mkdir()
    lab_arguments(folder, private, 8888, "secret", browser=False)
    for root, suffix, values in ((schemas, "json", {"type": "object", "properties": known}),
        (user, "jupyterlab-settings", own)):
        path = root/f"{KERNELS.replace(':', '/')}.{suffix}"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    found, warnings = get_settings(str(private), str(schemas), str(user), KERNELS)
    assert warnings == [None]
    return found["settings"].get(COMMS, found["schema"]["properties"][COMMS]["default"])


@pytest.mark.parametrize("known, own, becomes", [
    ({COMMS: {"type": "string", "default": "disabled"}}, {}, "perCommTarget"),
    ({COMMS: {"type": "string", "default": "disabled"}}, {COMMS: "disabled"}, "disabled"),
    ({"showStatusBarItem": {"type": "boolean", "default": True}}, {}, "perCommTarget"),
    ({}, {}, "perCommTarget")], ids=["off by default", "off by the user", "not known", "nothing known"])
def test_comms_go_over_subshells_unless_the_user_says_otherwise(tmp_path: Path, known: dict, own: dict,
    becomes: str) -> None:
    assert setting(tmp_path, known, own) == becomes


def test_jupyterlab_knows_what_is_set() -> None:
    "Of a name that JupyterLab gave up, nobody would be told."
    schema = json.loads((Path(get_app_dir())/"schemas"/f"{KERNELS.replace(':', '/')}.json").read_text())
    assert "perCommTarget" in {choice["const"] for choice in schema["properties"][COMMS]["oneOf"]}


KILLED = """import os, signal, sys
from pathlib import Path
from camredact.app.lab import run_folders
with run_folders(Path(sys.argv[1])) as folders:
    for folder in folders: (folder/"raw").touch()
    print(*folders, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)"""


def test_a_start_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    (folder := tmp_path/"live").mkdir()
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], capture_output=True, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == -signal.SIGKILL and all((Path(left)/"raw").exists() for left in done.stdout.split())
    with run_folders(folder): assert not list(tmp_path.rglob("raw"))
    assert list(tmp_path.iterdir()) == [folder] and not list(folder.iterdir())


def test_what_is_written_to_the_served_clip_does_not_reach_the_original(tmp_path: Path) -> None:
    (served := tmp_path/"clip-1").mkdir()
    clip = write_clip(tmp_path/"private.mp4", "libx264")
    before = clip.read_bytes()
    (tmp_path/source_url(str(clip), served).removeprefix("/files/")).write_bytes(b"cut")
    assert clip.read_bytes() == before
