"""Pictures for the scan to judge: charts of many kinds, and photographs shown in many ways; each from a seed.

A kind of chart is a function that draws on axes; a way is a function that shows a photograph in a picture.
"""
from collections.abc import Callable
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from common import SETS
from PIL import Image, ImageDraw
from scipy import ndimage, signal, spatial

from camredact.core.picture import read_file, read_still
from camredact.streets.street import draw_street

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

Rng = np.random.Generator
Draw = Callable[[plt.Axes, Rng], object]
MAPS = ("viridis", "magma", "gray", "jet", "RdBu", "terrain", "twilight", "Blues", "hot", "coolwarm", "Spectral", "hsv",
    "turbo", "cividis", "tab20", "gist_earth", "cubehelix", "plasma", "bone", "YlGnBu")
STYLES = ("default", "ggplot", "dark_background", "seaborn-v0_8", "bmh", "fivethirtyeight", "grayscale", "classic",
    "Solarize_Light2")
WORDS = ("the model learns what to hide from frames of streets and a clip shows it again while loss falls by rate "
    "import numpy as np def redact(frame, matte): return np.where(matte, 0, frame) for x in range(10): "
    "print(x)").split()


def grid(
    n: int,            # points of a side
    reach: float = 3,  # how far from the middle
) -> tuple[np.ndarray, np.ndarray]:
    "Coordinates of a square."
    a, b = np.meshgrid(np.linspace(-reach, reach, n), np.linspace(-reach, reach, n))
    return a, b


def bumps(
    rng: Rng,
    n: int = 100,  # points of a side
) -> np.ndarray:
    "A smooth surface of some hills."
    x, y = grid(n)
    hills = (rng.normal()*np.exp(-((x - rng.normal())**2 + (y - rng.normal())**2)/rng.uniform(.2, 3)) for _ in range(6))
    return np.sum([*hills], 0)


def land(
    rng: Rng,
    n: int = 256,
    slope: float = 1.8,  # how much weaker the fine is than the coarse
) -> np.ndarray:
    "Noise of all sizes, as heights of a country."
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(n), np.fft.fftfreq(n)))
    f[0, 0] = 1
    return np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, n)))/f**slope).real


def colour_map(rng: Rng) -> str: return str(rng.choice(MAPS))
def walk(rng: Rng, n: int = 300) -> np.ndarray: return np.cumsum(rng.normal(size=n))
def side(rng: Rng, low: int = 8, high: int = 200) -> int: return int(np.exp(rng.uniform(np.log(low), np.log(high))))


def fractal(
    rng: Rng,
    start: complex | None,  # of Julia's; None: Mandelbrot's
) -> np.ndarray:
    "After how many steps each point leaves."
    x, y = grid(300, rng.uniform(.3, 1.6))
    z = x + 1j*y + rng.normal(scale=.2)
    c = z if start is None else np.full_like(z, start)
    count = np.zeros(z.shape)
    for _ in range(60):
        inside = np.abs(z) < 4
        z = np.where(inside, z*z + c, z)
        count += inside
    return count


def domain(a: plt.Axes, rng: Rng) -> None:
    "A function of complex numbers, its angle as hue."
    x, y = grid(300, 2)
    z = x + 1j*y
    w = np.polyval(rng.normal(size=4), z)/np.polyval(rng.normal(size=3), z)
    light = .5 + .5*(np.log(np.abs(w) + 1e-9) % 1)
    a.imshow(matplotlib.colors.hsv_to_rgb(np.dstack([(np.angle(w)/2/np.pi) % 1, np.full_like(light, .9), light])))


def confusion(a: plt.Axes, rng: Rng) -> None:
    "Counts of classes, with numbers in the cells."
    n = int(rng.integers(3, 15))
    counts = rng.integers(0, 9, (n, n)) + np.diag(rng.integers(20, 90, n))
    a.imshow(counts, cmap=colour_map(rng))
    for i, j in np.ndindex(n, n): a.text(j, i, counts[i, j], ha="center", va="center", color="w", fontsize=6)


