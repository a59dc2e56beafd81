"""Debian's own python3, for modules that are packages there."""
import importlib
import os
import sys

PYTHON = "/usr/bin/python3"
AGAIN = "WITMILL_DEBIAN_PYTHON"  # set when it runs already


def need(module, package):
    """Go on under an interpreter that has the module, or be skipped."""
    try:
        importlib.import_module(module)
        return
    except ImportError:
        pass
    if os.path.exists(PYTHON) and not os.environ.get(AGAIN):
        os.environ[AGAIN] = "1"
        os.execv(PYTHON, [PYTHON] + sys.argv)
    print(f"skipped: no {package}")
    sys.exit(77)
