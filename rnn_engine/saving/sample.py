"""A small input with its output, which a saved model carries, so that a copy can be proved.

Zeros and ones of a pattern, batch 1 (or the fixed batch), four steps where the length is free; the
output is that of inference. Both stand in the file as text, at most `MOST_BYTES` of numbers;
a model with larger ones, of no known input, or with a user's own classes (a save runs nobody's
code) carries none. The states of stateful layers begin at zero for it, and are put back.
"""

import base64
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rnn_engine.graph.inside import with_inner
from rnn_engine.saving.errors import RefusedError

FORMAT = "rnn_engine"
VERSION = 1
MOST_BYTES = 1 << 15
_STEPS = 4
# Of the larger of 1 and the largest output.
_TOLERANCES = {"float64": 1e-9, "float32": 1e-5}
_HALF = 2e-2


def note(model: Any = None) -> str:
    """Return what a file says of itself: format, versions, and the sample if there is one."""
    said = {"format": FORMAT, "version": VERSION, "versions": _versions()}
    sample = None if model is None else _sample(model)
    return json.dumps(said if sample is None else {**said, "sample": sample})


def read_note(text: bytes | str, source: str) -> dict[str, Any]:
    """Return what `note` wrote.

    Raises
    ------
    ValueError
        If it is something else, or of a later version of the format.
    """
    try:
        said = json.loads(text)
        version = said["version"] if said["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError, RecursionError):
        version = None
    if not isinstance(version, int):
        start = text[:60]
        raise RefusedError(f"{source} is not a file of {FORMAT}: its metadata are {start!r}.")
    if version > VERSION:
        raise RefusedError(
            f"{source} is of version {version} of the format, later than {VERSION}, which this "
            f"{FORMAT} reads: install a newer {FORMAT}, or save the model as .keras there."
        )
    return dict(said)


def prove(model: Any, said: dict[str, Any] | None, source: str) -> float:
    """Return by how much the model's output for the sample differs from the one in the file.

    Raises
    ------
    ValueError
        If it differs by more than rounding does, or the file carries no sample.
    """
    sample = (said or {}).get("sample")
    if not isinstance(sample, dict):
        raise RefusedError(
            f"{source} carries no sample to verify: Keras or an older rnn_engine wrote it, or "
            f"its model has classes of one's own or very large inputs. Load it, compare it with "
            f"what you know of it, and save it anew."
        )
    try:
        inputs, outputs = ([_array(part) for part in sample[key]] for key in ("inputs", "outputs"))
        found = _outputs(model, inputs)
    except Exception as error:
        raise RefusedError(f"{source} carries a sample that cannot be read: {error!r}") from error
    if [value.shape for value in found] != [value.shape for value in outputs]:
        raise RefusedError(
            f"{source}: the outputs for the sample have the shapes "
            f"{[value.shape for value in found]}, and {[value.shape for value in outputs]} in "
            f"the file."
        )
    worst = 0.0
    for ours, theirs in zip(found, outputs, strict=True):
        wanted = theirs.astype(np.float64)
        with np.errstate(invalid="ignore"):
            difference = np.abs(ours.astype(np.float64) - wanted)
        difference[_same(ours, theirs)] = 0.0
        size = max(1.0, float(np.max(np.abs(wanted[np.isfinite(wanted)]), initial=0.0)))
        allowed = size * _TOLERANCES.get(_dtype(model, ours), _HALF)
        largest = float(np.max(difference, initial=0.0))
        if not largest <= allowed:
            made = sample.get("versions") or (said or {}).get("versions")
            raise RefusedError(
                f"{source} is not the model that was saved: for the sample in the file its "
                f"output differs by {largest:.3g} from the one noted at the save, where "
                f"rounding makes {allowed:.1g} at most. It was saved with {made}."
            )
        worst = max(worst, largest)
    return worst


def _same(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))


def _dtype(model: Any, output: np.ndarray) -> str:
    layers = with_inner([model])
    mixed = any("mixed" in str(getattr(layer, "_policy", "")) for layer in layers)
    return "half" if mixed else output.dtype.name


