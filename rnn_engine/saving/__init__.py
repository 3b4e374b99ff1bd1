"""Models in files: `keras.saving`.

Two formats, one file each: the library's own ``.npz`` (`native`), and Keras 3's
``.keras`` and ``.weights.h5`` (`keras_zip`, `keras_h5`), which Keras reads and
writes too. No file is ever run: they hold names of classes, settings and numbers.
"""

from rnn_engine.lazy import lazily
from rnn_engine.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from rnn_engine.saving.api import (
    load_model,
    load_weights,
    model_from_json,
    save_model,
    save_weights,
)
from rnn_engine.saving.clone import clone_model
from rnn_engine.saving.saveable import Saveable

CustomObjectScope = custom_object_scope
_OBJECTS = "rnn_engine.saving.objects"
__getattr__ = lazily(
    __name__,
    {
        "deserialize_keras_object": f"{_OBJECTS}:deserialize_keras_object",
        "serialize_keras_object": f"{_OBJECTS}:serialize_keras_object",
    },
)

__all__ = [
    "CustomObjectScope",
    "Saveable",
    "clone_model",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "model_from_json",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
