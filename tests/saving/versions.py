"""Does what is written here open in other versions of Keras? See `make keras-versions`.

``write FOLDER`` runs with rnn_engine and saves a model of each layer and optimizer with an input
and its output; ``read FOLDER`` runs with a version of Keras alone, and compares.
"""

import sys
import warnings
from pathlib import Path

import numpy as np

# Files that older versions cannot open, whoever writes them: from which of those tried on they can.
LACKING = {
    "RMSNormalization": ((3, 9), "came with it"),
    "Normalization": ((3, 8), "of a single mean"),
    "SimpleRNN": ((3, 3), "Identity is in no table of initializers before"),
    "opt_Lamb": ((3, 6), "came with it"),
    "opt_Nadam": ((3, 12), "kept its state in another order before"),
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
    shape = rnn_engine.layers.Input((4,), name="one")
    inner = rnn_engine.Model(shape, rnn_engine.layers.Dense(3, "tanh")(shape))
    graph = rnn_engine.Model(shape, rnn_engine.layers.Dense(2)(inner(shape)))
    x = np.ones((2, 4), "f4")
    for ending in (".keras", ".h5"):  # one input, one output, a model inside
        graph.save(folder / f"graph{ending}")
    np.savez(folder / "graph.npz", x=x, y=graph(x))
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

    wrong = lacking = 0
    version = tuple(map(int, keras.__version__.split(".")[:2]))
    paths = sorted([*folder.glob("*.keras"), *folder.glob("*.h5")])
    for path in paths:
        expected = np.load(path.with_suffix(".npz"))
        try:
            found = np.asarray(keras.models.load_model(path)(expected["x"]))
            np.testing.assert_allclose(found, expected["y"], rtol=1e-4, atol=1e-5)
        except Exception as error:
            since, why = LACKING.get(path.stem, ((0,), ""))
            needs = "requires TensorFlow" in str(error)  # with any backend, for text layers
            if version < since or needs:
                lacking += 1
                since = "needs TensorFlow" if needs else f"since {since[0]}.{since[1]}: {why}"
                print(f"{path.name}: {since}")
                continue
            wrong += 1
            print(f"{path.name}: {type(error).__name__}: {str(error)[-200:]}")
    print(f"Keras {version[0]}.{version[1]}: {len(paths)} files, {lacking} of what it lacks, "
          f"{wrong} wrong")  # fmt: skip
    return wrong


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit({"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2])))
