#!/usr/bin/env python3
"""Words and bigrams of every real dump equal a few lines of Python."""
import pathlib
import tempfile

import check_wiki

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as t:
        check_wiki.packings(pathlib.Path(t))
        check_wiki.exact_counts(pathlib.Path(t), 1 << 30)
