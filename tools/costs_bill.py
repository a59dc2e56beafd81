"""The bill of a corpus, for tools/bench_costs.py: from what a further item of
each stage costs to core hours, bytes and days, with the resource that each
stage waits for."""

# A machine.
CORES = 16
DISK = 2e9               # bytes a second, read and written together
LINE = 10e9 / 8 * 0.8    # bytes a second of 10 Gb/s
MACHINES = 10
HOUR = 3600

# What the published corpora say (docs/costs.md names them).
COPIES = 0.15            # of the matched texts repeat a (url, text)
USABLE = 0.42            # of the URLs give an image
CORPORA = [
    # title, texts in, distinct pairs that match, pairs kept
    ("The paper's size: 400 million pairs out of 1.6 billion", 3.2e9, 1.6e9,
     400e6),
    ("Common Crawl: a billion pairs out of 300 billion texts", 300e9, 10.7e9,
     1e9),
]


def number(v):
    """Three digits, and no exponent."""
    return f"{v:,.0f}" if abs(v) >= 100 else f"{v:.3g}"


class Row:
    """A stage of a bill: items, cores that one machine gives it, whether
    machines share it, bytes of the network."""

    def __init__(self, name, stage, items, cores=CORES, alone=False, net=0.0):
        self.name, self.items, self.alone = name, items, alone
        self.each = stage.each("cpu")
        self.hours = items * self.each / HOUR
        self.disk = items * (stage.each("read") + stage.each("written"))
        self.left = items * stage.each("left")
        clock = {"processors" if cores > 1 else "one thread":
                 self.hours / cores,
                 "disk": self.disk / DISK / HOUR, "network": net / LINE / HOUR}
        self.limit = max(clock, key=clock.get)
        self.clock = clock[self.limit]  # hours of one machine

    def markdown(self):
        return (f"| {self.name} | {self.items / 1e6:,.0f} | "
                f"{number(self.each * 1e6)} | {self.hours:,.1f} | "
                f"{self.disk / 1e12:,.2f} | {self.left / 1e12:,.2f} | "
                f"{self.clock:,.1f} | {self.limit} |")


def rows_of(stages, picture, texts, unique, kept):
    matched, asked = unique / (1 - COPIES), kept / USABLE
    return [
        Row("import", stages["import"], texts),
        Row("match, of texts that match", stages["match: all do"], matched),
        Row("match, of the others", stages["match: none does"],
            texts - matched),
        Row("gather", stages["gather"], matched),
        Row("balance --target", stages["balance"], unique),
        Row("download, images", stages["download: images"], kept,
            net=kept * picture),
        Row("download, gone", stages["download: gone"], asked - kept),
        Row("dedup", stages["dedup"], asked, cores=1, alone=True),
        Row("pack", stages["pack"], kept),
        Row("merge", stages["merge"], asked, cores=1, alone=True),
    ]


def bills(stages, picture):
    """Lines of Markdown; picture: bytes of one on the wire."""
    yield (f"Pictures were {picture / 1e3:,.0f} kB each as fetched and "
           f"{stages['download: images'].each('left') / 1e3:,.0f} kB as kept.")
    for title, texts, unique, kept in CORPORA:
        rows = rows_of(stages, picture, texts, unique, kept)
        yield ""
        yield f"### {title}"
        yield ""
        yield ("| stage | million items | s a million | core hours | TB read "
               "and written | TB left | hours of one machine | limit |")
        yield "|---|---|---|---|---|---|---|---|"
        for row in rows:
            yield row.markdown()
        alone = sum(r.clock for r in rows if r.alone) / 24
        shared = sum(r.clock for r in rows if not r.alone) / 24
        yield (f"| all | | | {sum(r.hours for r in rows):,.1f} | "
               f"{sum(r.disk for r in rows) / 1e12:,.2f} | | "
               f"{24 * (shared + alone):,.1f} | |")
        yield ""
        yield (f"One machine: {shared + alone:,.1f} days. {MACHINES} machines: "
               f"{shared / MACHINES + alone:,.1f} days, "
               f"{shared / MACHINES:,.1f} of what parts divide and "
               f"{alone:,.1f} of what one process does.")
