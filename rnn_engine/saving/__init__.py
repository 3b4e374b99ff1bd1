"""Models in files: `keras.saving`.

Formats, one file each: the library's own ``.npz`` (`native`), ``.safetensors``
(`safetensors_file`), and Keras's ``.keras``, ``.weights.h5`` and ``.h5`` (`keras_zip`,
`keras_h5`, `legacy_h5`), which Keras reads and writes too. Models of PyTorch (`pytorch`)
and graphs of ONNX (`onnx`) come in and go out, those for RTNeural (`rtneural`) go out. No file
is ever run: they hold names of classes, settings and numbers.
"""

from rnn_engine.activations.base import registry as _activations
from rnn_engine.layers.base import registry as _layers
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

# These stand above the models, which know this package.
__getattr__ = lazily(
    __name__,
    {
        "deserialize_keras_object": "rnn_engine.saving.objects:deserialize_keras_object",
        "from_onnx": "rnn_engine.saving.onnx:from_onnx",
        "from_torch": "rnn_engine.saving.pytorch.from_torch:from_torch",
        "serialize_keras_object": "rnn_engine.saving.objects:serialize_keras_object",
        "to_onnx": "rnn_engine.saving.onnx:to_onnx",
        "to_rtneural": "rnn_engine.saving.rtneural:to_rtneural",
        "to_torch": "rnn_engine.saving.pytorch.to_torch:to_torch",
    },
)


# What models hold that were read from ONNX is found again without reading ONNX.
_activations.announce(
    f"{__name__}.onnx.activations", "onnx_hard_sigmoid", "onnx_scaled_tanh", "onnx_affine"
)
_layers.announce(f"{__name__}.onnx.model", "BatchInside")
_layers.announce(f"{__name__}.onnx.cell", "ONNXCell")
