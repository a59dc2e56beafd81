#!/usr/bin/env python3
"""`witmill eval` and `witmill embed` give what open_clip gives.

A small model is trained for some steps, and its file loaded by both: the
features of 1,000 labelled and 500 captioned pictures and of their texts, top-1
and top-5 with one template and with three, and R@k both ways.  open_clip runs
in build/peers/venv with its own crop, normalisation and tokenizer.  Pictures
are decoded and resized for it by Debian's python3-pil, which has the libjpeg of
witmill: another one gives other pixels, and Pillow 13 resizes pictures that are
more than twice as tall as wide by other passes.

usage: tests/check_eval.py
"""
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

from tally import ROOT, SHARED, Tally, enter_peers, skip

WITMILL = os.environ.get("WITMILL", str(ROOT / "build/gcc/witmill"))
VOCABULARY = SHARED / "data/clip/bpe_simple_vocab_16e6.txt.gz"
LABELLED = SHARED / "data/classify/cifar10-train-1000.tar"
NAMES = SHARED / "data/classify/cifar10-classnames.txt"
CAPTIONED = SHARED / "data/captions/flickr8k-dev.tar"
TEMPLATES = ["a photo of a {}.", "{c}", "a small picture of the {}"]
FAR = 1e-4  # a number of a feature, at most
DECODE = """
import sys, tarfile
from PIL import Image
with tarfile.open(sys.argv[1]) as tar:
    for member in tar:
        if member.name.endswith(".jpg"):
            picture = Image.open(tar.extractfile(member)).convert("RGB")
            sides, size = picture.size, int(sys.argv[2])
            sides = tuple(int(size * x / min(sides)) for x in sides)
            if sides != picture.size:
                picture = picture.resize(sides, Image.BICUBIC)
            picture.save(sys.stdout.buffer, "PPM")
"""
NEAR = 1e-5  # products so close may change places
counted = Tally()
check = counted.check


def witmill(*arguments):
    done = subprocess.run([WITMILL, *map(str, arguments)],
                          capture_output=True, text=True, timeout=300)
    if done.returncode:
        print(done.stderr)
        sys.exit(f"witmill {arguments[0]}: exit code {done.returncode}")
    return done.stdout


def decoded(path, size):
    """All pictures of a tar, behind each other as PPM, shorter sides `size`."""
    done = subprocess.run(["/usr/bin/python3", "-c", DECODE, str(path),
                           str(size)],
                          capture_output=True, timeout=300)
    if done.returncode:
        skip("no python3-pil of Debian's, with whose libjpeg to compare")
    return done.stdout


def cut_ppm(data):
    """The pictures of decoded(), one by one."""
    at = 0
    while at < len(data):
        head = data[at:at + 40].split(b"\n", 3)[:3]
        width, height = map(int, head[1].split())
        size = sum(len(line) + 1 for line in head) + 3 * width * height
        yield data[at:at + size]
        at += size


def samples(path, size):
    """(picture, label or captions) in the order of the tar."""
    pictures = cut_ppm(decoded(path, size))
    found = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, ext = member.name.split(".", 1)
            found.setdefault(key, {})[ext] = tar.extractfile(member).read()
    for s in found.values():
        yield next(pictures), (int(s["cls"]) if "cls" in s
                               else json.loads(s["json"])["captions"])


class Peer:
    def __init__(self, folder):
        import open_clip
        import torch
        from open_clip.transform import image_transform
        from safetensors.torch import load_file
        self.torch = torch
        torch.set_num_threads(1)
        cfg = json.loads((folder / "open_clip_config.json").read_text())
        self.model = open_clip.model.CLIP(**cfg["model_cfg"])
        self.model.load_state_dict(load_file(folder / "model.safetensors"))
        self.model.eval()
        self.size = cfg["model_cfg"]["vision_cfg"]["image_size"]
        pre = cfg["preprocess_cfg"]
        self.transform = image_transform(self.size, is_train=False,
                                         mean=tuple(pre["mean"]),
                                         std=tuple(pre["std"]))
        self.tokenize = open_clip.tokenizer.SimpleTokenizer(
            context_length=cfg["model_cfg"]["text_cfg"]["context_length"])

    def pictures(self, encoded):
        from PIL import Image
        torch, rows = self.torch, []
        with torch.no_grad():
            for i in range(0, len(encoded), 250):
                x = torch.stack([self.transform(Image.open(io.BytesIO(b)))
                                 for b in encoded[i:i + 250]])
                rows.append(self.model.encode_image(x, normalize=True))
        return torch.cat(rows)

    def texts(self, texts):
        torch, rows = self.torch, []
        with torch.no_grad():
            for i in range(0, len(texts), 250):
                ids = self.tokenize(texts[i:i + 250])
                rows.append(self.model.encode_text(ids, normalize=True))
        return torch.cat(rows)

    def classifier(self, names, templates):
        rows = []
        for name in names:
            texts = [t.replace("{c}", name).replace("{}", name)
                     for t in templates]
            mean = self.texts(texts).mean(0)
            rows.append(mean / mean.norm())
        return self.torch.stack(rows)


def far(a, b):
    return float((a - b).abs().max())


def bounds(before, close, k):
    """Shares of rows whose rank is under k, if all that is close stands before
    it, and if none of it does."""
    return (float((before + close < k).double().mean()),
            float((before < k).double().mean()))


