"""What programs ask for and is not here, and what to use instead: one table.

It is read when a name was looked for in vain, so a name that comes into being is not looked
up here any more; a test keeps those out of the table. Nothing of it is loaded before.
"""

import opcode
import sys
from collections.abc import Mapping
from typing import Any

_ELSEWHERE = (
    "Compute it before the model, with NumPy or where TensorFlow is installed, and train on "
    "the arrays."
)
_IMAGES = f"There are no such layers for images and volumes. {_ELSEWHERE}"
_FROM_LAYERS = "Import the layer from {package}.layers, where all of them stand."
_FROM_UTILS = "Import the function from {package}.utils."
_GRAPH = "There are no graphs and sessions, as in Keras 3: call the function. Leave it out."
_MERGE = "Use layers.Concatenate, Add, Multiply, Average, Maximum or Dot."
_OTHER = "It wraps another framework. Write a Layer, or train on what the framework computed."
_SAVING = 'Use model.save("model.keras"), which Keras and TensorFlow read, and models.load_model.'
_ONE_BACKEND = "There is one backend, NumPy and Numba, and nothing to choose. Leave it out."
_ONE_PROCESS = "One process computes, on the threads of set_num_threads. Leave it out."
_WRAPPER = "Write a class of your own whose fit and predict call those of the model."


def _each(names: str, advice: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), advice)


# By module, the package itself as "", and by class: what to do, for each name.
INSTEAD: Mapping[str, Mapping[str, str]] = {
    "": {
        **_each("Session placeholder global_variables_initializer get_default_graph", _GRAPH),
        "distribution": "Use distributed.DataParallel, see docs/scale.md, or leave it out.",
        **_each("tpu", _ONE_PROCESS),
        **_each("saved_model lite", _SAVING),
        **_each("contrib estimator feature_column", "It left TensorFlow, too. Use a model."),
        **_each("RaggedTensor SparseTensor ragged sparse", "Use utils.pad_sequences and a mask."),
        **_each("applications", f"There are no pretrained models of images. {_ELSEWHERE}"),
        **_each("Quantizer quantizers distillation", "Weights are float32 or float64."),
        **_each("RematScope remat", "Use compile(checkpoint_steps=...): docs/long_sequences.md."),
        **_each("StatelessScope SymbolicScope", "Layers and models keep their own state."),
        "wrappers": _WRAPPER,
        "image": f"There are no functions for pictures. {_ELSEWHERE}",
        "io": "Read and write files with Python, NumPy, or utils.load_img for pictures.",
        "api": "Leave `.api` out: what stands there is in {package} itself.",
        "python": "It is private to TensorFlow. Use the public names, {package}.layers for one.",
        "objectives": "Use losses.",
        "initializations": "Use initializers.",
        "engine": "Use Model, Sequential, Input and layers.Layer.",
    },
    "backend": {
        **_each("set_session get_session tensorflow_backend", _GRAPH),
        **_each("image_dim_ordering set_image_dim_ordering", "Use image_data_format."),
    },
    "callbacks": {
        "OrbaxCheckpoint": "Use ModelCheckpoint, or BackupAndRestore to resume.",
        "RemoteMonitor": "Use LambdaCallback, and send what you want to from its functions.",
    },
    "config": _each(
        "set_backend enable_flash_attention disable_flash_attention is_flash_attention_enabled",
        _ONE_BACKEND,
    ),
    "constraints": {"maxnorm": "Use MaxNorm or max_norm.", "nonneg": "Use NonNeg or non_neg."},
    "datasets": _each("cifar10 cifar100", "Load the arrays with another library."),
    "initializers": _each("STFT STFTInitializer stft", _ELSEWHERE),
    "layers": {
        **_each("CuDNNLSTM", "Use LSTM: same weights, fast with its default arguments."),
        **_each("CuDNNGRU", "Use GRU: same weights, fast with its default arguments."),
        **_each(
            "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D "
            "AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D "
            "AugMix AutoContrast "
            "CenterCrop ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization "
            "MaxNumBoundingBoxes MixUp RandAugment RandomBrightness RandomColorDegeneration "
            "RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing "
            "RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert "
            "RandomPerspective RandomPosterization RandomRotation RandomSaturation "
            "RandomSharpness RandomShear RandomTranslation RandomZoom Resizing Solarization",
            _IMAGES,
        ),
        **_each("MelSpectrogram STFTSpectrogram", _ELSEWHERE),
        **_each("FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper", _OTHER),
        **_each("LocallyConnected1D LocallyConnected2D", "Keras dropped it. Use Dense or Conv1D."),
        **_each("Highway MaxoutDense DenseFeatures", "Keras dropped it. Use Dense layers."),
        **_each("Merge merge", _MERGE),
        **_each(
            "advanced_activations convolutional convolutional_recurrent core embeddings "
            "experimental local noise wrappers",
            _FROM_LAYERS,
        ),
        "ThresholdedReLU": "Use ReLU(threshold=...).",
        "TimeDistributedDense": "Use Dense: it works on the last axis, at every time step.",
    },
    "losses": {
        **_each("Circle circle", "Pass a function (y_true, y_pred) of your own as loss."),
    },
    "models": {
        "Input": "Import Input from {package} itself.",
        "model_from_yaml": "Use model.to_json() and model_from_json.",
    },
    "optimizers": {
        "legacy": "Use the optimizers themselves: optimizers.Adam for optimizers.legacy.Adam.",
        "experimental": "Use the optimizers themselves, optimizers.Adam for one.",
        "TFOptimizer": "Use one of optimizers.",
        "Muon": "Use AdamW.",
        "MultiOptimizer": "Use one optimizer; layer.trainable = False leaves a layer as it is.",
        "ScheduleFreeAdamW": "Use AdamW with a schedule, or use_ema=True.",
    },
    "preprocessing.image": {
        "ImageDataGenerator": "Pass a PyDataset that reads the pictures, by utils.load_img.",
    },
    "preprocessing": {"image_dataset_from_directory": _ELSEWHERE},
    "regularizers": {"l1l2": "Use l1_l2 or L1L2.", "WeightRegularizer": "Use L1, L2 or L1L2."},
    "utils": {
        **_each(
            "audio_dataset_from_directory image_dataset_from_directory bounding_boxes",
            _ELSEWHERE,
        ),
        **_each("np_utils data_utils generic_utils io_utils vis_utils", _FROM_UTILS),
        "visualize_util": "Use utils.plot_model.",
        "multi_gpu_model": _ONE_PROCESS,
        "HDF5Matrix": "Read the array with h5py, or pass a PyDataset that reads it in parts.",
        "FeatureSpace": _ELSEWHERE,
        "model_to_dot": "Use utils.plot_model.",
    },
    "Model": {
        **_each("fit_generator", "Use fit, which takes generators."),
        **_each("evaluate_generator", "Use evaluate, which takes generators."),
        **_each("predict_generator", "Use predict, which takes generators."),
        "predict_classes": "Use predict(x).argmax(-1), or predict(x) > 0.5 of one output.",
        "predict_proba": "Use predict.",
        "to_yaml": "Use to_json.",
        "quantize": "Weights are float32 or float64. Leave it out.",
    },
    "Optimizer": {
        "lr": "Use learning_rate.",
        "get_gradients": "Use model.gradients(x, y).",
    },
}

