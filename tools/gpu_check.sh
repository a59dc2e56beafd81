#!/bin/sh
# Proves on a bare machine with a GPU and the toolkit what needs a GPU: builds
# the training half, holds its kernels to the reference and its steps to the
# recorded ones, trains, repeats, measures; under eight minutes.
#
#     tools/gpu_check.sh             one table, also docs/gpu/DATE-DEVICE.md
#     tools/gpu_check.sh --dry-run   the same logic on the reference, with small
#                                    models, where there is no GPU
#
# A stage that fails does not stop the rest.  Exit codes: 0 all passed, 1 a
# stage failed, 3 no GPU or toolkit here.  Needs no network and no package;
# cuDNN is also found inside Python's site-packages (tools/find_cuda.sh).
set -u
cd "$(dirname "$0")/.." || exit 3
ALL=470 # seconds that all stages may take together

only= # with --stage: this function alone, in the world that the caller exports
if [ "${1:-}" = --stage ]; then
    only=$2
elif [ "${1:-}" = --dry-run ]; then
    dry=1
elif [ $# = 0 ]; then
    dry=
else
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi

# ---- what is here ----

if [ -z "$only" ]; then
    work=$(mktemp -d) began=$(date +%s) cc=${CC:-gcc} nvcc='' runs=''
    trap 'rm -rf "$work"' EXIT
    trap 'kill $runs 2>/dev/null; exit 130' INT TERM HUP
    compiler=$(basename "$cc")
fi
rows=$work/rows

if [ -n "$only" ]; then
    : # all is known
elif [ -n "$dry" ]; then
    device="the reference, dry run" driver=none toolkit=none
    build=build/$compiler-train on=ref exact=fp32 fast=fp32
    knobs=
else
    if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L >/dev/null 2>&1
    then
        echo "gpu_check: no GPU here: looked for one with nvidia-smi -L" >&2
        exit 3
    fi
    if ! tools/find_cuda.sh >"$work/cuda"; then
        echo "gpu_check: no toolkit here" >&2
        exit 3
    fi
    ask() { nvidia-smi --query-gpu="$1" --format=csv,noheader | head -1; }
    device=$(ask name) driver=$(ask driver_version)
    arch=$(ask compute_cap | tr -d .)
    if [ "$arch" = 90 ]; then arch=90a; fi
    nvcc=$(sed -n 's/CUDA_NVCC := //p' "$work/cuda")
    toolkit=$("$nvcc" --version | sed -n 's/.*release \([^,]*\),.*/\1/p')
    build=build/$compiler-cuda-train on=cuda exact=fp32 fast=bf16
    knobs="CUDA=1 CUDA_ARCH=$arch"
fi
if [ -z "$only" ]; then
    commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
    train=$build/witmill-train
    export work dry build on exact fast knobs cc nvcc train
fi

# ---- stages ----

# stage NAME SECONDS FUNCTION: its last line on stdout is the figure; the
# function's exit code is 0, 77 for what cannot run here, or a failure.
stage() {
    name=$1 limit=$2 function=$3
    from=$(date +%s)
    left=$((began + ALL - from))
    if [ "$limit" -gt "$left" ]; then limit=$left; fi
    printf '%-34s ' "$name"
    : >"$work/out"
    : >"$work/err"
    code=124
    if [ "$limit" -gt 0 ]; then
        # It puts itself and what the stage starts into a process group, and
        # ends that; needs no terminal, as the shell's job control does.
        timeout -k 5 "$limit" "tools/${0##*/}" --stage "$function" \
            >"$work/out" 2>"$work/err" &
        runs=$!
        wait "$runs"
        code=$?
        runs=
    fi
    seconds=$(($(date +%s) - from))
    figure=$(tail -1 "$work/out" | tr '|' '/')
    case $code in
    0) result=ok ;;
    77) result="not available" ;;
    *) result=FAILED ;;
    esac
    if [ "$limit" -le 0 ]; then
        figure="no time left of $ALL s"
    elif [ "$result" = FAILED ] && [ "$seconds" -ge "$limit" ]; then
        figure="stopped after $limit s"
    fi
    printf '%-14s %4d s  %s\n' "$result" "$seconds" "$figure"
    if [ "$result" = FAILED ]; then
        tail -n 15 "$work/out" "$work/err" | sed 's/^/    /'
    fi
    echo "| $name | $result | $seconds | $figure |" >>"$rows"
}

build_all() {
    # shellcheck disable=SC2086  # they are words
    make -j "$(nproc)" CC="$cc" $knobs train-only || return 1
    echo "$build"
}

