#!/bin/sh
# What `make train-only` promises: a C compiler and the C library are enough.
# Builds it where no pkg-config is, looks at what headers it read and what
# libraries it is linked with, runs it.
set -eu
cd "$(dirname "$0")/.."
work=${TMPDIR:-/tmp}/train-only
compiler=${BUILD:-build/gcc}
compiler=$(basename "$compiler" | sed 's/-.*//')
mkdir -p "$work/bin"
passed=0 failed=0

check() { # WHAT COMMAND...
    what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
    fi
}

# One that is asked leaves a file behind.
printf '#!/bin/sh\n: >"%s/asked"\nexit 1\n' "$work" >"$work/bin/pkg-config"
chmod +x "$work/bin/pkg-config"
PATH=$work/bin:$PATH PKG_CONFIG_PATH= make -j2 CC="$compiler" train-only \
    >"$work/build.log" 2>&1 || { tail -20 "$work/build.log"; exit 1; }
check "pkg-config is not asked" test ! -e "$work/asked"

build=build/$compiler-train
program=$build/witmill-train
libraries() {
    readelf -d "$program" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' |
        grep -Ev '^(libc|libm|libpthread|libdl|libgcc_s|ld-linux.*)\.so' || :
}
check "linked with the C library alone" test -z "$(libraries)"

# Headers of the system, by the folders of every #include <...> that a source
# of it reads: the C library's stand in /usr/include itself, bits/, sys/ ... and
# those of a package can be told by the package.
headers() {
    make -nB CC="$compiler" TRAIN_ONLY=1 V=1 train-only-all |
        sed -n 's/^[^ ]* \(.*\) -MMD -MP -c -o [^ ]* \([^ ]*\.c\)$/\1 \2/p' |
        while read -r arguments; do
            # shellcheck disable=SC2086  # they are words
            "$compiler" $arguments -M -MT x 2>/dev/null
        done | tr -s ' \\' '\n\n' | grep '^/' | grep -v '/lib/\(gcc\|clang\|llvm\)' |
        sort -u
}
foreign() {
    headers | xargs dpkg -S 2>&1 | sed 's/:.*//' | sort -u |
        grep -Ev '^(libc6-dev|linux-libc-dev|libcrypt-dev|libtirpc-dev|libnsl-dev|libc-dev-bin)' || :
}
if command -v dpkg >/dev/null; then
    check "headers are seen" test "$(headers | grep -c /stdint.h)" -gt 0
    check "headers of the C library alone: $(foreign)" test -z "$(foreign)"
fi

"$program" train --generated --model tiny-vit --device ref --batch 4 \
    --steps 3 --log "$work/log" --save "$work/w.safetensors" \
    >"$work/out" 2>"$work/err"
check "three steps are three lines" \
    test "$(grep -c '"step"' "$work/log")" = 3
check "weights are written" test -s "$work/w.safetensors"
check "it says what it has" grep -q '^  train ' <<END
$("$program" help)
END
code=0
"$program" train --generated --device cuda 2>"$work/err" || code=$?
check "cuda is not in this build: exit code 3" test $code = 3
check "and it says so" grep -q 'no cuda backend' "$work/err"
code=0
RANK=1 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 "$program" train --generated \
    --model tiny-vit --device ref --steps 1 2>"$work/err" || code=$?
check "one of two ranks does not train alone: exit code 3" test $code = 3
check "and says which it is, and what it needs" \
    grep -q 'rank 1 of 2: 2 ranks by torchrun: .* no MPI' "$work/err"
code=0
"$program" train 2>"$work/err" || code=$?
check "nothing to train on: exit code 2" test $code = 2
check "and it says what there is" grep -q -e '--generated' "$work/err"
code=0
"$program" train "$work" 2>"$work/err" || code=$?
check "shards are not read by this build: exit code 3" test $code = 3
check "and it says so" grep -q 'reads no shards' "$work/err"
check "the tests that need no library pass" "$build/test_pairs" \
    >"$work/pairs.log" 2>&1
check "and those of files" "$build/test_safetensors" >"$work/st.log" 2>&1
check "and the hash of its own" "$build/test_sha256" >"$work/sha.log" 2>&1

# The script for machines with a GPU, on the reference.
check "gpu_check.sh goes through its stages" \
    env TMPDIR="$work" CC="$compiler" tools/gpu_check.sh --dry-run \
    >"$work/gpu.log" 2>&1
check "all of them" test "$(grep -c '^| .* | .* | [0-9]* | ' "$work/gpu.log")" = 24
check "none failed" test "$(grep -c FAILED "$work/gpu.log")" = 0
if ! command -v nvidia-smi >/dev/null; then
    code=0
    tools/gpu_check.sh >"$work/gpu.none" 2>&1 || code=$?
    check "without a GPU it stops with exit code 3" test $code = 3
    check "and says what it looked for" grep -q nvidia-smi "$work/gpu.none"
fi
if [ "$failed" != 0 ]; then
    cat "$work/gpu.log"
fi

rm -rf "$work"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
