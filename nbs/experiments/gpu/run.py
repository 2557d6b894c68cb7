"""A training that lives on one device: every picture there as bytes, crops and colours made there, in bfloat16.

It needs torch, torchvision, timm, opencv and pillow, and three packs of pictures (`pack.py`); nothing of this project
and no network. It stops by its clock, and then judges by what it never saw. Each minute it writes a checkpoint, in
pieces of at most 16 MiB, and `fast.pth`, the mean of weights so far, which the project reads as a learner.

On a machine with a GPU that takes at most 64 MiB a time, three calls, one straight after another:

  python pack.py ../../../runs/packs              at home, once; then one pack goes along with each call
  ls packs/0                                      first call, with packs/0, which only has to arrive
  ls packs/1                                      second call, with packs/1
  python run.py packs/* --out OUT                 third call, with packs/2; what lies in OUT comes back

What was cut off goes on with `--resume FOLDER` of what came back; `--start FOLDER/fast.pth` begins a new cycle.
Before, at home: python run.py packs/* --out ../../../runs/trial --device cpu --few 2 --minutes .7 --batch 2
"""
import argparse
import io
import json
import math
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

PIECE, BUDGET = 16*2**20, 544*416  # bytes of a file that comes back; pixels at which `fast` looks at a picture
CANVAS = {"camvid32": (720, 960)}  # height and width of what is not kept within 512x512
SHARE = dict(camvid=.38, cityscapes=.3, voc=.1, fashion=.035, coco=.03, streets_india=.03, rooms=.03, walkers=.025,
    portraits=.02, faces=.01, movers=.01, animals=.02, sky=.005, facades=.005)  # of the pictures in a batch
STAGES = ((0., (256, 352), (1., 3.), .34), (.35, (384, 512), (.75, 2.6), .38), (.7, (512, 672), (.75, 2.2), .6))
# each: from what share of the time, size of the crops, zooms (1: the picture just covers the crop), CamVid's share
SMOOTH, BALANCE = .05, .5  # label smoothing; what the people's own loss weighs
RARE_WEIGHT = {"pole": 2., "sign": 2., "two wheels": 2.}  # what a pixel weighs; any other weighs 1
RECALLS = (.95, .97, .985)


def enlarged(x: Tensor, size: tuple[int, int]) -> Tensor:
    "Maps at another size, bilinearly."
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


