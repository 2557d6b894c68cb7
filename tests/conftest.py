"How the tests are sorted and shared out."
import os
import tempfile

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs JupyterLab and a browser")
    config.addinivalue_line("markers",
        "mutants: runs the browser tests against broken builds; only on demand, by -m mutants")
    state = tempfile.TemporaryDirectory(prefix="state-")  # what the commands remember is not the user's
    os.environ["XDG_STATE_HOME"] = state.name
    config.add_cleanup(state.cleanup)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    "Browser tests come first, then notebooks, and the shortest last; mutants only run when they are asked for."
    rooms = ("notebooks", "app", "train", "media", "serve")  # the rest follows
    def rank(item: pytest.Item) -> tuple[bool, int]:
        room = item.path.parent.name
        return not item.get_closest_marker("browser"), rooms.index(room) if room in rooms else len(rooms)
    items.sort(key=rank)
    if "mutants" in (config.option.markexpr or ""): return
    config.hook.pytest_deselected(items=[i for i in items if i.get_closest_marker("mutants")])
    items[:] = [i for i in items if not i.get_closest_marker("mutants")]