# Arguments of earlier Keras versions, by what they are called today.
RENAMED: Mapping[str, str] = {
    "lr": "learning_rate",
    "nb_epoch": "epochs",
    "samples_per_epoch": "steps_per_epoch",
    "nb_val_samples": "validation_steps",
    "period": "save_freq",
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "U_constraint": "recurrent_constraint",
    "b_constraint": "bias_constraint",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "bias": "use_bias",
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "border_mode": "padding",
    "subsample_length": "strides",
    "pool_length": "pool_size",
    "batch_input_shape": "keras.Input(batch_shape=...)",
    "input_length": "keras.Input(shape=...)",
    "consume_less": "implementation",
    "p": "rate",
    "sigma": "stddev",
    "beta_init": "beta_initializer",
    "gamma_init": "gamma_initializer",
}


def advice(owner: str, name: str) -> str | None:
    """Return what to do without `name` of a module, or of a class; None where nothing is known."""
    package, _, part = owner.partition(".")
    part = part.removeprefix("keras").removeprefix(".")
    place = INSTEAD.get(part if package == "rnn_engine" else owner, {})
    found = place.get(name)
    return None if found is None else found.format(package="rnn_engine")


def module_error(module: str, name: str) -> Exception:
    """Return the error of a module that has no such name.

    An AttributeError; for ``from module import name`` an ImportError, as Python replaces the
    former by one of its own that says nothing.
    """
    found = advice(module, name)
    if found is not None and _is_imported_from():
        return ImportError(f"cannot import name {name!r} from {module!r}. {found}", name=module)
    text = f"module {module!r} has no attribute {name!r}"
    if found is not None:
        text = f"{text}. {found}"
    return AttributeError(text, name=name, obj=sys.modules.get(module))


def _is_imported_from() -> bool:
    """Whether the program stands at a name of ``from module import name``."""
    frame = sys._getframe(2)
    while frame.f_code.co_name in ("__getattr__", "find") and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_code[frame.f_lasti] == opcode.opmap["IMPORT_FROM"]


def renamed(arguments: Mapping[str, Any]) -> str:
    """Return the end of a message about unknown arguments: what they are called today."""
    known = [f"{name!r} is {RENAMED[name]!r} today" for name in arguments if name in RENAMED]
    return f". {', '.join(known)}." if known else ""
