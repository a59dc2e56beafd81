#!/usr/bin/env python3
"""gather where buckets are sorted on disk: more records, more faults."""
import gather_scale

if __name__ == "__main__":
    gather_scale.main(300000, 61)
