#!/usr/bin/env python3
"""Gallery pages around the stamps: a folder of pictures with caption files
becomes a small web site, one page a folder, linked from index.html.

usage: demo_gallery.py STAMPS

X.png is captioned by the first line of X.txt (the further lines translate it).
"""
import html
import pathlib
import sys
import urllib.parse

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>
<p><a href="/index.html">All stamps</a></p>
{body}
</body></html>
"""


def caption_of(picture):
    text = picture.with_suffix(".txt")
    if not text.exists():
        return ""
    with open(text, encoding="utf-8", errors="replace") as lines:
        return lines.readline().strip()


def gallery(root, folder, pictures):
    figures = []
    for picture in pictures:
        caption = caption_of(picture)
        url = urllib.parse.quote(picture.name)
        figures.append(f'<figure><img src="{url}" alt="">'
                       f"<figcaption>{html.escape(caption)}</figcaption>"
                       "</figure>")
    title = "Stamps: " + ", ".join(folder.relative_to(root).parts)
    (folder / "gallery.html").write_text(
        PAGE.format(title=html.escape(title), body="\n".join(figures)),
        encoding="utf-8")
    return len([p for p in pictures if caption_of(p)])


def main():
    root = pathlib.Path(sys.argv[1])
    links, captioned = [], 0
    folders = {}
    for picture in sorted(root.rglob("*.png")):
        folders.setdefault(picture.parent, []).append(picture)
    for folder, pictures in sorted(folders.items()):
        captioned += gallery(root, folder, pictures)
        name = folder.relative_to(root).as_posix()
        links.append(f'<li><a href="{urllib.parse.quote(name)}/gallery.html">'
                     f"{html.escape(name)}</a></li>")
    (root / "index.html").write_text(
        PAGE.format(title="Stamps", body="<ul>" + "\n".join(links) + "</ul>"),
        encoding="utf-8")
    print(f"{len(folders)} gallery pages, {captioned} captioned stamps")


if __name__ == "__main__":
    main()