# The worst figure of lines "TYPE CASE act X real Y".
parity() {
    if [ -n "$dry" ]; then
        "$build/test_ops_grad" || return 1
        echo "gradients of the ops by differences"
        return
    fi
    "$build/test_ops_cuda" >"$work/ops" 2>&1
    code=$?
    cat "$work/ops"
    grep -q SKIPPED "$work/ops" && return 1
    awk '$3 == "act" { n++
                       a = $4 > w[$1, 1] ? $4 : w[$1, 1]; w[$1, 1] = a
                       r = $6 > w[$1, 2] ? $6 : w[$1, 2]; w[$1, 2] = r }
         END { if (!n) exit 1
               printf "largest difference f32 %.1e, bf16 %.1e (act), " \
                      "%.1e (real)\n", w["f32", 1], w["bf16", 1], w["bf16", 2] }
        ' "$work/ops" || return 1
    return $code
}

# Making a model's weights by formula takes a processor longer than the GPU
# takes for the step, so each model has a process.
golden() {
    code=0
    if [ -n "$dry" ]; then
        "$build/test_golden_train" >"$work/golden" 2>&1 || code=1
    else
        pids=
        for file in tests/golden/train/*.txt; do
            model=$(basename "$file")
            if [ "$model" = steps.txt ]; then continue; fi
            "$build/test_golden_cuda" "$model" >"$work/golden.$model" 2>&1 &
            pids="$pids $!"
        done
        for pid in $pids; do
            wait "$pid" || code=1
        done
        cat "$work"/golden.*.txt >"$work/golden"
    fi
    cat "$work/golden"
    if [ -z "$dry" ] && grep -q SKIPPED "$work/golden"; then return 1; fi
    awk '/ of the bound at / { n++; if ($4 > w[$3]) w[$3] = $4 }
         END { printf "%d steps;", n
               for (d in w) printf " %s %.2f of its bound", d, w[d]
               print ""
               exit !n }' "$work/golden" || return 1
    return $code
}

# train MODEL PRECISION BATCH STEPS [option...]: the command, into $work/train
run_train() {
    model=$1 precision=$2 batch=$3 steps=$4
    shift 4
    "$train" train --generated --device "$on" --model "$model" \
        --precision "$precision" --batch "$batch" --steps "$steps" "$@" \
        >"$work/train"
}

value() { # LABEL: of a summary
    sed -n "s/^  $1  *//p" "$work/train" | tr -d ' '
}

all_models() {
    models="RN50 RN101 RN50x4 RN50x16 RN50x64 ViT-B-32 ViT-B-16 ViT-L-14
            ViT-L-14-336"
    if [ -n "$dry" ]; then models="tiny-vit tiny-resnet"; fi
    line= bad=0
    for m in $models; do
        if run_train "$m" "$fast" 8 2; then
            line="$line $m"
        else
            line="$line $m:FAILED" bad=1
        fi
    done
    echo "a step of$line"
    return $bad
}

# The band: bf16's last losses within 0.15 ln(batch) of fp32's, either below
# 0.8 ln(batch).
learns() {
    batch=64 steps=200 models="tiny-vit tiny-resnet ViT-B-32" rates=0.001
    if [ -n "$dry" ]; then batch=8 steps=6 models=tiny-vit; fi
    line= bad=0
    for m in $models; do
        rate=$rates
        if [ "$m" = ViT-B-32 ]; then rate=0.0002; fi
        run_train "$m" $exact $batch $steps --lr "$rate" || bad=1
        a=$(value "of the last tenth")
        run_train "$m" "$fast" $batch $steps --lr "$rate" || bad=1
        b=$(value "of the last tenth")
        line="$line $m $a $b;"
        awk -v a="${a:-nan}" -v b="${b:-nan}" -v n=$batch -v dry="$dry" '
            BEGIN { full = log(n); d = a > b ? a - b : b - a
                    low = dry ? 9 : 0.8
                    exit !(a < low * full && b < low * full &&
                           d < 0.15 * full) }' || bad=1
    done
    echo "last losses fp32, $fast:$line ln(batch) $(awk -v n=$batch \
        'BEGIN { printf "%.2f", log(n) }')"
    return $bad
}

repeats() {
    models="ViT-B-32 RN50" batch=64
    if [ -n "$dry" ]; then models="tiny-vit tiny-resnet" batch=4; fi
    for m in $models; do
        for k in 1 2; do
            mkdir -p "$work/$k"
            run_train "$m" "$fast" $batch 5 --save "$work/$k/w.safetensors" ||
                return 1
        done
        cmp "$work/1/w.safetensors" "$work/2/w.safetensors" || return 1
    done
    echo "the same bytes:" $models
}

