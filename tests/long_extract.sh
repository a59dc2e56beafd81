#!/bin/sh
# Pairs of the C reader against those of the html5lib oracle: every page of the
# shared data, and two thousand broken ones.
set -e
cd "$(dirname "$0")/.."
: "${BUILD:=build/gcc}" "${TMPDIR:=build}"
tests/extract_compare.py "$BUILD/extract_dump" --work "$TMPDIR/extract"
tests/extract_compare.py "$BUILD/extract_dump" --work "$TMPDIR/extract" --mutate 2000
