"""Optimizers (`keras.optimizers`)."""

from typing import TYPE_CHECKING, Any

from rnn_engine.lazy import lazily, places_in, show_public
from rnn_engine.optimizers.base import Optimizer
from rnn_engine.optimizers.table import registry

if TYPE_CHECKING:
    from rnn_engine.optimizers import schedules
    from rnn_engine.optimizers.adadelta import Adadelta
    from rnn_engine.optimizers.adafactor import Adafactor
    from rnn_engine.optimizers.adagrad import Adagrad
    from rnn_engine.optimizers.adam import Adam, AdamW
    from rnn_engine.optimizers.adamax import Adamax
    from rnn_engine.optimizers.ftrl import Ftrl
    from rnn_engine.optimizers.lamb import Lamb
    from rnn_engine.optimizers.lion import Lion
    from rnn_engine.optimizers.loss_scale import LossScaleOptimizer
    from rnn_engine.optimizers.nadam import Nadam
    from rnn_engine.optimizers.rmsprop import RMSprop
    from rnn_engine.optimizers.sgd import SGD
    from rnn_engine.optimizers.sparse import SparseGrad

_NAMES = {
    "adadelta": "Adadelta",
    "adafactor": "Adafactor",
    "adagrad": "Adagrad",
    "adam": "Adam AdamW",
    "adamax": "Adamax",
    "ftrl": "Ftrl",
    "lamb": "Lamb",
    "lion": "Lion",
    "loss_scale": "LossScaleOptimizer",
    "nadam": "Nadam",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
    "sparse": "SparseGrad",
}
_PLACES = places_in(__name__, _NAMES)
for _name, _place in _PLACES.items():
    if _name != "SparseGrad":
        registry.announce({_name: _place, _name.lower(): _place})
del _name, _place
__getattr__ = lazily(__name__, {**_PLACES, "schedules": f"{__name__}.schedules"})
show_public(__name__)

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "SparseGrad",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]


def with_loss_scale(optimizer: Any) -> Any:
    """Return an optimizer in a `LossScaleOptimizer`, if it is not one already."""
    from rnn_engine.optimizers.loss_scale import LossScaleOptimizer

    wrapped = optimizer is None or isinstance(optimizer, LossScaleOptimizer)
    return optimizer if wrapped else LossScaleOptimizer(optimizer)


def get(identifier: Any) -> Any:
    """Return an optimizer by its name (any case), its config dict, or itself.

    Mirrors `keras.optimizers.get`.

    Raises
    ------
    ValueError
        If `identifier` is none of these; a class is not.

    Examples
    --------
    >>> from rnn_engine import optimizers
    >>> type(optimizers.get("adam")).__name__
    'Adam'
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": {}})
    if isinstance(identifier, dict):
        return deserialize(identifier)
    raise ValueError(
        f"Could not interpret optimizer identifier: {identifier!r}. Expected a name, a config "
        "dict or an Optimizer instance."
    )


def serialize(optimizer: Optimizer) -> Any:
    """Return an optimizer as a config dict (`keras.optimizers.serialize`)."""
    return registry.serialize(optimizer)


def deserialize(config: dict[str, Any]) -> Any:
    """Rebuild what `serialize` returned (`keras.optimizers.deserialize`); any case."""
    if not isinstance(config, dict):
        raise TypeError(f"The config of an optimizer must be a dict. Received: config={config!r}")
    name = config.get("class_name")
    if isinstance(name, str) and name.lower() in registry.entries:
        config = {**config, "class_name": name.lower()}
    return registry.deserialize(config)
