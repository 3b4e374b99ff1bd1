"""Do the same sources make the same bytes? ``make reproducible`` builds twice and compares.

The kernels of one level are compiled again in a copy of the project in another folder, in a process
with another seed of hashes, and compared with those of `make kernels`; so is the extension that
calls them, and the wheel. Run from the root of the project, with a library that is fresh.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rnn_engine.kernels import library

ROOT = Path(__file__).parents[1]
NAMES = (
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "pyproject.toml",
    "setup.py",
    "reference",
    "rnn_engine",
)


def main() -> int:
    """Build, compare, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.reproducible", description=__doc__)
    parser.add_argument("level", nargs="?", default=library.LEVELS[-1], choices=library.LEVELS)
    level = parser.parse_args().level
    if not library.is_fresh([level]):
        print(f"there is no fresh library for {level}: make kernels", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "a folder of another name" / "project"
        copy_project(copy)
        kernels = copy / library.FOLDER.relative_to(ROOT)
        run(copy, "-m", "rnn_engine.kernels.build", "--levels", level)
        names = (f"{level}.so", "_call.abi3.so", "index.json")
        compared = [same(library.FOLDER / name, kernels / name) for name in names]
        shutil.rmtree(kernels)  # the wheel has all levels
        shutil.copytree(library.FOLDER, kernels, copy_function=shutil.copy)
        compared.append(same(wheel(ROOT, Path(folder) / "one"), wheel(copy, Path(folder) / "two")))
    return not all(compared)


def copy_project(place: Path) -> None:
    """Copy what a wheel is made of, with the times of now."""
    place.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "lib")
    for name in NAMES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=ignored, copy_function=shutil.copy)
        else:
            shutil.copy(ROOT / name, place)


def run(place: Path, *arguments: str) -> None:
    """Run Python in a folder, from whose sources it imports."""
    changes = {"PYTHONHASHSEED": "4321", "PYTHONPATH": str(place), "RNN_ENGINE_KERNELS": "jit"}
    environment = {"SOURCE_DATE_EPOCH": "315532800"} | os.environ | changes
    command = [sys.executable, "-P", *arguments]
    subprocess.run(command, cwd=place, env=environment, check=True)


def wheel(place: Path, out: Path) -> Path:
    """Build the wheel of a project."""
    run(
        place,
        "-m",
        "build",
        "--quiet",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(out),
        str(place),
    )
    (made,) = out.glob("*-abi3-*.whl")
    return made


def same(one: Path, other: Path) -> bool:
    """Compare two files, and print what comes out."""
    first, second = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (one, other))
    print(
        f"{one.name}: {first[:16]} {'the same' if first == second else f'DIFFERS: {second[:16]}'}"
    )
    return first == second


if __name__ == "__main__":
    sys.exit(main())
