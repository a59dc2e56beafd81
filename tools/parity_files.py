"""parity_files - weights files across the fence: ours there, theirs here.

rows() gives what was done and how far the features lie apart: those of batch
0, in float32, of the model that the file makes.  Weights of theirs come from
another seed than those that train_replay starts from, so that a file that was
not read cannot pass.
"""
import json
import pathlib
import shutil
import subprocess

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file
from safetensors.torch import save_file

import parity_peer
import trial

MODELS = ["tiny-vit", "tiny-resnet", "ViT-B-32", "ViT-B-32-quickgelu", "RN50"]
N = 3
OTHER_SEED = 2


def witmill(replay, name, folder, *options):
    """Features of train_replay."""
    out = folder / "features.safetensors"
    subprocess.run([replay, name, "--batch", str(N), "--features", out,
                    *map(str, options)], check=True)
    return load_file(out)


def features(encode_image, encode_text, name):
    images, texts = parity_peer.batch(name, N, 0, torch.float32)
    with torch.no_grad():
        image, text = encode_image(images), encode_text(texts)
    return dict(image_features=F.normalize(image, dim=-1).numpy(),
                text_features=F.normalize(text, dim=-1).numpy())


def of_open_clip(model, name):
    model.eval()
    return features(model.encode_image, model.encode_text, name)


def of_transformers(model, name):
    def tensor(x):
        return x if torch.is_tensor(x) else x.pooler_output
    model.eval()
    return features(lambda x: tensor(model.get_image_features(pixel_values=x)),
                    lambda x: tensor(model.get_text_features(input_ids=x)),
                    name)


def apart(a, b):
    return max(float(np.abs(a[k] - b[k]).max() / np.abs(b[k]).max())
               for k in ("image_features", "text_features"))


def transformers_config(name):
    from transformers import CLIPConfig
    c = parity_peer.config(name)
    v, t = c["vision_cfg"], c["text_cfg"]
    act = "quick_gelu" if c["quick_gelu"] else "gelu"
    common = dict(hidden_act=act, projection_dim=c["embed_dim"])
    return CLIPConfig(
        projection_dim=c["embed_dim"],
        vision_config=dict(
            hidden_size=v["width"], intermediate_size=4 * v["width"],
            num_hidden_layers=v["layers"], image_size=v["image_size"],
            num_attention_heads=v["width"] // v.get("head_width", 64),
            patch_size=v["patch_size"], **common),
        text_config=dict(
            hidden_size=t["width"], intermediate_size=4 * t["width"],
            num_hidden_layers=t["layers"], num_attention_heads=t["heads"],
            vocab_size=t["vocab_size"], eos_token_id=t["vocab_size"] - 1,
            bos_token_id=t["vocab_size"] - 2, pad_token_id=0,
            max_position_embeddings=t["context_length"], **common))


def into_open_clip(replay, name, folder):
    path = folder / "ours.safetensors"
    witmill_features = witmill(replay, name, folder, "--save", path)
    if name in parity_peer.TINY:
        model = open_clip.model.CLIP(**parity_peer.config(name))
        state = {k: torch.from_numpy(v) for k, v in load_file(path).items()}
        model.load_state_dict(state, strict=True)
    else:
        model = open_clip.create_model(name, pretrained=str(path))
    return apart(of_open_clip(model, name), witmill_features)


def into_transformers(replay, name, folder):
    from transformers import CLIPModel
    theirs = folder / "transformers"
    theirs.mkdir(exist_ok=True)
    ours = witmill(replay, name, folder, "--save",
                   theirs / "model.safetensors", "--layout", "transformers")
    transformers_config(name).save_pretrained(theirs)
    model, info = CLIPModel.from_pretrained(
        theirs, dtype=torch.float32, output_loading_info=True)
    wrong = {k: list(v) for k, v in info.items() if v}
    if wrong:
        raise ValueError(f"{name}: transformers says {json.dumps(wrong)}")
    return apart(of_transformers(model, name), ours)


def other_model(name):
    trial.SEED, kept = OTHER_SEED, trial.SEED
    try:
        return parity_peer.build(name, torch.float32)
    finally:
        trial.SEED = kept


def from_open_clip(replay, name, folder, dtype):
    model = other_model(name)
    path = folder / "theirs.safetensors"
    state = {k: v.to(dtype) if v.is_floating_point() else v
             for k, v in model.state_dict().items()}
    save_file({k: v.contiguous() for k, v in state.items()}, path)
    model.load_state_dict(state)  # rounded as in the file
    return apart(witmill(replay, name, folder, "--load", path),
                 of_open_clip(model, name))


def from_transformers(replay, name, folder):
    from transformers import CLIPModel
    torch.manual_seed(OTHER_SEED)
    model = CLIPModel(transformers_config(name))
    with torch.no_grad():  # their initialisation leaves biases at zero
        for p in model.parameters():
            p.add_(0.02 * torch.randn_like(p))
    theirs = folder / "transformers"
    model.save_pretrained(theirs)
    return apart(witmill(replay, name, folder, "--load",
                         theirs / "model.safetensors"),
                 of_transformers(model, name))


def rows(replay, work, name):
    folder = pathlib.Path(work) / "files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    out = [("written here, read by open_clip",
            into_open_clip(replay, name, folder))]
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        kind = str(dtype).removeprefix("torch.")
        out.append((f"open_clip's {kind} state, read here",
                    from_open_clip(replay, name, folder, dtype)))
    if parity_peer.config(name)["vision_cfg"].get("patch_size"):
        out += [("written here, read by transformers",
                 into_transformers(replay, name, folder)),
                ("transformers' save_pretrained, read here",
                 from_transformers(replay, name, folder))]
    shutil.rmtree(folder)
    return [dict(model=name, what=what, apart=apart) for what, apart in out]
