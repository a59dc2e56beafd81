#!/usr/bin/env python3
"""Trains a small model on the demo's shards and asks what it learned.

usage: tools/demo_model.py WITMILL CORPUS LOGS

The last shards, a tenth of the samples or more, are held back: samples lie in
the order of a hash of their address, so that is a draw.  The others' texts make
a vocabulary, the others train a ViT of 64 pixels.  Then pictures and texts that
were held back look for each other, and pictures of some folders are told apart
by a word for each.  All that is said goes to LOGS/model.log.
"""
import hashlib
import io
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import time

EPOCHS, BATCH = 16, 128
WARMUP = 30  # steps
VOCABULARY = 2048  # ids, at most
QUERIES = 3        # of each site, shown in the report
MODEL = {"embed_dim": 128,
         "vision_cfg": {"image_size": 64, "patch_size": 8, "width": 128,
                        "layers": 4},
         "text_cfg": {"context_length": 32, "width": 128, "heads": 2,
                      "layers": 3}}
# What a folder of the two sites shows, in a word of its captions' kind.
CLASSES = {"filter": "/images/filters/", "tool": "/images/toolbox/",
           "menu": "/images/menus/", "dialog": "/images/dialogs/",
           "letter": "/symbols/alphabets/", "animal": "/animals/",
           "house": "/town/houses/", "sign": "/town/roadsigns/",
           "coin": "/symbols/money/", "fruit": "/food/fruit/"}
TEMPLATE = "A {}."


class Stopped(Exception):
    pass


def samples(tars):
    """Key, JPEG and the .json of each, as far as they lie in these tars."""
    for path in tars:
        with tarfile.open(path) as tar:
            found = {}
            for member in tar:
                key, kind = member.name.split(".", 1)
                found[kind] = tar.extractfile(member).read()
                if kind == "txt":  # the last of a sample
                    yield key, found["jpg"], json.loads(found["json"])
                    found = {}


def one_line(text):
    return " ".join(text.split())


