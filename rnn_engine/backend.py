"""Settings, sessions and functions under their old names: `keras.backend`."""

from typing import Any

from rnn_engine.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
    standardize_dtype,
)
from rnn_engine.lazy import lazily, show_public
from rnn_engine.utils.session import clear_session, get_uid

_KERAS_2 = (
    "abs all any arange argmax argmin batch_dot batch_flatten batch_get_value batch_set_value "
    "bias_add binary_crossentropy cast cast_to_floatx categorical_crossentropy clip "
    "concatenate constant cos count_params ctc_batch_cost ctc_decode cumprod cumsum dot "
    "dropout dtype elu equal eval exp expand_dims eye flatten foldl foldr gather get_value "
    "gradients greater greater_equal hard_sigmoid in_test_phase in_top_k in_train_phase "
    "int_shape is_keras_tensor l2_normalize learning_phase less less_equal log logsumexp "
    "manual_variable_initialization map_fn max maximum mean min minimum ndim not_equal one_hot "
    "ones ones_like permute_dimensions pow prod random_bernoulli random_normal "
    "random_normal_variable random_uniform random_uniform_variable relu repeat repeat_elements "
    "reshape reverse round set_learning_phase set_value shape sigmoid sign sin softmax "
    "softplus softsign sparse_categorical_crossentropy sqrt square squeeze stack std "
    "stop_gradient sum switch tanh temporal_padding tile transpose truncated_normal update "
    "update_add update_sub var variable zeros zeros_like"
)
__getattr__ = lazily(
    __name__, {name: f"rnn_engine.ops.keras2:{name}" for name in _KERAS_2.split()}, shown=False
)


def is_float_dtype(dtype: Any) -> bool:
    """Return whether a type is of floats. Mirrors `keras.backend.is_float_dtype`."""
    return str(getattr(dtype, "name", dtype)).startswith(("float", "bfloat"))


def is_int_dtype(dtype: Any) -> bool:
    """Return whether a type is of whole numbers. Mirrors `keras.backend.is_int_dtype`."""
    return str(getattr(dtype, "name", dtype)).startswith(("int", "uint"))


__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
]


show_public(__name__)
