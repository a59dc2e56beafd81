"""parity_peer - open_clip in PyTorch on a trial's weights and batches.

Model.  truth() computes a model in float64: features, logits, loss, every
        gradient and the running statistics behind the step, written to
        FOLDER/truth.safetensors (gradients rounded to float32) and, when asked
        to, as norms and projections to FOLDER/golden.txt.  again() computes
        the same in float32 and measures the distance.  steps() trains.
Cost.   float64 takes 8 bytes a parameter, twice, and the activations of one
        stage or block at a time; RN50x64 needs some 14 GB.
"""
import gc
import math
import time

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

import trial

TINY_TEXT = dict(context_length=16, vocab_size=512, width=64, heads=2,
                 layers=2)
TINY = {
    "tiny-vit": dict(embed_dim=32, text_cfg=TINY_TEXT, vision_cfg=dict(
        image_size=32, layers=3, width=64, patch_size=8, head_width=32)),
    "tiny-resnet": dict(embed_dim=32, text_cfg=TINY_TEXT, vision_cfg=dict(
        image_size=64, layers=[1, 2, 1, 1], width=8, head_width=32)),
}
QUICK = "-quickgelu"
MUCH = 290_000_000  # parameters: from here on, recompute

torch.set_num_threads(2)


def config(name):
    base = name.removesuffix(QUICK)
    c = dict(TINY.get(base) or open_clip.get_model_config(base))
    c["quick_gelu"] = name.endswith(QUICK)
    return c


def build(name, dtype):
    c = config(name)
    model = open_clip.model.CLIP(**c).to(dtype)
    with torch.no_grad():
        for key, x in model.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                x.copy_(torch.from_numpy(trial.tensor(key, tuple(x.shape))))
    return model


def batch(name, n, number, dtype):
    c = config(name)
    text = c["text_cfg"]
    return (torch.from_numpy(trial.pixels(number, n, c["vision_cfg"]
                                          ["image_size"])).to(dtype),
            torch.from_numpy(trial.captions(number, n, text["context_length"],
                                            text["vocab_size"])))


def is_resnet(model):
    return not hasattr(model.visual, "transformer")


def buffers(model):
    return {k: b.clone() for k, b in model.named_buffers()
            if "running_" in k}


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def checkpointed(model):
    """The picture tower by stages whose forward is made again in backward.
    That moves running statistics twice: one_step() takes them before it."""
    from torch.utils.checkpoint import checkpoint
    visual = model.visual
    if not is_resnet(model):
        model.set_grad_checkpointing(True)
        return
    for name in ("layer1", "layer2", "layer3", "layer4"):
        for block in getattr(visual, name):
            block.forward = (lambda x, f=block.forward:
                             checkpoint(f, x, use_reentrant=False))


def one_step(model, images, texts):
    """features, logits, loss; gradients stand in the parameters."""
    image = F.normalize(model.encode_image(images), dim=-1)
    text = F.normalize(model.encode_text(texts), dim=-1)
    scale = model.logit_scale.exp()
    loss = open_clip.ClipLoss()(image, text, scale)
    moved = buffers(model)
    loss.backward()
    return dict(image_features=image, text_features=text,
                logits=scale * image @ text.T, loss=loss), moved


def edge(model):
    """Collects how near to 0 a number comes that enters a ReLU."""
    nearest = []
    for module in model.modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_forward_pre_hook(
                lambda _, x: nearest.append(x[0].detach().abs().min().item()))
    return nearest


def nearest_edges(name, n):
    """The same of batches 0, 1, 2 ... in float64, forward only."""
    model = build(name, torch.float64)
    model.train()
    nearest = edge(model)
    number = 0
    while True:
        nearest.clear()
        with torch.no_grad():
            model.encode_image(batch(name, n, number, torch.float64)[0])
        yield number, min(nearest)
        number += 1


