#!/bin/sh
# Pairs of the C reader against those of the html5lib oracle: a third of the
# pages of the shared data, and some broken ones.  All of them: long_extract.sh.
set -e
cd "$(dirname "$0")/.."
: "${BUILD:=build/gcc}" "${TMPDIR:=build}"
tests/extract_compare.py "$BUILD/extract_dump" --work "$TMPDIR/extract" --sample 300
tests/extract_compare.py "$BUILD/extract_dump" --work "$TMPDIR/extract" --mutate 60
