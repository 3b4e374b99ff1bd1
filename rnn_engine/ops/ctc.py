"""Connectionist temporal classification: `ops.ctc_loss` and `ops.ctc_decode`.

The loss is the forward-backward algorithm of Graves et al. (2006), in logarithms and float64,
for all sequences of a batch at once; its gradient is by hand.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine.autodiff import steps
from rnn_engine.graph import is_symbolic
from rnn_engine.ops.dispatch import enter, shown

_NONE = -np.inf


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    top = logits.max(axis=-1, keepdims=True, initial=_NONE)
    shifted = logits - top
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _checked(
    target: Any, output: np.ndarray, target_length: Any, output_length: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels and both lengths as integers that fit the output.

    Raises
    ------
    ValueError
        If shapes, lengths or labels do not.
    """
    labels = np.asarray(target)
    if output.ndim != 3 or labels.ndim != 2 or len(labels) != len(output):
        raise ValueError(
            "ctc_loss takes a target of shape (batch_size, max_length) and an output of shape "
            f"(batch_size, max_length, num_classes). Received: target.shape={labels.shape}, "
            f"output.shape={output.shape}"
        )
    batch, time, classes = output.shape
    found = []
    for name, given, most in (
        ("target_length", target_length, labels.shape[1]),
        ("output_length", output_length, time),
    ):
        lengths = np.asarray(given).reshape(-1).astype(np.int64)
        if lengths.shape != (batch,) or np.any((lengths < 0) | (lengths > most)):
            raise ValueError(
                f"{name} of ctc_loss must hold {batch} lengths within 0..{most}, got {lengths}."
            )
        found.append(lengths)
    labels = labels.astype(np.int64)
    counts = np.arange(labels.shape[1]) < found[0][:, None]
    if np.any(counts & ((labels < 0) | (labels >= classes))):
        raise ValueError(f"A label of ctc_loss is outside 0..{classes - 1}.")
    return np.where(counts, labels, 0), found[0], found[1]


