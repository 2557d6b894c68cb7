"A camera that redacts: chosen kinds of things vanish under a checkerboard, live, in JupyterLab."

import os
from importlib import import_module
from importlib.metadata import version
from typing import Any

# ONNX Runtime reports its use to its maker, unless it is told not to before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = version(__name__)
_HOMES = {"Camera": "live.widget", "redact_still": "core.still", "redact_photo": "media.photo",
    "redact_photos": "media.photo", "redact_clip": "media.clip", "load": "core.models", "PRESETS": "core.categories"}
__all__ = ["Camera", "PRESETS", "load", "redact_clip", "redact_photo", "redact_photos", "redact_still"]


def __getattr__(name: str) -> Any:
    "The names that most programs need, each imported when it is first used (PEP 562)."
    if name not in _HOMES: raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]: return sorted([*globals(), *__all__])
