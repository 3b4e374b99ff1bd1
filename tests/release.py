"""Is it fit to be released? ``make release-check`` builds and installs what users would get.

Two wheels are built, one with the library of kernels that `make kernels` made and, from the sdist,
one without, which needs Numba. All are checked by twine and by their contents, and the wheels are
installed in empty environments: the one with the library with every Python given, and with the
oldest both with the lowest packages that are admitted, and with the extra `cli`. In each a program
runs from training to a file that is read again. Run from the root of the project.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from rnn_engine.kernels import library

ROOT = Path(__file__).parents[1]
PROGRAM = """
import numpy as np
model.save("model.keras")
again = rnn_engine.models.load_model("model.keras", verify=True)
assert np.array_equal(again.predict(x, verbose=0), predictions)
"""
LIBRARY = "rnn_engine/kernels/lib"
# Which kernels an installation takes, and whether it has Numba.
KERNELS = """
import importlib.util, rnn_engine
print(rnn_engine.info())
told = "built ahead" in rnn_engine.info()
assert told is BUILT, rnn_engine.info()
assert (importlib.util.find_spec("numba") is None) is BUILT
"""


def main() -> int:
    """Run every check, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    parser.add_argument("pythons", nargs="+", help="interpreters; those that do not run are told")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "release")
    chosen = parser.parse_args()
    pythons = runnable(chosen.pythons)
    if not pythons:
        print(f"none of these runs: {' '.join(chosen.pythons)}", file=sys.stderr)
        return 1
    built, pure, sdist = build(chosen.out)
    faults = [*of_wheel(built), *of_wheel(pure), *of_sdist(sdist)]
    for fault in faults:
        print(f"FAULT {fault}")
    tell_links()
    for version, python in pythons.items():
        install(version, python, "plain install, newest", [str(built)])
    oldest = min(pythons, key=numbers)
    for what, wheel in (("plain install", built), ("without a library", pure)):
        lowest = [line.replace(">=", "==") for line in needed(wheel)]
        install(oldest, pythons[oldest], f"{what}, lowest", [str(wheel), *lowest])
    install(oldest, pythons[oldest], "without a library, newest", [str(pure)])
    install(oldest, pythons[oldest], "extra cli", [f"{built}[cli]"])
    return bool(faults)


def metadata() -> dict[str, list[str]]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def runnable(pythons: list[str]) -> dict[str, str]:
    """Return version to path of those that are there; say which are not."""
    found = {}
    ask = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for name in pythons:
        path = shutil.which(name)
        done = path and subprocess.run([path, "-c", ask], capture_output=True, text=True)
        if done and done.returncode == 0:
            version, place = done.stdout.strip().split(maxsplit=1)
            found.setdefault(version, place)
        else:
            print(f"not here: {name}")
    return found


def build(out: Path) -> tuple[Path, Path, Path]:
    """Build the wheel with the library, the sdist, and from it the wheel without; call twine."""
    shutil.rmtree(out, ignore_errors=True)
    for what in (["--wheel"], []):
        command = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(out)]
        subprocess.run([*command, str(ROOT)], check=True, stdout=subprocess.DEVNULL)
    made = [*out.glob("*-cp311-abi3-manylinux*.whl"), *out.glob("*-none-any.whl")]
    (built, pure), (sdist,) = made, out.glob("*.tar.gz")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, (built, pure, sdist))]
    subprocess.run(command, check=True)
    for path in (built, pure, sdist):
        print(f"{path.name}: {path.stat().st_size / 2**20:.1f} MiB")
    return built, pure, sdist


