#!/bin/sh
# Pairs of the C reader against those of the html5lib oracle: every page of the
# shared data, and two thousand broken ones.
set -e
cd "$(dirname "$0")/.."
tests/extract_compare.py "$BUILD/extract_dump"
tests/extract_compare.py "$BUILD/extract_dump" --mutate 2000
