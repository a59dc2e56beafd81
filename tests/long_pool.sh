#!/bin/sh
# balance against brute force at a thousandth of the published pool: 1.6 million
# pairs, 5.6 million matches, t = 20.
WITMILL_POOL_SCALE=1000 exec "$BUILD/test_pool"
