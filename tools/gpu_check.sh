#!/bin/sh
# Proves on a bare machine with a GPU and the toolkit what needs a GPU: builds
# the training half, holds its kernels to the reference and its steps to the
# recorded ones, trains, repeats, measures; under eight minutes.
#
#     tools/gpu_check.sh             one table, also docs/gpu/DATE-DEVICE.md
#     tools/gpu_check.sh --dry-run   the same logic on the reference, with small
#                                    models, where there is no GPU
#
# A stage that fails does not stop the rest, and the table is written as each
# ends: who is stopped has what was measured until then.  Exit codes: 0 all
# passed, 1 a stage failed, 3 no GPU or toolkit here.  Needs no network and no
# package; cuDNN is found inside Python's site-packages, too
# (tools/find_cuda.sh).
#
# open_clip is measured beside it where python3 can import it, or where
# PEER_SITE names the folder it is in (docs/gpu.md).
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
    work=$(mktemp -d) began=$(date +%s) cc=${CC:-gcc} nvcc='' runs='' beside=''
    trap 'kill $beside 2>/dev/null; rm -rf "$work"' EXIT
    trap 'kill $runs 2>/dev/null; exit 130' INT TERM HUP
    compiler=$(basename "$cc")
fi
rows=$work/rows

# What kernels are compiled for: CAPABILITY, nvcc's list.  What is neither an
# A100 nor a Hopper gets its own code if nvcc makes that, else the driver
# translates what an A100 would run.
arch_for() {
    case $1 in
    80) echo 80 ;;
    90) echo 90a ;;
    *)
        if echo "$2" | grep -q "_$1\$"; then echo "$1"; else echo 80; fi
        echo "gpu_check: kernels were made for sm_80 and sm_90a; this is sm_$1" >&2
        ;;
    esac
}

if [ -n "$only" ]; then
    : # all is known
elif [ -n "$dry" ]; then
    device="the reference, dry run" driver=none toolkit=none
    build=build/$compiler-train on=ref exact=fp32 fast=fp32 memory=0
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
    memory=$(ask memory.total | tr -dc 0-9)
    cap=$(ask compute_cap | tr -dc 0-9)
    if [ "${cap:-0}" -lt 80 ]; then
        echo "gpu_check: $device is sm_$cap; sm_80 is the least" >&2
        exit 3
    fi
    eval "nvcc=$(sed -n 's/CUDA_NVCC := //p' "$work/cuda")"
    arch=$(arch_for "$cap" "$("$nvcc" --list-gpu-arch)")
    toolkit=$("$nvcc" --version | sed -n 's/.*release \([^,]*\),.*/\1/p')
    build=build/$compiler-cuda-train on=cuda exact=fp32 fast=bf16
    knobs="CUDA=1 CUDA_ARCH=$arch"
fi
if [ -z "$only" ]; then
    commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
    train=$build/witmill-train
    export work dry build on exact fast knobs cc nvcc train memory device
fi

# ---- stages ----

# stage NAME SECONDS FUNCTION [WANTED]: its last line on stdout is the figure;
# the function's exit code is 0, 77 for what cannot run here, or a failure.
stage() {
    name=$1 limit=$2 function=$3 wanted=${4:-}
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
    echo "| $name | $result | $seconds | $figure | $wanted |" >>"$rows"
    write_page
}

# background SECONDS FUNCTION: it runs beside the stages that follow, until a
# stage that is called with `collect FUNCTION`.
background() {
    (
        timeout -k 5 "$1" "tools/${0##*/}" --stage "$2" \
            >"$work/$2.out" 2>"$work/$2.err" &
        own=$!
        trap 'kill "$own" 2>/dev/null' TERM
        wait "$own"
        echo $? >"$work/$2.code"
    ) &
    beside="$beside $!"
}

collect() {
    while [ ! -e "$work/$1.code" ]; do sleep 0.2; done
    cat "$work/$1.err" >&2
    cat "$work/$1.out"
    return "$(cat "$work/$1.code")"
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
         END { f = w["f32", 1] > w["f32", 2] ? w["f32", 1] : w["f32", 2]
               printf "largest difference in a tensor by its largest number: " \
                      "fp32 %.1e; bf16 %.1e, its sums and gradients %.1e\n", \
                      f, w["bf16", 1], w["bf16", 2]
               exit !(n && f <= 1e-4 && w["bf16", 1] <= 1e-2) }
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
    grep ' relative: ' "$work/golden" >"$work/relative"
    if [ -z "$dry" ] && grep -q SKIPPED "$work/golden"; then return 1; fi
    awk '/ of the bound at / { n++; if ($4 > w[$3]) w[$3] = $4 }
         END { printf "%d steps;", n
               for (d in w) printf " %s %.2f of its bound", d, w[d]
               print ""
               exit !n }' "$work/golden" || return 1
    return $code
}

