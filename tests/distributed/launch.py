"""Start programs under mpirun, as root, in containers and on fewer cores than ranks, too."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
_AS_ROOT = [
    f"{who}_ALLOW_RUN_AS_ROOT{confirm}" for who in ("OMPI", "PRTE") for confirm in ("", "_CONFIRM")
]


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a program under test."""
    mine = {"PYTHONPATH": str(ROOT), "RNN_ENGINE_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    return {**os.environ, **dict.fromkeys(_AS_ROOT, "1"), **mine, **changes}


def start(ranks: int, *arguments: str, **changes: str) -> subprocess.Popen[str]:
    """Start ``programs.py`` on so many ranks.

    A machine that cannot do this fails the tests, and does not skip them: mpi4py and an MPI are
    in the extra ``test``.
    """
    beside = Path(sys.executable).parent / "mpirun"
    mpirun = str(beside) if beside.exists() else shutil.which("mpirun")
    if mpirun is None:
        pytest.fail("There is no mpirun: the extra `test` installs one (the package openmpi).")
    program = str(Path(__file__).with_name("programs.py"))
    return subprocess.Popen(
        [mpirun, "--oversubscribe", "-n", str(ranks), sys.executable, program, *arguments],
        cwd=ROOT, env=environment(**changes), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[str], seconds: float = 240) -> tuple[int, str, str]:
    """Return code and outputs of a program; one that hangs is ended, and fails the test."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        out, err = process.communicate(timeout=30)
        pytest.fail(f"The ranks did not end in {seconds} s.\n{out}\n{err}")
    return process.returncode, out, err


def run(ranks: int, *arguments: str, **changes: Any) -> str:
    """Return what a program that ends well prints."""
    code, out, err = finish(start(ranks, *arguments, **changes))
    assert code == 0, f"{out}\n{err}"
    return out
