#!/usr/bin/env python3
"""gather where buckets are sorted on disk: some records, some faults."""
import gather_scale

if __name__ == "__main__":
    gather_scale.main(40000, 41)
