#!/usr/bin/env python3
"""Matching in memory beside others who match by word lists.

usage: tools/bench_match.py BUILD [ENTRIES TEXTS]

One list of ENTRIES (500,000) and the same TEXTS (200,000, tools/match_data.py)
for all, one thread each, CPU seconds; texts in slices, of each of which the best
turn counts, so that what else the machine does shows little.  Under the
published rule (--policy metaclip), spacing, search, and the ids sorted, each
once, are timed:

  witmill          tests/bench_match.c, cut, taken in and looked up by stages; the
                   default policy besides; and tests/bench_words.c, cutting
                   alone
  pyahocorasick    as MetaCLIP's second version uses it, spacing in Python
  daachorse        a double array in Rust, spacing in Rust: built by cargo, as
                   published or of a checkout in the folder $WITMILL_DAACHORSE
  the loop         the published rule's, over all entries, on few texts

What cannot be had is said and left out.  Kept in build/bench-match.
"""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import match_data  # noqa: E402
import peers  # noqa: E402

FOLDER = pathlib.Path("build/bench-match")
SHARED = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
PEER = ROOT / "tests/matcher_peer.py"
ROUNDS = 5
LOOP_TEXTS = 20

CARGO = """[package]
name = "peer"
version = "0.1.0"
edition = "2021"
[dependencies]
daachorse = %s
[profile.release]
lto = true
[workspace]
"""

RUST = r"""
// What witmill's matcher is measured against: see tools/bench_match.py.
use daachorse::DoubleArrayAhoCorasick;
use std::{env, fs, mem::MaybeUninit};

#[repr(C)]
struct Timespec { s: i64, ns: i64 }
extern "C" { fn clock_gettime(clock: i32, t: *mut Timespec) -> i32; }
const THREAD_CPU: i32 = 3;

fn now() -> f64 {
    let mut t = MaybeUninit::<Timespec>::uninit();
    let t = unsafe { clock_gettime(THREAD_CPU, t.as_mut_ptr()); t.assume_init() };
    t.s as f64 + t.ns as f64 * 1e-9
}

fn space(text: &[u8], to: &mut Vec<u8>) {
    to.clear();
    to.push(b' ');
    for &c in text {
        match c {
            b',' | b'.' | b';' | b':' | b'?' | b'!' | b'`' =>
                to.extend_from_slice(&[b' ', c, b' ']),
            b'\t' | b'\r' => to.push(b' '),
            _ => to.push(c),
        }
    }
    to.push(b' ');
}

fn main() {
    let args: Vec<String> = env::args().collect();
    let entries = fs::read(&args[1]).unwrap();
    let texts = fs::read(&args[2]).unwrap();
    let rounds: usize = args[3].parse().unwrap();
    let patterns: Vec<Vec<u8>> = entries.split(|&c| c == b'\n')
        .filter(|e| !e.is_empty())
        .map(|e| [b" ", e, b" "].concat()).collect();
    let texts: Vec<&[u8]> = texts.split(|&c| c == b'\n').collect();
    let texts = &texts[..texts.len() - 1];
    let pma = DoubleArrayAhoCorasick::<u32>::new(&patterns).unwrap();
    let (mut spaced, mut ids) = (Vec::new(), Vec::<u32>::new());
    let (mut total, mut matches) = (0.0, 0);
    for slice in texts.chunks(512) {
        let mut best = f64::MAX;
        for round in 0..rounds {
            let began = now();
            for text in slice {
                space(text, &mut spaced);
                ids.clear();
                ids.extend(pma.find_overlapping_iter(&spaced).map(|m| m.value()));
                ids.sort_unstable();
                ids.dedup();
                if round == 0 { matches += ids.len(); }
            }
            best = best.min(now() - began);
        }
        total += best;
    }
    println!("texts={}\ncpu_s={:.6}\nmatches={}", texts.len(), total, matches);
}
"""


def values(command):
    run = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE,
                         check=True, text=True)
    return {k: float(v) for k, v in
            (line.split("=") for line in run.stdout.split())}


