"""The printed table of functional models, letter for letter as Keras's."""

import pytest
import tensorflow as tf

import rnn_engine
from tests.graph.graphs import GRAPHS
from tests.graph.sides import make_twins

keras = tf.keras


def unused_input(kit):
    a, b = kit.Input((3,), name="a"), kit.Input((3,), name="b")
    return [a, b], kit.layers.Dense(2)(a)


def row_with_a_layer_twice(kit):
    x = kit.Input((3,), name="x")
    dense = kit.layers.Dense(3)
    return x, dense(dense(x))


def row_with_an_output_inside(kit):
    x = kit.Input((3,), name="x")
    h = kit.layers.Dense(3)(x)
    return x, [h, kit.layers.Dense(2)(h)]


def long_names_of_many_inputs(kit):
    parts = [kit.Input((3,), name=f"an_input_with_a_very_long_name_{i}") for i in range(3)]
    return parts, kit.layers.Concatenate(name="short")([*parts, kit.layers.Dense(2)(parts[1])])


def operations(kit):
    x = kit.Input((4, 3), name="x")
    h = kit.layers.Dense(3)(x)
    return x, kit.layers.Dense(2)((h + x)[:, -1] * 2)


def models_in_models(kit):
    inner_a, inner_b = kit.Input((4,), name="inner_a"), kit.Input((4,), name="inner_b")
    inner = kit.Model([inner_a, inner_b], kit.layers.Add()([inner_a, inner_b]), name="inner")
    chain = kit.Sequential([kit.Input((3,)), kit.layers.Dense(4)], name="chain")
    a, b = kit.Input((3,), name="a"), kit.Input((3,), name="b")
    outer = kit.Model([a, b], inner([chain(a), chain(b)]), name="outer")
    return [a, b], kit.layers.Dense(1)(outer([b, a]))


MORE = {
    make.__name__: make
    for make in (
        unused_input, row_with_a_layer_twice, row_with_an_output_inside,
        long_names_of_many_inputs, operations, models_in_models,
    )
}  # fmt: skip


def printed(model, **options):
    lines = []
    model.summary(print_fn=lines.append, **options)
    return "\n".join(lines)


# Not those with masks, which are operations of their own in Keras's graphs.
@pytest.mark.parametrize("name", [n for n in [*GRAPHS, *MORE] if not n.startswith("masks")])
def test_summary_of_a_graph(name, monkeypatch):
    monkeypatch.setitem(GRAPHS, name, {**GRAPHS, **MORE}[name])
    ours, theirs = make_twins(name, rnn_engine, keras)
    last = theirs.layers[-1].name
    for options in (
        {},
        {"expand_nested": True},
        {"show_trainable": True, "expand_nested": True},
        {"line_length": 76},
        {"layer_range": (theirs.layers[1].name, last)},
    ):
        assert printed(ours, **options) == printed(theirs, **options)


def test_summary_after_training_tells_of_the_optimizer():
    ours, theirs = make_twins("a_layer_used_twice", rnn_engine, keras)
    for model in (ours, theirs):
        model.layers[2].trainable = False
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
    assert "Optimizer params" in printed(ours)
    assert printed(ours) == printed(theirs)
