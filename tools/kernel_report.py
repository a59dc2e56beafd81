#!/usr/bin/env python3
"""What each kernel of train/cuda takes of a multiprocessor, per architecture:
registers, static shared memory, stack frame, spills, and how many blocks and
which part of all warps (the occupancy) fit then.

usage: tools/kernel_report.py [--nvcc PATH] [--jobs N] [--cache DIR] [FILE.cu...]

Kernels are compiled to PTX and that by ptxas -v; no GPU is needed.  Results are
kept in build/kernels by a hash of the compiler's version, the flags, the source
and the headers it includes, so that only what changed is compiled again.

Exits 1 if a hot kernel spills or has a stack frame.  Hot is every kernel that
EXCEPTIONS does not name; 77 (skipped) where there is no nvcc.  A `+` behind
shared memory: more is asked for at the launch, and fewer blocks may fit.
"""
import argparse
import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# (kernel, or its beginning; why it may spill).  One that names no kernel any
# more is an error.
EXCEPTIONS = [
    ("attend_plain", "of the fp32 mode and of odd heads: no bf16 step of CLIP's "
                     "models runs it, and it spills 40 bytes at most"),
]

FLAGS = ["-std=c++17", "-O3", "-I."]  # what decides code, of nvcc_flags
ARCHES = {  # per multiprocessor: CUDA C++ Programming Guide, table of
            # technical specifications; shared memory in bytes
    "sm_80": {"warps": 64, "blocks": 32, "shared": 164 << 10},
    "sm_90a": {"warps": 64, "blocks": 32, "shared": 228 << 10},
}
REGISTERS = 65536     # per multiprocessor
REGISTERS_UNIT = 8    # per thread, as they are given out
RESERVED = 1024       # bytes of shared memory of each block
SCHEDULERS = 4        # each has its part of the registers
LOADED_LATER = ".extern .shared"

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
ENTRY = re.compile(r"^\s*(?:\.visible |\.weak )?\.entry (\w+)", re.M)
PROPERTIES = re.compile(r"Function properties for (\S+)")
COMPILING = re.compile(r"Compiling entry function '([^']+)'")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, "
                   r"(\d+) bytes spill loads")


class CompileError(Exception):
    pass


def parse_ptxas(text):
    """{mangled name: numbers} of what `ptxas -v` said of entry functions."""
    kernels, now, of = {}, None, None
    for line in text.splitlines():
        if found := COMPILING.search(line):
            now = found[1]
            kernels[now] = {"registers": 0, "shared": 0, "stack": 0,
                            "stores": 0, "loads": 0}
        elif found := PROPERTIES.search(line):
            of = found[1]
        elif (found := FRAME.search(line)) and of == now and now:
            kernels[now].update(zip(("stack", "stores", "loads"),
                                    map(int, found.groups())))
        elif now and (found := re.search(r"Used (\d+) registers", line)):
            kernels[now]["registers"] = int(found[1])
            if shared := re.search(r"(\d+) bytes smem", line):
                kernels[now]["shared"] = int(shared[1])
            # also what a called function puts on the stack
            if stack := re.search(r"(\d+) bytes cumulative stack", line):
                kernels[now]["stack"] = max(int(stack[1]),
                                            kernels[now]["stack"])
    return kernels


def parse_ptx(text):
    """{mangled name: (threads of a block, asks for shared memory later)}."""
    entries, late = {}, []
    for line in text.splitlines():
        if LOADED_LATER in line:
            late += re.findall(r"(\w+)\[\]", line)
    starts = list(ENTRY.finditer(text))
    for here, then in zip(starts, starts[1:] + [None]):
        body = text[here.start():then.start() if then else None]
        threads = 1
        if found := re.search(r"\.(?:max|req)ntid ([\d, ]+)", body):
            for n in found[1].split(","):
                threads *= int(n)
        entries[here[1]] = (threads if found else 0,
                            any(re.search(rf"\b{name}\b", body)
                                for name in late))
    return entries


