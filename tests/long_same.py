#!/usr/bin/env python3
"""The same bytes for 1, 2 and 4 threads, for 1 and 3 parts of every stage that
takes them, and after 20 kills at random instants of the whole chain."""
import same_bytes

if __name__ == "__main__":
    same_bytes.main(pictures=120, thread_counts=[2, 4], part_counts=[1, 3],
                    kills=20)