def surface(a: plt.Axes, rng: Rng) -> None:
    "Axes in space in place of these."
    fig = a.figure
    where = a.get_position()
    a.remove()
    b = fig.add_axes(where, projection="3d")
    n = side(rng, 20, 100)
    x, y = grid(n)
    how = rng.integers(3)
    if how == 0: b.plot_surface(x, y, bumps(rng, n), cmap=colour_map(rng), rcount=n, ccount=n)
    elif how == 1: b.plot_wireframe(x, y, bumps(rng, n), rcount=30, ccount=30)
    else: b.scatter(*rng.normal(size=(3, 400)), c=rng.random(400), cmap=colour_map(rng))


def polar(a: plt.Axes, rng: Rng) -> None:
    "Polar axes in place of these."
    fig = a.figure
    where = a.get_position()
    a.remove()
    b = fig.add_axes(where, projection="polar")
    b.bar(np.linspace(0, 6, 16), rng.random(16), width=.4, color=plt.get_cmap(colour_map(rng))(rng.random(16)))


def code(a: plt.Axes, rng: Rng) -> None:
    "Words in lines, as in an editor or a terminal."
    a.axis("off")
    for k in range(30):
        colour = rng.choice(["k", "C0", "C2", "C3", "grey"])
        text = " "*int(rng.integers(0, 8)) + " ".join(rng.choice(WORDS, rng.integers(1, 10)))
        a.text(-.1, k/30, text, fontsize=rng.integers(6, 11), family=rng.choice(["monospace", "sans-serif"]),
            color=colour)


def table(a: plt.Axes, rng: Rng) -> None:
    "A table with coloured cells."
    a.axis("off")
    n, m = rng.integers(4, 16), rng.integers(3, 8)
    a.table(cellText=rng.integers(0, 999, (n, m)), cellColours=plt.get_cmap(colour_map(rng))(rng.random((n, m))),
        loc="center")


def network(a: plt.Axes, rng: Rng) -> None:
    "Dots with lines between."
    dots = rng.random((int(rng.integers(20, 150)), 2))
    for i, j in rng.integers(0, len(dots), (2*len(dots), 2)): a.plot(*dots[[i, j]].T, c="grey", lw=.5, alpha=.6)
    a.scatter(*dots.T, c=rng.random(len(dots)), s=rng.uniform(5, 300), cmap=colour_map(rng), zorder=3)


def voronoi(a: plt.Axes, rng: Rng) -> None:
    "Cells around random points."
    n = side(rng, 10, 300)
    x, y = grid(300)
    nearest = spatial.cKDTree(rng.uniform(-3, 3, (n, 2))).query(np.c_[x.ravel(), y.ravel()])[1]
    a.imshow(plt.get_cmap(colour_map(rng))(rng.random(n))[nearest].reshape(300, 300, 4))


def shaded(a: plt.Axes, rng: Rng) -> None:
    "Heights with light from one side."
    light = matplotlib.colors.LightSource(rng.uniform(0, 360), rng.uniform(20, 60))
    a.imshow(light.shade(land(rng), plt.get_cmap(colour_map(rng)), vert_exag=rng.uniform(.1, 3)))


def gradients(a: plt.Axes, rng: Rng) -> None:
    "Colours that run into each other, in stripes or over all."
    a.axis("off")
    if rng.random() < .5:
        corners = rng.random((int(rng.integers(2, 5)), int(rng.integers(2, 5)), 3)).astype(np.float32)
        a.imshow(cv2.resize(corners, (300, 200)).clip(0, 1))
    else:
        for k in range(12): a.imshow(np.linspace(0, 1, 256)[None], extent=(0, 10, k, k + .8), cmap=MAPS[k])
        a.set_ylim(0, 12)


def spectrum(a: plt.Axes, rng: Rng) -> None:
    "Which tones are in a sound, over time."
    t = np.arange(30000)/8000
    sound = signal.chirp(t, 100, 3, rng.uniform(500, 3800)) + rng.normal(scale=rng.uniform(.01, 1), size=len(t))
    a.specgram(sound, NFFT=256, Fs=8000, noverlap=128, cmap=colour_map(rng))


