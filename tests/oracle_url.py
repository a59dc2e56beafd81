#!/usr/bin/env python3
"""What a URL's canonical form is, by RFC 3986 and the design's sentences.

    oracle_url.py [FILE..]   URLs of the files (first column of TSV, plain or
                             gzip) and 60,000 made of awkward pieces

Records for a C test (tests/oracle.h): "BASE LF REFERENCE", then the canonical
form or nothing.  Regular expressions and whole-string steps on purpose: not
the way the C code goes.
"""
import gzip
import ipaddress
import random
import re
import struct
import sys
import unicodedata

PIECES = ["http:", "https:", "HTTP:", "ftp:", "data:", "//", "/", "/", ".",
          "..", "/../", "/./", "?", "#", ":", "@", "[", "]", "::1", "80",
          "443", "0080", "8080", "65536", "a", "B", "c.d", "x-y_z", "%2e",
          "%", "%41", "\\", " ", "\t", "\n", "\r", "\x01", "\x7f", "\u00e9",
          "\u00df", "\u4f8b", "\uff0e", "\uff21", "e\u0301", "\ufffd", "\"",
          "<", ">", "^", "`", "{", "}", "|", "'", "&", "=", "+", ",", ";",
          "~", "!", "$", "(", "*", "\U0001f415", "\u00a0", "\u3002", "xn--",
          "h.example", "user:pw", "1.2.3.4", "[2001:DB8::1]"]
BASES = ["http://a/b/c/d;p?q", "https://h.example:8443/x/y.html?k=v",
         "http://h/", "http://[::1]/a//b/", ""]
ENCODE = re.compile(r'[\x00-\x20\x7f-\U0010ffff"<>\\^`{}|]')


def encode(text):
    return ENCODE.sub(lambda m: "".join("%%%02X" % b
                                        for b in m.group().encode()), text)


def remove_dots(path):
    """RFC 3986 5.2.4, letter by letter."""
    out = ""
    while path:
        if path.startswith("../"):
            path = path[3:]
        elif path.startswith("./"):
            path = path[2:]
        elif path.startswith("/./"):
            path = path[2:]
        elif path == "/.":
            path = "/"
        elif path.startswith("/../"):
            path, out = path[3:], out[:max(out.rfind("/"), 0)]
        elif path == "/..":
            path, out = "/", out[:max(out.rfind("/"), 0)]
        elif path in (".", ".."):
            path = ""
        else:
            segment = re.match(r"/?[^/]*", path).group()
            out, path = out + segment, path[len(segment):]
    return out


def host(name):
    labels = []
    for label in name.split("."):
        if label.isascii():
            labels.append(label.lower())
            continue
        folded = unicodedata.normalize("NFKC", label).casefold()
        labels += [part if part.isascii() else
                   "xn--" + part.encode("punycode").decode()
                   for part in folded.split(".")]
    name = ".".join(labels)
    return name if re.fullmatch(r"[a-z0-9._-]+", name) else None


def authority(text, scheme):
    text = text.rpartition("@")[2]
    m = re.fullmatch(r"(\[[^]]*\]|[^:\[]*)(?::([0-9]*))?", text, re.S)
    if not m:
        return None
    if text.startswith("["):
        try:
            if "%" in m[1] or not m[1].isascii():
                return None
            ipaddress.IPv6Address(m[1][1:-1])
        except ValueError:
            return None
        name = m[1].lower()
    else:
        name = host(m[1])
    if name is None:
        return None
    if m[2]:
        port = int(m[2])
        if port > 65535:
            return None
        if port != {"http": 80, "https": 443}[scheme]:
            name += ":%d" % port
    return name


CUT = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?]*))?"
                 r"([^?]*)(\?.*)?", re.S)


def canonical(base, ref):
    ref = ref.strip("".join(map(chr, range(33))))
    ref = re.sub(r"[\r\n\t]", "", ref)
    if ref in ("", "#") or "\ufffd" in ref:
        return None
    scheme, auth, path, query = CUT.fullmatch(ref.partition("#")[0]).groups()
    query = query or ""
    if scheme:
        scheme = scheme.lower()
        if scheme not in ("http", "https") or auth is None:
            return None
        auth = authority(auth, scheme)
    else:
        if not base:
            return None
        b_scheme, b_auth, b_path, b_query = CUT.fullmatch(base).groups()
        scheme = b_scheme
        if auth is not None:
            auth = authority(auth, scheme)
        else:
            auth = b_auth
            if not path:
                path, query = b_path, query or b_query or ""
            elif not path.startswith("/"):
                path = b_path[:b_path.rindex("/") + 1] + path
    if auth is None:
        return None
    url = "%s://%s%s%s" % (scheme, auth, encode(remove_dots(path)) or "/",
                           encode(query))
    return url if len(url) <= 2048 else None


def put(text):
    raw = text.encode()
    sys.stdout.buffer.write(struct.pack("<I", len(raw)) + raw)


def references(names):
    for name in names:
        with (gzip.open if name.endswith(".gz") else open)(name, "rb") as f:
            for line in f:
                yield line.split(b"\t")[0].decode("utf-8", "ignore").strip("\n")
    rng = random.Random(3986)
    for i in range(60000):
        parts = [rng.choice(PIECES) for _ in range(rng.randint(1, 9))]
        if i % 2:
            parts = [rng.choice(["http://", "https://", "//"])] + parts
        yield "".join(parts)


def main():
    for i, ref in enumerate(references(sys.argv[1:])):
        base = BASES[i % len(BASES)]
        put(base + "\n" + ref)
        put(canonical(base, ref) or "")


main()
