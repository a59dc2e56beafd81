"""dedup as DESIGN section 4 has it, by comparing every image with every one
before it: which URLs survive, who pushed the others out, which texts are left
and what their keep says."""
import oracle_chain as oracle


def near(a, b, radius):
    return not a.get("phash_exempt") and not b.get("phash_exempt") and \
        bin(int(a["phash"], 16) ^ int(b["phash"], 16)).count("1") <= radius


def duplicates(urls, image, radius):
    """{url: (reason, the URL that pushed it out)}; urls in order."""
    out, before = {}, []
    for url in urls:
        me = image[url]
        same = [o for o in before if image[o]["sha256"] == me["sha256"]]
        like = [o for o in before if near(image[o], me, radius)]
        if same:
            out[url] = ("duplicate-exact", same[0])
        elif like:
            out[url] = ("duplicate-near", like[0])
        before.append(url)
    return out


def exact_keeps(pairs, ranks, cap, caps):
    """{uid: ids}: each query keeps the first `cap` pairs that gave an image;
    ranks[q, uid] counts below the query's last cap."""
    keep, by_query = {}, {}
    for p in pairs:
        for q in p["q"]:
            if ranks[q, p["uid"]] < caps[q]:
                by_query.setdefault(q, []).append((ranks[q, p["uid"]],
                                                   p["uid"]))
    for q in sorted(by_query):
        for _, uid in sorted(by_query[q])[:cap]:
            keep.setdefault(uid, []).append(q)
    return keep


def survivors(selected, ledger, seed, radius=4, exact=None):
    """(rows, duplicates): rows are (url, [(uid, s, keep)...]) in order.
    exact: (ranks, cap, caps) or None."""
    image = {r["url"]: r for r in ledger if r["outcome"] == "image"}
    pairs = [p for p in selected if p["url"] in image]
    keep = exact_keeps(pairs, *exact) if exact else \
        {p["uid"]: p["keep"] for p in pairs}
    urls = sorted({p["url"] for p in pairs},
                  key=lambda u: (oracle.url_hash(u, seed), u.encode()))
    gone, texts, rows = duplicates(urls, image, radius), {}, []
    for p in pairs:
        if keep.get(p["uid"]):
            texts.setdefault(p["url"], []).append((p["s"], p["uid"]))
    for url in urls:
        if url not in gone and url in texts:
            rows.append((url, [(uid, s, keep[uid])
                               for s, uid in sorted(texts[url])]))
    return rows, gone