golden_ends() { collect golden; }

# MODEL PRECISION BATCH STEPS [option...]: the command train, into $said
said=$work/train
run_train() {
    model=$1 precision=$2 batch=$3 steps=$4
    shift 4
    "$train" train --generated --device "$on" --model "$model" \
        --precision "$precision" --batch "$batch" --steps "$steps" "$@" \
        >"$said"
}

value() { # LABEL: of a summary
    sed -n "s/^  $1  *//p" "$said" | tr -d ' '
}

all_models() {
    models="RN50 RN101 RN50x4 RN50x16 RN50x64 ViT-B-32 ViT-B-16 ViT-L-14
            ViT-L-14-336"
    if [ -n "$dry" ]; then models="tiny-vit tiny-resnet"; fi
    # first weights take a processor longer than two steps take a GPU
    at_once=1 n=0
    if [ "$memory" -gt 70000 ]; then at_once=3; fi
    for m in $models; do
        (
            said=$work/step.$m
            if run_train "$m" "$fast" 8 2 && none_refused; then
                echo ok >"$said.code"
            fi
        ) &
        n=$((n + 1))
        if [ $((n % at_once)) = 0 ]; then wait; fi
    done
    wait
    line='' bad=0
    for m in $models; do
        if [ -e "$work/step.$m.code" ]; then
            line="$line $m"
        else
            line="$line $m:FAILED" bad=1
        fi
    done
    echo "a step of$line"
    return $bad
}

# Of the run in $said: a product that cuBLASLt refused is computed by a kernel
# that is there to be right, not fast.
none_refused() {
    refused=$(value "product shapes refused")
    case ${refused:-0of0} in
    0of*) ;;
    *)
        echo "cuBLASLt refused products: $refused" >&2
        return 1
        ;;
    esac
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

# TFLOP/s of dense bf16 by NVIDIA's datasheets.
claimed() {
    case $device in
    *H200* | *H100*) echo 989 ;;
    *A100*) echo 312 ;;
    *) echo 0 ;;
    esac
}

# MODEL BATCH STEPS [option...]: as run_train; a device that has no room for the
# batch gets half of it, while $halve says so.  Leaves $batch.
halve=yes
run_fitting() {
    model=$1 batch=$2 steps=$3
    shift 3
    until run_train "$model" "$fast" "$batch" "$steps" "$@" \
        2>"$work/bench.err"
    do
        cat "$work/bench.err" >&2
        if [ -z "$halve" ] || [ "$batch" -le 128 ] ||
            ! grep -q 'no room' "$work/bench.err"
        then
            return 1
        fi
        batch=$((batch / 2))
    done
}

