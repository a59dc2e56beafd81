#!/bin/sh
# The crawl killed, and out of disk, at each of its writes and syncs; the check
# looks at every 23rd.
WITMILL_LONG=1 exec "$BUILD/test_crawl_order"