def results(name, n, number, dtype):
    """(small things by name in float64, gradient by name as a generator)."""
    model = build(name, dtype)
    images, texts = batch(name, n, number, dtype)
    small = {}
    if is_resnet(model):
        model.eval()
        with torch.no_grad():
            small["image_features_eval"] = model.encode_image(images, True)
    model.train()
    if parameters(model) > MUCH:
        checkpointed(model)
    step, moved = one_step(model, images, texts)
    small.update(step)
    small.update(moved)
    small = {k: v.detach().double().numpy() for k, v in small.items()}

    def gradients():
        for key, p in model.named_parameters():
            g = p.grad.numpy() if p.grad is not None else \
                np.zeros(p.shape, np.float32)
            yield key, g
            p.grad = None
    return small, gradients()


HEAD = """\
# witmill golden, version 1: one training step of {name}, made by
# tools/parity.py from open_clip {version} in float64 (tools/trial.py has the
# weights, the batch and the projections).
# A line a tensor: name, Euclidean norm, eight projections.  Gradients stand
# under their parameter's name, query, key and value parts of in_proj apart
# (/q /k /v); running statistics as they are behind the step.
model {name}
batch {n}
number {number}
loss {loss:.9e}
"""


def truth(name, n, number, folder, golden):
    began = time.monotonic()
    small, gradients = results(name, n, number, torch.float64)
    lines, grads = [], {}

    def line(key, x):
        if not golden:
            return
        numbers = trial.norm_and_projections(key, x)
        lines.append(key + "".join(f" {v:.6e}" for v in numbers))
    for key, x in small.items():
        if key != "loss":
            line(key, x)
    for key, g in gradients:
        for part, x in trial.parts(key, g):
            line("grad/" + part, x)
        grads["grad/" + key] = np.asarray(g, np.float32)
    del gradients
    folder.mkdir(parents=True, exist_ok=True)
    save_file({**grads, **small}, folder / "truth.safetensors")
    if golden:
        (folder / "golden.txt").write_text(
            HEAD.format(name=name, n=n, number=number,
                        version=open_clip.__version__,
                        loss=float(small["loss"])) + "\n".join(lines) + "\n")
    del grads
    gc.collect()
    return dict(model=name, batch=n, loss=float(small["loss"]),
                truth_seconds=round(time.monotonic() - began, 1))


def again(name, n, number, folder):
    """The distance of the peer's own float32 from its float64."""
    import parity_compare
    small, gradients = results(name, n, number, torch.float32)
    return parity_compare.distance(folder / "truth.safetensors", small,
                                   gradients)


# ---- training ----

STEPS = 20
BATCHES = 4     # step s takes batch s mod 4


def rate(step, lr, warmup, total):
    if step < warmup:
        return lr * (step + 1) / warmup
    return lr * (1 + math.cos(math.pi * (step - warmup) /
                              (total - warmup))) / 2


def optimiser(model, vit, lr):
    """AdamW as open_clip trained until 2025: no decay for gains, biases and
    the scale."""
    def still(key, p):
        return p.ndim < 2 or any(w in key for w in ("bn", "ln", "bias",
                                                    "logit_scale"))
    named = list(model.named_parameters())
    return torch.optim.AdamW(
        [dict(params=[p for k, p in named if still(k, p)], weight_decay=0.0),
         dict(params=[p for k, p in named if not still(k, p)],
              weight_decay=0.2)],
        lr=lr, betas=(0.9, 0.98 if vit else 0.999),
        eps=1e-6 if vit else 1e-8)


def steps(name, n, dtype, lr, warmup):
    """The loss before each step."""
    model = build(name, dtype)
    model.train()
    opt = optimiser(model, not is_resnet(model), lr)
    losses = []
    batches = [batch(name, n, b, dtype) for b in range(BATCHES)]
    for step in range(STEPS):
        for group in opt.param_groups:
            group["lr"] = rate(step, lr, warmup, STEPS)
        opt.zero_grad()
        out, _ = one_step(model, *batches[step % BATCHES])
        losses.append(float(out["loss"].detach()))
        opt.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
    return losses
