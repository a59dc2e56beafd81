#!/usr/bin/env python3
"""Write base/entities.inc: the named character references of HTML.

The list is Python's html.entities.html5, which is the standard's.  Rows are
sorted bytewise, so that base/entities.c can narrow a range letter by letter.
usage: tools/gen_entities.py > base/entities.inc
"""
import html.entities


def main():
    rows = sorted((k.encode(), v) for k, v in html.entities.html5.items())
    print("/* Made by tools/gen_entities.py from the list of the HTML standard"
          " (Python's copy). */")
    line = ""
    for name, value in rows:
        points = [ord(c) for c in value] + [0]
        cell = '{"%s", 0x%x, 0x%x},' % (name.decode(), points[0], points[1])
        if line and len(line) + 1 + len(cell) > 100:
            print(line)
            line = ""
        line += (" " if line else "") + cell
    print(line)


if __name__ == "__main__":
    main()
