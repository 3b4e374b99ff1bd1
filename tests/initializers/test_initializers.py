"""Every initializer of the registry against Keras's of the same name, and the formulae."""

import importlib
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine import initializers
from rnn_engine.initializers.initializer import RandomInitializer, registry
from rnn_engine.random import SeedGenerator, set_global_seed

keras = pytest.importorskip("keras")

CLASSES = registry.unique()
RANDOM = [c for c in CLASSES if issubclass(c, RandomInitializer)]
DRAWN = [c for c in RANDOM if c is not initializers.Orthogonal]
SHAPES = st.lists(st.integers(0, 7), min_size=2, max_size=2).map(tuple)


def ids(cls):
    return cls.__name__


def kolmogorov_smirnov(a, b):
    """Largest distance between two samples' distribution functions."""
    a, b = np.sort(a.ravel()), np.sort(b.ravel())
    both = np.concatenate([a, b])
    return np.abs(
        np.searchsorted(a, both, "right") / a.size - np.searchsorted(b, both, "right") / b.size
    ).max()


def limit(n):
    """Return the distance that two samples of n from one distribution exceed once in 1e6."""
    return math.sqrt(-math.log(0.5e-6) / 2) * math.sqrt(2 / n)


VARIANTS = {
    "RandomNormal": [{}, {"mean": 2.0, "stddev": 0.5}],
    "TruncatedNormal": [{}, {"mean": -1.0, "stddev": 3.0}],
    "RandomUniform": [{}, {"minval": 1.0, "maxval": 4.0}],
    "VarianceScaling": [
        {"scale": scale, "mode": mode, "distribution": distribution}
        for scale, mode in ((1.0, "fan_in"), (0.3, "fan_out"), (2.5, "fan_avg"))
        for distribution in ("uniform", "truncated_normal", "untruncated_normal", "normal")
    ]
    + [{"input_axes": [1], "output_axes": [0]}],
}
CASES = [(c, v) for c in DRAWN for v in VARIANTS.get(c.__name__, [{}])]


@pytest.mark.parametrize(("cls", "arguments"), CASES, ids=str)
@pytest.mark.parametrize("shape", [(100, 300), (30000,), (3, 20, 500)], ids=str)
def test_distribution_is_keras(cls, arguments, shape):
    if "input_axes" in arguments and len(shape) < 2:
        shape = (300, 100)
    ours = cls(seed=1, **arguments)(shape)
    theirs = np.asarray(getattr(keras.initializers, cls.__name__)(seed=2, **arguments)(shape))
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert kolmogorov_smirnov(ours, theirs) < limit(ours.size)


@pytest.mark.parametrize(
    ("name", "stddev", "bound"),
    [
        ("glorot_uniform", math.sqrt(2 / 500), math.sqrt(6 / 500)),
        ("glorot_normal", math.sqrt(2 / 500), None),
        ("he_uniform", math.sqrt(2 / 100), math.sqrt(6 / 100)),
        ("he_normal", math.sqrt(2 / 100), 2 * math.sqrt(2 / 100) / 0.8796256610342398),
        ("lecun_uniform", math.sqrt(1 / 100), math.sqrt(3 / 100)),
        ("lecun_normal", math.sqrt(1 / 100), 2 * math.sqrt(1 / 100) / 0.8796256610342398),
    ],
)
def test_moments_follow_the_formula(name, stddev, bound):
    weight = registry.lookup(name)(seed=5)((100, 400), dtype="float64")
    # The standard error of a deviation over 40,000 is 0.35% at most: four of them.
    assert weight.std() == pytest.approx(stddev, rel=0.015)
    assert abs(weight.mean()) < 5 * stddev / math.sqrt(weight.size)
    if bound is not None:
        assert 0.98 * bound < np.abs(weight).max() <= bound


def test_truncated_normal_stops_at_two_deviations():
    weight = initializers.TruncatedNormal(mean=1.0, stddev=0.5, seed=0)((200, 200), "float64")
    assert 0.99 < np.abs(weight - 1.0).max() <= 1.0
    assert weight.std() == pytest.approx(0.5 * 0.8796256610342398, rel=0.015)