def occupancy(arch, kernel):
    """(blocks, percent of all warps) on a multiprocessor; (0, 0): unknown."""
    limits, threads = ARCHES[arch], kernel["threads"]
    if not threads:
        return 0, 0
    warps = -(-threads // 32)
    each = -(-max(kernel["registers"], 1) // REGISTERS_UNIT) * \
        REGISTERS_UNIT * 32
    fit = REGISTERS // SCHEDULERS // each * SCHEDULERS
    blocks = min(fit // warps, limits["warps"] // warps, limits["blocks"],
                 limits["shared"] // (kernel["shared"] + RESERVED))
    return blocks, round(100 * blocks * warps / limits["warps"])


def demangle(names):
    """Names as they are written, without types of results and arguments."""
    tool = shutil.which("cu++filt") or shutil.which("c++filt")
    if not tool or not names:
        return {name: name for name in names}
    names = sorted(names)
    lines = subprocess.run([tool], input="\n".join(names) + "\n", text=True,
                           capture_output=True, check=True).stdout.splitlines()
    return dict(zip(names, map(shorten, lines)))


def shorten(name):
    """`void f<(int)4, g>(struct x)` is f<4, g>."""
    depth = 0
    name = re.sub(r"\((?:int|bool|unsigned int|long)\)", "", name)
    for at, c in enumerate(name):
        depth += (c == "<") - (c == ">" and name[at - 1] != "-")
        if c == "(" and depth == 0 and not name[at:].startswith("(anonymous"):
            name = name[:at]
            break
    name = name.replace("(anonymous namespace)::", "")
    return re.sub(r"^(?:static )?void ", "", name)


def sources_of(path, seen):
    """A source and what it includes of ours, in a fixed order."""
    if path in seen or not path.is_file():
        return seen
    seen.append(path)
    for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
        sources_of(pathlib.Path(name), seen)
    return seen


def key_of(version, arch, source):
    h = hashlib.sha256("\0".join([version, arch, *FLAGS]).encode())
    for path in sources_of(source, []):
        h.update(path.read_bytes() + b"\0")
    return h.hexdigest()[:16]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CompileError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def compile_one(nvcc, cache, version, arch, source):
    """What ptxas said, a line between, and the PTX's lines that count."""
    stem = f"{source.stem}.{arch}-"
    kept = cache / f"{stem}{key_of(version, arch, source)}.txt"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            ptx = os.path.join(folder, "kernel.ptx")
            run([nvcc, *FLAGS, f"-arch={arch.replace('sm', 'compute')}", "-ptx",
                 "-o", ptx, str(source)])
            said = run([str(pathlib.Path(nvcc).with_name("ptxas")), "-v", "-O3",
                        f"-arch={arch}", "-o", os.devnull, ptx])
            entries = parse_ptx(pathlib.Path(ptx).read_text())
        said += "".join(f"entry {name} {threads} {int(late)}\n"
                        for name, (threads, late) in entries.items())
        for old in cache.glob(stem + "*.txt"):
            old.unlink(missing_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_text(said)
        part.replace(kept)
    return read_kept(kept.read_text(), arch, source)


def read_kept(text, arch, source):
    kernels = parse_ptxas(text)
    for name, threads, late in re.findall(r"^entry (\w+) (\d+) ([01])$", text,
                                          re.M):
        if name in kernels:
            kernels[name].update(threads=int(threads), late=late == "1")
    return [dict({"threads": 0, "late": False}, mangled=name, arch=arch,
                 file=source.name, **numbers)
            for name, numbers in kernels.items()]


def name_all(kernels):
    names = demangle({k["mangled"] for k in kernels})
    for k in kernels:
        k["name"] = names[k["mangled"]]


def judge(kernels, exceptions):
    """What is wrong, in words."""
    wrong = []
    for k in kernels:
        k["spills"] = bool(k["stack"] or k["stores"] or k["loads"])
        k["hot"] = not any(k["name"].startswith(e) for e, _ in exceptions)
        if k["spills"] and k["hot"]:
            wrong.append(f"{k['file']}: {k['name']} on {k['arch']}: a stack of "
                         f"{k['stack']} bytes, {k['stores']} stored and "
                         f"{k['loads']} loaded by spills")
    for e, _ in exceptions:
        if not any(k["name"].startswith(e) for k in kernels):
            wrong.append(f"EXCEPTIONS: nothing is called {e}")
    return wrong


def print_table(kernels):
    wide = max([len(k["name"]) for k in kernels] + [6])
    print(f"{'kernel':{wide}} {'arch':6} threads regs  shared  stack spilled "
          "blocks occupancy")
    file = None
    for k in sorted(kernels, key=lambda k: (k["file"], k["name"], k["arch"])):
        if k["file"] != file:
            file = k["file"]
            print(file)
        blocks, part = occupancy(k["arch"], k)
        print(f"{k['name']:{wide}} {k['arch']:6} {k['threads'] or '?':>7} "
              f"{k['registers']:4} {k['shared']:>7}{'+' if k['late'] else ' '} "
              f"{k['stack']:5} {k['stores'] + k['loads']:7} {blocks or '?':>6} "
              f"{part:8}%")


def arguments():
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nvcc", default=os.path.join(home, "bin/nvcc"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=pathlib.Path,
                        default=pathlib.Path("build/kernels"))
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    return parser.parse_args()


def main():
    args = arguments()
    nvcc = shutil.which(args.nvcc) or shutil.which("nvcc")
    if not nvcc:
        print(f"skipped: no nvcc at {args.nvcc} (CUDA_HOME)")
        return 77
    whole = not args.files
    files = args.files or sorted(pathlib.Path("train/cuda").glob("*.cu"))
    args.cache.mkdir(parents=True, exist_ok=True)
    version = run([nvcc, "--version"])
    kernels = []
    try:
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            waiting = [pool.submit(compile_one, nvcc, args.cache, version,
                                   arch, source)
                       for source in files for arch in ARCHES]
            for done in waiting:
                kernels += done.result()
    except CompileError as e:
        print(e)
        return 1
    name_all(kernels)
    wrong = judge(kernels, EXCEPTIONS if whole else [])
    print_table(kernels)
    for line in wrong:
        print(line)
    print(f"kernels: {len(kernels)} of {len(files)} files on "
          f"{' and '.join(ARCHES)}, {sum(1 for k in kernels if k['spills'])} "
          f"spill, {sum(k['hot'] and k['spills'] for k in kernels)} of them hot")
    return 1 if wrong or not kernels else 0


if __name__ == "__main__":
    sys.exit(main())