def phantom(a: plt.Axes, rng: Rng) -> None:
    "Ellipses of some greys, as in a drawn scan."
    im = np.zeros((200, 200), np.float32)
    for _ in range(12):
        cv2.ellipse(im, rng.integers(40, 160, 2).tolist(), rng.integers(5, 60, 2).tolist(), float(rng.integers(180)), 0,
            360, float(rng.random()), -1)
    a.imshow(im, cmap=rng.choice(["gray", "bone", "hot"]))


def digits(a: plt.Axes, rng: Rng) -> None:
    "Written digits of 8 x 8 in rows."
    from sklearn.datasets import load_digits
    images = load_digits().images[rng.integers(0, 1700, 64)]
    a.imshow(images.reshape(8, 8, 8, 8).swapaxes(1, 2).reshape(64, 64), cmap=rng.choice(["gray", "gray_r", "viridis"]))


def labels(a: plt.Axes, rng: Rng) -> None:
    "What a segmenter says: a colour for each category."
    a.imshow(draw_street(int(rng.integers(999)), 240, 320).labels, cmap=rng.choice(["tab20", "nipy_spectral", "Set3"]),
        interpolation="nearest")


def covered(a: plt.Axes, rng: Rng) -> None:
    "A checkerboard with a drawn box or two."
    y, x = np.mgrid[:240, :320]//int(rng.integers(4, 24))
    board = np.where(((x + y) % 2)[..., None], 200, 120).repeat(3, 2).astype(np.uint8)
    cv2.rectangle(board, (40, 60), (120, 200), rng.integers(0, 255, 3).tolist(), 3)
    a.imshow(board)


def glyphs(a: plt.Axes, rng: Rng) -> None:
    "Small plots in one."
    a.axis("off")
    n = int(rng.integers(3, 7))
    for i, j in np.ndindex(n, n):
        b = a.inset_axes((i/n, j/n, .8/n, .8/n))
        b.set(xticks=[], yticks=[])
        b.plot(walk(rng, 60)) if rng.random() < .5 else b.hist(rng.normal(size=99))


def crowd(a: plt.Axes, rng: Rng) -> None:
    "Thousands of coloured dots."
    n = int(rng.integers(2000, 20000))
    centre = rng.integers(0, 8, n)
    xy = rng.normal(scale=4, size=(8, 2))[centre] + rng.normal(size=(n, 2))
    a.scatter(*xy.T, c=centre, s=rng.uniform(1, 12), cmap="tab10", alpha=rng.uniform(.2, 1))


def simulated(a: plt.Axes, rng: Rng) -> None:
    "A reaction that makes stripes and spots."
    x = rng.normal(size=(160, 160))
    for _ in range(6): x = np.tanh(3*(ndimage.gaussian_filter(x, 2) - ndimage.gaussian_filter(x, 4))/.3)
    a.imshow(x, cmap=colour_map(rng))


def life(a: plt.Axes, rng: Rng) -> None:
    "Cells, alive or not."
    x = (rng.random((side(rng, 30, 150),)*2) < .4).astype(int)
    for _ in range(10):
        n = ndimage.convolve(x, np.ones((3, 3), int), mode="wrap") - x
        x = ((n == 3) | ((n == 2) & (x > 0))).astype(int)
    a.imshow(x, cmap=rng.choice(["binary", "viridis", "Blues"]))


def bifurcation(a: plt.Axes, rng: Rng) -> None:
    "Where a population settles, for each rate."
    r = np.repeat(np.linspace(2.6, 4, 1500), 40)
    x = rng.random(len(r))
    for _ in range(200): x = r*x*(1 - x)
    a.plot(r, x, ",k", alpha=rng.uniform(.1, .8))


def waves(a: plt.Axes, rng: Rng) -> None:
    "Waves from several places."
    x, y = grid(250, 10)
    a.imshow(sum(np.sin(rng.uniform(1, 6)*np.hypot(x - cx, y - cy)) for cx, cy in rng.uniform(-8, 8, (4, 2))),
        cmap=colour_map(rng))