def test_uniform_never_reaches_its_upper_bound():
    weight = initializers.RandomUniform(0.0, 1.0, seed=0)
    # In float32 about one draw in 2^25 rounds to 1.
    values = np.array([1.0 - 2.0**-30])

    class Stub:
        def random(self, shape):
            return np.broadcast_to(values, shape)

    weight._generator = lambda: Stub()
    assert (weight((4,)) < 1.0).all()
    assert (weight((4,)) > 0.9999).all()


@given(
    shape=st.lists(st.integers(0, 7), min_size=0, max_size=4).map(tuple),
    axes=st.booleans(),
)
def test_fans_are_keras(shape, axes):
    from keras.src.initializers.random_initializers import compute_fans

    chosen = {"input_axes": [0], "output_axes": [-1]} if axes and shape else {}
    assert initializers.compute_fans(shape, **chosen) == compute_fans(shape, **chosen)


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 8), (9, 2), (2, 3, 5), (140, 133)], ids=str)
@pytest.mark.parametrize("gain", [1.0, -1.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_orthogonal(shape, gain, dtype):
    weight = initializers.Orthogonal(gain=gain, seed=3)(shape, dtype=dtype)
    assert weight.shape == shape
    assert weight.dtype == dtype
    assert weight.flags.c_contiguous
    matrix = weight.astype("float64").reshape(-1, shape[-1])
    rows, columns = matrix.shape
    gram = matrix @ matrix.T if rows < columns else matrix.T @ matrix
    error = np.abs(gram - gain**2 * np.eye(len(gram))).max()
    # Entries rounded once, an error of eps/2 on columns of length |gain|; and the
    # float64 reflections before that.
    assert error < gain**2 * (4 * np.finfo(dtype).eps + 1e-14)


def test_orthogonal_is_haar():
    # Traces of the square of a Haar matrix tell it from a QR without the sign fix;
    # entries of a Haar matrix of size n have variance 1/n, zero mean, any position.
    generator = SeedGenerator(0)
    n, draws = 4, 4000
    q = np.array([initializers.Orthogonal(seed=generator)((n, n), "float64") for _ in range(draws)])
    np.testing.assert_allclose(q.mean(0), 0, atol=5 * 0.5 / math.sqrt(draws))
    np.testing.assert_allclose((q**2).mean(0), 1 / n, atol=5 * 0.3 / math.sqrt(draws))
    # Moments of the trace of a Haar matrix: E tr = 0, E tr^2 = 1, E tr(Q^2) = 1.
    traces = np.trace(q, axis1=1, axis2=2)
    assert abs(traces.mean()) < 5 / math.sqrt(draws)
    assert traces.var() == pytest.approx(1, abs=0.12)
    assert np.trace(q @ q, axis1=1, axis2=2).mean() == pytest.approx(1, abs=0.12)
    # Half of them are rotations, half reflections.
    assert np.linalg.det(q).mean() == pytest.approx(0, abs=5 / math.sqrt(draws))


def test_orthogonal_distribution_is_keras():
    ours = np.array([initializers.Orthogonal(seed=s)((3, 2)) for s in range(600)])
    theirs = np.array([keras.initializers.Orthogonal(seed=s)((3, 2)) for s in range(600)])
    for i in range(3):
        for j in range(2):
            assert kolmogorov_smirnov(ours[:, i, j], theirs[:, i, j]) < limit(600)


def test_orthogonal_panels_do_not_change_bits(monkeypatch):
    # By name: the package's own attribute `orthogonal` is the class, as in Keras.
    module = importlib.import_module("rnn_engine.initializers.orthogonal")
    want = initializers.Orthogonal(seed=1)((61, 53), "float64")
    monkeypatch.setattr(module, "PANEL", 7)
    np.testing.assert_array_equal(initializers.Orthogonal(seed=1)((61, 53), "float64"), want)


@pytest.mark.parametrize("cls", CLASSES, ids=ids)
@given(shape=SHAPES, dtype=st.sampled_from(["float32", "float64", None]))
def test_shape_and_dtype(cls, shape, dtype):
    weight = cls()(shape, dtype=dtype)
    assert weight.shape == shape
    assert weight.dtype == (dtype or "float32")
    assert weight.flags.writeable


@pytest.mark.parametrize("cls", RANDOM, ids=ids)
def test_seeds(cls):
    shape = (6, 5)
    seeded = cls(seed=11)
    np.testing.assert_array_equal(seeded(shape), seeded(shape))
    np.testing.assert_array_equal(seeded(shape), cls(seed=np.int64(11))(shape))
    np.testing.assert_array_equal(seeded(shape), seeded(shape, "float64").astype("float32"))
    assert not np.array_equal(seeded(shape), cls(seed=12)(shape))
    assert np.isfinite(cls(seed=-1)(shape)).all()
    unseeded = cls()
    np.testing.assert_array_equal(unseeded(shape), unseeded(shape))
    assert not np.array_equal(unseeded(shape), cls()(shape))
    assert unseeded.get_config()["seed"] is None
    stream = cls(seed=SeedGenerator(4))
    first, second = stream(shape), stream(shape)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(cls(seed=SeedGenerator(4))(shape), first)


@pytest.mark.parametrize("cls", RANDOM, ids=ids)
def test_global_seed_settles_unseeded(cls):
    set_global_seed(9)
    first = cls()((4, 4))
    set_global_seed(9)
    np.testing.assert_array_equal(cls()((4, 4)), first)


@pytest.mark.parametrize("cls", RANDOM, ids=ids)
@pytest.mark.parametrize("seed", [1.5, "x", True, [1]], ids=str)
def test_bad_seed(cls, seed):
    with pytest.raises(ValueError, match="`seed` argument should be"):
        cls(seed=seed)


@pytest.mark.parametrize("cls", CLASSES, ids=ids)
def test_round_trip(cls):
    given_ = {"seed": 3} if issubclass(cls, RandomInitializer) else {}
    initializer = cls(**given_)
    written = json.loads(json.dumps(initializers.serialize(initializer)))
    again = initializers.deserialize(written)
    assert type(again) is cls
    assert again.get_config() == initializer.get_config()
    np.testing.assert_array_equal(again((3, 4)), initializer((3, 4)))
    np.testing.assert_array_equal(initializer.clone()((3, 4)), initializer((3, 4)))
    assert cls.__name__ in repr(initializer)


@pytest.mark.parametrize("cls", CLASSES, ids=ids)
def test_config_is_keras(cls):
    theirs = keras.initializers.serialize(getattr(keras.initializers, cls.__name__)())
    ours = cls().get_config()
    if cls is initializers.Identity:
        assert ours.pop("gain") == 1.0  # Keras forgets it
    assert ours == theirs["config"]
    assert type(initializers.get(theirs)) is cls


def test_seed_generator_survives_the_config():
    initializer = initializers.HeNormal(seed=SeedGenerator(8))
    written = json.loads(json.dumps(initializers.serialize(initializer)))
    again = initializers.deserialize(written)
    np.testing.assert_array_equal(again((3, 3)), initializer((3, 3)))


@pytest.mark.parametrize("name", sorted(registry.entries))
def test_names(name):
    assert type(initializers.get(name)) is registry.entries[name]
    if name.lower() != "constant":  # Keras's get cannot build Constant from a name
        assert type(keras.initializers.get(name)).__name__ == registry.entries[name].__name__


def test_every_name_of_keras_is_here():
    absent = {"STFT", "STFTInitializer", "stft"}  # a kernel of STFTSpectrogram, no recurrent use
    for name in dir(keras.initializers):
        if not name.startswith("_") and name not in absent:
            assert hasattr(initializers, name), name


def test_get_takes_classes_callables_and_arrays():
    assert initializers.get(None) is None
    assert isinstance(initializers.get(initializers.Ones), initializers.Ones)

    def own(shape, dtype=None):
        return np.full(shape, 2, dtype)

    assert initializers.get(own) is own
    values = np.arange(6.0).reshape(2, 3)
    initialize = initializers.get(values)
    result = initialize((2, 3), "float32")
    values[:] = 0
    np.testing.assert_array_equal(result, np.arange(6, dtype="float32").reshape(2, 3))
    np.testing.assert_array_equal(initialize((2, 3)), result)
    with pytest.raises(ValueError, match=r"shape must be \(2, 3\)"):
        initialize((3, 2))


@pytest.mark.parametrize("bad", ["glorot_unifrom", 3, [1, 2], {"class_name": "Foo", "config": {}}])
def test_unknown_identifiers(bad):
    with pytest.raises(ValueError, match=r"(?i)initializer"):
        initializers.get(bad)
    with pytest.raises(ValueError, match="Could not interpret"):
        keras.initializers.get(bad)


def test_custom_objects():
    class Mine(initializers.Initializer):
        def __init__(self, value=1):
            self.value = value

        def get_config(self):
            return {"value": self.value}

    again = initializers.deserialize(initializers.serialize(Mine(7)), {"Mine": Mine})
    assert type(again) is Mine
    assert again.value == 7
    with pytest.raises(NotImplementedError, match="Mine.__call__"):
        again((2,))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool", "uint8"])
@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("Zeros", {}, (2, 3)),
        ("Ones", {}, (3,)),
        ("Constant", {"value": 2.5}, (2, 2)),
        ("Constant", {"value": np.arange(3)}, (2, 3)),
        ("Constant", {"value": [1, 2]}, (2,)),
        ("Identity", {}, (3, 2)),
        ("Identity", {}, (2, 4)),
    ],
)
def test_constants_are_keras(name, arguments, shape, dtype):
    ours = getattr(initializers, name)(**arguments)(shape, dtype=dtype)
    if name == "Identity" and not dtype.startswith("float"):
        theirs = np.eye(*shape, dtype=dtype)  # Keras multiplies by a float and fails
    else:
        theirs = np.asarray(getattr(keras.initializers, name)(**arguments)(shape, dtype=dtype))
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_constant_reads_keras_arrays():
    written = keras.initializers.serialize(keras.initializers.Constant(np.arange(3.0)))
    np.testing.assert_array_equal(initializers.get(written)((3,)), [0, 1, 2])
    own = initializers.serialize(initializers.Constant(np.arange(3.0)))
    np.testing.assert_array_equal(initializers.get(json.loads(json.dumps(own)))((3,)), [0, 1, 2])
    with pytest.raises(ValueError, match="does not broadcast"):
        initializers.Constant([1, 2])((3,))


