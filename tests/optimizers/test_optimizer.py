"""What every optimizer does beside its update: options, errors, state, users' own."""

import copy
import math
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

from rnn_engine import optimizers
from rnn_engine.optimizers import SGD, Adam, Optimizer, SparseGrad
from rnn_engine.optimizers.table import registry
from rnn_engine.variable import Variable
from tests.kernels.process import run


def variables(dtype: str = "float32") -> list[Variable]:
    rng = np.random.default_rng(0)
    return [
        Variable(rng.normal(size=(3, 2)), dtype=dtype, name="kernel", path="dense/kernel"),
        Variable(rng.normal(size=2), dtype=dtype, name="bias", path="dense/bias"),
    ]


def gradients(seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(3, 2)).astype("f"), rng.normal(size=2).astype("f")]


@pytest.mark.parametrize("rate", [math.nan, math.inf, -0.1])
def test_a_learning_rate_that_spoils_the_weights_is_rejected_wherever_it_enters(
    rate: float,
) -> None:
    with pytest.raises(ValueError, match="learning_rate must be a finite number"):
        SGD(rate)
    optimizer, w = SGD(0.1), variables()
    with pytest.raises(ValueError, match="learning_rate must be a finite number"):
        optimizer.learning_rate = rate
    before = [v.numpy() for v in w]
    optimizer.learning_rate.assign(rate)
    for late in (optimizer, SGD(lambda: rate)):
        with pytest.raises(ValueError, match="learning_rate must be a finite number"):
            late.apply(gradients(), w)
        assert int(late.iterations) == 0
    for v, old in zip(w, before, strict=True):
        np.testing.assert_array_equal(v.value, old)


@pytest.mark.parametrize("rate", [1, "0.1", None, [0.1]])
def test_a_learning_rate_that_is_no_float_is_rejected(rate: Any) -> None:
    with pytest.raises(ValueError, match="`learning_rate` should be float"):
        SGD(rate)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clipnorm": 1.0, "clipvalue": 1.0}, "Only one of"),
        ({"clipnorm": 1.0, "global_clipnorm": 1.0}, "Only one of"),
        ({"use_ema": True, "ema_momentum": 1.5}, "ema_momentum"),
        ({"use_ema": True, "ema_overwrite_frequency": 2.5}, "ema_overwrite_frequency"),
        ({"gradient_accumulation_steps": 1}, "gradient_accumulation_steps"),
        ({"nonsense": 1}, "not recognized"),
    ],
)
@pytest.mark.parametrize("cls", registry.unique())
def test_options_that_keras_rejects(cls: type, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cls(**options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(momentum=1), "momentum"),
        (lambda: SGD(momentum=1.5), "momentum"),
        (lambda: optimizers.AdamW(weight_decay=None), "weight_decay"),
        (lambda: optimizers.Lion(beta_1=0.0), "beta_1"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power"),
        (lambda: optimizers.Ftrl(l1_regularization_strength=-1.0), "l1_regularization_strength"),
        (lambda: optimizers.get("adamm"), "Did you mean"),
        (lambda: optimizers.get(Adam), "Could not interpret"),
        (lambda: optimizers.get(3), "Could not interpret"),
    ],
)
def test_arguments_that_keras_rejects(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_bad_gradients_change_nothing() -> None:
    w, optimizer = variables(), Adam(0.1)
    optimizer.build(w)
    state = [v.numpy() for v in (*w, *optimizer.variables)]
    kernel, bias = gradients()
    stranger = Variable(np.zeros(2), dtype="float32")
    cases: list[tuple[Any, Any, str]] = [
        (
            [kernel],
            None,
            "a list of 1 gradients, but the optimizer is tracking 2 trainable variables",
        ),
        ([kernel, kernel], None, r"grads\[1\] has shape \(3, 2\)"),
        ([kernel.T, bias], None, r"grads\[0\] has shape \(2, 3\)"),
        ([kernel, np.array(["a", "b"])], None, r"grads\[1\] .* must hold real numbers"),
        ([kernel, bias * 1j], None, r"grads\[1\] .* must hold real numbers"),
        ([kernel, SparseGrad([0], [[1.0]], (2, 1))], None, r"grads\[1\] has shape \(2, 1\)"),
        ([None, None], None, "No gradients provided"),
        ([kernel, bias], [w[0], stranger], "Unknown variable"),
    ]
    for grads, targets, message in cases:
        with pytest.raises(ValueError, match=message):
            optimizer.apply(grads, targets)
    for v, old in zip((*w, *optimizer.variables), state, strict=True):
        np.testing.assert_array_equal(v.value, old)
    with pytest.raises(ValueError, match="must already be built"):
        SGD().apply(gradients())
    optimizer.apply([], [])
    assert int(optimizer.iterations) == 0


def test_a_missing_gradient_leaves_its_variable_alone_and_warns() -> None:
    w, optimizer = variables(), SGD(0.5)
    before, bias = w[0].numpy(), w[1].numpy()
    with pytest.warns(UserWarning, match="dense/kernel"):
        optimizer.apply([None, np.ones(2)], w)
    np.testing.assert_array_equal(w[0].value, before)
    np.testing.assert_allclose(w[1].value, bias - 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda g: g.astype("float64"),
        lambda g: g.astype(">f4"),
        np.asfortranarray,
        lambda g: g.tolist(),
        lambda g: np.repeat(g, 2, axis=0)[::2],
        lambda g: np.broadcast_to(g, g.shape),
        lambda g: np.frombuffer(b"?" + g.tobytes(), g.dtype, offset=1).reshape(g.shape),
    ],
    ids=["float64", "swapped", "Fortran", "list", "strided", "read-only", "unaligned"],
)
@pytest.mark.parametrize("options", [{}, {"clipnorm": 0.1}], ids=["plain", "clipped"])
def test_any_form_of_a_gradient_is_its_plain_copy(change: Any, options: Any) -> None:
    plain, other = variables(), variables()
    Adam(0.1, **options).apply(gradients(), plain)
    Adam(0.1, **options).apply([change(g) for g in gradients()], other)
    for a, b in zip(plain, other, strict=True):
        np.testing.assert_array_equal(a.value, b.value)