def ranks(products, goals):
    """How many columns stand before the goal of each row, and how many so near
    that rounding decides.  goals: a mask; the nearest one counts."""
    best = products.masked_fill(~goals, -9).max(1, keepdim=True).values
    other = products.masked_fill(goals, -9)
    return ((other > best + NEAR).sum(1), ((other - best).abs() <= NEAR).sum(1))


def check_share(what, ours, before, close, k):
    low, high = bounds(before, close, k)
    undecided = "" if low == high else f" to {high:.4f} (near ties)"
    print(f"  {what:28} {ours:.4f}, open_clip {low:.4f}{undecided}")
    check(f"{what}: {ours} is not {low} to {high}",
          low - 1e-9 <= ours <= high + 1e-9)


def check_features(what, file, theirs, torch):
    import numpy
    ours = torch.from_numpy(numpy.load(file))
    check(f"{what}: shape {tuple(ours.shape)}", ours.shape == theirs.shape)
    if ours.shape == theirs.shape:
        d = far(ours, theirs)
        print(f"  {what:28} {len(ours)} rows, at most {d:.2e} apart")
        check(f"{what}: {d}", d <= FAR)
    return theirs


def zeroshot(work, model, peer, templates):
    torch = peer.torch
    names = NAMES.read_text().split()
    file = work / "templates"
    file.write_text("\n".join(templates) + "\n")
    pictures, labels = zip(*samples(LABELLED, peer.size))
    result = json.loads(witmill("eval", "zeroshot", *model, "--data", LABELLED,
                                "--classnames", NAMES, "--templates", file,
                                "--batch", 96, "--json"))
    check(f"{result['images']} pictures", result["images"] == len(labels))
    if not hasattr(peer, "labelled"):
        witmill("embed", "pictures", *model, "--data", LABELLED, "--output",
                work / "l.npy")
        peer.labelled = check_features("labelled pictures", work / "l.npy",
                                       peer.pictures(pictures), torch)
    products = peer.labelled @ peer.classifier(names, templates).T
    labels = torch.tensor(labels)
    mask = torch.nn.functional.one_hot(labels, len(names)).bool()
    before, close = ranks(products, mask)
    many = f"{len(templates)} templates, "
    check_share(many + "top-1", result["top1"], before, close, 1)
    check_share(many + "top-5", result["top5"], before, close, 5)
    recall = torch.stack([(before < 1)[labels == c].float().mean()
                          for c in range(len(names))]).mean()
    check(f"recall {result['mean_per_class_recall']}, {float(recall)}",
          abs(result["mean_per_class_recall"] - float(recall)) < 1e-6
          or int(close.sum()) > 0)


def retrieval(work, model, peer, prefix):
    torch = peer.torch
    pictures, captions = zip(*samples(CAPTIONED, peer.size))
    texts = [prefix + t for c in captions for t in c]
    owner = torch.tensor([i for i, c in enumerate(captions) for _ in c])
    result = json.loads(witmill("eval", "retrieval", *model, "--data",
                                CAPTIONED, "--caption-key", "captions",
                                "--prefix", prefix, "--batch", 96, "--json"))
    check(f"{result['images']} pictures, {result['texts']} texts",
          (result["images"], result["texts"]) == (len(pictures), len(texts)))
    lines = work / "texts"
    lines.write_text("\n".join(texts) + "\n")
    witmill("embed", "texts", *model, "--data", lines, "--output",
            work / "t.npy")
    t = check_features("captions", work / "t.npy", peer.texts(texts), torch)
    if not hasattr(peer, "captioned"):
        witmill("embed", "pictures", *model, "--data", CAPTIONED, "--output",
                work / "c.npy")
        peer.captioned = check_features("captioned pictures", work / "c.npy",
                                        peer.pictures(pictures), torch)
    products = peer.captioned @ t.T
    mask = owner[None, :] == torch.arange(len(pictures))[:, None]
    for way, p, goals in (("image_to_text", products, mask),
                          ("text_to_image", products.T, mask.T)):
        before, close = ranks(p, goals)
        for k in (1, 5, 10):
            check_share(f"{way} R@{k}", result[f"{way}_r{k}"], before, close,
                        k)


# Pictures are not CLIP's to it: all of training and evaluation must see that.
SEEN = {"embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 3, "width": 64,
                       "patch_size": 8, "head_width": 32},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64,
                     "heads": 2, "layers": 2},
        "preprocess_cfg": {"mean": [0.5, 0.25, 0.75], "std": [0.5, 1, 0.3],
                           "interpolation": "bicubic"}}


def main():
    enter_peers(VOCABULARY, LABELLED, NAMES, CAPTIONED)
    work = pathlib.Path(tempfile.mkdtemp(prefix="witmill-eval-"))
    try:
        # a copy: its index goes beside it
        tar = shutil.copy(CAPTIONED, work)
        (work / "seen.json").write_text(json.dumps(SEEN))
        witmill("train", "--data", tar, "--caption-key", "captions",
                "--vocabulary", VOCABULARY, "--model",
                work / "seen.json", "--batch", 64, "--steps", 120, "--lr", 0.003,
                "--save", work / "model.safetensors")
        model = ("--model", work, "--vocabulary", VOCABULARY)
        peer = Peer(work)
        zeroshot(work, model, peer, TEMPLATES[:1])
        zeroshot(work, model, peer, TEMPLATES)
        retrieval(work, model, peer, "")
        retrieval(work, model, peer, "a photo of ")
    finally:
        shutil.rmtree(work)
    sys.exit(counted.end())


if __name__ == "__main__":
    main()
