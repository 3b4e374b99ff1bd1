"""Models in files: `keras.saving`.

Formats, one file each: the library's own ``.npz`` (`native`), ``.safetensors``
(`safetensors_file`), and Keras's ``.keras``, ``.weights.h5`` and ``.h5`` (`keras_zip`,
`keras_h5`, `legacy_h5`), which Keras reads and writes too. Models of PyTorch (`pytorch`)
come in and go out, those for RTNeural (`rtneural`) go out. No file is ever run: they hold
names of classes, settings and numbers.
"""

from typing import Any

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
from rnn_engine.saving.convert import convert, verify
from rnn_engine.saving.saveable import Saveable
from rnn_engine.saving.show import show

CustomObjectScope = custom_object_scope

__all__ = [
    "CustomObjectScope",
    "Saveable",
    "clone_model",
    "convert",
    "custom_object_scope",
    "from_torch",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "model_from_json",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "show",
    "to_rtneural",
    "to_torch",
    "verify",
]

# These stand above the models, which know this package.
_find = lazily(
    __name__,
    {
        "from_torch": "rnn_engine.saving.pytorch.from_torch:from_torch",
        "to_rtneural": "rnn_engine.saving.rtneural:to_rtneural",
        "to_torch": "rnn_engine.saving.pytorch.to_torch:to_torch",
    },
)


def __getattr__(name: str) -> Any:
    return _find(name)
