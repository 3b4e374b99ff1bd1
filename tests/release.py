"""Is it fit to be released? ``make release-check`` builds and installs what users would get.

The sdist is built, the wheel from it, both are checked by twine and by their contents, and the
wheel is installed in an empty environment of every Python given: with the newest packages of the
plain install, with the lowest that pyproject.toml admits (oldest Python), and with the extra `cli`.
In each a program runs from training to a file that is read again. Run from the root of the project.
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
from email.parser import BytesParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = """
import numpy as np
model.save("model.keras")
again = rnn_engine.models.load_model("model.keras", verify=True)
assert np.array_equal(again.predict(x, verbose=0), predictions)
"""
PLAIN = "plain install, newest"


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
    wheel, sdist = build(chosen.out)
    faults = [*of_wheel(wheel), *of_sdist(sdist)]
    for fault in faults:
        print(f"FAULT {fault}")
    tell_links()
    for version, python in pythons.items():
        install(version, python, PLAIN, [str(wheel)])
    oldest = min(pythons, key=numbers)
    lowest = [line.replace(">=", "==") for line in metadata()["dependencies"]]
    install(oldest, pythons[oldest], "plain install, lowest", [str(wheel), *lowest])
    install(oldest, pythons[oldest], "extra cli", [f"{wheel}[cli]"])
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


def build(out: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it; return wheel and sdist, which twine has checked."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    command = [sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)]
    subprocess.run(command, check=True)
    for path in (wheel, sdist):
        print(f"{path.name}: {path.stat().st_size / 2**20:.1f} MiB")
    return wheel, sdist


def of_wheel(wheel: Path) -> list[str]:
    """Return what is wrong with the contents of the wheel: the packages, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
        (place,) = (name for name in files if name.endswith(".dist-info/METADATA"))
        told = BytesParser().parsebytes(archive.read(place))
    info = place.removesuffix("METADATA")
    package = ROOT / "rnn_engine"
    folders = (package, ROOT / "reference")
    sources = {str(path.relative_to(ROOT)) for f in folders for path in f.rglob("*.py")}
    inside = {name for name in files if not name.startswith(info)}
    faults = [f"not in the wheel: {name}" for name in sorted(sources - inside)]
    faults += [f"in the wheel: {n}" for n in sorted(inside - sources - {"rnn_engine/py.typed"})]
    for wanted in ("rnn_engine/py.typed", f"{info}licenses/LICENSE", f"{info}entry_points.txt"):
        if wanted not in files:
            faults.append(f"not in the wheel: {wanted}")
    (version,) = re.findall('^__version__ = "(.*)"', (package / "__init__.py").read_text(), re.M)
    if told["Version"] != version:
        faults.append(f"version {told['Version']} in the wheel, {version} in the package")
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
        installed = run(inner, "-m", "pip", "install", "--quiet", *wanted)
        run(inner, "-m", "pip", "check")
        (place / "first.py").write_text((ROOT / "examples" / "quickstart.py").read_text())
        first = run(inner, "first.py")
        (place / "whole.py").write_text((place / "first.py").read_text() + PROGRAM)
        again = run(inner, "-W", "error", "whole.py")
        command = str(place / "venv" / "bin" / "rnn-engine")
        run(command, "--version")
        run(command, "show", "model.keras")
        print(
            f"Python {version}, {what}: installed in {installed:.0f} s, first program "
            f"{first:.1f} s (compiles), second {again:.1f} s",
            flush=True,
        )
        if what == "extra cli":
            rows = "\n".join(f"{10 + day % 7}" for day in range(200))
            (place / "sales.csv").write_text(f"sales\n{rows}\n")
            options = ["--target", "sales", "--horizon", "7", "--epochs", "10", "--out", "m.keras"]
            trained = run(command, "train", "sales.csv", *options)
            told = run(command, "predict", "m.keras", "sales.csv")
            print(f"  a forecast: train {trained:.1f} s, predict {told:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