memcheck() {
    tool=$(command -v compute-sanitizer ||
        echo "$(dirname "${nvcc:-/nowhere/x}")/compute-sanitizer")
    if [ -n "$dry" ] || [ ! -x "$tool" ]; then
        echo "no compute-sanitizer"
        return 77
    fi
    # Debuggers are forbidden on some rented machines: then it cannot attach.
    "$tool" --tool memcheck "$build/gpu_peak" cuda fp32 64 1 >"$work/try" 2>&1
    if ! grep -q 'ERROR SUMMARY' "$work/try"; then
        tail -1 "$work/try"
        return 77
    fi
    for part in norm embed adamw nce; do
        "$tool" --tool memcheck --error-exitcode 9 "$build/test_ops_cuda" \
            $part >"$work/mem" 2>&1
        code=$?
        tail -n 3 "$work/mem"
        if [ $code != 0 ]; then return 1; fi
    done
}

measure_peak() {
    side=8192
    if [ -n "$dry" ]; then side=64; fi
    "$build/gpu_peak" "$on" "$fast" $side >"$work/peak" || return 1
    echo "$(cat "$work/peak") TFLOP/s, $fast, side $side"
}

# bench MODEL BATCH TOKENS
bench() {
    batch=$2 steps=12
    if [ -n "$dry" ]; then batch=4 steps=2; fi
    run_train "$1" "$fast" $batch $steps --caption-tokens "$3" || return 1
    awk -v i="$(value "images a second")" \
        -v s="$(value "seconds a GPU stood for pixels")" -v n=$steps -v u="$(value "useful TFLOP\/s")" \
        -v x="$(value "executed TFLOP\/s")" -v p="$(cat "$work/peak" 2>/dev/null)" \
        -v b=$batch 'BEGIN {
            printf "%.0f images/s, %.4g TFLOP/s useful (%.1f%% of peak), " \
                   "%.4g executed, batch %d; stood %.3f s for pixels in %d " \
                   "steps\n", i, u, (p > 0 ? 100 * u / p : 0), x, b, s, n }'
}
b32=ViT-B-32 l14=ViT-L-14 r50=RN50
if [ -n "$dry" ]; then b32=tiny-vit l14=tiny-vit r50=tiny-resnet; fi
bench_b32() { bench $b32 4096 77; }
bench_b32_short() { bench $b32 4096 20; }
bench_l14() { bench $l14 1024 77; }
bench_l14_short() { bench $l14 1024 20; }
bench_r50() { bench $r50 1024 77; }
bench_r50_short() { bench $r50 1024 20; }

peer() {
    if [ -n "$dry" ] || ! python3 -c 'import open_clip, torch
assert torch.cuda.is_available()' 2>/dev/null ||
        ! grep -q device= tools/bench_open_clip.py; then
        echo "no open_clip with a GPU here"
        return 77
    fi
    for m in ViT-B-32 ViT-L-14; do
        python3 tools/bench_open_clip.py $m bf16 512 10 device=cuda tokens=77 ||
            return 1
    done
}

if [ -n "$only" ]; then
    "$only"
    exit
fi

echo "gpu_check: $device, driver $driver, toolkit $toolkit, $commit"
stage "build" 240 build_all
stage "ops against the reference" 90 parity
stage "recorded steps" 120 golden
stage "models take steps" 90 all_models
stage "learns, $fast as fp32" 90 learns
stage "repeats" 60 repeats
stage "memory checker" 60 memcheck
stage "peak of products" 30 measure_peak
stage "$b32, 77 tokens" 40 bench_b32
stage "$b32, 20 tokens" 40 bench_b32_short
stage "$l14, 77 tokens" 40 bench_l14
stage "$l14, 20 tokens" 40 bench_l14_short
stage "$r50, 77 tokens" 40 bench_r50
stage "$r50, 20 tokens" 40 bench_r50_short
stage "open_clip beside it" 120 peer

# ---- the table ----

page() {
    echo "# $device"
    echo
    echo "Written by tools/gpu_check.sh on $(date -u +%Y-%m-%d): driver" \
        "$driver, toolkit $toolkit, commit $commit;" \
        "$(($(date +%s) - began)) seconds in all."
    echo
    echo "| stage | result | seconds | figure |"
    echo "|---|---|--:|---|"
    cat "$rows"
}

to=${TMPDIR:-/tmp}
if [ -z "$dry" ]; then
    to=docs/gpu
    mkdir -p "$to"
fi
file=$to/$(date -u +%Y-%m-%d)-$(echo "$device" | tr -cs 'A-Za-z0-9\n' -).md
page >"$file"
echo
page
echo
echo "gpu_check: $file"
! grep -q '| FAILED |' "$rows"
