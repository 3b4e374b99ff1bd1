"""Losses: what training makes small. Mirrors `keras.losses`.

`get`, `serialize` and `deserialize` work as in Keras. `resolve` turns whatever
`compile(loss=...)` was given into a `Loss` whose `value_and_gradient` drives training.
"""

from typing import TYPE_CHECKING, Any

from rnn_engine.lazy import lazily, places_in, show_public
from rnn_engine.losses.base import Loss, registry
from rnn_engine.losses.wrapper import LossFunctionWrapper
from rnn_engine.registry import made_of

if TYPE_CHECKING:
    from rnn_engine.losses.binary import (
        BinaryCrossentropy,
        binary_crossentropy,
    )
    from rnn_engine.losses.categorical import (
        CategoricalCrossentropy,
        categorical_crossentropy,
    )
    from rnn_engine.losses.ctc_loss import (
        CTC,
        ctc,
    )
    from rnn_engine.losses.custom import (
        CustomLoss,
    )
    from rnn_engine.losses.divergence import (
        KLDivergence,
        Poisson,
        kl_divergence,
        poisson,
    )
    from rnn_engine.losses.focal import (
        BinaryFocalCrossentropy,
        CategoricalFocalCrossentropy,
        binary_focal_crossentropy,
        categorical_focal_crossentropy,
    )
    from rnn_engine.losses.generalized import (
        CategoricalGeneralizedCrossEntropy,
        categorical_generalized_cross_entropy,
    )
    from rnn_engine.losses.hinges import (
        CategoricalHinge,
        Hinge,
        SquaredHinge,
        categorical_hinge,
        hinge,
        squared_hinge,
    )
    from rnn_engine.losses.overlap import (
        Dice,
        Tversky,
        dice,
        tversky,
    )
    from rnn_engine.losses.regression import (
        MeanAbsoluteError,
        MeanAbsolutePercentageError,
        MeanSquaredError,
        MeanSquaredLogarithmicError,
        mean_absolute_error,
        mean_absolute_percentage_error,
        mean_squared_error,
        mean_squared_logarithmic_error,
    )
    from rnn_engine.losses.robust import (
        Huber,
        LogCosh,
        huber,
        log_cosh,
    )
    from rnn_engine.losses.similarity import (
        CosineSimilarity,
        cosine_similarity,
    )
    from rnn_engine.losses.sparse import (
        SparseCategoricalCrossentropy,
        sparse_categorical_crossentropy,
    )

    # The short names that `keras.losses` also has.
    mse = MSE = mean_squared_error
    mae = MAE = mean_absolute_error
    mape = MAPE = mean_absolute_percentage_error
    msle = MSLE = mean_squared_logarithmic_error
    bce = BCE = binary_crossentropy
    kld = KLD = kullback_leibler_divergence = kl_divergence
    logcosh = log_cosh

_NAMES = {
    "binary": "BinaryCrossentropy binary_crossentropy",
    "categorical": "CategoricalCrossentropy categorical_crossentropy",
    "ctc_loss": "CTC ctc",
    "custom": "CustomLoss",
    "divergence": "KLDivergence Poisson kl_divergence poisson",
    "focal": (
        "BinaryFocalCrossentropy CategoricalFocalCrossentropy binary_focal_crossentropy "
        "categorical_focal_crossentropy"
    ),
    "generalized": "CategoricalGeneralizedCrossEntropy categorical_generalized_cross_entropy",
    "hinges": "CategoricalHinge Hinge SquaredHinge categorical_hinge hinge squared_hinge",
    "overlap": "Dice Tversky dice tversky",
    "regression": (
        "MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError "
        "MeanSquaredLogarithmicError mean_absolute_error mean_absolute_percentage_error "
        "mean_squared_error mean_squared_logarithmic_error"
    ),
    "robust": "Huber LogCosh huber log_cosh",
    "similarity": "CosineSimilarity cosine_similarity",
    "sparse": "SparseCategoricalCrossentropy sparse_categorical_crossentropy",
}
# The short names that `keras.losses` also has.
_ALIASES = {
    "mse": "mean_squared_error",
    "MSE": "mean_squared_error",
    "mae": "mean_absolute_error",
    "MAE": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "MAPE": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "MSLE": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "BCE": "binary_crossentropy",
    "kld": "kl_divergence",
    "KLD": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
}
_PLACES = places_in(__name__, _NAMES)
_PLACES |= {alias: _PLACES[name] for alias, name in _ALIASES.items()}
# Those that are no names for strings and configs, as in Keras.
_NO_ENTRIES = {"CustomLoss", "kullback_leibler_divergence", "logcosh"}
registry.announce({name: place for name, place in _PLACES.items() if name not in _NO_ENTRIES})
__getattr__ = lazily(__name__, _PLACES)
show_public(__name__)

__all__ = [
    "BCE",
    "CTC",
    "KLD",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "CustomLoss",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "bce",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "kld",
    "kullback_leibler_divergence",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
    "registry",
    "resolve",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]


def get(identifier: Any) -> Any:
    """Return the loss of a name, config, class, function or instance.

    Mirrors `keras.losses.get`: a function's name gives the function, a class's
    name an instance.

    Raises
    ------
    ValueError
        If nothing is known by it.

    Examples
    --------
    >>> get("mse").__name__
    'mean_squared_error'
    >>> get("MeanSquaredError").name
    'mean_squared_error'
    """
    return registry.get(identifier)


def serialize(loss: Any) -> Any:
    """Return a JSON-ready form of a loss. Mirrors `keras.losses.serialize`."""
    return registry.serialize(loss)


def deserialize(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Rebuild a loss that `serialize` (or Keras's own) wrote.

    Mirrors `keras.losses.deserialize`; `custom_objects` maps names to a user's classes.
    """
    if isinstance(name, dict):
        kind, config = name.get("class_name"), name.get("config", {})
        if kind == "function":  # Keras's form of a serialized function
            return deserialize(config, custom_objects)
        if custom_objects and kind in custom_objects:
            return made_of(custom_objects[kind], config)
    elif custom_objects and name in custom_objects:
        return custom_objects[name]
    return registry.deserialize(name)


def resolve(
    identifier: Any,
    y_true_shape: tuple[int, ...] | None = None,
    y_pred_shape: tuple[int, ...] | None = None,
) -> Loss | None:
    """Return the `Loss` that ``compile(loss=identifier)`` means.

    ``"crossentropy"`` and ``"ce"`` become the binary, sparse or categorical one by
    the shapes of a batch (which they need), by Keras's rule.

    Raises
    ------
    ValueError
        If the identifier is not known, or the shapes are missing where needed.

    Examples
    --------
    >>> resolve("mae").name
    'mae'
    >>> resolve("ce", (32,), (32, 10)).fn.__name__
    'sparse_categorical_crossentropy'
    """
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        if not y_true_shape or not y_pred_shape:
            raise ValueError(f"loss {identifier!r} needs the shapes of y_true and y_pred.")
        if y_pred_shape[-1] == 1:
            loss = get("binary_crossentropy")
        elif len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1:
            loss = get("sparse_categorical_crossentropy")
        else:
            loss = get("categorical_crossentropy")
    else:
        loss = get(identifier)
    if loss is None or isinstance(loss, Loss):
        return loss
    name = identifier if isinstance(identifier, str) else getattr(loss, "__name__", None)
    return LossFunctionWrapper(loss, name=name)
