#!/usr/bin/env python3
"""tests/check_matcher.py at the size of a published list."""
import check_matcher

check_matcher.main(500_000, 200_000, 2_000)