def attention(a: plt.Axes, rng: Rng) -> None:
    "How much each word looks at each."
    n = side(rng, 10, 80)
    x = np.exp(rng.normal(scale=2, size=(n, n)))*np.tri(n)
    a.matshow(x/x.sum(1, keepdims=True), cmap=colour_map(rng))


def filters(a: plt.Axes, rng: Rng) -> None:
    "What the first layer of a network looks for."
    x, y = grid(11, 2)
    one = [np.cos(rng.uniform(1, 6)*(x*np.cos(t) + y*np.sin(t)))*np.exp(-x*x - y*y) for t in rng.uniform(0, 3, 36)]
    tint = rng.normal(size=(36, 1, 1, 3)) if rng.random() < .5 else np.ones((36, 1, 1, 3))
    every = .5 + .4*np.pad(np.array(one)[..., None]*tint, ((0, 0), (1, 1), (1, 1), (0, 0)))
    a.imshow(every.reshape(6, 6, 13, 13, 3).swapaxes(1, 2).reshape(78, 78, 3).clip(0, 1), interpolation="nearest")


def bars3(a: plt.Axes, rng: Rng) -> None:
    "Bars in groups, hatched."
    n = int(rng.integers(3, 9))
    for k in range(3):
        a.bar(np.arange(n) + k/4, rng.random(n), .25, hatch=rng.choice(["//", "..", "x", ""]), label=str(k))
    a.legend()


def tree(a: plt.Axes, rng: Rng) -> None:
    "What is near to what."
    from scipy.cluster.hierarchy import dendrogram, linkage
    dendrogram(linkage(rng.normal(size=(int(rng.integers(10, 60)), 3))), ax=a)


def filled(a: plt.Axes, rng: Rng) -> None:
    "Curves with bands."
    for k in range(3):
        y = ndimage.gaussian_filter(walk(rng), 5)
        a.plot(y, label=str(k))
        a.fill_between(range(300), y - 2, y + 2, alpha=.3)


def triangles(a: plt.Axes, rng: Rng) -> None:
    "Values on random points, in triangles."
    x, y = rng.random((2, side(rng, 20, 400)))
    a.tripcolor(x, y, np.sin(6*x)*y, shading=rng.choice(["flat", "gouraud"]), cmap=colour_map(rng))