def _versions() -> dict[str, str]:
    import rnn_engine

    found = {"rnn_engine": rnn_engine.__version__, "numpy": np.__version__}
    return {**found, "python": platform.python_version()}


# --- making one -------------------------------------------------------------------------


def _sample(model: Any) -> dict[str, Any] | None:
    """Return inputs and outputs as text, or None where there are none."""
    try:
        inputs = _inputs(model)
        if inputs is None or not all(map(_is_ours, with_inner([model]))):
            return None
        outputs = _outputs(model, inputs)
        if sum(value.nbytes for value in (*inputs, *outputs)) > MOST_BYTES:
            return None
        return {"inputs": list(map(_text, inputs)), "outputs": list(map(_text, outputs))}
    except Exception:  # what cannot be called so has no sample, and is saved all the same
        return None


def _inputs(model: Any) -> list[np.ndarray] | None:
    tensors = getattr(model, "inputs", None) if model.built else None
    if not tensors:
        return None
    found = []
    for tensor in tensors:
        batch, *rest = tensor.shape
        shape = (batch or 1, *(size or _STEPS for size in rest))
        count = int(np.prod(shape))
        if count * 4 > MOST_BYTES:
            return None
        if tensor.dtype == "string":
            texts = [("a", "b a", "", "c")[i % 4] for i in range(count)]
            found.append(np.array(texts).reshape(shape))
            continue
        whole = np.dtype(_number(tensor.dtype)).kind in "biu"
        pattern = np.arange(count) % 7
        values = pattern % 2 if whole else (pattern - 3) / 4  # 0 and 1 are in each vocabulary
        found.append(values.astype(_number(tensor.dtype)).reshape(shape))
    return found


def _number(dtype: str) -> str:
    return "float32" if dtype == "bfloat16" else dtype


def _outputs(model: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Return the outputs of inference, flat, and leave the model as it was."""
    with _states_put_back(model):
        found = model.predict_on_batch(inputs[0] if len(inputs) == 1 else inputs)
    return [np.asarray(value) for value in _flat(found)]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    if isinstance(value, list | tuple):
        for part in value:
            yield from _flat(part)
    else:
        yield np.asarray(value, np.float32) if str(value.dtype) == "bfloat16" else value


@contextmanager
def _states_put_back(model: Any) -> Iterator[None]:
    """Let stateful layers begin at zero in the block, and have their states again after it."""
    layers = [la for la in with_inner([model]) if getattr(la, "stateful", False)]
    layers = [layer for layer in layers if hasattr(layer, "states")]
    before = [
        None if layer.states is None else [np.array(state) for state in layer.states]
        for layer in layers
    ]
    for layer in layers:
        layer.reset_state()
    try:
        yield
    finally:
        for layer, states in zip(layers, before, strict=True):
            if states is None:
                layer.states = None
            else:
                for variable, values in zip(layer.states, states, strict=True):
                    variable.assign(values)


def _is_ours(layer: Any) -> bool:
    from rnn_engine.layers import Lambda

    ours = type(layer).__module__.startswith("rnn_engine.") and not isinstance(layer, Lambda)
    functions = (getattr(layer, name, None) for name in ("activation", "recurrent_activation"))
    return ours and all(
        function is None or (type(function).__module__.startswith("rnn_engine.activations")
        and type(function).__name__ not in ("FunctionActivation", "CustomActivation"))
        for function in functions
    )  # fmt: skip


# --- as text -----------------------------------------------------------------------------


def _text(value: np.ndarray) -> dict[str, Any]:
    if value.dtype.kind == "U":
        return {"shape": list(value.shape), "dtype": "string", "data": value.ravel().tolist()}
    data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
    return {"shape": list(value.shape), "dtype": value.dtype.name, "data": data}


def _array(part: dict[str, Any]) -> np.ndarray:
    shape = tuple(int(size) for size in part["shape"])
    if part["dtype"] == "string":
        return np.array([str(text) for text in part["data"]]).reshape(shape)
    dtype = np.dtype(part["dtype"])
    if dtype.kind not in "biuf":
        raise ValueError(f"numbers are wanted, not {dtype}")
    content = base64.b64decode(part["data"], validate=True)
    return np.frombuffer(content, dtype).reshape(shape).copy()