def test_parts_that_cannot_be_written_are_their_plain_copies() -> None:
    for options in ({}, {"global_clipnorm": 0.1}):
        plain, other = variables(), variables()
        values = gradients()[0][:2]
        for given, into in ((values, plain), (np.broadcast_to(values, values.shape), other)):
            Adam(0.1, **options).apply([SparseGrad([2, 0], given, (3, 2))], into[:1])
        np.testing.assert_array_equal(plain[0].value, other[0].value)


def test_update_step_takes_a_gradient_that_cannot_be_written() -> None:
    plain, other = variables(), variables()
    g = gradients()[0]
    for given, into in ((g, plain), (np.broadcast_to(g, g.shape), other)):
        optimizer = Adam(0.1)
        optimizer.build(into)
        optimizer.update_step(given, into[0], 0.1)
    np.testing.assert_array_equal(plain[0].value, other[0].value)


def test_variables_are_written_in_place_and_their_version_moves() -> None:
    w, optimizer = variables(), Adam(0.1)
    arrays = [v.value for v in w]
    optimizer.apply_gradients(zip(gradients(), w, strict=True))
    assert [v.value is a for v, a in zip(w, arrays, strict=True)] == [True, True]
    assert all(v.version for v in w)
    # A variable whose array was replaced is found again.
    w[0]._value = w[0].value.copy()
    before = w[0].numpy()
    optimizer.apply(gradients(), w)
    assert np.abs(w[0].value - before).min() > 1e-3


def test_constraints_come_after_the_update() -> None:
    w = Variable([0.5, -0.5], dtype="float32", constraint=lambda x: np.maximum(x, 0))
    SGD(1.0).apply([np.array([1.0, -1.0])], [w])
    np.testing.assert_array_equal(w.value, [0.0, 0.5])


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("cls", registry.unique())
def test_a_copy_goes_on_as_the_original_and_apart_from_it(cls: type, clone: Any) -> None:
    w, optimizer = variables(), cls(0.1)
    optimizer.apply(gradients(1), w)
    optimizer_2, w_2 = clone((optimizer, w))
    optimizer.apply(gradients(2), w)
    assert np.abs(w[0].value - w_2[0].value).max() > 0
    optimizer_2.apply(gradients(2), w_2)
    for a, b in zip(w, w_2, strict=True):
        np.testing.assert_array_equal(a.value, b.value)


@pytest.mark.parametrize("cls", registry.unique())
def test_state_carries_over(cls: type) -> None:
    options: dict[str, Any] = {"use_ema": True, "weight_decay": 0.01}
    w, optimizer = variables(), cls(0.1, **options)
    for seed in range(3):
        optimizer.apply(gradients(seed), w)
    store: dict[str, np.ndarray] = {}
    optimizer.save_own_variables(store)
    w_2, optimizer_2 = variables(), cls(0.2, **options)
    for v, old in zip(w_2, w, strict=True):
        v.assign(old.value)
    with pytest.raises(ValueError, match="built"):
        optimizer_2.set_weights(list(store.values()))
    optimizer_2.build(w_2)
    optimizer_2.load_own_variables(store)
    optimizer.apply(gradients(9), w)
    optimizer_2.apply(gradients(9), w_2)
    for a, b in zip((*w, *optimizer.variables), (*w_2, *optimizer_2.variables), strict=True):
        np.testing.assert_array_equal(a.value, b.value)
    with pytest.warns(UserWarning, match="Skipping"):
        optimizer_2.load_own_variables({"0": np.int64(0)})
    with pytest.raises(ValueError, match="shape"):
        optimizer_2.set_weights([np.zeros(3)])