KINDS: dict[str, Draw] = {
    "lines": lambda a, r: [a.plot(walk(r), label=str(k)) for k in range(r.integers(1, 8))] and a.legend(),
    "dots": lambda a, r: a.scatter(*r.normal(size=(2, 300)), c=r.random(300), s=r.uniform(3, 90), cmap=colour_map(r)),
    "bars": lambda a, r: a.bar(range(10), r.random(10), color=[f"C{k}" for k in range(10)]),
    "groups of bars": bars3, "histogram": lambda a, r: a.hist(r.normal(size=1000), int(r.integers(10, 80))),
    "dice": lambda a, r: a.imshow(r.random((side(r),)*2), cmap=colour_map(r)),
    "normal dice": lambda a, r: a.imshow(r.normal(size=(side(r),)*2), cmap=colour_map(r)),
    "coloured dice": lambda a, r: a.imshow(r.random((side(r), side(r), 3))),
    "counts": lambda a, r: a.hist2d(*r.normal(size=(2, 20000)), bins=side(r, 20), cmap=colour_map(r)),
    "hexagons": lambda a, r: a.hexbin(*r.normal(size=(2, 9000)), gridsize=side(r, 15, 80), cmap=colour_map(r)),
    "hills": lambda a, r: a.imshow(bumps(r), cmap=colour_map(r)),
    "levels": lambda a, r: a.contourf(bumps(r), int(r.integers(5, 60)), cmap=colour_map(r)),
    "contours": lambda a, r: a.contour(bumps(r), int(r.integers(5, 40)), cmap=colour_map(r)),
    "mesh": lambda a, r: a.pcolormesh(bumps(r, side(r, 10)), cmap=colour_map(r), shading=r.choice(["auto", "gouraud"])),
    "pie": lambda a, r: a.pie(r.random(6), autopct="%d"), "boxes": lambda a, r: a.boxplot(r.normal(size=(99, 8))),
    "violins": lambda a, r: a.violinplot(r.normal(size=(99, 6))),
    "areas": lambda a, r: a.stackplot(range(50), r.random((8, 50))),
    "mask": lambda a, r: a.imshow(land(r, side(r, 20, 300)) > 0), "words": code, "table": table,
    "arrows": lambda a, r: a.quiver(*r.normal(size=(2, 20, 20)), r.random((20, 20)), cmap=colour_map(r)),
    "streams": lambda a, r: a.streamplot(*grid(60), bumps(r, 60), bumps(r, 60), color=bumps(r, 60), cmap=colour_map(r)),
    "confusion": confusion, "surface": surface, "polar": polar, "network": network, "voronoi": voronoi,
    "relief": shaded, "land": lambda a, r: a.imshow(land(r, slope=r.uniform(1, 2.5)), cmap=colour_map(r)),
    "levels of land": lambda a, r: a.contourf(land(r, 100), 12, cmap=colour_map(r)),
    "gradients": gradients, "spectrum": spectrum, "phantom": phantom, "digits": digits, "labels": labels,
    "covered": covered, "small plots": glyphs, "crowd": crowd, "reaction": simulated, "life": life,
    "bifurcation": bifurcation, "waves": waves, "attention": attention, "filters": filters, "tree": tree,
    "bands": filled, "triangles": triangles, "domain": domain,
    "Mandelbrot": lambda a, r: a.imshow(fractal(r, None), cmap=colour_map(r)),
    "Julia": lambda a, r: a.imshow(fractal(r, complex(*r.uniform(-.8, .4, 2))), cmap=colour_map(r)),
    "correlations": lambda a, r: a.matshow(np.corrcoef(r.normal(size=(side(r, 8, 60), 20))), cmap="coolwarm"),
    "walks": lambda a, r: a.imshow(np.cumsum(r.normal(size=(40, 300)), 1), aspect="auto", cmap=colour_map(r)),
    "random field": lambda a, r: a.imshow(ndimage.gaussian_filter(r.normal(size=(200, 200)), r.uniform(1, 12)),
        cmap=colour_map(r)),
    "dots in colours": lambda a, r: a.scatter(*r.random((2, 2000)), c=r.random((2000, 3)), s=r.uniform(5, 200)),
    "matrix": lambda a, r: a.spy(r.random((side(r, 30, 300),)*2) < .05), "errors": lambda a, r: a.errorbar(range(30),
        walk(r, 30), r.random(30), fmt="o", capsize=3),
    "steps": lambda a, r: [a.step(range(300), walk(r)) for _ in range(3)],
    "raster": lambda a, r: a.eventplot([r.random(60) for _ in range(40)], lw=.6),
    "waveform": lambda a, r: a.plot(np.sin(np.arange(9000)/9)*np.abs(walk(r, 9000)), lw=.3),
    "noise": lambda a, r: a.plot(r.normal(size=5000), lw=.5),
    "polygons": lambda a, r: [a.fill(*r.random((2, 5)), alpha=.5) for _ in range(20)],
    "rings": lambda a, r: [a.add_patch(plt.Circle(r.random(2), .3*r.random(), color=r.random(3),
        alpha=r.uniform(.3, 1))) for _ in range(40)]}


def as_rgb(
    fig: plt.Figure,
    **how: object,  # of `savefig`
) -> np.ndarray:    # uint8[H,W,3]
    "A figure as a picture; it is closed."
    data = BytesIO()
    fig.savefig(data, format="png", **how)
    plt.close(fig)
    return np.asarray(Image.open(data).convert("RGB"))


