"""What pyproject.toml cannot say: a wheel takes the library of kernels along if there is one.

With a library that is as new as its sources (``make kernels``) the wheel is one for Linux on this
kind of machine and every Python from 3.11, and needs no Numba. Without, it is for every system, and
does.
"""

import importlib.util
import platform
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

ROOT = Path(__file__).parent
KERNELS = "rnn_engine/kernels"
# h5py is imported only when a file of Keras's formats is read or written, tqdm only when a
# download is shown. The lower ends were run together.
NEEDED = ["h5py>=3.11", "numpy>=2.0", "tqdm>=4.60"]
# What compiles kernels, where there is no library.
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
JIT = PROJECT["optional-dependencies"]["jit"]


def library() -> bool:
    """Whether there is a library to take along; say why not, if it is only too old."""
    if sys.argv[1:2] == ["sdist"] or sys.platform != "linux":
        return False
    spec = importlib.util.spec_from_file_location("library", ROOT / KERNELS / "library.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # without its package, which would want NumPy
    fresh = bool(module.LEVELS) and module.is_fresh()
    if not fresh and module.FOLDER.exists():
        print(f"{KERNELS}/lib is left out: it is older than its sources, or not whole. "
              "`make kernels` makes it anew.", file=sys.stderr)  # fmt: skip
    return fresh


def c_library() -> str:
    """Return the tag of the oldest C library that has what the library of kernels asks for."""
    texts = b"".join(path.read_bytes() for path in (ROOT / KERNELS / "lib").glob("*.so"))
    wanted = {tuple(map(int, found)) for found in re.findall(rb"GLIBC_(\d+)\.(\d+)", texts)}
    major, minor = max(wanted)
    return f"manylinux_{major}_{minor}_{platform.machine()}"


class WithLibrary(Distribution):
    """A distribution for one kind of machine."""

    def has_ext_modules(self) -> bool:
        """Say that there is machine code."""
        return True


class BuildWithLibrary(build_py):
    """The step that gathers the files."""

    def finalize_options(self) -> None:
        """Add the library."""
        super().finalize_options()
        self.package_data[KERNELS.replace("/", ".")] += ["lib/*.so", "lib/index.json"]


class WheelWithLibrary(bdist_wheel):
    """The step that names the wheel."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return what it runs on."""
        return "cp311", "abi3", c_library()


EXTENDED: dict[str, Any] = {
    "distclass": WithLibrary,
    "cmdclass": {"build_py": BuildWithLibrary, "bdist_wheel": WheelWithLibrary},
}
if library():
    setup(install_requires=NEEDED, **EXTENDED)
else:
    setup(install_requires=[*NEEDED, *JIT])
