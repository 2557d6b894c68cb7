"Films and clips to play or to redact."
from pathlib import Path

import numpy as np

FRAMES, SEED = 90, 3  # the film: how long, and which street


def draw_film(folder: Path) -> None:
    "Writes the film, and what is known of it."
    from kit.numbered import stamp, write_mjpeg

    from camredact.streets.street import draw_clip
    scenes = list(draw_clip(SEED, FRAMES, 240, 320, fps=15))
    write_mjpeg(folder / "street.mjpeg", [stamp(s.picture, n) for n, s in enumerate(scenes)], 30)
    np.savez_compressed(folder / "street.npz", labels=np.stack([s.labels for s in scenes]))
