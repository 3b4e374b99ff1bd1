"""Graphs that are made alike of either library's layers."""

from collections.abc import Callable
from typing import Any

Made = tuple[Any, Any]
GRAPHS: dict[str, Callable[[Any], Made]] = {}
"""From names to functions of a library that return inputs and outputs of a model."""


def graph(make: Callable[[Any], Made]) -> Callable[[Any], Made]:
    """Add a graph under the name of its function."""
    GRAPHS[make.__name__] = make
    return make


@graph
def chain(kit: Any) -> Made:
    x = kit.Input((5, 3), name="x")
    return x, kit.layers.Dense(2)(kit.layers.SimpleRNN(4)(x))


@graph
def a_tensor_used_twice(kit: Any) -> Made:
    x = kit.Input((5, 3), name="x")
    h = kit.layers.SimpleRNN(4, return_sequences=True)(x)
    last = kit.layers.SimpleRNN(3)(h)
    pooled = kit.layers.GlobalAveragePooling1D()(h)
    return x, [kit.layers.Dense(1, name="a")(last), kit.layers.Dense(2, name="b")(pooled), last]


@graph
def a_layer_used_twice(kit: Any) -> Made:
    a, b = kit.Input((5, 3), name="a"), kit.Input((5, 3), name="b")
    tower = kit.layers.SimpleRNN(4)
    head = kit.layers.Dense(2, activation="tanh")
    return [a, b], [head(tower(a)), head(tower(b))]


@graph
def encoder_and_decoder(kit: Any) -> Made:
    source, target = kit.Input((5, 3), name="source"), kit.Input((4, 2), name="target")
    _, state = kit.layers.SimpleRNN(4, return_state=True)(source)
    h = kit.layers.SimpleRNN(4, return_sequences=True)(target, initial_state=state)
    return [source, target], kit.layers.Dense(3, activation="softmax")(h)


@graph
def states_in_a_list_both_ways(kit: Any) -> Made:
    x, s, t = kit.Input((5, 3), name="x"), kit.Input((2,), name="s"), kit.Input((2,), name="t")
    both = kit.layers.Bidirectional(kit.layers.SimpleRNN(2, return_state=True))
    y, forward, backward = both(x, initial_state=[s, t])
    return {"x": x, "s": s, "t": t}, {"y": kit.layers.Dense(2)(y), "f": forward, "b": backward}


def states_of_both_ways(kit: Any, merge_mode: str | None) -> Made:
    words = kit.Input((6,), name="words")
    embedded = kit.layers.Embedding(9, 3, mask_zero=True)(words)
    lstm = kit.layers.LSTM(2, return_sequences=True, return_state=True)
    *outputs, h, c, h_back, c_back = kit.layers.Bidirectional(lstm, merge_mode)(embedded)
    state = [kit.layers.Multiply()(pair) for pair in ([h, h_back], [c, c_back])]
    last = kit.layers.LSTM(2)(embedded, initial_state=state)
    return words, [kit.layers.LSTM(3)(outputs[-1]), last]


@graph
def masks_and_states_of_both_ways(kit: Any) -> Made:
    return states_of_both_ways(kit, "concat")


@graph
def masks_and_states_unmerged(kit: Any) -> Made:
    return states_of_both_ways(kit, None)


@graph
def masks_along_each_tensor(kit: Any) -> Made:
    words, series = kit.Input((6,), name="words"), kit.Input((6, 3), name="series")
    h = kit.layers.Embedding(9, 4, mask_zero=True)(words)
    first = kit.layers.SimpleRNN(3)(h)
    masked = kit.layers.Masking()(series)
    second = kit.layers.SimpleRNN(3, return_sequences=True)(masked, initial_state=first)
    return (words, series), (kit.layers.Dense(2)(second), kit.layers.GlobalAveragePooling1D()(h))


@graph
def models_inside(kit: Any) -> Made:
    x = kit.Input((5, 3), name="x")
    inner_x = kit.Input((5, 3), name="inner_x")
    y, state = kit.layers.SimpleRNN(4, return_state=True)(inner_x)
    encoder = kit.Model(inner_x, [y, state], name="encoder")
    head = kit.Sequential([kit.Input((4,)), kit.layers.Dense(3, activation="tanh")], name="head")
    first, state = encoder(x)
    flipped = kit.layers.SimpleRNN(3, return_sequences=True)(x, initial_state=head(first))
    again, _ = encoder(flipped)
    return x, [head(again), state]


@graph
def penalties_on_activity(kit: Any) -> Made:
    x = kit.Input((3,), name="x")
    h = kit.layers.Dense(4, activity_regularizer="l2", kernel_regularizer="l1")(x)
    shared = kit.layers.Dense(4, activation="sigmoid", activity_regularizer="l1")
    return x, kit.layers.Dense(2)(shared(shared(h)))


@graph
def an_output_that_is_an_input(kit: Any) -> Made:
    a, b = kit.Input((3,), name="a"), kit.Input((3,), name="b")
    return [a, b], [kit.layers.Dense(3)(a), a, kit.layers.Reshape((3, 1))(b)]


@graph
def part_of_a_model(kit: Any) -> Made:
    x = kit.Input((5, 3), name="x")
    h = kit.layers.SimpleRNN(4, return_sequences=True)(x)
    whole = kit.Model(x, kit.layers.Dense(2)(kit.layers.SimpleRNN(3)(h)))
    return whole.layers[1].output, whole.layers[2].output


@graph
def two_types(kit: Any) -> Made:
    x = kit.Input((3,), name="x")
    wide = kit.layers.Dense(4, dtype="float64")(x)
    return x, kit.layers.Dense(2, dtype="float32")(wide)