class Block(nn.Sequential):
    "Convolution, batch normalisation, ReLU."
    def __init__(self, n_in: int, n_out: int, kernel: int = 3):
        conv = nn.Conv2d(n_in, n_out, kernel, padding=kernel//2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True))


class Net(nn.Module):
    "The project's `FastNet`, tensor by tensor; with context, two modules more that see the whole picture."
    def __init__(self, encoder: str = "lite0", widths: tuple = (96, 64, 48), context: bool = False):
        super().__init__()
        self.config = dict(encoder=encoder, widths=tuple(widths)) | (dict(context=True) if context else {})
        self.encoder = timm.create_model(f"tf_efficientnet_{encoder}", features_only=True, drop_path_rate=.1)
        skips, self.context = self.encoder.feature_info.channels(), context
        self.top = Block(skips[4], 128, 1)
        if context:
            self.gate = nn.Conv2d(skips[4], 128, 1)
            self.wide = nn.Sequential(nn.Conv2d(128, 128, 5, padding=2, groups=128, bias=False), nn.BatchNorm2d(128))
            for p in (self.gate.weight, self.gate.bias, self.wide[1].weight): nn.init.zeros_(p)  # begin as nothing
        self.ups = nn.ModuleList(Block(a + skip, b) for a, skip, b in zip((128, *widths), skips[3:0:-1], widths))
        self.head = nn.Conv2d(widths[-1], 32, 1)

    def forward(self, x: Tensor) -> Tensor:
        "float[B,3,H,W] in 0..1, sides multiples of 32, to logits float[B,32,H/4,W/4]."
        maps = self.encoder((x*255 - 127)/128)
        x = self.top(maps[4])
        if self.context:
            x = x*(2*torch.sigmoid(self.gate(maps[4].mean((2, 3), keepdim=True))))
            x = x + self.wide(x)
        for up, skip in zip(self.ups, maps[3:0:-1]): x = up(torch.cat([enlarged(x, skip.shape[-2:]), skip], 1))
        return self.head(F.dropout2d(x, .1, self.training))


def unpacked(job: tuple) -> tuple[np.ndarray, np.ndarray, int, int]:
    "A picture uint8[H,W,3] and its label ids uint8[H,W] in the corner of a canvas, and their height and width there."
    path, at, n, m, (high, wide) = job[:5]
    with open(path, "rb") as file:
        file.seek(at)
        picture, ids = (Image.open(io.BytesIO(file.read(k))).convert("RGB") for k in (n, m))
    share = min(1., high/picture.height, wide/picture.width)
    w, h = round(picture.width*share), round(picture.height*share)
    x, y = np.zeros((high, wide, 3), np.uint8), np.zeros((high, wide), np.uint8)
    x[:h, :w] = np.asarray(picture.resize((w, h), Image.Resampling.BOX))
    y[:h, :w] = cv2.resize(np.asarray(ids)[..., 0], (w, h), interpolation=cv2.INTER_NEAREST)
    return x, y, h, w


def places(ids: np.ndarray, groups: list[list[int]], n: int = 16) -> np.ndarray:
    "Where each group of label ids is, float32[groups,n,2] as shares of the sides; nan where it is not."
    found = np.full((len(groups), n, 2), np.nan, np.float32)
    for k, group in enumerate(groups):
        at = np.argwhere(np.isin(ids[::4, ::4], group))
        if len(at) >= 4: found[k] = (at[np.random.default_rng(0).integers(len(at), size=n)]*4 + 2)/ids.shape
    return found


class Pool:
    "Pictures of one canvas, on the device."
    def __init__(self, jobs: list[tuple], rare: list[list[int]], device: torch.device):
        if device.type == "cpu": got = [unpacked(job) for job in jobs]
        else:
            with ProcessPoolExecutor() as pool: got = list(pool.map(unpacked, jobs, chunksize=16))
        streets = [job[5].startswith(("camvid", "cityscapes")) for job in jobs]
        spots = [places(y[:h, :w], rare if s else [[]]*len(rare)) for (_, y, h, w), s in zip(got, streets)]
        x, y, h, w = zip(*got)
        self.x, self.y, self.spots = (torch.from_numpy(np.stack(a)).to(device) for a in (x, y, spots))
        self.sides = torch.tensor([h, w], dtype=torch.float32, device=device)

    def crops(self, i: Tensor, size: tuple[int, int], zoom: tuple[float, float], fill: int) -> tuple[Tensor, Tensor]:
        "Random windows of pictures `i`, half of them mirrored; most of those of streets hold something rare."
        B, d, canvas = len(i), self.x.device, self.y.shape[1:]
        def draw(low: float, high: float) -> Tensor: return torch.empty(B, device=d).uniform_(low, high)
        def pick(n: int) -> Tensor: return torch.randint(n, (B,), device=d)
        sides, spot = self.sides[:, i], self.spots[i, pick(self.spots.shape[1]), pick(self.spots.shape[2])]
        scale = torch.maximum(size[0]/sides[0], size[1]/sides[1])*draw(*map(math.log, zoom)).exp()
        aim, flip, at = ~spot[:, 0].isnan() & (draw(0, 1) < .7), draw(0, 1) < .5, []
        for k, n in enumerate(size):
            room = sides[k] - n/scale
            near = (spot[:, k].nan_to_num()*sides[k] - n/scale*draw(.2, .8)).clamp_min(0).minimum(room.clamp_min(0))
            steps = (torch.arange(n, device=d) + .5).expand(B, n)
            if k: steps = torch.where(flip[:, None], n - steps, steps)
            at.append(torch.where(aim, near, room*draw(0, 1))[:, None] + steps/scale[:, None])
        (py, px), shape = at, (B, *size)
        outside = [(p < 0) | (p >= side[:, None]) for p, side in zip(at, sides)]
        px, py = (px/canvas[1]*2 - 1)[:, None], (py/canvas[0]*2 - 1)[..., None]
        grid = torch.stack([px.expand(shape), py.expand(shape)], -1)
        def sampled(a: Tensor, how: str) -> Tensor: return F.grid_sample(a, grid, how, "border", align_corners=False)
        x = sampled(self.x[i].permute(0, 3, 1, 2).float()/255, "bilinear")
        y = sampled(self.y[i][:, None].float(), "nearest")[:, 0].round().long()
        return x, y.masked_fill(outside[0][..., None] | outside[1][:, None], fill)


def coloured(x: Tensor) -> Tensor:
    "Softness, contrast, brightness, colour, gamma and noise, each picture's own."
    def draw(low: float, high: float) -> Tensor: return x.new_empty(len(x), 1, 1, 1).uniform_(low, high)
    x = torch.where(draw(0, 1) < .2, enlarged(F.avg_pool2d(x, 2), x.shape[-2:]), x)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = torch.where(draw(0, 1) < .75, (x - mean)*draw(-.45, .45).exp() + mean + draw(-.2, .2), x)
    grey = x.mean(1, keepdim=True)
    x = torch.where(draw(0, 1) < .5, grey + (x - grey)*draw(.3, 1.6), x).clamp(1e-4, 1)
    x = torch.where(draw(0, 1) < .3, x**draw(-.5, .5).exp(), x)
    return (x + torch.randn_like(x)*draw(0, .03)*(draw(0, 1) < .3)).clamp(0, 1)


class Labels:
    "What label ids mean, and the loss."
    def __init__(self, table: dict, device: torch.device):
        def put(values: list, kind: torch.dtype) -> Tensor: return torch.tensor(values, dtype=kind, device=device)
        self.allowed, self.people = put(table["allowed"], torch.bool), put(table["people"], torch.bool)
        self.code11, self.id11 = put(table["code11"], torch.long), put(table["id11"], torch.long)
        self.codes, self.rare, self.fill = table["codes"], list(table["rare"].values()), table["untaught"][0]
        self.weight = torch.ones(len(self.allowed), device=device)
        for name, weight in RARE_WEIGHT.items(): self.weight[table["rare"][name]] = weight
        self.weight[table["untaught"]] = 0
        self.nobody = ~(self.allowed & self.people).any(1) & (self.weight > 0)
        self.somebody = (self.allowed <= self.people).all(1) & (self.weight > 0)

    def loss(self, z: Tensor, y: Tensor) -> Tensor:
        "`-log Σ p` over each label's set, smoothed; and that of people against the rest, either side weighing alike."
        y = y[:, ::2, ::2]
        logs, w = enlarged(z.float(), y.shape[-2:]).permute(0, 2, 3, 1).log_softmax(-1), self.weight[y]
        inside = logs.masked_fill(~self.allowed[y], -1e4).logsumexp(-1)
        sets = -(((1 - SMOOTH)*inside + SMOOTH*logs.mean(-1))*w).sum()/w.sum().clamp_min(1)
        def of(codes: Tensor, where: Tensor) -> Tensor:
            return -(logs[..., codes].logsumexp(-1)*where).sum()/where.sum().clamp_min(2000)
        return sets + BALANCE*(of(self.people, self.somebody[y]) + of(~self.people, self.nobody[y]))


def read_packs(packs: list[Path], few: int) -> tuple[dict, list[tuple]]:
    "The table of label ids, and each picture: file, place, two lengths, canvas, set, name, whether it is kept aside."
    jobs, counts = [], {}
    for folder in packs:
        read = json.loads((folder/"index.json").read_text(encoding="utf-8"))
        for at, n, m, name, stem, aside in read["frames"]:
            counts[name, aside] = counts.get((name, aside), 0) + 1
            if few and counts[name, aside] > few: continue
            jobs.append((folder/"pictures.bin", at, n, m, CANVAS.get(name, (512, 512)), name, stem, aside))
    return read["table"], jobs


def in_pieces(saved: dict, path: Path) -> None:
    "Writes PATH.0, PATH.1, ..., each small enough to come back."
    torch.save(saved, file := io.BytesIO())
    data = file.getvalue()
    for k in range(-(-len(data)//PIECE)): path.with_name(f"{path.name}.{k}").write_bytes(data[PIECE*k:PIECE*(k + 1)])


def from_pieces(path: Path) -> dict:
    "Reads what `in_pieces` wrote."
    data = b"".join(p.read_bytes() for p in sorted(path.parent.glob(f"{path.name}.?")))
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def begun(a: argparse.Namespace) -> Net:
    "The network with the weights that it begins with."
    start = a.resume/"fast.pth" if a.resume else a.start
    if start in ("imagenet", "scratch"):
        net = Net(widths=tuple(a.widths), context=a.context)
        file = next((p/"imagenet.pth" for p in a.packs if (p/"imagenet.pth").exists()), None)
        if start == "imagenet": net.encoder.load_state_dict(torch.load(file, weights_only=True))
        return net
    saved = torch.load(start, map_location="cpu", weights_only=True)
    net = Net(**saved["config"])
    net.load_state_dict(saved["state"])
    return net


class Training:
    "The network, its optimiser, the mean of its weights, and how far it has come."
    def __init__(self, a: argparse.Namespace, device: torch.device):
        self.a, self.done, self.seen, self.steps = a, 0., 0, 0
        self.net = begun(a).to(device, memory_format=torch.channels_last)
        named = list(self.net.named_parameters())
        groups = [[p for k, p in named if k.startswith("encoder") == mine] for mine in (True, False)]
        self.opt = torch.optim.AdamW([{"params": g} for g in groups], lr=a.lr, weight_decay=.02)
        self.mean = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        if a.resume: self.load(a.resume)

    def load(self, folder: Path) -> None:
        "Goes on from a checkpoint; the mean of weights is what lies beside it."
        saved = from_pieces(folder/"last.ckpt")
        self.net.load_state_dict(saved["net"])
        self.opt.load_state_dict(saved["opt"])
        self.done, self.seen, self.steps = saved["done"], saved["seen"], saved["steps"]

    def save(self, labels: Labels) -> None:
        "Writes the checkpoint, and the mean of weights as the project reads it."
        count = dict(done=self.done, seen=self.seen, steps=self.steps)
        in_pieces(dict(net=self.net.state_dict(), opt=self.opt.state_dict(), **count), self.a.out/"last.ckpt")
        about = dict(arch="fast", config=self.net.config, size=[384, 512], budget=BUDGET, codes=labels.codes)
        torch.save({**about, "state": {k: v.cpu().contiguous() for k, v in self.mean.items()}}, self.a.out/"fast.pth")

    def step(self, x: Tensor, y: Tensor, labels: Labels, run: nn.Module) -> Tensor:
        "One step; the rate goes up in the first twentieth of the time, then down as a cosine. Returns the loss."
        t = self.done
        rate = self.a.lr*max(.005, t/.05 if t < .05 else .5*(1 + math.cos(math.pi*(t - .05)/.95)))
        for group, share in zip(self.opt.param_groups, (.5, 1.)): group["lr"] = rate*share
        x = coloured(x).contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16): z = run(x)
        loss = labels.loss(z, y)
        self.opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.)
        self.opt.step()
        self.steps, self.seen = self.steps + 1, self.seen + len(x)
        state, floats = self.net.state_dict(), [k for k, v in self.mean.items() if v.dtype.is_floating_point]
        pairs, share = zip(*((self.mean[k], state[k]) for k in floats)), max(.002, 9/(10 + self.steps))
        with torch.no_grad(): torch._foreach_lerp_(*map(list, pairs), share)
        return loss.detach()


def train(a: argparse.Namespace, pools: list[Pool], sets: list[str], labels: Labels, begin: float) -> Training:
    "Trains until `--minutes` have gone since `begin`, loading included."
    device, first = pools[0].x.device, len(pools[0].y)
    training, family = Training(a, device), ["camvid" if s.startswith("camvid") else s for s in sets]
    street, inside = torch.tensor([f == "camvid" for f in family]), {f: 1/family.count(f) for f in set(family)}
    chance = torch.tensor([SHARE[f]*inside[f] for f in family])
    run = torch.compile(training.net) if a.compile else training.net
    start = mark = time.time()
    done, count = training.done, training.seen
    training.net.train()
    while training.done < 1:
        _, size, zoom, share = [s for s in STAGES if s[0] <= training.done][-1]
        odds = torch.where(street, chance*share/SHARE["camvid"], chance*(1 - share)/(1 - SHARE["camvid"]))
        i = torch.multinomial(odds, max(2, a.batch*384*512//(size[0]*size[1])), True)
        those = zip(pools, (i[i < first], i[i >= first] - first))
        crops = [pool.crops(k.to(device), size, zoom, labels.fill) for pool, k in those if len(k)]
        loss = training.step(*(torch.cat(c) for c in zip(*crops)), labels, run)
        now = time.time()
        training.done = min(1., done + (1 - done)*(now - start)/max(1., begin + 60*a.minutes - start))
        if now - mark > a.every or training.done == 1:
            speed = (training.seen - count)/(now - mark)
            print(f"{training.done:.3f} of the time, {training.steps} steps, {training.seen} pictures, "
                f"{size[1]}x{size[0]}, {speed:.1f} a second, loss {loss.item():.4f}", flush=True)
            training.save(labels)
            mark, count = time.time(), training.seen
    return training


def model_size(h: int, w: int) -> tuple[int, int]:
    "The multiples of 32 at which `fast` looks at a picture."
    share = min(1., math.sqrt(BUDGET/(h*w)))
    return max(32, round(h*share/32)*32), max(32, round(w*share/32)*32)


@torch.inference_mode()
def judged(net: Net, jobs: list[tuple], labels: Labels, until: float) -> list[dict]:
    "A row for each set kept aside: what is right, CamVid's 11-class IoU, what is covered wrongly at three recalls."
    device, sums = labels.weight.device, {}
    for job in jobs:
        if time.time() > until: break
        x, y, h, w = unpacked(job)
        y = torch.from_numpy(y[:h, :w].astype(np.int64)).to(device)
        small = cv2.resize(x[:h, :w], model_size(h, w)[::-1], interpolation=cv2.INTER_AREA)
        p = enlarged(net(torch.from_numpy(small).permute(2, 0, 1)[None].to(device)/255), (h, w)).softmax(1)[0]
        score, best = (p[labels.people].sum(0)*1000).long().clamp(0, 1000), p.argmax(0)
        known, none = labels.weight[y] > 0, [torch.zeros(2), torch.zeros(12, 12), torch.zeros(2, 1001), 0]
        s = sums.setdefault(job[5], none)
        s[0] += torch.stack([labels.allowed[y[known], best[known]].sum(), known.sum()]).cpu()
        s[1] += torch.bincount(labels.id11[y[known]]*12 + labels.code11[best[known]], minlength=144).view(12, 12).cpu()
        for k, of in enumerate((labels.somebody, labels.nobody)):
            s[2][k] += torch.bincount(score[of[y]], minlength=1001).cpu()
        s[3] += 1
    return [row(name, *s) for name, s in sums.items()]


def row(name: str, right: Tensor, matrix: Tensor, scores: Tensor, pictures: int) -> dict:
    "The figures of one set."
    found = dict(set=name, pictures=pictures, right=(right[0]/right[1]).item())
    if name.startswith("camvid"):
        matrix = matrix[:11]
        iou = matrix.diag()/(matrix.sum(1) + matrix[:, :11].sum(0) - matrix.diag()).clamp_min(1)
        found |= dict(miou11=iou[matrix.sum(1) > 0].mean().item()) | {f"iou{k}": v.item() for k, v in enumerate(iou)}
    if scores[0].sum():
        recall, wrong = (s.flip(0).cumsum(0)/s.sum().clamp_min(1) for s in scores)
        found |= {f"covered wrongly at {r}": wrong[(recall >= r).float().argmax()].item() for r in RECALLS}
    return found


@torch.inference_mode()
def timed(net: Net, device: torch.device, n: int = 30) -> list[dict]:
    "Milliseconds a picture, the network alone, and from JPEG to the PNG of a matte: the median of `n`."
    rows = []
    for w, h in ((480, 384), (960, 736)):
        noise, spent = np.random.default_rng(0).integers(0, 256, (h, w, 3), np.uint8), []
        jpeg = cv2.imencode(".jpg", noise)[1]
        for _ in range(n + 3):
            t = [time.perf_counter()]
            x = torch.from_numpy(cv2.imdecode(jpeg, 1)).to(device).permute(2, 0, 1)[None]/255
            if device.type == "cuda": torch.cuda.synchronize()
            t.append(time.perf_counter())
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"): z = net(x)
            matte = (enlarged(z.float().softmax(1)[:, :4].sum(1, keepdim=True), (h, w))[0, 0] > .2).cpu().numpy()
            t.append(time.perf_counter())
            cv2.imencode(".png", matte.astype(np.uint8)*255)
            spent.append((1e3*(t[2] - t[1]), 1e3*(time.perf_counter() - t[0])))
        network, whole = map(statistics.median, zip(*spent[3:]))
        rows.append(dict(size=f"{w}x{h}", network_ms=network, whole_ms=whole))
    return rows


def options() -> argparse.Namespace:
    "What the command line says."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("packs", nargs="+", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--minutes", type=float, default=8, help="after which the training ends, loading included")
    p.add_argument("--judge", type=float, default=1.5, help="minutes for the scores, at most")
    p.add_argument("--start", default="imagenet", help="imagenet, scratch or a .pth (default: imagenet)")
    p.add_argument("--resume", type=Path, help="a folder with last.ckpt.* and fast.pth, to go on from")
    p.add_argument("--holdout", default="", help="a drive of CamVid to leave out, as 0006R0")
    p.add_argument("--widths", type=int, nargs=3, default=[96, 64, 48], help="of the decoder, at strides 16, 8 and 4")
    p.add_argument("--context", action="store_true", help="with the modules that see the whole picture")
    p.add_argument("--batch", type=int, default=48, help="pictures of 512x384; more where they are smaller")
    p.add_argument("--lr", type=float, default=2e-3, help="highest rate of the decoder; the encoder has half")
    p.add_argument("--device", default="cuda")
    p.add_argument("--compile", action="store_true", help="with torch.compile, which takes a minute or more to begin")
    p.add_argument("--few", type=int, default=0, help="pictures of each set, for a trial")
    p.add_argument("--every", type=float, default=60, help="seconds between checkpoints")
    p.add_argument("--seed", type=int, default=0)
    return p.parse_args()


def main() -> None:
    "Loads, trains, times, judges; writes figures.json."
    begin, a = time.time(), options()
    a.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(a.seed)
    torch.backends.cudnn.benchmark = True
    table, jobs = read_packs(a.packs, a.few)
    labels = Labels(table, device := torch.device(a.device))
    aside = [j for j in jobs if j[7] or (a.holdout and j[6].startswith(a.holdout))]
    taught = sorted((j for j in jobs if j not in set(aside)), key=lambda j: j[4] == (512, 512))
    canvases = [[j for j in taught if (j[4] == (512, 512)) == small] for small in (False, True)]
    pools = [Pool(c, labels.rare, device) for c in canvases if c]
    print(f"{len(taught)} pictures loaded after {time.time() - begin:.0f} s, {len(aside)} kept aside", flush=True)
    training = train(a, pools, [j[5] for j in taught], labels, begin)
    training.net.load_state_dict(training.mean)
    rows = timed(training.net.eval(), device)
    np.random.default_rng(0).shuffle(aside)
    rows += judged(training.net, aside, labels, time.time() + 60*a.judge)
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    how = f"run.py; {training.seen} pictures in {training.steps} steps; {where}; torch {torch.__version__}"
    rows = [{k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()} for r in rows]
    text = ",\n".join(map(json.dumps, rows))
    (a.out/"figures.json").write_text(f'{{"how": {json.dumps(how)}, "rows": [\n{text}\n]}}\n', encoding="utf-8")
    print(text, flush=True)


if __name__ == "__main__": main()
