#!/usr/bin/env python3
"""The same files for 1, 2 and 7 parts of a million records."""
import check_parts

if __name__ == "__main__":
    check_parts.main(1000000, True)