def screen(
    rng: Rng,
    rgb: np.ndarray,  # uint8[H,W,3]
) -> np.ndarray:
    "A notebook with a picture in it, as on a screen."
    h, w = rgb.shape[:2]
    page = Image.new("RGB", (w + 160, h + 260), "white" if rng.random() < .7 else (30, 30, 30))
    pen = ImageDraw.Draw(page)
    pen.rectangle((60, 20, w + 140, 180), fill=(245, 245, 245), outline=(200, 200, 200))
    for k in range(9): pen.text((70, 25 + 17*k), " ".join(rng.choice(WORDS, 8)), fill=(0, 60*int(rng.integers(3)), 120))
    page.paste(Image.fromarray(rgb), (70, 200))
    return np.asarray(page)


def as_jpeg(
    rng: Rng,
    rgb: np.ndarray,  # uint8[H,W,3]
) -> np.ndarray:
    "What JPEG leaves of it."
    how = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))]
    return cv2.imdecode(cv2.imencode(".jpg", rgb, how)[1], cv2.IMREAD_COLOR)


def chart(
    kind: str,  # of `KINDS`
    seed: int,
) -> np.ndarray:  # uint8[H,W,3]
    "A chart of this kind, in any theme, size and resolution; some on a screen, some once written as JPEG."
    rng = np.random.default_rng([seed, *kind.encode()])
    with plt.style.context(str(rng.choice(STYLES, p=[.6, *[.05]*8]))):
        many = (1, 2) if rng.random() < .25 else (1, 1)
        fig, axes = plt.subplots(*many, figsize=(rng.uniform(3, 9), rng.uniform(2.5, 7)), squeeze=False)
        for a in axes.flat:
            drawn = KINDS[kind](a, rng)
            if a.figure and rng.random() < .3: a.set_title("loss by epoch")
            if a.figure and rng.random() < .15: a.axis("off")
            if isinstance(drawn, matplotlib.cm.ScalarMappable) and rng.random() < .5: fig.colorbar(drawn, ax=a)
        dpi = int(rng.choice([50, 72, 100, 100, 144, 200]))
        rgb = as_rgb(fig, dpi=dpi, **({"bbox_inches": "tight"} if rng.random() < .5 else {}))
    if rng.random() < .08: rgb = screen(rng, rgb)
    if rng.random() < .08: rgb = as_jpeg(rng, rgb)
    if rng.random() < .08: rgb = cv2.resize(rgb, None, fx=.6, fy=.6, interpolation=cv2.INTER_AREA)
    return rgb


Way = Callable[[Rng, np.ndarray], np.ndarray]  # of a photograph, uint8[H,W,3]


def fit(photo: np.ndarray, n: int) -> np.ndarray:
    "The photograph with a longer side of so many pixels."
    scale = n/max(photo.shape)
    size = max(8, round(photo.shape[1]*scale)), max(8, round(photo.shape[0]*scale))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def shown(rng: Rng, photo: np.ndarray, low: int = 24, high: int = 300, **how: object) -> np.ndarray:
    "In axes, as matplotlib shows it."
    fig, a = plt.subplots(figsize=(rng.uniform(3, 8), rng.uniform(3, 6)))
    a.imshow(fit(photo, side(rng, low, high)) if photo.ndim == 3 else photo, **how)
    if rng.random() < .4: a.axis("off")
    return as_rgb(fig, dpi=int(rng.choice([50, 72, 100, 144])))


def grey(photo: np.ndarray) -> np.ndarray: return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)


def beside(rng: Rng, photo: np.ndarray) -> np.ndarray:
    "Beside a chart."
    fig, axes = plt.subplots(1, 2, figsize=(9, 4))
    axes[0].imshow(fit(photo, side(rng, 32, 300)))
    KINDS[str(rng.choice(["lines", "bars", "histogram", "dots", "bands"]))](axes[1], rng)
    return as_rgb(fig, dpi=int(rng.choice([72, 100])))


