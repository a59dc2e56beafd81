#!/bin/sh
# Every picture of ../shared/data, as tests/check_picture.py compares some.
exec tests/check_picture.py --all
