"""`keras.tree` and `tf.nest` against Keras."""

from collections import OrderedDict, namedtuple
from typing import Any

import pytest

import rnn_engine

keras = pytest.importorskip("keras")

Point = namedtuple("Point", "x y")
NESTS = [
    1,
    None,
    [],
    {},
    [1, (2, None), {"b": 3, "a": [4]}],
    {"b": {"d": 1, "c": 2}, "a": ()},
    {"b": {"d": 1, "x": 2}, "a": ()},
    OrderedDict([("b", 1), ("a", [2, 3])]),
    Point(1, [2, {"z": 3}]),
    ((None, 3), [(2, 1), [None, 4]]),
]


@pytest.mark.parametrize("nest", NESTS, ids=str)
def test_the_same_of_one_nest(nest: Any) -> None:
    theirs, ours = keras.tree, rnn_engine.tree
    assert ours.flatten(nest) == theirs.flatten(nest)
    assert ours.flatten_with_path(nest) == theirs.flatten_with_path(nest)
    assert ours.is_nested(nest) == theirs.is_nested(nest)
    assert ours.lists_to_tuples(nest) == theirs.lists_to_tuples(nest)
    assert ours.map_structure(str, nest) == theirs.map_structure(str, nest)
    assert type(ours.map_structure(str, nest)) is type(theirs.map_structure(str, nest))
    assert ours.map_structure(str, nest, none_is_leaf=False) == theirs.map_structure(
        str, nest, none_is_leaf=False
    )
    assert ours.map_shape_structure(repr, nest) == theirs.map_shape_structure(repr, nest)
    values = list(range(len(theirs.flatten(nest))))
    assert ours.pack_sequence_as(nest, values) == theirs.pack_sequence_as(nest, values)
    for top_down in True, False:
        seen: list[list[Any]] = [[], []]
        for tree, parts in zip((theirs, ours), seen, strict=True):
            tree.traverse(parts.append, nest, top_down=top_down)
        assert seen[0] == seen[1]
        results = [
            tree.traverse(
                lambda x, tree=tree: tree.MAP_TO_NONE if x == 2 else "l" if x == [4] else None,
                nest,
                top_down=top_down,
            )
            for tree in (theirs, ours)
        ]
        assert results[0] == results[1]


@pytest.mark.parametrize("first", NESTS, ids=str)
@pytest.mark.parametrize("other", NESTS, ids=str)
def test_the_same_of_two(first: Any, other: Any) -> None:
    for name, call in (
        ("same", lambda t: t.assert_same_structure(first, other)),
        ("paths", lambda t: t.assert_same_paths(first, other)),
        ("map", lambda t: t.map_structure(lambda a, b: (str(a), str(b)), first, other)),
    ):
        outcomes = []
        for tree in (keras.tree, rnn_engine.tree):
            try:
                outcomes.append(call(tree))
            except (ValueError, TypeError):
                outcomes.append("refused")
        assert outcomes[0] == outcomes[1], name


def test_up_to_and_errors() -> None:
    for tree in (keras.tree, rnn_engine.tree):
        assert tree.map_structure_up_to([0, (0,)], len, [[1, 2], ([3],)]) == [2, (1,)]
        for call in (
            lambda tree=tree: tree.map_structure(str),
            lambda tree=tree: tree.map_structure_up_to([1], str),
            lambda tree=tree: tree.pack_sequence_as([1, 2], [1]),
            lambda tree=tree: tree.pack_sequence_as([1, 2], [1, 2, 3]),
        ):
            with pytest.raises(ValueError, match=r"at least one structure|Too (few|many) leaves"):
                call()
    assert rnn_engine.nest is rnn_engine.tree


def test_keys_of_several_types_come_type_by_type() -> None:
    keras = pytest.importorskip("keras")
    mixed = {"b": 1, 2: 2, "a": 3, 1: 4}
    assert rnn_engine.tree.flatten(mixed) == keras.tree.flatten(mixed) == [4, 2, 3, 1]