def test_identity_gain():
    np.testing.assert_array_equal(initializers.Identity(gain=-2.0)((2, 2)), [[-2, 0], [0, -2]])


@pytest.mark.parametrize("cls", CLASSES, ids=ids)
def test_bad_shapes_and_dtypes(cls):
    with pytest.raises(TypeError, match="shape must be"):
        cls()(5)
    with pytest.raises(TypeError, match="shape must be"):
        cls()((2.5, 1))
    with pytest.raises(ValueError, match="not allowed: -1 at axis 1"):
        cls()((2, -1))
    for dtype in ("complex64", "nonsense", "object"):
        with pytest.raises(ValueError, match="dtype must"):
            cls()((2, 2), dtype=dtype)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_ranks(shape):
    with pytest.raises(ValueError, match="at least two-dimensional"):
        initializers.Orthogonal()(shape)
    with pytest.raises(ValueError, match="matrices"):
        initializers.Identity()(shape)


def test_variance_scaling_arguments():
    for bad in ({"scale": 0.0}, {"scale": -1}, {"mode": "fan"}, {"distribution": "cauchy"}):
        with pytest.raises(ValueError, match=f"`{next(iter(bad))}`"):
            initializers.VarianceScaling(**bad)
        with pytest.raises(ValueError, match=next(iter(bad))):
            keras.initializers.VarianceScaling(**bad)
    assert initializers.VarianceScaling(distribution="Normal").distribution == "truncated_normal"