# bench MODEL BATCH TOKENS [option...]
bench() {
    model=$1 batch=$2 tokens=$3 steps=12 bad=0
    shift 3
    if [ "$batch" -gt 8192 ]; then steps=4; fi
    if [ -n "$dry" ]; then batch=4 steps=2; fi
    run_fitting "$model" "$batch" $steps --caption-tokens "$tokens" "$@" || {
        tail -1 "$work/bench.err"
        return 1
    }
    none_refused || bad=1
    awk -v i="$(value "by the median step")" -v m="$(value "images a second")" \
        -v u="$(value "useful TFLOP\/s")" -v x="$(value "executed TFLOP\/s")" \
        -v p="$(cat "$work/peak" 2>/dev/null)" -v c="$(claimed)" -v b="$batch" \
        -v a="$(value "MiB of activations")" \
        -v w="$(value "MiB of weights and moments")" \
        -v waits="$(value "seconds waited for pairs")" \
        -v stood="$(value "seconds a GPU stood for pixels")" -v n="$steps" \
        -v tune="$(value "timed kernels taken")" \
        -v conv="$(value "convolution shapes refused")" 'BEGIN {
            by = m > 0 ? i / m : 0; u *= by; x *= by
            printf "%.0f images/s, %.4g TFLOP/s useful", i, u
            if (p > 0) printf " (%.1f%% of the measured peak", 100 * u / p
            if (p > 0 && c > 0) printf ", %.1f%% of the claimed", 100 * u / c
            if (p > 0) printf ")"
            printf ", %.4g executed, batch %d, %.1f GiB", x, b, (a + w) / 1024
            if (waits > 0.5) printf ", %.1f s waited for pairs", waits
            if (stood > 0.001 * n)
                printf ", stood %.3f s for pixels in %d steps", stood, n
            if (tune != "" && tune !~ /of0$/)
                printf ", other kernels for %s", tune
            if (conv != "" && conv !~ /^0of/) printf ", cuDNN refused %s", conv
            print "" }'
    return $bad
}
b32=ViT-B-32 l14=ViT-L-14 r50=RN50
if [ -n "$dry" ]; then b32=tiny-vit l14=tiny-vit r50=tiny-resnet; fi
bench_b32() { bench $b32 4096 77; }
bench_b32_short() { bench $b32 4096 20; }
bench_b32_tuned() { bench $b32 4096 77 --tune; }
bench_l14() { bench $l14 512 77; } # 1,024 take 212 GiB
bench_l14_tuned() { bench $l14 512 77 --tune; }
bench_r50() { bench $r50 1024 77; }
# MODEL BATCH: the step taken apart, its most expensive rows into $work/profile.
profile() {
    batch=$2
    if [ -n "$dry" ]; then batch=2; fi
    run_fitting "$1" "$batch" 3 --caption-tokens 77 --profile || return 1
    {
        echo "$1, batch $batch"
        sed -n '/^ceilings/,$p' "$said" | head -30
        sed -n '$p' "$said"
        echo
    } >>"$work/profile"
    sed -n 's/^\(ceilings.*\), read and written/\1/p' "$said"
}
profile_b32() { profile $b32 4096; }
profile_r50() { profile $r50 1024; }
chunk=4096
if [ -n "$dry" ]; then chunk=2; fi
bench_large() { bench $b32 32768 77 --chunk $chunk; }
bench_whole() {
    halve=
    bench $b32 32768 77 && return
    grep -q 'no room' "$work/bench.err" && return 77
    return 1
}

# ---- open_clip ----

# It compiles beside the stages that follow; gets ready, waits for a word.
peer() {
    if ! command -v python3 >/dev/null; then
        echo "no python3: not measured"
        return 77
    fi
    set -- --witmill "$train" --seconds 130 --patience 240 \
        --json "$work/peer.json" --ready "$work/peer.ready" --go "$work/peer.go"
    if [ -n "$dry" ]; then
        python3 tools/bench_open_clip.py "$@" --steps 1 --our-device ref --precision fp32 \
            --models tiny-vit,tiny-resnet --batch 4 --tokens 77,tiny-vit=20 \
            --peer "python3 tests/peer_stand_in.py"
    else
        TORCHINDUCTOR_COMPILE_THREADS=4 python3 tools/bench_open_clip.py "$@" \
            --steps 10 --models ViT-B-32,ViT-L-14,RN50 --tokens 77,ViT-B-32=20
    fi
}

peer_ready() {
    while [ ! -e "$work/peer.ready" ] && [ ! -e "$work/peer.code" ]; do
        sleep 0.2
    done
    tail -1 "$work/peer.err" >&2
    if [ "$(cat "$work/peer.code" 2>/dev/null)" = 77 ]; then
        tail -1 "$work/peer.out"
        return 77
    fi
    [ -e "$work/peer.ready" ] && grep ' ready after ' "$work/peer.out" |
        tr '\n' ';'
}

peer_runs() {
    : >"$work/peer.go"
    collect peer
    code=$?
    if [ $code = 77 ]; then return 77; fi
    echo "$(grep -c '"ratio"' "$work/peer.json" 2>/dev/null) comparisons"
    return $code
}