class Demo:
    def __init__(self, witmill, corpus, logs):
        self.witmill = witmill
        self.corpus = pathlib.Path(corpus)
        self.run = self.corpus / "models" / "demo"
        self.work = pathlib.Path(logs) / "model"
        self.work.mkdir(parents=True, exist_ok=True)
        self.log = open(pathlib.Path(logs) / "model.log", "w+")

    def call(self, *args, stdin=None):
        done = subprocess.run([self.witmill, *map(str, args)], input=stdin,
                              stdout=subprocess.PIPE, stderr=self.log,
                              encoding="utf-8")
        self.log.write(done.stdout)
        self.log.flush()
        if done.returncode:
            raise Stopped(f"witmill {args[0]} ended with {done.returncode}")
        return done.stdout

    def divide(self):
        """Names of the shards to train on, and of those held back."""
        sizes = json.loads((self.corpus / "shards/sizes.json").read_text())
        names = sorted(sizes)
        back = len(names) - 1
        while sum(sizes[n] for n in names[back:]) < sum(sizes.values()) / 10:
            back -= 1
        if back < 1:
            raise Stopped("one shard: nothing can be held back")
        self.given, self.held = ([self.corpus / "shards" / n for n in part]
                                 for part in (names[:back], names[back:]))
        return [sum(sizes[p.name] for p in part)
                for part in (self.given, self.held)]

    @staticmethod
    def spec(tars):
        """As --data takes several tars of a folder."""
        if len(tars) == 1:
            return str(tars[0])
        return f"{tars[0].parent}/{{{tars[0].stem}..{tars[-1].stem}}}.tar"

    def vocabulary(self):
        texts = [one_line(t["text"]) for _, _, meta in samples(self.given)
                 for t in meta["texts"]]
        path = self.corpus / "vocabulary.txt"
        self.call("tokenizer", "train", "--size", VOCABULARY, "--output", path,
                  stdin="\n".join(texts) + "\n")
        with open(path, encoding="utf-8") as lines:
            return len(texts), int(lines.readline().split()[-1])

    def train(self, ids):
        model = json.loads(json.dumps(MODEL))
        model["text_cfg"]["vocab_size"] = ids
        (self.work / "demo-vit.json").write_text(json.dumps(model, indent=1))
        command = [self.witmill, "train", "--data", self.spec(self.given),
                   "--vocabulary", self.corpus / "vocabulary.txt",
                   "--model", self.work / "demo-vit.json", "--out", self.run,
                   "--crop", "resized", "--batch", BATCH, "--epochs", EPOCHS,
                   "--lr", 0.001, "--warmup", WARMUP]
        said, began = 1, time.monotonic()
        with subprocess.Popen(list(map(str, command)), stdout=self.log,
                              stderr=subprocess.PIPE,
                              encoding="utf-8") as child:
            for line in child.stderr:
                self.log.write(line)
                event = json.loads(line) if line[0] == "{" else {}
                share = event.get("done", 0) / event.get("total", 1)
                loss = re.search(r"loss ([0-9.]+)", event.get("note", ""))
                if event.get("event") == "progress" and share >= said / 4:
                    said = int(4 * share) + 1
                    seconds = time.monotonic() - began
                    print(f"  {100 * share:3.0f}% of {event['total']:,} images"
                          f"  {seconds:6.1f} s"
                          f"  loss {loss[1] if loss else '-'}", flush=True)
        self.log.flush()
        if child.returncode:
            raise Stopped(f"witmill train ended with {child.returncode}")
        losses = [step["loss"] for step in map(
            json.loads, open(self.run / "log.jsonl")) if "loss" in step]
        last = losses[-max(1, len(losses) // 10):]
        print(f"  {len(losses)} steps of {BATCH} pairs"
              f"  {time.monotonic() - began:6.1f} s  loss {losses[0]:.2f} to "
              f"{sum(last) / len(last):.2f}", flush=True)

    def labelled(self):
        """A tar of the held-back pictures from the folders of CLASSES."""
        found = [(key, jpeg, name) for key, jpeg, meta in samples(self.held)
                 for name, part in CLASSES.items() if part in meta["url"]]
        names = [n for n in CLASSES if any(n == f[2] for f in found)]
        with tarfile.open(self.work / "labelled.tar", "w",
                          format=tarfile.USTAR_FORMAT) as tar:
            for key, jpeg, name in found:
                for kind, data in (("cls", str(names.index(name)).encode()),
                                   ("jpg", jpeg)):
                    info = tarfile.TarInfo(f"{key}.{kind}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
        (self.work / "classnames.txt").write_text("\n".join(names) + "\n")
        (self.work / "templates.txt").write_text(TEMPLATE + "\n")

    def queries(self):
        """Of each site the held-back texts with the least hashes."""
        drawn = sorted((hashlib.sha256(key.encode()).digest(), key,
                        meta["url"].split("/")[2], one_line(meta["caption"]))
                       for key, _, meta in samples(self.held))
        taken = {}
        for _, key, site, text in drawn:
            of_site = taken.setdefault(site, {})
            if len(of_site) < QUERIES:
                of_site.setdefault(text, key)
        pairs = [p for site in sorted(taken) for p in taken[site].items()]
        for name, part in (("queries.txt", 0), ("queries.keys", 1)):
            (self.run / name).write_text(
                "".join(p[part] + "\n" for p in pairs), encoding="utf-8")

    def ask(self):
        def evaluate(task, *more):
            out = self.call("eval", task, "--model", self.run, "--json", *more)
            (self.run / f"{task}.json").write_text(out, encoding="utf-8")
            return json.loads(out)

        held = self.spec(self.held)
        found = evaluate("retrieval", "--data", held)
        self.labelled()
        told = evaluate("zeroshot", "--data", self.work / "labelled.tar",
                        "--classnames", self.work / "classnames.txt",
                        "--templates", self.work / "templates.txt")
        self.queries()
        self.call("embed", "pictures", "--model", self.run, "--data", held,
                  "--output", self.run / "pictures.npy")
        self.call("embed", "texts", "--model", self.run, "--data",
                  self.run / "queries.txt", "--output",
                  self.run / "queries.npy")
        return found, told


def print_retrieval(found):
    images = found["images"]
    print(f"  {images} pictures and {found['texts']} texts, held back "
          "           R@1     R@5    R@10")
    for label, way in (("a picture finds one of its texts", "image_to_text"),
                       ("a text finds its picture", "text_to_image")):
        shares = "".join(f"{100 * found[f'{way}_r{k}']:7.1f}%"
                         for k in (1, 5, 10))
        print(f"    {label:40}{shares}")
    shares = "".join(f"{100 * min(1, k / images):7.1f}%" for k in (1, 5, 10))
    print(f"    {'chance, about':40}{shares}")


def print_zeroshot(told):
    most = max(c["images"] for c in told["per_class"])
    names = [c["name"] for c in told["per_class"]]
    print(f"  {told['images']} of these pictures, told apart by "
          f"{len(names)} words: {', '.join(names)}")
    for label, share in (
            ("right", told["top1"]),
            ("always the largest class", most / told["images"]),
            ("mean of the classes", told["mean_per_class_recall"]),
            ("chance, and of the mean", told["chance"])):
        print(f"    {label:40}{100 * share:7.1f}%")


def main():
    demo = Demo(*sys.argv[1:])
    try:
        given, held = demo.divide()
        texts, ids = demo.vocabulary()
        print(f"  {given} samples to train on, {held} held back; "
              f"{ids} token ids from {texts} texts", flush=True)
        demo.train(ids)
        found, told = demo.ask()
    except (Stopped, OSError) as error:
        demo.log.flush()
        demo.log.seek(0)
        sys.stderr.writelines(demo.log.readlines()[-20:])
        print(f"demo_model.py: {error}", file=sys.stderr)
        return 1
    print_retrieval(found)
    print_zeroshot(told)
    demo.call("report", demo.corpus, "--model", demo.run)
    return 0


if __name__ == "__main__":
    sys.exit(main())
