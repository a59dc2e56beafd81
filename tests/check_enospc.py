#!/usr/bin/env python3
"""Full disks at every 17th write of each stage."""
import full_disk

if __name__ == "__main__":
    full_disk.main(17)
