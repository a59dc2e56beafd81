"""The arithmetic of DESIGN sections 3 and 4 again, in plain Python and from its
words: XXH3-64, words, matching, gathering, draws, ranks, caps, rounds.  Shares
nothing with the C code; standard library only.  Slow and short on purpose."""
import hashlib
import struct
import unicodedata

M64 = (1 << 64) - 1
P32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
P64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
       0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b532ea371644897a20df94e3819ef46a9deacd8a8"
    "fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364ea"
    "c5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b"
    "16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")


def u64(b, at=0):
    return struct.unpack_from("<Q", b, at)[0]


def u32(b, at=0):
    return struct.unpack_from("<I", b, at)[0]


def fold(a, b):
    product = a * b
    return (product ^ (product >> 64)) & M64


def rotl(x, n):
    return ((x << n) | (x >> (64 - n))) & M64


def avalanche(h):
    h ^= h >> 37
    h = h * 0x165667919E3779F9 & M64
    return h ^ (h >> 32)


def avalanche64(h):
    h ^= h >> 33
    h = h * P64[1] & M64
    h ^= h >> 29
    h = h * P64[2] & M64
    return h ^ (h >> 32)


def mix16(d, at, s, sat, seed):
    return fold(u64(d, at) ^ ((u64(s, sat) + seed) & M64),
                u64(d, at + 8) ^ ((u64(s, sat + 8) - seed) & M64))


def short(d, seed):
    n, s = len(d), SECRET
    if n == 0:
        return avalanche64(seed ^ u64(s, 56) ^ u64(s, 64))
    if n < 4:
        word = d[0] << 16 | d[n >> 1] << 24 | d[-1] | n << 8
        return avalanche64(word ^ ((u32(s) ^ u32(s, 4)) + seed & M64))
    if n <= 8:
        seed ^= int.from_bytes(struct.pack("<I", seed & 0xffffffff),
                               "big") << 32
        h = (u32(d, n - 4) + (u32(d) << 32)) ^ \
            (((u64(s, 8) ^ u64(s, 16)) - seed) & M64)
        h ^= rotl(h, 49) ^ rotl(h, 24)
        h = h * 0x9FB21C651E98DF25 & M64
        h ^= (h >> 35) + n
        h = h * 0x9FB21C651E98DF25 & M64
        return h ^ (h >> 28)
    lo = u64(d) ^ ((u64(s, 24) ^ u64(s, 32)) + seed & M64)
    hi = u64(d, n - 8) ^ (((u64(s, 40) ^ u64(s, 48)) - seed) & M64)
    swapped = int.from_bytes(struct.pack("<Q", lo), "big")
    return avalanche((n + swapped + hi + fold(lo, hi)) & M64)


def middle(d, seed):
    n, s = len(d), SECRET
    acc = n * P64[0] & M64
    if n <= 128:
        for k in range((n - 1) // 32, -1, -1):
            acc += mix16(d, 16 * k, s, 32 * k, seed)
            acc += mix16(d, n - 16 * (k + 1), s, 32 * k + 16, seed)
        return avalanche(acc & M64)
    for k in range(8):
        acc += mix16(d, 16 * k, s, 16 * k, seed)
    acc = avalanche(acc & M64)
    for k in range(8, n // 16):
        acc += mix16(d, 16 * k, s, 16 * (k - 8) + 3, seed)
    acc += mix16(d, n - 16, s, 136 - 17, seed)
    return avalanche(acc & M64)


def accumulate(acc, d, at, s, sat):
    for i in range(8):
        value = u64(d, at + 8 * i)
        key = value ^ u64(s, sat + 8 * i)
        acc[i ^ 1] = (acc[i ^ 1] + value) & M64
        acc[i] = (acc[i] + (key & 0xffffffff) * (key >> 32)) & M64


def long(d, seed):
    n = len(d)
    s = b"".join(struct.pack("<QQ", (u64(SECRET, 16 * i) + seed) & M64,
                             (u64(SECRET, 16 * i + 8) - seed) & M64)
                 for i in range(12))
    acc = [P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0]]
    blocks = (n - 1) // 1024
    for b in range(blocks):
        for i in range(16):
            accumulate(acc, d, 1024 * b + 64 * i, s, 8 * i)
        for i in range(8):
            a = acc[i] ^ (acc[i] >> 47) ^ u64(s, 128 + 8 * i)
            acc[i] = a * P32[0] & M64
    for i in range((n - 1 - 1024 * blocks) // 64):
        accumulate(acc, d, 1024 * blocks + 64 * i, s, 8 * i)
    accumulate(acc, d, n - 64, s, 192 - 64 - 7)
    h = n * P64[0]
    for i in range(4):
        h += fold(acc[2 * i] ^ u64(s, 11 + 16 * i),
                  acc[2 * i + 1] ^ u64(s, 11 + 16 * i + 8))
    return avalanche(h & M64)


def xxh3(data, seed=0):
    if len(data) <= 16:
        return short(data, seed)
    return middle(data, seed) if len(data) <= 240 else long(data, seed)


# ---- the design's numbers ----

def url_hash(url, seed):
    return xxh3(url.encode(), seed)


def draw_hash(seed, uid, norm):
    return xxh3(struct.pack("<Q", seed) + bytes.fromhex(uid) + norm.encode())


def draw(seed, uid, norm, c):
    return draw_hash(seed, uid, norm) * c >> 64


def uid_of(text, url):
    return hashlib.md5(text.encode() + url.encode()).hexdigest()


SINGLE = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF),
          (0x2E80, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF),
          (0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F),
          (0xF900, 0xFAFF), (0x1AFF0, 0x1B16F), (0x20000, 0x3FFFD))


