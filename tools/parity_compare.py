"""parity_compare - how far two computations of one step lie apart.

A gradient passes when every number has |a - b| <= 1e-3 |b| + 1e-6 L, with b
the truth and L the norm of the largest gradient.  `worst` is the largest
|a - b| by that bound: up to 1 passes.  `apart` is the largest ||a - b|| by
||b|| of a tensor, those left out whose norm is below 1e-5 L (the gradient of a
key's bias is 0, and what is computed of it is rounding).
"""
import numpy as np
from safetensors import safe_open

import trial

RELATIVE, ABSOLUTE = 1e-3, 1e-6
SMALL = 1e-5
FEATURES = ("image_features", "text_features", "image_features_eval",
            "logits")


def largest_norm(truth):
    return max(float(np.linalg.norm(truth.get_tensor(k).reshape(-1)))
               for k in truth.keys() if k.startswith("grad/"))


def gradients_apart(truth, gradients):
    largest = largest_norm(truth)
    out = dict(tensors=0, worst=0.0, worst_of="", apart=0.0, apart_of="")
    for key, got in gradients:
        want = truth.get_tensor("grad/" + key)
        if got.shape != want.shape:
            raise ValueError(f"{key}: shape {got.shape}, not {want.shape}")
        for (part, a), (_, b) in zip(trial.parts(key, got),
                                     trial.parts(key, want)):
            off = np.abs(np.asarray(a, np.float64) - b)
            worst = float((off / (RELATIVE * np.abs(b) +
                                  ABSOLUTE * largest)).max())
            norm = float(np.linalg.norm(b.reshape(-1)))
            apart = float(np.linalg.norm(off.reshape(-1)) / norm) \
                if norm > SMALL * largest else 0.0
            out["tensors"] += 1
            if not worst <= out["worst"]:
                out.update(worst=worst, worst_of=part)
            if not apart <= out["apart"]:
                out.update(apart=apart, apart_of=part)
    return out


def distance(path, small, gradients):
    """Of the computation (small, gradients) from the truth in a file."""
    with safe_open(path, "np") as truth:
        out = gradients_apart(truth, gradients)
        expected = sum(k.startswith("grad/") for k in truth.keys())
        off = {}
        for key in truth.keys():
            if key.startswith("grad/"):
                continue
            want, got = truth.get_tensor(key), small[key]
            off[key] = float(np.abs(got - want).max() / np.abs(want).max())
    out["parameters"] = expected
    out["loss"] = off.pop("loss")
    for key in FEATURES:
        if key in off:
            out[key] = off.pop(key)
    out["statistics"] = max(off.values(), default=0.0)
    return out
