#!/usr/bin/env python3
"""How long files and functions are, against where STYLE says to stop and look
for the second idea.  Over the hard limit is an error; prints the largest."""
import pathlib
import re
import sys

FILE_HARD, FUNCTION_HARD = 600, 80
TEST_FILE_HARD = 800  # tables of cases are long and have one idea
FOLDERS = ["base", "catalog", "querylist", "filter", "shards", "crawler",
           "train", "tools", "tests"]
SOURCES = {".c", ".h", ".cu", ".cuh", ".cc", ".hh"}
BANNED = re.compile(r"(?<![.\w>])(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|"
                    r"atof)\s*\(")
WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def functions(lines):
    """(first line, length) of each body: `{` and `}` in the first column."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{") and not line.startswith("{\""):
            start = number
        elif line.startswith("}") and start:
            yield start, number - start - 1
            start = None


def main():
    wrong, files, longest = [], [], []
    for folder in FOLDERS:
        for path in sorted(p for p in pathlib.Path(folder).rglob("*")
                           if p.suffix in SOURCES):
            lines = path.read_text(encoding="utf-8").splitlines()
            files.append((len(lines), str(path)))
            hard = TEST_FILE_HARD if folder == "tests" else FILE_HARD
            if len(lines) > hard:
                wrong.append(f"{path}: {len(lines)} lines")
            for start, length in functions(lines):
                longest.append((length, f"{path}:{start}"))
                if length > FUNCTION_HARD and not \
                        str(path).startswith("tests/"):
                    wrong.append(f"{path}:{start}: a function of {length} "
                                 "lines")
            for number, line in enumerate(lines, 1):
                if len(line) > 100:
                    wrong.append(f"{path}:{number}: {len(line)} columns")
                if BANNED.search(line):
                    wrong.append(f"{path}:{number}: a banned function")
                if WORDS.search(line):
                    wrong.append(f"{path}:{number}: unfinished by its words")
    for line in wrong:
        print(line)
    sizes = sorted(n for n, _ in longest)
    print(f"sizes: {len(files)} files, longest {max(files)}; "
          f"{len(sizes)} functions, median {sizes[len(sizes) // 2]} lines, "
          f"longest {max(longest)}; {len(wrong)} over the limits")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
