"""Load every model of a folder that other programs wrote, and compare what comes out.

``make sweep MODELS=FOLDER``: in FOLDER lie ``inputs.npz``, ``inputs.json`` (which model takes
which kind of input) and archives ``keras-VERSION.zip`` with a folder a model: ``m.keras``,
``m.h5``, ``m.weights.h5``, ``legacyw.h5``, ``model.json``, ``pred.npy`` (what the writer predicts),
``y.npy`` and ``cont.npy`` (targets, and the losses of two more epochs). What a file cannot tell,
whoever reads it, stands in `LIMITS` and is counted by itself; the rest of it is compared.
"""

import argparse
import json
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

import rnn_engine
from rnn_engine.saving import load_model, model_from_json

FILES = ("m.keras", "m.h5", "m.weights.h5", "legacyw.h5", "model.json")
# Outputs and losses of half types differ by how often a program rounds in between.
ROUNDING = {"mixed_bfloat16": 3e-2, "mixed_float16": 5e-3}
# By model and file: a sign in the text of the config or the version, and the reason.
DROPOUT = "draws dropout from a generator that is not in the file"
LIMITS = {
    "norms": DROPOUT,
    "options": DROPOUT,
    "shared": "its writer put the layer that stands in it twice into the file once",
    "2.15 bidi": "Nadam of Keras 2.15 ends otherwise in each run",
    "2.15 embmask": "Keras 2 sums the gradients of a repeated word before it squares them",
    "3.3 ftrl/m.h5": "its writer gave several slots of the optimizer one name",
    "3.3 masking/m.h5": "its writer gave several slots of the optimizer one name",
    "3.12 textvec/m.h5": "its writer left the vocabulary out",
    "3.3 textvec/m.h5": "its writer left the vocabulary out",
}


def limit_of(version, name, file):
    """Return why a file cannot give all that its writer had, or None."""
    keys = name, f"{version} {name}", f"{version} {name}/{file}"
    return next((LIMITS[key] for key in keys if key in LIMITS), None)


def check(folder, file, x, limit=None):
    """Return what is wrong with one file, or an empty text."""
    config = (folder / "model.json").read_text()
    rounding = max((v for k, v in ROUNDING.items() if k in config), default=0)
    if file == "model.json":
        return "" if model_from_json(config).layers else "no layers"
    if file in ("m.keras", "m.h5"):
        model = load_model(folder / file)
    else:  # a vocabulary is in none of the others
        model = load_model(folder / "m.keras")
        model.set_weights([np.full_like(value, 7) for value in model.get_weights()])
        model.load_weights(folder / file)
    if limit and "vocabulary" in limit:
        ours, theirs = model.get_weights(), load_model(folder / "m.keras").get_weights()
        return "" if all(map(np.array_equal, ours, theirs)) else "weights"
    found = _twice(model, x) if limit and "twice" in limit else model.predict(x, verbose=0)
    problem = _different(found, np.load(folder / "pred.npy"), rounding)
    if problem or file not in ("m.keras", "m.h5") or not (folder / "cont.npy").exists():
        return problem
    return "" if limit else _trained_on(model, folder, x, rounding)


def _twice(model, x):
    """Return the outputs with the first layer called again before the last one."""
    for layer in (*model.layers[:2], *model.layers[::2]):
        x = layer(x)
    return np.asarray(x)


def _trained_on(model, folder, x, rounding):
    y, losses = np.load(folder / "y.npy"), np.load(folder / "cont.npy")
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_states()
    history = model.fit(x, y, batch_size=4, shuffle=False, epochs=2, verbose=0)
    worst = float(np.abs(np.asarray(history.history["loss"]) - losses).max())
    return f"losses of two epochs differ by {worst:.2g}" if worst > (rounding or 1e-5) else ""


def _different(found, expected, rounding):
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return f"outputs of shape {found.shape}, not {expected.shape}"
    worst = np.abs(found.astype("f8") - expected.astype("f8")).max()
    fits = np.allclose(found.astype("f8"), expected.astype("f8"), 1e-4, rounding or 1e-5)
    return "" if fits else f"outputs differ by {worst:.2g}"


def inputs_of(folder):
    """Return the input of each model by its name."""
    arrays = dict(np.load(folder / "inputs.npz", allow_pickle=False))
    kinds = json.loads((folder / "inputs.json").read_text())
    several = {k: [arrays[n] for n in sorted(arrays) if n.startswith(k)] for k in kinds.values()}
    return {name: arrays.get(kind, several[kind]) for name, kind in kinds.items()}


def sweep(folder, seen):
    """Check every file; return how many are right, limited or wrong, by version and file."""
    inputs, counts = inputs_of(folder), Counter()
    for archive in sorted(folder.glob("keras-*.zip")):
        version = archive.stem.removeprefix("keras-")
        with tempfile.TemporaryDirectory() as unpacked:
            with zipfile.ZipFile(archive) as members:
                members.extractall(unpacked)
            for model in sorted(Path(unpacked).iterdir()):
                for file in FILES:
                    if (model / file).exists():
                        verdict = _verdict(version, model, file, inputs[model.name], seen)
                        counts[version, file, verdict] += 1
    return counts


def _verdict(version, model, file, x, seen):
    limit = limit_of(version, model.name, file)
    rnn_engine.utils.clear_session()
    try:
        problem = check(model, file, x, limit)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        if limit and "twice" in limit and file == "m.h5" and isinstance(error, ValueError):
            problem = ""  # its writer stopped in the middle
    if problem:
        seen(f"{version} {model.name}/{file}: {problem}")
        return "wrong"
    return "limited" if limit and file in ("m.keras", "m.h5") else "right"


def main():
    """Print what is wrong, then a table of counts; the status is 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    warnings.simplefilter("ignore")
    folder = parser.parse_args().folder
    if not (folder / "inputs.npz").is_file():
        parser.error(f"{folder}: a folder with models and their inputs.npz is wanted")
    counts = sweep(folder, lambda text: print(text[:400], flush=True))
    for version, file in sorted({key[:2] for key in counts}):
        found = {
            verdict: counts[version, file, verdict] for verdict in ("right", "limited", "wrong")
        }
        print(f"Keras {version:5} {file:13}", *(f"{n:3} {verdict}" for verdict, n in found.items()))
    return int(any(key[2] == "wrong" for key in counts))


if __name__ == "__main__":
    sys.exit(main())