def loss_and_gradient(
    target: Any,
    output: np.ndarray,
    target_length: Any,
    output_length: Any,
    blank: int,
    upstream: Any = None,
) -> tuple[np.ndarray, Any]:
    """Return the loss of each sequence, and the gradient of Σ upstream·loss by the logits.

    No gradient is made where `upstream` is None. Where no path leads to the target the loss is
    infinite and the gradient zero.
    """
    labels, target_length, output_length = _checked(target, output, target_length, output_length)
    batch, time, classes = output.shape
    blank %= classes
    logs = _log_softmax(output.astype(np.float64))
    states = 2 * labels.shape[1] + 1
    symbols = np.full((batch, states), blank)
    symbols[:, 1::2] = labels
    jumps = np.zeros((batch, states), bool)  # over the blank between two different labels
    jumps[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    place = np.arange(states)
    last = 2 * target_length[:, None]
    inside = place <= last
    emitted = np.take_along_axis(logs, np.repeat(symbols[:, None], time, 1), 2)
    ends = (place == last) | (place == last - 1)
    alpha = np.full((time, batch, states), _NONE)
    final = np.where(output_length == 0, np.where(target_length == 0, 0.0, _NONE), _NONE)
    for t in range(time):
        if t == 0:
            alpha[0] = np.where(place < 2, emitted[:, 0], _NONE)
        else:
            before = alpha[t - 1]
            total = np.logaddexp(before, _moved(before, 1))
            total = np.logaddexp(total, np.where(jumps, _moved(before, 2), _NONE))
            alpha[t] = total + emitted[:, t]
        alpha[t][~inside] = _NONE
        here = output_length == t + 1
        final[here] = np.logaddexp.reduce(np.where(ends, alpha[t], _NONE)[here], axis=1)
    losses = -final
    if upstream is None:
        return losses, None
    slopes = np.broadcast_to(upstream, (batch,)) * np.isfinite(final)
    gradient = np.exp(logs)
    beta = np.full((batch, states), _NONE)
    for t in range(time - 1, -1, -1):
        if t < time - 1:
            after = beta + emitted[:, t + 1]
            total = np.logaddexp(after, _moved(after, -1))
            over = _moved(np.where(jumps, after, _NONE), -2)
            beta = np.logaddexp(total, over)
        beta = np.where((output_length == t + 1)[:, None], np.where(ends, 0.0, _NONE), beta)
        share = np.exp(np.where(np.isfinite(final)[:, None], alpha[t] + beta, _NONE)
                       - np.where(np.isfinite(final), final, 0.0)[:, None])  # fmt: skip
        np.subtract.at(gradient[:, t], (np.arange(batch)[:, None], symbols), share)
    counted = np.arange(time) < output_length[:, None]
    return losses, gradient * (slopes[:, None] * counted)[:, :, None]


def _moved(x: np.ndarray, by: int) -> np.ndarray:
    """Return the states moved on by one or two, or back, with nothing where none come from."""
    out = np.full_like(x, _NONE)
    if by > 0:
        out[:, by:] = x[:, :-by]
    else:
        out[:, :by] = x[:, -by:]
    return out


@enter
def ctc_loss(
    target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0
) -> Any:
    """Return the CTC loss of each sequence. Mirrors `keras.ops.ctc_loss`.

    Parameters
    ----------
    target : (batch, labels) of int
        Classes, of which the first `target_length` of a row count.
    output : (batch, time, classes)
        Logits, of which the first `output_length` steps of a row count.
    target_length, output_length : (batch,) of int
    mask_index : int
        Class of the blank.

    Where the time is too short for the target the loss is infinite, with a gradient of zero;
    Keras on TensorFlow has about 700 there.

    Raises
    ------
    ValueError
        If shapes, lengths or labels do not fit.

    Examples
    --------
    >>> logits = np.zeros((1, 2, 3), "float32")
    >>> round(float(ctc_loss([[1]], logits, [1], [2])[0]), 4)  # 3 of 9 paths give "1"
    1.0986
    """
    if is_symbolic(target, output, target_length, output_length):
        from rnn_engine.ops.symbolic import symbolic_call

        args = (target, output, target_length, output_length)
        return symbolic_call("ctc_loss", args, {"mask_index": mask_index})
    plain = [_values(x) for x in (target, target_length, output_length)]

    def function(logits: Any) -> steps.Outputs:
        logits = np.asarray(logits)
        kind = logits.dtype if logits.dtype.kind == "f" else np.dtype(np.float32)
        given = (plain[0], logits, plain[1], plain[2], mask_index)
        losses, _ = loss_and_gradient(*given)

        def back(gradients: list[Any], wanted: list[bool]) -> list[Any]:
            return [loss_and_gradient(*given, gradients[0])[1].astype(kind)]

        return [losses.astype(kind)], back

    found = steps.record(function, [output])[0]
    return shown(found) if isinstance(found, np.ndarray) else found


def _values(x: Any) -> np.ndarray:
    """Return an array without the record of a tape: no gradient goes by labels and lengths."""
    while hasattr(x, "_node"):
        x = x._value
    return np.asarray(x)


# --- decoding ---------------------------------------------------------------------------------


def greedy(
    logits: np.ndarray, lengths: np.ndarray, merge: bool, blank: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best class of each step without blanks, (batch, time), and -Σ of its logits."""
    _, time, classes = logits.shape
    best = logits.argmax(axis=-1)
    counted = np.arange(time) < lengths[:, None]
    keep = counted & (best != blank % classes)
    if merge:
        keep[:, 1:] &= best[:, 1:] != best[:, :-1]
    scores = -np.where(counted, logits.max(axis=-1, initial=_NONE), 0).sum(axis=1)
    return _dense([row[kept] for row, kept in zip(best, keep, strict=True)], time), scores[:, None]


def beams(
    logits: np.ndarray, lengths: np.ndarray, width: int, top: int, blank: int
) -> tuple[list[list[tuple[int, ...]]], np.ndarray]:
    """Return the `top` most probable label sequences of each row, and their log probabilities.

    Prefix beam search: a prefix has the probability of ending in a blank and of ending in its
    last label.
    """
    blank %= logits.shape[-1]
    paths: list[list[tuple[int, ...]]] = []
    scores = []
    for row, length in zip(_log_softmax(logits.astype(np.float64)), lengths, strict=True):
        found: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, _NONE)}
        for step in row[:length]:
            following: dict[tuple[int, ...], list[float]] = {}

            def add(
                prefix: tuple[int, ...], place: int, value: float, into: Any = following
            ) -> None:
                pair = into.setdefault(prefix, [_NONE, _NONE])
                pair[place] = np.logaddexp(pair[place], value)

            for prefix, (with_blank, with_label) in found.items():
                both = np.logaddexp(with_blank, with_label)
                add(prefix, 0, both + step[blank])
                for label, value in enumerate(step):
                    if label == blank:
                        continue
                    if prefix and prefix[-1] == label:
                        add(prefix, 1, with_label + value)
                        add((*prefix, label), 1, with_blank + value)
                    else:
                        add((*prefix, label), 1, both + value)
            ranked = sorted(
                following.items(), key=lambda item: -float(np.logaddexp(item[1][0], item[1][1]))
            )
            found = {prefix: (pair[0], pair[1]) for prefix, pair in ranked[:width]}
        best = sorted(found.items(), key=lambda item: -np.logaddexp(*item[1]))[:top]
        best += [((), (_NONE, _NONE))] * (top - len(best))
        paths.append([prefix for prefix, _ in best])
        scores.append([np.logaddexp(*pair) for _, pair in best])
    return paths, np.array(scores).reshape(-1, top)


def _dense(rows: Sequence[Any], time: int) -> np.ndarray:
    """Return label sequences as rows that -1 fills up."""
    out = np.full((len(rows), time), -1, np.int64)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = row
    return out


@enter
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> Any:
    """Return label sequences for logits, and their scores. Mirrors `keras.ops.ctc_decode`.

    Parameters
    ----------
    inputs : (batch, time, classes)
        Logits.
    sequence_lengths : (batch,) of int
    strategy : str
        ``"greedy"`` or ``"beam_search"``.
    beam_width, top_paths : int
        Of the beam search: prefixes that are kept, and returned.
    merge_repeated : bool
        Of the greedy way: whether a class that stays is one label.
    mask_index : int
        Class of the blank.

    Returns
    -------
    (paths, batch, time) of int32, filled up with -1, and scores (batch, paths): log
    probabilities, greedily the negative sum of the greatest logits.

    Raises
    ------
    ValueError
        If the strategy is another.

    Examples
    --------
    >>> logits = np.log([[[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1]]])
    >>> ctc_decode(logits, [3])[0]
    array([[[ 1, -1, -1]]], dtype=int32)
    """
    if is_symbolic(inputs, sequence_lengths):
        from rnn_engine.ops.symbolic import symbolic_call

        return symbolic_call(
            "ctc_decode",
            (inputs, sequence_lengths),
            {"strategy": strategy, "beam_width": beam_width, "top_paths": top_paths,
             "merge_repeated": merge_repeated, "mask_index": mask_index},
        )  # fmt: skip
    logits = _values(inputs)
    lengths = np.clip(_values(sequence_lengths).reshape(-1).astype(np.int64), 0, logits.shape[1])
    kind = logits.dtype if logits.dtype.kind == "f" else np.dtype(np.float32)
    if strategy == "greedy":
        decoded, scores = greedy(logits, lengths, merge_repeated, mask_index)
        found = decoded[None]
    elif strategy == "beam_search":
        paths, scores = beams(logits, lengths, beam_width, top_paths, mask_index)
        by_path = list(zip(*paths, strict=True)) or [() for _ in range(top_paths)]
        found = np.stack([_dense(rows, logits.shape[1]) for rows in by_path])
    else:
        raise ValueError(
            f"Invalid strategy {strategy}. Supported values are 'greedy' and 'beam_search'."
        )
    return shown((found.astype(np.int32), scores.astype(kind)))
