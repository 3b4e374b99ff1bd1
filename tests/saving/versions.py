"""Does what is written here open in other versions of Keras? See `make keras-versions`.

``write FOLDER`` runs with rnn_engine and saves a model of each layer and optimizer with an input
and its output; ``read FOLDER`` runs with a version of Keras alone, and compares.
"""

import sys
import warnings
from pathlib import Path

import numpy as np

# Files that a version cannot open, whoever writes them.
LACKING = {
    "RMSNormalization": "since 3.9",
    "Normalization": "of a single mean: since 3.9",
    "opt_Nadam": "keeps its state in another order since 3.7",
}


def write(folder):
    """Save a model of each layer and of each optimizer."""
    import rnn_engine
    from tests.saving import cases

    for name in filter(cases.LAYERS.__contains__, cases.names()):
        model = cases.make(name, rnn_engine)
        cases.scatter(model)
        x = cases.inputs(name)
        model.save(folder / f"{name}.keras")
        model.save(folder / f"{name}.h5")
        np.savez(folder / f"{name}.npz", x=x, y=model(x))
    x, y = cases.data()
    for cls in rnn_engine.optimizers.registry.unique():
        if cls.__name__ == "LossScaleOptimizer":
            continue
        model = cases.small_model(rnn_engine, cls(0.01), metrics=["mae"])
        model.fit(x, y, verbose=0)
        model.save(folder / f"opt_{cls.__name__}.keras")
        np.savez(folder / f"opt_{cls.__name__}.npz", x=x, y=model(x))


def read(folder):
    """Load every file and compare; return how many are wrong."""
    import keras

    wrong = 0
    paths = sorted([*folder.glob("*.keras"), *folder.glob("*.h5")])
    for path in paths:
        expected = np.load(path.with_suffix(".npz"))
        try:
            found = np.asarray(keras.models.load_model(path)(expected["x"]))
            np.testing.assert_allclose(found, expected["y"], rtol=1e-4, atol=1e-5)
        except Exception as error:
            if path.stem in LACKING:
                print(f"{path.name}: {LACKING[path.stem]}")
                continue
            wrong += 1
            print(f"{path.name}: {type(error).__name__}: {str(error)[-200:]}")
    print(f"Keras {keras.__version__}: {len(paths)} files, {wrong} wrong")
    return wrong


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit({"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2])))
