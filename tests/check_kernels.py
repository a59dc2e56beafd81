#!/usr/bin/env python3
"""The kernels' report: what ptxas says is read as it is meant, occupancy agrees
with figures worked out by hand; where nvcc is, no hot kernel spills, and one
that does is found."""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import kernel_report as report  # noqa: E402

PTXAS = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z1fILi4EEv1s' for 'sm_80'
ptxas info    : Function properties for _Z1fILi4EEv1s
    40 bytes stack frame, 44 bytes spill stores, 36 bytes spill loads
ptxas info    : Used 128 registers, used 1 barriers, 48 bytes cumulative \
stack size, 16896 bytes smem, 512 bytes cmem[0]
ptxas info    : Function properties for _Z6calledv
    8 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Compiling entry function '_Z1gPf' for 'sm_80'
ptxas info    : Function properties for _Z1gPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers, 440 bytes cmem[0]
"""
PTX = """
.extern .shared .align 16 .b8 room[];
.visible .entry _Z1fILi4EEv1s(
        .param .align 8 .b8 p[8]
)
.maxntid 32, 4, 1
.minnctapersm 2
{
        mov.u32 %r1, room;
}
.entry _Z1gPf(.param .u64 q)
{
        ret;
}
"""
# arch, threads, registers, shared memory -> blocks, percent
OCCUPANCY = [
    ("sm_80", 256, 128, 16896, 2, 25),    # 65,536 / (128 * 256)
    ("sm_80", 256, 129, 16896, 1, 12),    # 136 a thread: 12 warps, 8 a block
    ("sm_90a", 1024, 32, 0, 2, 100),      # 2,048 threads
    ("sm_90a", 32, 16, 0, 32, 50),        # 32 blocks
    ("sm_80", 128, 32, 48 << 10, 3, 19),  # 164 KiB by 49
    ("sm_90a", 128, 32, 48 << 10, 4, 25),  # 228 KiB by 49
    ("sm_80", 0, 32, 0, 0, 0),            # nothing said of threads
]
SPILLING = """
static __global__ void __launch_bounds__(1024, 2) spills(float *x)
{
    float a[64];

#pragma unroll
    for (int i = 0; i < 64; i++)
        a[i] = x[i * 1024 + threadIdx.x];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 64; i++)
        x[(63 - i) * 1024 + threadIdx.x] = a[i] * a[(i * 7 + 3) % 64];
}
void launch_it(float *x)
{
    spills<<<1, 1024>>>(x);
}
"""


def kernels():
    text = PTXAS + "".join(
        f"entry {name} {threads} {int(late)}\n"
        for name, (threads, late) in report.parse_ptx(PTX).items())
    found = report.read_kept(text, "sm_80", pathlib.Path("x.cu"))
    report.name_all(found)
    return {k["mangled"]: k for k in found}


def check_read():
    found = kernels()
    assert set(found) == {"_Z1fILi4EEv1s", "_Z1gPf"}, found
    f, g = found["_Z1fILi4EEv1s"], found["_Z1gPf"]
    assert (f["registers"], f["shared"]) == (128, 16896), f
    assert (f["stack"], f["stores"], f["loads"]) == (48, 44, 36), f
    assert (f["threads"], f["late"]) == (128, True), f
    assert (g["registers"], g["shared"], g["stack"]) == (32, 0, 0), g
    assert (g["threads"], g["late"]) == (0, False), g


def check_names():
    for long, short in (("void f<4>(s)", "f<4>"),
                        ("void f<(int)4, g>(x<(bool)1>)", "f<4, g>"),
                        ("void (anonymous namespace)::h<a<b> >(int)",
                         "h<a<b> >"), ("g(float*)", "g")):
        assert report.shorten(long) == short, report.shorten(long)


def check_occupancy():
    for arch, threads, registers, shared, blocks, percent in OCCUPANCY:
        got = report.occupancy(arch, {"threads": threads, "shared": shared,
                                      "registers": registers})
        assert got == (blocks, percent), (arch, threads, registers, got)


def check_judged():
    found = list(kernels().values())
    f = found[0]["name"]
    wrong = report.judge(found, [])
    assert len(wrong) == 1 and "44 stored and 36 loaded" in wrong[0], wrong
    assert not report.judge(found, [(f, "once a run")])
    wrong = report.judge(found, [(f, ""), ("no_such_kernel", "")])
    assert len(wrong) == 1 and "no_such_kernel" in wrong[0], wrong


def run(*args):
    done = subprocess.run(["tools/kernel_report.py", *args], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def check_found(folder):
    source = folder / "spilling.cu"
    source.write_text(SPILLING)
    code, text = run("--cache", str(folder / "cache"), str(source))
    assert code == 1 and "spills on sm_80: a stack of" in text, text
    again = run("--cache", str(folder / "cache"), str(source))
    assert again == (code, text), again
    source.write_text("no kernel;")
    code, text = run("--cache", str(folder / "cache"), str(source))
    assert code == 1 and "error" in text, text


def check_ours():
    code, text = run()
    assert code == 0, text
    print(text.splitlines()[-1])


def main():
    folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp"))
    checks = [check_read, check_names, check_occupancy, check_judged]
    for check in checks:
        check()
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    if not shutil.which(home + "/bin/nvcc") and not shutil.which("nvcc"):
        print(f"skipped: no nvcc at {home}/bin/nvcc (CUDA_HOME)")
        print(f"{len(checks)} passed, 0 failed, 2 skipped")
        return 0
    check_found(folder)
    check_ours()
    print(f"{len(checks) + 2} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
