"For measurements: once this is imported, every answer of a session also says when its frame came and when it left."
import time
from typing import Any

from camredact.core.models import load
from camredact.live.session import Reply, Session

__all__ = ["load"]  # as what gets a model in another process, so that this is imported there
submit = Session.submit


def noting(session: Session, message: dict[str, Any], buffers: list[Any], reply: Reply) -> None:
    "As the session's own `submit`, with the two times in ms since 1970."
    came = 1e3*time.time()
    submit(session, message, buffers, lambda said, pngs: reply({**said, "came": came, "left": 1e3*time.time()}, pngs))


Session.submit = noting
