"A camera that redacts: chosen kinds of things vanish under a checkerboard, live, in JupyterLab."

from importlib.metadata import version

__version__ = version(__name__)