@pytest.mark.parametrize("options", [{}, {"clipnorm": 0.1}, {"weight_decay": 0.1}])
@pytest.mark.parametrize("cls", registry.unique())
def test_length_and_split_change_no_bit(cls: type, options: dict[str, Any]) -> None:
    """Elementwise updates give a number the same bits wherever it stands in its array."""
    if options.get("clipnorm") or cls.__name__ in ("Lamb", "Adafactor"):
        # Norms and means belong to the variable: only repetition is promised.
        def parts(x: np.ndarray) -> list[np.ndarray]:
            return [x]
    else:

        def parts(x: np.ndarray) -> list[np.ndarray]:
            return [x[:1], x[1:18], x[18:]]

    rng = np.random.default_rng(5)
    start, steps = rng.normal(size=53).astype("f"), rng.normal(size=(5, 53)).astype("f")
    whole, pieces = [Variable(start)], [Variable(x) for x in parts(start)]
    one, many = cls(0.1, **options), cls(0.1, **options)
    for g in steps:
        one.apply([g], whole)
        many.apply(parts(g), pieces)
    np.testing.assert_array_equal(whole[0].value, np.concatenate([p.value for p in pieces]))


def test_the_learning_rate_can_be_set() -> None:
    w, optimizer = [Variable([0.0], dtype="float32")], SGD(0.5)
    optimizer.apply([np.ones(1)], w)
    optimizer.learning_rate = 0.25
    optimizer.apply([np.ones(1)], w)
    assert w[0].value[0] == -0.75
    assert float(optimizer.learning_rate) == 0.25
    optimizer.learning_rate = lambda: 1.0
    assert [v.name for v in optimizer.variables] == ["iteration"]
    optimizer.apply([np.ones(1)], w)
    assert w[0].value[0] == -1.75
    with pytest.raises(ValueError, match="callable"):
        SGD.from_config(optimizer.get_config())


def test_weight_decay_leaves_out_what_it_is_told_to() -> None:
    w = [Variable([1.0], name=name, dtype="float32") for name in ("kernel", "bias", "gain")]
    optimizer = SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[w[2]], var_names=["bi.s"])
    optimizer.apply([np.zeros(1)] * 3, w)
    assert [float(v.value[0]) for v in w] == [0.75, 1.0, 1.0]


def test_global_norm_that_is_not_finite_shows_in_every_variable() -> None:
    w, (kernel, bias) = variables(), gradients()
    bias[1] = np.inf
    SGD(0.1, global_clipnorm=1.0).apply([kernel, bias], w)
    assert np.isnan(w[0].value).all()
    assert np.isnan(w[1].value).all()


@pytest.mark.parametrize("cls", registry.unique())
def test_nan_in_a_gradient_shows_in_its_weight(cls: type) -> None:
    for options in ({}, {"clipvalue": 0.5}):
        w = Variable([1.0, 2.0], dtype="float32")
        cls(0.1, **options).apply([np.array([np.nan, 1.0], "f")], [w])
        assert np.isnan(w.value[0]), options


def test_options_changed_between_steps_count_from_the_next_one() -> None:
    w, optimizer = Variable([0.0], dtype="float32"), SGD(1.0)
    optimizer.apply([np.array([8.0])], [w])
    optimizer.clipvalue = 0.5
    optimizer.apply([np.array([8.0])], [w])
    assert w.value[0] == -8.5


def test_the_variables_own_gradient_buffers() -> None:
    mine, theirs = variables(), variables()
    one, other = Adam(0.1), Adam(0.1)
    for seed in range(3):
        for v, g in zip(mine, gradients(seed), strict=True):
            v.grad[...] = g
        one.apply([v.grad for v in mine], mine)
        other.apply(gradients(seed), theirs)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a.value, b.value)


@pytest.mark.parametrize(
    "between",
    ["other gradients", "other variables", "another order", "fewer", "one missing", "a new array"],
)
@pytest.mark.parametrize("cls", [SGD, Adam])
def test_each_step_goes_by_what_it_is_given(cls: type, between: str) -> None:
    """Also after steps by the variables' own buffers, which the optimizer knows again."""
    rng = np.random.default_rng(0)
    starts = rng.normal(size=(3, 4)).astype("f")
    mine, theirs = ([Variable(w, name=f"w{i}") for i, w in enumerate(starts)] for _ in range(2))
    one, other = cls(0.1), cls(0.1)  # the other one only ever sees arrays that it does not know
    for step in range(5):
        given = [v.grad for v in mine]
        for g in given:
            g[...] = rng.normal(size=4)
        order = [0, 1, 2]
        if step == 2:
            if between == "other gradients":
                given = list(rng.normal(size=(3, 4)).astype("f"))
            elif between == "one missing":
                given[1] = None
            elif between == "a new array":
                mine[1]._value = mine[1].numpy()
            elif between == "other variables":
                order = [2, 0, 1]
            else:
                order = [2, 0, 1] if between == "another order" else [0, 1]
                given = [given[i] for i in order]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Gradients do not exist")
            one.apply(given, [mine[i] for i in order])
            other.apply([g if g is None else g.copy() for g in given], [theirs[i] for i in order])
        for a, b in zip((*mine, *one.variables), (*theirs, *other.variables), strict=True):
            np.testing.assert_array_equal(a.value, b.value, err_msg=f"step {step}")


