"""Models as C: `Model.export(folder, format="c")`."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rnn_engine.kernels.vector import cpu_features

# What LLVM compiles for, by the names of the levels that compilers know.
_V3 = (
    "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+sahf,+avx,+avx2,+bmi,+bmi2,+f16c,"
    "+fma,+lzcnt,+movbe,+xsave"
)
_LEVELS = {
    "x86-64-v3": _V3,
    "x86-64-v4": f"{_V3},+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl",
}


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
    with tempfile.TemporaryDirectory(prefix="rnn_engine-") as place:
        made = Path(place) / "made"
        made.mkdir()
        if cpu is None:
            build(made, name, written(program, name, _about()))
        else:
            _for_level(model, made, name, cpu)
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(made.iterdir()):
            shutil.copyfile(file, folder / f".{file.name}.new")
            os.replace(folder / f".{file.name}.new", folder / file.name)


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


def _for_level(model: Any, folder: Path, name: str, cpu: str) -> None:
    """Have another process, which compiles for a level of CPUs, make the files."""
    lacking = set(_LEVELS[cpu].split(",")) - set(cpu_features().split(","))
    if lacking:
        raise ValueError(
            f"cpu={cpu!r} needs a machine that has {', '.join(sorted(lacking))} to pack the "
            f"weights on; this one has not."
        )
    saved = folder.parent / "model.keras"
    model.save(saved)
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": _LEVELS[cpu],
        "PYTHONPATH": os.pathsep.join(paths),
    }
    done = subprocess.run(
        [sys.executable, "-m", "rnn_engine.exporting", str(saved), str(folder), name],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"The export for {cpu} failed:\n{done.stderr.strip()}")