# MODEL TOKENS: of peer.json
peer_row() {
    if [ "$(cat "$work/peer.code" 2>/dev/null)" = 77 ]; then
        tail -1 "$work/peer.out"
        return 77
    fi
    python3 - "$work/peer.json" "$1" "$2" <<'END'
import json, sys
path, model, tokens = sys.argv[1:]
for line in open(path, encoding="utf-8"):
    r = json.loads(line)
    if r["model"] != model:
        continue
    if "not_measured" in r:
        sys.exit(print("not measured:", r["not_measured"]) or 1)
    if r["tokens"] != int(tokens):
        continue
    a, b = r["witmill"], r["open_clip"]
    print(f"{r['ratio']:.2f} times: {a['images_per_s']:.0f} against "
          f"{b['images_per_s']:.0f} images/s, {a['tflops']:.4g} against "
          f"{b['tflops']:.4g} TFLOP/s useful, batch {r['batch']}"
          + ("" if r["compiled"] else ", not compiled")
          + (", " + r["note"] if r["note"] else ""))
    sys.exit(0)
sys.exit(print("not measured") or 1)
END
}
peer_b32() { peer_row $b32 77; }
peer_b32_short() { peer_row $b32 20; }
peer_l14() { peer_row $l14 77; }
peer_r50() { peer_row $r50 77; }

if [ -n "$only" ]; then
    "$only"
    exit
fi

# ---- the table ----

page() {
    how=${1:-as far as it came,}
    echo "# $device"
    echo
    echo "Written by tools/gpu_check.sh on $(date -u +%Y-%m-%d): driver" \
        "$driver, toolkit $toolkit, commit $commit; $how" \
        "$(($(date +%s) - began)) seconds."
    echo
    echo "| stage | result | seconds | figure | wanted |"
    echo "|---|---|--:|---|---|"
    cat "$rows"
    if [ -s "$work/profile" ]; then
        printf '\nSteps taken apart, captions of 77 tokens, the longest rows:\n\n'
        sed 's/^/    /' "$work/profile"
    fi
    if [ -s "$work/relative" ]; then
        cat <<'END'

Recorded steps of whole models, from the norm and eight projections of each
tensor: largest error of features and logits, error of all gradients as one
vector, tensors within 1e-2 (bf16) or 1e-4 (fp32) of their norm. bf16's roundings
of activations grow through a model; single ops are held to 1e-2 above.

END
        sed 's/^/    /' "$work/relative"
    fi
}

# Whole or not at all.
write_page() {
    page "${1:-}" >"$file.new" && mv "$file.new" "$file"
}

to=${TMPDIR:-/tmp}
if [ -z "$dry" ]; then
    to=docs/gpu
    mkdir -p "$to"
fi
file=$to/$(date -u +%Y-%m-%d)-$(echo "$device" | tr -cs 'A-Za-z0-9\n' -).md

echo "gpu_check: $device, driver $driver, toolkit $toolkit, $commit"
stage "build" 240 build_all
background 300 golden
background 420 peer
stage "ops against the reference" 90 parity "fp32 1e-4, bf16 1e-2"
stage "models take steps" 90 all_models "all nine"
stage "learns, $fast as fp32" 90 learns
stage "repeats" 60 repeats "the same bytes"
stage "recorded steps" 120 golden_ends "within bounds"
stage "memory checker" 40 memcheck
stage "open_clip compiles" 120 peer_ready
stage "peak of products" 30 measure_peak
stage "$b32, 77 tokens" 40 bench_b32 "45% of peak"
stage "$b32, 20 tokens" 40 bench_b32_short
stage "$l14, 77 tokens" 40 bench_l14 "50% of peak"
stage "$r50, 77 tokens" 40 bench_r50 "30% of peak"
stage "$b32, batch 32,768 in chunks" 40 bench_large "runs"
stage "$b32, op by op" 40 profile_b32
stage "$r50, op by op" 40 profile_r50
stage "open_clip beside it" 140 peer_runs
stage "$b32, 77 tokens, beside" 5 peer_b32 "2 times"
stage "$b32, 20 tokens, beside" 5 peer_b32_short "2.5 times"
stage "$l14, 77 tokens, beside" 5 peer_l14 "1.4 times"
stage "$r50, 77 tokens, beside" 5 peer_r50
stage "$b32, 77 tokens, tuned" 40 bench_b32_tuned
stage "$l14, 77 tokens, tuned" 40 bench_l14_tuned
stage "$b32, batch 32,768 whole" 40 bench_whole

write_page "all of it, in"
echo
cat "$file"
echo
echo "gpu_check: $file"
! grep -q '| FAILED |' "$rows"
