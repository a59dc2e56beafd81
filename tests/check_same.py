#!/usr/bin/env python3
"""The same bytes for 2 threads, for 3 parts, and after a few kills."""
import same_bytes

if __name__ == "__main__":
    same_bytes.main(pictures=40, thread_counts=[2], part_counts=[3], kills=4)
