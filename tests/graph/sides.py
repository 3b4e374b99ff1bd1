"""The same graph on both sides, with the same weights and data."""

from typing import Any

import numpy as np

from tests.graph.graphs import GRAPHS


def make_twins(name: str, ours: Any, keras: Any, seed: int = 0) -> tuple[Any, Any]:
    """Return our model and Keras's of a graph, with the same random weights."""
    models = []
    for kit in (ours, keras):
        kit.utils.clear_session()
        models.append(kit.Model(*GRAPHS[name](kit), name="twin"))
    rng = np.random.default_rng(seed)
    weights = [rng.normal(scale=0.5, size=w.shape).astype(w.dtype) for w in models[1].weights]
    for model in models:
        model.set_weights(weights)
    return models[0], models[1]


def flat(structure: Any) -> list[np.ndarray]:
    """Return the arrays of a nest, dicts in the order of their keys."""
    if isinstance(structure, dict):
        return [a for key in sorted(structure) for a in flat(structure[key])]
    if isinstance(structure, list | tuple):
        return [a for entry in structure for a in flat(entry)]
    return [np.asarray(structure)]


def data_like(tensors: Any, count: int, rng: np.random.Generator) -> Any:
    """Return random data for symbolic tensors, in their nest; whole numbers for ``words``."""
    if isinstance(tensors, dict):
        return {key: data_like(tensor, count, rng) for key, tensor in tensors.items()}
    if isinstance(tensors, list | tuple):
        return type(tensors)(data_like(tensor, count, rng) for tensor in tensors)
    shape = (count, *tensors.shape[1:])
    if tensors.name == "words":
        words = rng.integers(1, 9, shape)
        words[:, 4:] *= rng.integers(0, 2, (count, 1))
        return words
    values = rng.normal(size=shape).astype("float32")
    if tensors.name == "series":
        values[::2, 3:] = 0
    return values