def kind(c):
    category = unicodedata.category(c)
    if category[0] in "LMN" and any(a <= ord(c) <= b for a, b in SINGLE):
        return "single"
    if category[0] == "L" or category == "Nd":
        return "word"
    if category[0] == "M":
        return "mark"
    return "apostrophe" if c == "'" else "other"


def words(text):
    text = unicodedata.normalize("NFKC", text).casefold()
    text = text.replace("\u2019", "'")
    kinds = [kind(c) for c in text] + ["other"]
    out, word = [], ""
    for i, c in enumerate(text):
        k = kinds[i]
        if k == "word" or k == "mark" and word or \
                k == "apostrophe" and word and kinds[i + 1] in ("word",
                                                                "mark"):
            word += c
            continue
        if word:
            out.append(word)
            word = ""
        if k == "single":
            out.append(c)
    return out + [word] if word else out


def matches(text, norms):
    """norms: {tuple of words: group id}; ascending ids."""
    ws = words(text)
    longest = max(map(len, norms)) if norms else 0
    return sorted({norms[tuple(ws[i:k])]
                   for i in range(len(ws))
                   for k in range(i + 1, min(len(ws), i + longest) + 1)
                   if tuple(ws[i:k]) in norms})


def gather(records, seed):
    """One record per uid, in (H(url), url, uid) order, and c(q)."""
    best = {}
    for r in records:
        key = tuple(r.get(f, "").encode() for f in ("page", "from", "origin"))
        if r["uid"] not in best or key < best[r["uid"]][0]:
            best[r["uid"]] = (key, r)
    unique = sorted((r for _, r in best.values()),
                    key=lambda r: (url_hash(r["url"], seed),
                                   r["url"].encode(),
                                   bytes.fromhex(r["uid"])))
    counts = {}
    for r in unique:
        for q in r["q"]:
            counts[q] = counts.get(q, 0) + 1
    return unique, counts


def draws(unique, counts, norms, seed, exact):
    """d(q, pair) for every match: {(q, uid): d}."""
    if not exact:
        return {(q, r["uid"]): draw(seed, r["uid"], norms[q], counts[q])
                for r in unique for q in r["q"]}
    by_query = {}
    for r in unique:
        for q in r["q"]:
            by_query.setdefault(q, []).append(
                (draw_hash(seed, r["uid"], norms[q]),
                 bytes.fromhex(r["uid"])))
    return {(q, uid.hex()): rank for q, rows in by_query.items()
            for rank, (_, uid) in enumerate(sorted(rows))}


def select(unique, d, t, before):
    """Pairs with d < t(q) for some q that were not selected under `before`."""
    out = []
    for r in unique:
        mine = {q: d[q, r["uid"]] for q in r["q"]}
        keep = [q for q in r["q"] if mine[q] < t[q]]
        if keep and not any(mine[q] < before.get(q, 0) for q in r["q"]):
            out.append(dict(r, s=min(mine.values()), keep=keep))
    return out


def target_cap(unique, d, most):
    """The largest t at which at most `most` pairs have s < t."""
    s = sorted(min(d[q, r["uid"]] for q in r["q"]) for r in unique)
    if len(s) <= most:
        return s[-1] + 1 if s else 0
    return s[most]


def raise_caps(unique, d, cap, t, counts, images):
    """t(q) of the next round: what lacks in images of the pairs below the
    first round's cap; images: URLs that gave a usable one."""
    want, usable = {}, {}
    for r in unique:
        for q in r["q"]:
            if d[q, r["uid"]] < t[q]:
                want[q] = want.get(q, 0) + (d[q, r["uid"]] < cap)
                usable[q] = usable.get(q, 0) + (r["url"] in images)
    out = dict(t)
    for q, w in want.items():
        u, c = max(1, usable[q]), counts[q]
        if usable[q] < w and t[q] < c:
            out[q] = min(c, 4 * t[q]) if w >= 4 * u else \
                min(c, -(-t[q] * w // u))
    return out
