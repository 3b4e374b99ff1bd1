"""Build the kernels for 64-bit ARM, and compare their bits with this machine's: ``make arm``.

``python -m tests.arm --python COMMAND --path FOLDER`` runs `kernels/golden_bits.py` with COMMAND, a
Python for ARM (one of Debian's packages for arm64, unpacked to a folder, by qemu's user
emulation), which finds NumPy in FOLDER. docs/building.md says how to come by both. Quantities that
NumPy computes, such as the sums of losses, may differ: it has other code for ARM.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Losses are sums of NumPy's; the training has one whose gradient takes NumPy's logarithm.
OF_KERNELS = ("(", "SimpleRNN", "LSTM", "GRU", "dropout", "initializer", "fit")
OF_NUMPY = "adam binary_crossentropy"


def digests(command: Sequence[str], package: Path, path: str = "") -> dict[str, str]:
    """Return what the program of golden bits prints, by quantity."""
    folders = [str(package), *filter(None, [path])]
    done = subprocess.run(
        [*command, str(package / "tests/kernels/golden_bits.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        cwd=package, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return dict(line.rsplit(": ", 1) for line in done.stdout.splitlines())


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, run both, and say what differs; the exit status is 1 if a kernel does."""
    parser = argparse.ArgumentParser(prog="python -m tests.arm", description=__doc__)
    parser.add_argument("--python", required=True, help="the command of a Python for ARM")
    parser.add_argument("--path", default="", help="where it finds NumPy")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        package = Path(place)
        for name in ("rnn_engine", "tests"):
            skip = shutil.ignore_patterns("__pycache__", "lib")
            shutil.copytree(ROOT / name, package / name, ignore=skip)
        build = ["-m", "rnn_engine.kernels.build", "--levels", "neon"]
        library = str(package / "rnn_engine/kernels/lib")
        command = [sys.executable, *build, "--folder", library]
        compiling = {**os.environ, "RNN_ENGINE_KERNELS": "jit"}
        subprocess.run(command, cwd=ROOT, env=compiling, check=True)
        os.environ.pop("RNN_ENGINE_KERNELS", None)  # what was built, and here what there is
        found = digests(shlex.split(given.python), package, given.path)
    wanted = digests([sys.executable], ROOT)
    names = [name for name in wanted if found.get(name) != wanted[name]]
    of_kernels = [
        name for name in names if name.split()[1].startswith(OF_KERNELS) and OF_NUMPY not in name
    ]
    print(f"{len(wanted)} quantities, {len(wanted) - len(names)} with the same bits.")
    print("Others:", ", ".join(names) or "none")
    return int(bool(of_kernels) or found.keys() != wanted.keys())


if __name__ == "__main__":
    raise SystemExit(main())
