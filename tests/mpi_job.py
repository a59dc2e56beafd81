"""Programs under mpirun, on this machine alone."""
import os
import pathlib
import shutil

BUILD = pathlib.Path(os.environ.get("BUILD", "build/gcc"))
PROGRAM = BUILD / "mpi_witmill"
MPIRUN = shutil.which("mpirun")
# no network, as root in a container, more ranks than cores, one thread each
ENV = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive",
           OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
           OMPI_MCA_btl="self,vader", OMPI_MCA_plm="isolated",
           OMPI_MCA_btl_vader_single_copy_mechanism="none",
           OMPI_MCA_mpi_yield_when_idle="1")
for name in "RANK WORLD_SIZE SLURM_STEP_ID WITMILL_HOST".split():
    ENV.pop(name, None)


def there():
    return bool(MPIRUN) and PROGRAM.exists()


def command(*parts):
    """parts: (ranks, arguments) each, of one job."""
    words = [MPIRUN, "--oversubscribe"]
    for i, (ranks, args) in enumerate(parts):
        words += ([":"] if i else []) + ["-n", str(ranks)] + \
            [str(a) for a in args]
    return words


def children(pid):
    """The ranks of a job."""
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(x) for x in f.read().split()]