def inside(rng: Rng, photo: np.ndarray) -> np.ndarray:
    "A small one in the corner of a chart."
    fig, a = plt.subplots(figsize=(8, 5))
    KINDS[str(rng.choice(["lines", "bars", "histogram", "dots", "bands"]))](a, rng)
    b = a.inset_axes((rng.uniform(.05, .6), rng.uniform(.4, .6), .3, .35))
    b.imshow(fit(photo, side(rng, 48, 200)))
    b.axis("off")
    return as_rgb(fig, dpi=int(rng.choice([72, 100])))


def several(rng: Rng, photo: np.ndarray) -> np.ndarray:
    "Cuts of it in a grid of axes."
    n = int(rng.integers(2, 5))
    fig, axes = plt.subplots(n, n, figsize=(6, 6))
    for a in axes.flat:
        a.imshow(fit(cut(rng, photo, .6), side(rng, 28, 128)))
        a.axis("off")
    return as_rgb(fig, dpi=72)


def cut(rng: Rng, photo: np.ndarray, share: float) -> np.ndarray:
    "A part with this share of the sides."
    h, w = (max(8, int(n*share)) for n in photo.shape[:2])
    y, x = rng.integers(0, photo.shape[0] - h + 1), rng.integers(0, photo.shape[1] - w + 1)
    return photo[y:y + h, x:x + w]


def quantized(rng: Rng, photo: np.ndarray, n: int, dither: bool) -> np.ndarray:
    "In so many colours."
    how = Image.Dither.FLOYDSTEINBERG if dither else Image.Dither.NONE
    im = Image.fromarray(photo).quantize(n, method=int(rng.integers(0, 3)))
    return np.asarray(Image.fromarray(photo).quantize(n, palette=im, dither=how).convert("RGB"))


def enlarged(rng: Rng, photo: np.ndarray, how: int) -> np.ndarray:
    "Few pixels, each large."
    k = int(rng.integers(3, 13))
    return cv2.resize(fit(photo, side(rng, 32, 100)), None, fx=k, fy=k, interpolation=how)


