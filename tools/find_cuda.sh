#!/bin/sh
# Where the CUDA toolkit, cuBLAS, cuDNN and NCCL are, as make variables:
#
#     tools/find_cuda.sh            CUDA_NVCC, CUDA_CFLAGS, CUDA_LIBS ... or exit
#                                   code 1 and, on stderr, what was looked for
#     CUDA_HOME=DIR tools/find_cuda.sh         looks there first
#
# Looked through are CUDA_HOME, the folder nvcc of PATH is in, /usr/local/cuda*,
# the system's folders, and the packages of Python (pip installs cuDNN, NCCL and
# lately the whole toolkit into site-packages/nvidia/).  A library is linked by
# its file, as pip's have no link without a version.  What has blanks in it is
# quoted for the shell that make calls.
set -eu
# Words of lists are lines: folders may have blanks in their names.
IFS='
'

sites() {
    for python in python3 "${VIRTUAL_ENV:-/nowhere}/bin/python3"; do
        command -v "$python" >/dev/null 2>&1 || continue
        "$python" -c 'import site, sys
for p in site.getsitepackages() + [site.getusersitepackages()] + sys.path:
    print(p)' 2>/dev/null || :
    done | awk 'NF && !seen[$0]++' | while read -r folder; do
        if [ -d "$folder/nvidia" ]; then echo "$folder/nvidia"; fi
    done
}

homes() {
    if [ -n "${CUDA_HOME:-}" ]; then echo "$CUDA_HOME"; fi
    nvcc=$(command -v nvcc || :)
    if [ -n "$nvcc" ]; then dirname "$(dirname "$(readlink -f "$nvcc")")"; fi
    for folder in /usr/local/cuda /usr/local/cuda-* /opt/cuda; do
        if [ -d "$folder" ]; then echo "$folder"; fi
    done
    for site in $(sites); do
        for folder in "$site"/*; do
            if [ -d "$folder" ]; then echo "$folder"; fi
        done
    done
}

folders=$(homes | awk '!seen[$0]++')

# first_file FOLDER-PARTS PATTERN...: the first file that is there; parts are
# lines
first_file() {
    inside=$1
    shift
    for folder in $folders /usr; do
        for part in $inside; do
            for pattern in "$@"; do
                for file in "$folder/$part"/$pattern; do
                    if [ -e "$file" ]; then
                        echo "$file"
                        return
                    fi
                done
            done
        done
    done
}

machine=$(uname -m)
header() {
    first_file "include
include/$machine-linux-gnu" "$1"
}
library() {
    first_file "lib64
lib
lib/$machine-linux-gnu
targets/$machine-linux/lib" "$@"
}

missing=
need() { # NAME VALUE
    if [ -z "$2" ]; then missing="$missing $1"; fi
}

nvcc=$(first_file bin nvcc)
runtime_h=$(header cuda_runtime_api.h)
lt_h=$(header cublasLt.h)
dnn_h=$(header cudnn.h)
nccl_h=$(header nccl.h)
runtime=$(library 'libcudart.so' 'libcudart.so.*')
lt=$(library 'libcublasLt.so' 'libcublasLt.so.*')
dnn=$(library 'libcudnn.so.9' 'libcudnn.so')
nccl=$(library 'libnccl.so.2' 'libnccl.so')
rtc=$(library 'libnvrtc.so' 'libnvrtc.so.*')

need nvcc "$nvcc"
need cuda_runtime_api.h "$runtime_h"
need cublasLt.h "$lt_h"
need libcudart "$runtime"
need libcublasLt "$lt"
if [ -n "$missing" ]; then
    echo "find_cuda.sh: not found:$missing; looked through:" >&2
    echo "$folders" | sed 's/^/    /' >&2
    exit 1
fi

if [ -z "$dnn_h" ] || [ -z "$dnn" ]; then
    echo "find_cuda.sh: no cuDNN (cudnn.h, libcudnn.so.9): the ResNets'" \
        "convolutions will be products of columns, which is slower" >&2
    dnn_h= dnn=
fi
if [ -z "$nccl_h" ] || [ -z "$nccl" ]; then
    echo "find_cuda.sh: no NCCL (nccl.h, libnccl.so.2): one GPU a run" >&2
    nccl_h= nccl=
fi

# A word for a shell, for make: $ doubled.
word() {
    case $1 in
    *[!A-Za-z0-9_./:=,+@%-]*)
        printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g; s/\\$/\$\$/g")"
        ;;
    *) printf '%s' "$1" ;;
    esac
}

cflags= libs=
for file in "$runtime_h" "$lt_h" $dnn_h $nccl_h; do
    folder=$(dirname "$file")
    case " $cflags /usr/include " in
    *" $(word "$folder") "*) ;;
    *) cflags="$cflags -isystem $(word "$folder")" ;;
    esac
done
# The old kind of rpath (DT_RPATH) holds for what these libraries load, too:
# cuDNN opens its engines and NVRTC by name.
for file in "$runtime" "$lt" $dnn $nccl $rtc; do
    folder=$(dirname "$file")
    case "$libs " in
    *" -L$(word "$folder") "*) ;;
    *) libs="$libs -L$(word "$folder") -Wl,-rpath,$(word "$folder")" ;;
    esac
done
for file in $dnn $nccl "$lt" "$runtime"; do
    libs="$libs -l:$(basename "$file")"
done

echo "CUDA_NVCC := $(word "$nvcc")"
echo "CUDA_CFLAGS :=$cflags${dnn:+ -DWITMILL_CUDNN=1}${nccl:+ -DWITMILL_NCCL=1}"
echo "CUDA_LIBS := -Wl,--disable-new-dtags$libs"
