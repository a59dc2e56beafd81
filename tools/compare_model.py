"""The halves of tools/compare_training.py that need PyTorch: open_clip's
training, and the one evaluation that judges what either side has made."""
import hashlib
import json
import logging
import math
import random
import tarfile
import time
import types
from io import BytesIO

import torch
import torch.nn.functional as F
from PIL import Image

import open_clip
from open_clip_train.scheduler import cosine_lr
from safetensors.torch import load_file, save_file

K = 5  # of recall

# open_clip warns of each model without published weights
logging.getLogger().setLevel(logging.ERROR)


def versions():
    return {"open_clip": open_clip.__version__, "torch": torch.__version__}


def read_samples(folder):
    """Key, picture, captions and class (or None) of each, from its tars."""
    samples = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, kind = member.name.partition(".")
                data = tar.extractfile(member).read()
                sample = samples.setdefault(
                    key, types.SimpleNamespace(key=key, label=None))
                if kind == "txt":
                    sample.texts = data.decode().splitlines()
                elif kind == "cls":
                    sample.label = int(data)
                else:
                    sample.picture = Image.open(BytesIO(data))
                    sample.picture.load()
    return list(samples.values())


class Model:
    """open_clip's model of a JSON, its transforms and its tokenizer."""

    def __init__(self, config):
        open_clip.add_model_config(config)
        self.net, self.augment, self.preprocess = \
            open_clip.create_model_and_transforms(config.stem)
        context = json.loads(config.read_text())["text_cfg"]["context_length"]
        self.tokenizer = open_clip.SimpleTokenizer(context_length=context)

    def pictures(self, samples):
        return torch.stack([self.preprocess(s.picture) for s in samples])

    def encode(self, images, texts):
        """Normalised features and the scale."""
        self.net.eval()
        with torch.no_grad():
            return (self.net.encode_image(images, normalize=True),
                    self.net.encode_text(self.tokenizer(texts),
                                         normalize=True),
                    self.net.logit_scale.exp())


# ---- training ----

def decays(name, p):
    """The rule of open_clip_train's main.py."""
    return p.ndim >= 2 and not any(
        w in name for w in ("bn", "ln", "bias", "logit_scale"))


def make_optimizer(net, s):
    named = list(net.named_parameters())
    return torch.optim.AdamW(
        [{"params": [p for k, p in named if not decays(k, p)],
          "weight_decay": 0.0},
         {"params": [p for k, p in named if decays(k, p)],
          "weight_decay": s["decay"]}],
        lr=s["lr"], betas=(s["beta1"], s["beta2"]), eps=s["eps"])


def batches(samples, model, s, draw):
    """Epoch after epoch, each a permutation; of several captions one a time."""
    at = []
    for _ in range(s["steps"]):
        while len(at) < s["batch"]:
            at += draw.sample(range(len(samples)), len(samples))
        now, at = [samples[i] for i in at[:s["batch"]]], at[s["batch"]:]
        yield (torch.stack([model.augment(x.picture) for x in now]),
               model.tokenizer([draw.choice(x.texts) for x in now]))


def train(config, folder, s, seed, threads, save):
    """What the run was like; its weights go to `save`."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    samples = read_samples(folder)
    model = Model(config)
    net, loss_of = model.net, open_clip.ClipLoss()
    net.train()
    optimizer = make_optimizer(net, s)
    rate = cosine_lr(optimizer, s["lr"], s["warmup"], s["steps"])
    losses, began = [], time.monotonic()
    for step, (images, ids) in enumerate(
            batches(samples, model, s, random.Random(seed))):
        rate(step)
        optimizer.zero_grad()
        loss = loss_of(*net(images, ids))
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            net.logit_scale.clamp_(0, math.log(100))
        losses.append(loss.item())
    save_file({k: v.contiguous() for k, v in net.state_dict().items()},
              str(save))
    return {"losses": losses, "seconds": time.monotonic() - began}


# ---- judging ----

def by_hash(samples):
    """An order that is the same for all and mixes the sources."""
    return sorted(samples, key=lambda x: hashlib.sha256(
        b"order " + x.key.encode()).digest())


def loss_of_all(model, samples, batch):
    """Mean over whole batches; first captions."""
    samples = by_hash(samples)
    if len(samples) < batch:
        raise ValueError(f"{len(samples)} held-back samples, no batch of "
                         f"{batch}")
    images, texts, scale = model.encode(model.pictures(samples),
                                        [s.texts[0] for s in samples])
    losses = []
    for i in range(0, len(samples) - batch + 1, batch):
        logits = scale * images[i:i + batch] @ texts[i:i + batch].T
        target = torch.arange(batch)
        losses.append((F.cross_entropy(logits, target) +
                       F.cross_entropy(logits.T, target)).item() / 2)
    return sum(losses) / len(losses)


def zero_shot(model, samples, prompts):
    images, texts, _ = model.encode(model.pictures(samples), prompts)
    best = (images @ texts.T).argmax(1)
    return (best == torch.tensor([s.label for s in samples])) \
        .float().mean().item()


def recall(model, samples):
    """At K: pictures found by each caption, captions by each picture."""
    texts = [t for s in samples for t in s.texts]
    of = torch.tensor([i for i, s in enumerate(samples) for _ in s.texts])
    images, texts, _ = model.encode(model.pictures(samples), texts)
    close = images @ texts.T
    picture = (close.topk(K, 0).indices == of).any(0).float().mean()
    caption = (of[close.topk(K, 1).indices] ==
               torch.arange(len(samples))[:, None]).any(1).float().mean()
    return picture.item(), caption.item()


def judge(config, weights, folder, prompts, s):
    model = Model(config)
    model.net.load_state_dict(load_file(str(weights)), strict=True)
    samples = read_samples(folder)
    captioned = [x for x in samples if x.label is None]
    labelled = [x for x in samples if x.label is not None]
    picture, caption = recall(model, captioned)
    return {"held_loss": loss_of_all(model, samples, s["batch"]),
            "top1": zero_shot(model, labelled, prompts),
            "picture": picture, "caption": caption,
            "scale": model.net.logit_scale.exp().item()}