def few_greys(rng: Rng, photo: np.ndarray) -> np.ndarray:
    "In 4 to 16 greys."
    im = grey(fit(photo, side(rng, 64, 300)))
    step = int(rng.integers(16, 64))
    return np.repeat((im//step*step)[..., None], 3, 2)


def boxed(rng: Rng, photo: np.ndarray) -> np.ndarray:
    "With boxes and names, as a detector shows what it found."
    im = fit(photo, side(rng, 200, 600)).copy()
    for _ in range(6):
        x, y = (int(rng.integers(0, n)) for n in im.shape[1::-1])
        colour = rng.integers(0, 256, 3).tolist()
        cv2.rectangle(im, (x, y), (x + 60, y + 90), colour, 2)
        cv2.putText(im, "person .93", (x, y), cv2.FONT_HERSHEY_SIMPLEX, .4, colour, 1)
    return im


def tinted(rng: Rng, photo: np.ndarray) -> np.ndarray:
    "Under the colours of a segmenter."
    im = fit(photo, side(rng, 150, 500))
    mask = land(rng, 64) > 0
    mask = cv2.resize(mask.astype(np.uint8), im.shape[1::-1], interpolation=cv2.INTER_NEAREST)[..., None]
    return (im*(1 - .5*mask) + .5*mask*rng.integers(0, 256, 3)).astype(np.uint8)


def level(rng: Rng, photo: np.ndarray, low: float, high: float) -> np.ndarray:
    "Between two shares of full light."
    return (255*low + fit(photo, side(rng, 64, 400))*(high - low)).astype(np.uint8)


def noisy(rng: Rng, photo: np.ndarray) -> np.ndarray:
    "Taken in little light."
    im = fit(photo, side(rng, 64, 300))
    return (im + rng.normal(scale=rng.uniform(5, 30), size=im.shape)).clip(0, 255).astype(np.uint8)


WAYS: dict[str, Way] = {
    "plain": lambda r, p: fit(p, side(r, 100, 600)), "in axes": lambda r, p: shown(r, p),
    "few pixels in axes": lambda r, p: shown(r, p, 24, 64), "smoothed in axes": lambda r, p: shown(r, p, 32, 100,
        interpolation="bicubic"),
    "grey in axes": lambda r, p: shown(r, grey(fit(p, side(r, 40, 300))), cmap="gray"),
    "in a colour map": lambda r, p: shown(r, grey(fit(p, side(r, 40, 300))), cmap=colour_map(r)),
    "beside": beside, "inside": inside, "several": several, "small": lambda r, p: fit(p, side(r, 32, 96)),
    "tiny": lambda r, p: fit(p, side(r, 16, 32)), "squares": lambda r, p: enlarged(r, p, cv2.INTER_NEAREST),
    "enlarged": lambda r, p: enlarged(r, p, cv2.INTER_CUBIC), "dark": lambda r, p: level(r, p, 0, r.uniform(.04, .2)),
    "pale": lambda r, p: level(r, p, r.uniform(.4, .8), 1),
    "few greys": few_greys,
    "few colours": lambda r, p: quantized(r, fit(p, side(r, 64, 300)), int(r.integers(6, 33)), False),
    "dithered": lambda r, p: quantized(r, fit(p, side(r, 64, 400)), int(r.integers(6, 257)), True),
    "palette": lambda r, p: quantized(r, fit(p, side(r, 64, 400)), 256, False),
    "black and white": lambda r, p: np.asarray(Image.fromarray(fit(p, side(r, 100, 400))).convert("1").convert("RGB")),
    "grey": lambda r, p: np.repeat(grey(fit(p, side(r, 64, 400)))[..., None], 3, 2), "boxed": boxed, "tinted": tinted,
    "on a screen": lambda r, p: screen(r, fit(p, side(r, 64, 400))),
    "blurred": lambda r, p: cv2.GaussianBlur(fit(p, side(r, 100, 400)), (0, 0), r.uniform(.7, 3)),
    "noisy": noisy,
    "inverted": lambda r, p: 255 - fit(p, side(r, 64, 400)), "JPEG": lambda r, p: as_jpeg(r, fit(p, side(r, 64, 400))),
    "turned": lambda r, p: ndimage.rotate(fit(p, side(r, 100, 300)), r.uniform(5, 40), cval=255, order=1),
    "on white": lambda r, p: cv2.copyMakeBorder(fit(p, side(r, 40, 120)), *r.integers(50, 400, 4).tolist(),
        cv2.BORDER_CONSTANT, value=(255, 255, 255))}


def rendering(
    way: str,           # of `WAYS`
    photo: np.ndarray,  # uint8[H,W,3]
    seed: int,
) -> np.ndarray:        # uint8[H,W,3]
    "A photograph shown in this way."
    rng = np.random.default_rng([seed, *way.encode()])
    return WAYS[way](rng, cut(rng, photo, rng.uniform(.4, 1)))


PACKAGED = ("skimage/data: astronaut.png chelsea.png coffee.png rocket.jpg camera.png coins.png motorcycle_left.png "
    "grass.png gravel.png brick.png clock_motion.png hubble_deep_field.jpg ihc.png moon.png cell.png retina.jpg",
    "sklearn/datasets/images: china.jpg flower.jpg", "matplotlib/mpl-data/sample_data: grace_hopper.jpg")


def packaged() -> dict[str, np.ndarray]:
    "Open photographs that installed packages ship, by name, up to 1,000 pixels."
    found = {}
    for line in PACKAGED:
        folder, names = line.split(": ")
        package, *rest = folder.split("/")
        for name in names.split():
            photo = read_still(read_file(Path(str(files(package).joinpath(*rest, name)))))
            found[name] = fit(photo, 1000) if max(photo.shape) > 1000 else photo
    return found


def labelled(
    folder: Path,  # with the sets
    n: int,        # of each
) -> dict[str, list[np.ndarray]]:
    "Photographs of the extra sets, by set."
    paths = {name: sorted((folder/name/"images").iterdir()) for name in SETS}
    chosen = {name: found[::max(1, len(found)//n)][:n] for name, found in paths.items()}
    return {name: [read_still(read_file(p)) for p in found] for name, found in chosen.items()}
