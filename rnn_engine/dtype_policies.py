"""In which types layers keep weights and give outputs: `keras.dtype_policies`.

Everything is computed in float32 or float64. A mixed policy keeps float32 weights, as in Keras,
and has outputs that leave a model in its half type; between layers they stay float32, so results
are at least as exact as Keras's. NumPy has no bfloat16: those outputs stay float32.
"""

from typing import Any

from rnn_engine import config
from rnn_engine.config import MIXED
from rnn_engine.registry import Registry

registry = Registry("dtype policy")
_HALF = ("float16", "bfloat16")


@registry.register()
class DTypePolicy:
    """Types of a layer's weights and outputs (`keras.DTypePolicy`).

    Parameters
    ----------
    name : str, optional
        "float32", "float64", "mixed_float16" or "mixed_bfloat16"; the global policy's if None.

    Attributes
    ----------
    name, variable_dtype, compute_dtype : str
        `compute_dtype` is the type of outputs; see the module for what is computed in it.

    Raises
    ------
    ValueError
        If there is no such policy, or it wants weights in half precision.

    Examples
    --------
    >>> policy = DTypePolicy("mixed_float16")
    >>> policy.variable_dtype, policy.compute_dtype
    ('float32', 'float16')
    """

    name: str

    def __init__(self, name: str | None = None, source_name: str | None = None) -> None:
        name = config.policy_name() if name is None else name
        if not isinstance(name, str):
            raise TypeError(
                f"'name' must be a string, such as 'mixed_float16'. Received: name={name} (of type "
                f"{type(name)})"
            )
        if name in _HALF:
            raise ValueError(
                f"Weights of dtype {name} are not offered: kernels are float32 and float64. Use "
                f"'mixed_{name}'. Received: name={name}"
            )
        if name not in ("float32", "float64", *MIXED):
            raise ValueError(
                f"Cannot convert '{name}' to a mixed precision DTypePolicy. Valid policies include "
                f"'mixed_float16', 'mixed_bfloat16', 'float32' and 'float64'. Received: name={name}"
            )
        self.name = name
        self.variable_dtype = "float32" if name in MIXED else name
        self.compute_dtype = MIXED.get(name, name)
        self.quantization_mode = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's argument."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DTypePolicy":
        """Return the policy of a config."""
        return cls(**config)


FloatDTypePolicy = DTypePolicy


def dtype_policy() -> DTypePolicy:
    """Return the policy of layers that are given none. Mirrors `keras.config.dtype_policy`."""
    return DTypePolicy(config.policy_name())


def set_dtype_policy(policy: Any) -> None:
    """Set the policy of layers made from now on. Mirrors `keras.config.set_dtype_policy`.

    Raises
    ------
    ValueError
        If there is no such policy.
    """
    config.set_policy_name(get(policy).name)


def get(identifier: Any) -> DTypePolicy:
    """Return the policy of a name, a type, a config or a policy; the global one for None.

    Mirrors `keras.dtype_policies.get`.

    Examples
    --------
    >>> get("float64")
    <DTypePolicy "float64">
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        identifier = identifier.get("config", identifier).get("name")
    name = getattr(identifier, "name", identifier)
    try:
        name = config.standardize_dtype(name)  # NumPy's types have names too
    except ValueError as error:
        if not isinstance(name, str):
            raise ValueError(
                f"Cannot interpret `dtype` argument. Expected a string or an instance of "
                f"DTypePolicy. Received: dtype={identifier}. {error}"
            ) from None
    return DTypePolicy(name)


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """Return a policy as a config. Mirrors `keras.dtype_policies.serialize`."""
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": dtype_policy.get_config(),
        "registered_name": None,
    }


def deserialize(config: Any, custom_objects: Any = None) -> DTypePolicy:
    """Return the policy of a config. Mirrors `keras.dtype_policies.deserialize`."""
    return get(config)