def told_by(wheel: Path) -> Message:
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (place,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return BytesParser().parsebytes(archive.read(place))


def needed(wheel: Path) -> list[str]:
    """Return what a wheel depends on, without extras."""
    lines = told_by(wheel).get_all("Requires-Dist", [])
    return [line for line in lines if "extra ==" not in line]


def of_wheel(wheel: Path) -> list[str]:
    """Return what is wrong with the contents of a wheel: the packages, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
    told = told_by(wheel)
    info = f"rnn_engine-{told['Version']}.dist-info/"
    package = ROOT / "rnn_engine"
    folders = (package, ROOT / "reference")
    wanted = {str(path.relative_to(ROOT)) for f in folders for path in f.rglob("*.py")}
    wanted |= {"rnn_engine/py.typed", "rnn_engine/kernels/call.c", "rnn_engine/kernels/exports.txt"}
    runtime = {"h5py", "numpy", "tqdm"}
    if "abi3" in wheel.name:
        names = (*library.LEVELS, "_call.abi3")
        wanted |= {f"{LIBRARY}/{name}.so" for name in names} | {f"{LIBRARY}/index.json"}
    else:
        runtime.add("numba")
    inside = {name for name in files if not name.startswith(info)}
    faults = [f"not in {wheel.name}: {name}" for name in sorted(wanted - inside)]
    faults += [f"in {wheel.name}: {name}" for name in sorted(inside - wanted)]
    for name in (f"{info}licenses/LICENSE", f"{info}entry_points.txt"):
        if name not in files:
            faults.append(f"not in {wheel.name}: {name}")
    if {re.split("[^a-z0-9]", line)[0] for line in needed(wheel)} != runtime:
        faults.append(f"{wheel.name} depends on {needed(wheel)}")
    (version,) = re.findall('^__version__ = "(.*)"', (package / "__init__.py").read_text(), re.M)
    if told["Version"] != version:
        faults.append(f"version {told['Version']} in {wheel.name}, {version} in the package")
    return faults


def of_sdist(sdist: Path) -> list[str]:
    """Return which of the files that git knows are not in the sdist."""
    with tarfile.open(sdist) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        print("no git here: the sdist is not compared with what is under version control")
    wanted = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    return [f"not in the sdist: {name}" for name in sorted(wanted - files - {".gitignore"})]


def tell_links() -> None:
    """Say which links of the README lead nowhere on an index, for want of an address."""
    links = re.findall(r"\]\(((?!https?://|#)[^)]+)\)", (ROOT / "README.md").read_text())
    print(f"README: {len(links)} links are relative, {len(set(links))} different ones")
    if "urls" not in metadata():
        print("  and [project.urls] is not there: on an index they lead nowhere")


def install(version: str, python: str, what: str, wanted: list[str]) -> None:
    """Install into an empty environment, run the program there, and print how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "RNN_ENGINE_CACHE_DIR": f"{place}/kernels"}
        keep = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        environment = {**keep, **quiet}

        def run(*command: str) -> float:
            began = time.monotonic()
            done = subprocess.run(
                command, cwd=place, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(f"{version}, {what}: {command}\n{done.stdout}{done.stderr}")
            return time.monotonic() - began

        run(python, "-m", "venv", "venv")
        inner = str(place / "venv" / "bin" / "python")
        (site,) = (place / "venv").glob("lib/python*/site-packages")
        empty = {path.name for path in site.iterdir()}
        installed = run(inner, "-m", "pip", "install", "--quiet", *wanted)
        run(inner, "-m", "pip", "check")
        built = "without" not in what
        (place / "kernels.py").write_text(KERNELS.replace("BUILT", str(built)))
        run(inner, "kernels.py")
        (place / "first.py").write_text((ROOT / "examples" / "quickstart.py").read_text())
        first = run(inner, "first.py")
        (place / "whole.py").write_text((place / "first.py").read_text() + PROGRAM)
        again = run(inner, "-W", "error", "whole.py")
        command = str(place / "venv" / "bin" / "rnn-engine")
        run(command, "--version")
        run(command, "show", "model.keras")
        print(
            f"Python {version}, {what}: {size(site, empty):.1f} MiB, installed in "
            f"{installed:.0f} s, first program {first:.1f} s, second {again:.1f} s",
            flush=True,
        )
        if what == "extra cli":
            rows = "\n".join(f"{10 + day % 7}" for day in range(200))
            (place / "sales.csv").write_text(f"sales\n{rows}\n")
            options = ["--target", "sales", "--horizon", "7", "--epochs", "10", "--out", "m.keras"]
            trained = run(command, "train", "sales.csv", *options)
            told = run(command, "predict", "m.keras", "sales.csv")
            print(f"  a forecast: train {trained:.1f} s, predict {told:.1f} s")


def size(site: Path, empty: set[str]) -> float:
    """Return what was installed in an environment beside what it began with, in MiB of files."""
    ours = (path for path in site.iterdir() if path.name not in empty)
    files = (path for each in ours for path in (each, *each.rglob("*")) if path.is_file())
    return sum(path.stat().st_size for path in files) / 2**20


if __name__ == "__main__":
    sys.exit(main())
