"""Models as C: `Model.export(folder, format="c")`."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rnn_engine.kernels import library
from rnn_engine.kernels.compiler import LIBRARY
from rnn_engine.kernels.vector import cpu_features

# What LLVM compiles for, by the names of the levels that compilers know.
_LEVELS = {"x86-64-v3": library.FEATURES["avx2"], "x86-64-v4": library.FEATURES["avx512"]}


def export_c(model: Any, folder: Any, name: str | None = None, cpu: str | None = None) -> None:
    """Write a model as a C library; see `rnn_engine.Model.export`."""
    from rnn_engine.exporting.build import build, compiler
    from rnn_engine.exporting.layers import lowered
    from rnn_engine.exporting.source import written

    folder = Path(os.fspath(folder))
    name = _checked_name(folder, name)
    if cpu is not None and cpu not in _LEVELS:
        raise ValueError(f"cpu must be None (this machine's) or one of {', '.join(_LEVELS)}, got "
                         f"{cpu!r}.")  # fmt: skip
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is there, and no folder.")
    program = lowered(model)
    compiler()
    if LIBRARY is not None and importlib.util.find_spec("numba") is None:
        raise ImportError(
            "An export to C compiles the part of the engine that the model needs: pip install "
            '"rnn_engine[jit]".'
        )
    with tempfile.TemporaryDirectory(prefix="rnn_engine-") as place:
        made = Path(place) / "made"
        made.mkdir()
        if cpu is None and LIBRARY is None:
            build(made, name, written(program, name, _about()))
        else:
            _elsewhere(model, made, name, cpu)
        _put(made, folder)


def _put(made: Path, folder: Path) -> None:
    """Put files into a folder: all of them, or nothing where there is no room for one."""
    there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    fresh = {file: folder / f".{file.name}.new" for file in sorted(made.iterdir())}
    try:
        for file, new in fresh.items():
            shutil.copyfile(file, new)
        for file, new in fresh.items():
            os.replace(new, folder / file.name)
    except BaseException:
        for new in fresh.values():
            new.unlink(missing_ok=True)
        if not there and not any(folder.iterdir()):
            folder.rmdir()
        raise


def _checked_name(folder: Path, name: str | None) -> str:
    chosen = folder.resolve().name if name is None else name
    if not isinstance(chosen, str) or not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", chosen):
        raise ValueError(
            f"The names in C begin with that of the folder, or with `name`: a letter, then "
            f"letters, digits and underscores. Got {chosen!r}."
        )
    return chosen


def _about() -> str:
    import rnn_engine
    from rnn_engine.kernels.ahead import cpu_name

    made_by = f"rnn_engine {rnn_engine.__version__}"
    return f"Made by {made_by} for {cpu_name()} CPUs; others may not run it."


def _elsewhere(model: Any, folder: Path, name: str, cpu: str | None) -> None:
    """Have another process, which compiles, make the files: for this CPU, or for a level."""
    own = {library.SETTING: "jit"}
    if cpu is not None:
        lacking = set(_LEVELS[cpu].split(",")) - set(cpu_features().split(","))
        if lacking:
            raise ValueError(
                f"cpu={cpu!r} needs a machine that has {', '.join(sorted(lacking))} to pack the "
                f"weights on; this one has not."
            )
        own |= {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": _LEVELS[cpu]}
    saved = folder.parent / "model.keras"
    model.save(saved)
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "rnn_engine.exporting", str(saved), str(folder), name],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **own},
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"The export for {cpu or 'this CPU'} failed:\n{done.stderr.strip()}")