def witmill(build, policy, rows):
    got = values([build / "bench_match", FOLDER / policy / "queries.bin",
                  FOLDER / "texts.txt", ROUNDS])
    texts = got["texts"]
    rows.append((f"witmill, {policy}", texts, got["find_cpu_s"]))
    ns = {s: got[s + "_cpu_s"] / texts * 1e9 for s in ("cut", "add", "find")}
    print(f"--policy {policy}: {got['bytes'] / texts:.1f} bytes, "
          f"{got['words'] / texts:.2f} words, "
          f"{got['matches'] / texts:.2f} matches a text; "
          f"{got['none']:.0f} texts match nothing")
    print(f"  ns a text: cut {ns['cut']:.0f}, add {ns['add'] - ns['cut']:.0f}"
          f", find and sort {ns['find'] - ns['add']:.0f}; queries.bin mapped "
          f"and checked in {got['open_cpu_s'] * 1e3:.0f} ms", flush=True)
    return got["matches"]


def cuts(build):
    got = subprocess.run([build / "bench_words", FOLDER / "texts.txt"],
                         stdout=subprocess.PIPE, check=True, text=True).stdout
    ns = dict(line.split("=") for line in got.split())
    for how in "metaclip", "words", "kept":
        print(f"cut alone, {how}: {float(ns[how + '_ns']):.0f} ns a text; ASCII "
              f"{float(ns[how + '_ascii_ns']):.0f}, the others "
              f"{float(ns[how + '_other_ns']):.0f}", flush=True)


def pyahocorasick(rows):
    python = peers.interpreter()
    have = [python, "-c", "import ahocorasick"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent],
                       check=False, **quiet)
    if python.exists() and subprocess.run(have, **quiet).returncode:
        subprocess.run([python, "-m", "pip", "install", "pyahocorasick"],
                       check=False, **quiet)
    if not python.exists() or subprocess.run(have, **quiet).returncode:
        print("pyahocorasick: could not be installed")
        return
    got = values([python, PEER, "time", FOLDER / "entries.txt",
                  FOLDER / "texts.txt", 2])
    rows.append(("pyahocorasick, Python", got["texts"], got["cpu_s"]))


def daachorse(rows, matches):
    crate = FOLDER / "daachorse"
    checkout = os.environ.get("WITMILL_DAACHORSE")
    source = f'{{ path = "{pathlib.Path(checkout).resolve()}" }}' \
        if checkout else '"*"'
    (crate / "src").mkdir(parents=True, exist_ok=True)
    (crate / "Cargo.toml").write_text(CARGO % source)
    (crate / "src/main.rs").write_text(RUST)
    try:
        run = subprocess.run(["cargo", "build", "--release", "-q"], cwd=crate,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, check=False)
    except FileNotFoundError:
        print("daachorse: there is no cargo")
        return
    if run.returncode:
        print(f"daachorse: does not build: {run.stdout.strip().splitlines()[-1]}"
              if run.stdout.strip() else "daachorse: does not build")
        return
    got = values([crate / "target/release/peer", FOLDER / "entries.txt",
                  FOLDER / "texts.txt", 3])
    rows.append(("daachorse, Rust", got["texts"], got["cpu_s"]))
    if got["matches"] != matches:
        print(f"daachorse finds {got['matches']:.0f} matches, witmill "
              f"{matches:.0f}")


def main():
    build = pathlib.Path(sys.argv[1])
    sizes = list(map(int, sys.argv[2:])) or [500_000, 200_000]
    match_data.make(build / "witmill", FOLDER, SHARED, *sizes)
    rows = []
    matches = witmill(build, "metaclip", rows)
    daachorse(rows, matches)
    pyahocorasick(rows)
    got = values([sys.executable, PEER, "time-loop", FOLDER / "entries.txt",
                  FOLDER / "texts.txt", LOOP_TEXTS])
    rows.append(("the published loop", got["texts"], got["cpu_s"]))
    witmill(build, "words", rows)
    cuts(build)
    ours = rows[0][2] / rows[0][1]
    print(f"{'':24}{'texts/s':>12}{'ns a text':>14}{'witmill is':>14}")
    for name, texts, cpu_s in rows:
        print(f"{name:24}{texts / cpu_s:12,.0f}{cpu_s / texts * 1e9:14,.0f}"
              f"{cpu_s / texts / ours:12,.1f} x")


main()
