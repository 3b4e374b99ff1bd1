"""Models in files: `keras.saving`.

Formats, one file each: the library's own ``.npz`` (`native`), ``.safetensors``
(`safetensors_file`), and Keras's ``.keras``, ``.weights.h5`` and ``.h5`` (`keras_zip`,
`keras_h5`, `legacy_h5`), which Keras reads and writes too. Models of PyTorch (`pytorch`)
and graphs of ONNX (`onnx`) come in and go out, those for RTNeural (`rtneural`) go out. No file
is ever run: they hold names of classes, settings and numbers.
"""

from typing import TYPE_CHECKING

from rnn_engine.lazy import lazily, places_in, show_public
from rnn_engine.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

if TYPE_CHECKING:
    from rnn_engine.saving.api import (
        load_model,
        load_weights,
        model_from_json,
        save_model,
        save_weights,
    )
    from rnn_engine.saving.clone import clone_model
    from rnn_engine.saving.conversion import convert, verify
    from rnn_engine.saving.objects import deserialize_keras_object, serialize_keras_object
    from rnn_engine.saving.onnx import from_onnx, to_onnx
    from rnn_engine.saving.pytorch.from_torch import from_torch
    from rnn_engine.saving.pytorch.to_torch import to_torch
    from rnn_engine.saving.rtneural import to_rtneural
    from rnn_engine.saving.saveable import Saveable
    from rnn_engine.saving.showing import show

CustomObjectScope = custom_object_scope

__all__ = [
    "CustomObjectScope",
    "Saveable",
    "clone_model",
    "convert",
    "custom_object_scope",
    "deserialize_keras_object",
    "from_onnx",
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
    "serialize_keras_object",
    "show",
    "to_onnx",
    "to_rtneural",
    "to_torch",
    "verify",
]

_NAMES = {
    "api": "load_model load_weights model_from_json save_model save_weights",
    "clone": "clone_model",
    "conversion": "convert verify",
    "objects": "deserialize_keras_object serialize_keras_object",
    "onnx": "from_onnx to_onnx",
    "pytorch.from_torch": "from_torch",
    "pytorch.to_torch": "to_torch",
    "rtneural": "to_rtneural",
    "saveable": "Saveable",
    "showing": "show",
}
__getattr__ = lazily(__name__, places_in(__name__, _NAMES))
show_public(__name__)
