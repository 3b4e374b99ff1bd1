"""Programs in fresh processes: what happens at import, after fork or to a cold cache."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Settings of Numba and of its cache: a child with one of them compiles its kernels.
_COMPILING = ("NUMBA_CPU", "NUMBA_ENABLE_AVX", "NUMBA_DISABLE_JIT", "RNN_ENGINE_CACHE_DIR")
# What would make a child differ from a user's process, or from its siblings.
_DROPPED = ("RNN_ENGINE_NUM_THREADS", "NUMBA_", "OMP_NUM_THREADS", "PYTHONWARNINGS")


def environment(**changes: str | None) -> dict[str, str]:
    """Return this process's environment without settings of Numba and of the engine.

    None takes a variable out.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith(_DROPPED)}
    env["PYTHONPATH"] = str(ROOT)
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    if any(key.startswith(_COMPILING) and value is not None for key, value in changes.items()):
        env["RNN_ENGINE_KERNELS"] = "jit"
    for key, value in changes.items():
        if value is None:
            env.pop(key, None)
        else:
            env[key] = value
    return env


def start(
    code: str, stdin: int = subprocess.DEVNULL, **changes: str | None
) -> subprocess.Popen[str]:
    """Start a program given as text."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code],  # -P: not what lies in the current folder
        env=environment(**changes),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that its children end with it
    )


def finish(process: subprocess.Popen[str], quiet: bool = True, seconds: float = 300) -> str:
    """Return what a program printed; it must have ended well, and without complaint."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill_all(process)
        out, err = process.communicate()
        raise AssertionError(f"no end after {seconds} s\n{out}\n{err}") from None
    assert process.returncode == 0, f"exit status {process.returncode}\n{out}\n{err}"
    if quiet:
        assert err == "", err
    return out


def kill_all(process: subprocess.Popen[str]) -> None:
    """End a program of `start` and its children: one that is left keeps the pipes open."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def run(code: str, quiet: bool = True, **changes: str | None) -> str:
    """Run a program given as text and return what it printed."""
    return finish(start(code, **changes), quiet)
