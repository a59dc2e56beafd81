#!/usr/bin/env python3
"""Data parallel over MPI: 1, 2 and 4 ranks get from their shares of a batch
what one process gets from all of it, on the reference and the cpu backend
(tests/mpi_ranks.c compares, on every rank)."""
import os
import pathlib
import re
import shutil
import subprocess
import sys


def main():
    program = pathlib.Path(os.environ["WITMILL"]).parent / "mpi_ranks"
    mpirun = shutil.which("mpirun")
    if not mpirun or not program.exists():
        print("skipped: no MPI (package libopenmpi-dev)")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    # a machine of our own: no network, as root in a container, more ranks
    # than cores, one thread each
    env = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive",
               OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
               OMPI_MCA_btl="self,vader", OMPI_MCA_plm="isolated",
               OMPI_MCA_btl_vader_single_copy_mechanism="none",
               OMPI_MCA_mpi_yield_when_idle="1")
    passed = failed = 0
    for ranks in 1, 2, 4:
        done = subprocess.run([mpirun, "--oversubscribe", "-n", str(ranks),
                               str(program)], env=env, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        good = len(re.findall(r"^\[  PASSED  \] 3 test", done.stdout, re.M))
        if done.returncode == 0 and good == ranks:
            print(f"{ranks} ranks agree with the batch alone")
            passed += 1
        else:
            print(done.stdout)
            print(f"{ranks} ranks: exit {done.returncode}, {good} agree")
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
