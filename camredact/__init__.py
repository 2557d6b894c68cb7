"A camera that redacts: chosen kinds of things vanish under a checkerboard, live, in JupyterLab."

import os
from importlib.metadata import version

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime tells its maker of its use, unless told not to before it is imported

__version__ = version(__name__)