def test_weight_decay_is_left_out_from_the_next_step_on() -> None:
    w = [Variable([1.0], name=name, dtype="float32") for name in ("kernel", "bias")]
    optimizer = SGD(0.5, weight_decay=0.5)
    own = [v.grad for v in w]
    for _ in range(2):
        optimizer.apply(own, w)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply(own, w)
    assert [float(v.value[0]) for v in w] == [0.75**3, 0.75**2]
    optimizer.learning_rate = 0.25
    optimizer.apply(own, w)
    assert [float(v.value[0]) for v in w] == [0.75**3 * 0.875, 0.75**2]


def test_scale_loss() -> None:
    assert SGD(loss_scale_factor=4.0).scale_loss(2.0) == 8.0
    assert SGD().scale_loss(2.0) == 2.0


class OwnMomentum(Optimizer):
    """A user's optimizer in NumPy: SGD with momentum."""

    def __init__(self, learning_rate: float = 0.1, **options: Any) -> None:
        super().__init__(learning_rate, **options)

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        self.momenta = dict(
            zip(map(id, variables), self.add_optimizer_variables(variables, "m"), strict=True)
        )

    def update_step(self, gradient: np.ndarray, variable: Variable, learning_rate: Any) -> None:
        m = self.momenta[id(variable)]
        m.assign(m.value * np.float32(0.9) - gradient * learning_rate)
        variable.assign_add(m.value)


@pytest.mark.parametrize(
    "options",
    [{}, {"clipnorm": 0.5}, {"clipvalue": 0.2}, {"global_clipnorm": 0.5}, {"weight_decay": 0.1},
     {"gradient_accumulation_steps": 2}, {"use_ema": True, "ema_overwrite_frequency": 2}],
)  # fmt: skip
def test_a_users_own_optimizer_has_all_options(options: dict[str, Any]) -> None:
    mine, theirs = variables(), variables()
    own, built_in = OwnMomentum(0.1, **options), SGD(0.1, momentum=0.9, **options)
    for seed in range(4):
        own.apply(gradients(seed), mine)
        built_in.apply(gradients(seed), theirs)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=0, atol=1e-6)


def test_a_subclass_may_change_the_gradient_and_call_the_built_in_step() -> None:
    class Doubled(Adam):
        def update_step(self, gradient: np.ndarray, variable: Variable, learning_rate: Any) -> None:
            super().update_step(gradient * 2, variable, learning_rate)

    mine, theirs = variables(), variables()
    own, built_in = Doubled(0.1), Adam(0.1)
    for seed in range(3):
        own.apply(gradients(seed), mine)
        built_in.apply([g * 2 for g in gradients(seed)], theirs)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a.value, b.value)


def test_an_optimizer_without_a_step_says_so() -> None:
    w = variables()
    with pytest.raises(TypeError, match="update_step"):
        Optimizer(0.1).apply(gradients(), w)


def test_kernels_are_compiled_before_the_first_update() -> None:
    """In a process of its own: here, other tests have compiled them already."""
    run("""
import numpy as np
from rnn_engine import optimizers
from rnn_engine.kernels.cache import KernelCache
from rnn_engine.optimizers.table import registry
from rnn_engine.variable import Variable
from tests.kernels.process import run

load, loaded = KernelCache.load_overload, []
def noted(self, sig, context):
    loaded.append(self.name)
    return load(self, sig, context)
KernelCache.load_overload = noted

kinds = [registry.lookup(name) for name in ("SGD", "Adam", "Adafactor", "Lamb", "Nadam")]
for kind in kinds:
    for options in ({}, {"clipvalue": 1.0}):
        variables = [Variable(np.ones(shape, "float32")) for shape in ((3, 4), (4,), (600, 1000))]
        optimizer = kind(**options)
        optimizer.build(variables)
        optimizer.compile_kernels()
        assert all((variable.value == 1).all() for variable in variables)
        for variable in variables:
            variable.grad[...] = 1
        loaded.clear()
        optimizer.apply([variable.grad for variable in variables])
        assert not loaded, (kind, options, loaded)
        assert all((variable.value != 1).all() for variable in variables)
""")
