#!/usr/bin/env python3
"""Full disks at every single write of each stage."""
import full_disk

if __name__ == "__main__":
    full_disk.main(1)
