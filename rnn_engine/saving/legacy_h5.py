"""`.h5`, `.hdf5`: whole models and weights as Keras kept them before version 3.

The config is an attribute of the file, weights lie in a group a layer under the names of
the variables, in the order of an attribute; so does the state of the optimizer. Keras 3
still reads and writes these files.
"""

import json
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine import losses
from rnn_engine.saving.errors import RefusedError
from rnn_engine.saving.hdf5 import Hdf5, h5py
from rnn_engine.saving.keras2 import from_old_file
from rnn_engine.saving.keras_h5 import NOTE, said_by
from rnn_engine.saving.state import text_layers
from rnn_engine.saving.stored import Content, Stored
from rnn_engine.saving.writing import to_json
from rnn_engine.variable import Variable

_WEIGHTS, _OPTIMIZER = "model_weights", "optimizer_weights"
_VERSION = "3.12.0"
# What one attribute can hold; longer lists are cut.
_MOST_BYTES = 64512


def is_old(file: Hdf5) -> bool:
    """Whether an HDF5 file is of this format."""
    return _WEIGHTS in file.names or any(
        name in file.attributes("") for name in ("model_config", "layer_names", "layer_names0")
    )


def content_of(file: Hdf5) -> Content:
    """Return what an open file holds: a model, or weights only.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    place = _WEIGHTS if _WEIGHTS in file.names else ""
    names = _texts(file, place, "layer_names")
    layers = [(name, _arrays(file, f"{place}/{name}".lstrip("/"))) for name in names]
    config = file.text("", "model_config")
    optimizer = _optimizer_state(file)
    if config is None:
        return Content(layers=layers)
    said = said_by(file)
    version = file.text("", "keras_version") or file.text(place, "keras_version") or "1"
    training = file.text("", "training_config")
    translated, optimizer = from_old_file(config, training, optimizer, str(version), file.source)
    return Content(translated, layers=layers, optimizer=optimizer, said=said)


def _optimizer_state(file: Hdf5) -> list[Stored] | None:
    names = _texts(file, _OPTIMIZER, "weight_names")
    lost = any(f"{_OPTIMIZER}/{name}" not in file.names for name in names)
    if lost or len(set(names)) < len(names):
        # Some versions of Keras gave several slots one name, and stopped in the middle.
        warnings.warn(
            f"Error in loading the saved optimizer state: {file.source} names variables that it "
            f"does not hold. As a result, your model is starting with a freshly initialized "
            f"optimizer.",
            stacklevel=4,
        )
        return None
    return _arrays(file, _OPTIMIZER) or None


def _arrays(file: Hdf5, group: str) -> list[Stored]:
    names = _texts(file, group, "weight_names")
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise RefusedError(
            f"{file.source} has one array for several weights of {group!r}, all named {twice!r}: "
            f"Keras 3.0 stops there with an error, and the file is not whole. Save the model as "
            f".keras, or its weights as .weights.h5."
        )
    return [file.array(f"{group}/{name}") for name in names]


def _texts(file: Hdf5, group: str, name: str) -> list[str]:
    texts = file.text(group, name)
    if texts is not None and not (
        isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    ):
        raise RefusedError(f"{file.source} is damaged: {name} of {group!r} is no list of names.")
    return texts or []


def write(file: Any, model: Any, config: dict[str, Any], said: str) -> None:
    """Write a model and its config, which is changed, into a file open for both ways."""
    compiled = config.get("compile_config")
    settings = {"class_name": config["class_name"], "config": config["config"]}
    _spell_out_vocabularies(settings, {layer.name: layer for _, layer in text_layers(model)})
    with h5py().File(file, "w") as h5:
        h5.attrs["keras_version"] = _VERSION
        h5.attrs["backend"] = "numpy"
        h5.attrs[NOTE] = said
        h5.attrs["model_config"] = to_json(settings)
        if compiled:
            training = {key: value for key, value in compiled.items() if key != "optimizer"}
            training["loss"] = _long_names(training.get("loss"))
            training["optimizer_config"] = compiled["optimizer"]
            h5.attrs["training_config"] = json.dumps(training)
        weights = h5.create_group(_WEIGHTS)
        weights.attrs["keras_version"] = _VERSION
        weights.attrs["backend"] = "numpy"
        _write_names(weights, "layer_names", [layer.name for layer in model.layers])
        for layer in sorted({id(la): la for la in model.layers}.values(), key=lambda la: la.name):
            variables = [*layer.trainable_weights, *layer.non_trainable_weights]
            _write_arrays(weights.create_group(layer.name), variables)
        _write_arrays(weights.create_group("top_level_model_weights"), [])
        if compiled and model.optimizer.variables:
            _write_arrays(h5.create_group(_OPTIMIZER), model.optimizer.variables)


def _spell_out_vocabularies(config: Any, found: dict[str, Any]) -> None:
    """Put what layers of strings have learned into their configs: there is no other place."""
    for value in config.values() if isinstance(config, dict) else config:
        if isinstance(value, dict) and value.get("name") in found:
            learned = found[value["name"]].config_with_vocabulary()
            value.update(vocabulary=learned["vocabulary"], idf_weights=learned["idf_weights"])
        elif isinstance(value, dict | list):
            _spell_out_vocabularies(value, found)


def _long_names(loss: Any) -> Any:
    """Return losses by the names of their functions; of the short ones Keras 3 reads none."""
    if isinstance(loss, list):
        return [_long_names(entry) for entry in loss]
    if isinstance(loss, dict) and "class_name" not in loss:
        return {key: _long_names(entry) for key, entry in loss.items()}
    if isinstance(loss, str) and loss in losses.registry.entries:
        return losses.registry.entries[loss].__name__
    return loss


def _write_arrays(group: Any, variables: Sequence[Variable]) -> None:
    names: list[str] = []
    for variable in variables:
        name = variable.path
        while name in names:  # two cells of one name
            name += "_"
        names.append(name)
        group.create_dataset(name, data=variable.value)
    _write_names(group, "weight_names", names)


def _write_names(group: Any, name: str, values: Sequence[str]) -> None:
    encoded = np.array([value.encode() for value in values], dtype="S")
    if not values:
        encoded = np.array([], dtype="S1")
    parts = max(1, -(-encoded.nbytes // _MOST_BYTES))
    if parts == 1:
        group.attrs[name] = encoded
        return
    for i, part in enumerate(np.array_split(encoded, parts + 1)):
        group.attrs[f"{name}{i}"] = part
