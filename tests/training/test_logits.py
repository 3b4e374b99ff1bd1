"""Cross-entropies of softmax and sigmoid outputs: where Keras takes the logits, and what of them.

Logits of ±60 tell: from the probabilities no loss is above 16.2, and there is no gradient.
"""

import numpy as np
import pytest

import rnn_engine

keras = pytest.importorskip("keras")

KITS = (rnn_engine, keras)
LARGE = np.eye(3, dtype="float32") * 60
WRONG = np.roll(np.eye(3, dtype="float32"), 1, axis=0)

STACKS = {
    "no noise": lambda kit: [
        dense(kit),
        kit.layers.Dropout(0.0),
        kit.layers.GaussianNoise(0.0),
        kit.layers.Activation("linear"),
    ],
    "activity of the Dense": lambda kit: [
        dense(kit, activity_regularizer=kit.regularizers.L1L2(0.2, 0.3)),
        kit.layers.Dropout(0.0),
    ],
    "activity above": lambda kit: [
        dense(kit, "sigmoid"),
        kit.layers.ActivityRegularization(l1=0.1, l2=0.3),
    ],
    "activation layer": lambda kit: [
        dense(kit, None),
        kit.layers.Activation("softmax", activity_regularizer=kit.regularizers.L2(0.3)),
        kit.layers.ActivityRegularization(l2=0.4),
    ],
    "model in a model": lambda kit: [
        kit.layers.Dense(3),
        kit.Sequential(
            [kit.layers.Dense(3), dense(kit), kit.layers.ActivityRegularization(l2=0.2)]
        ),
        kit.Sequential([kit.layers.Dropout(0.0)]),
        kit.layers.ActivityRegularization(l2=0.1),
    ],
    "softmax layer": lambda kit: [dense(kit, None), kit.layers.Softmax()],
    "softmax of the batch": lambda kit: [dense(kit, None), kit.layers.Softmax(axis=0)],
    "lost in Flatten": lambda kit: [dense(kit), kit.layers.Flatten()],
    "lost in ReLU": lambda kit: [dense(kit), kit.layers.ReLU()],
    "lost in a cast": lambda kit: [dense(kit, dtype="float64"), kit.layers.Dropout(0.0)],
}


def dense(kit, activation="softmax", **options):
    return kit.layers.Dense(3, activation, use_bias=False, **options)


def run(kit, stack, loss, x, y, sample_weight=None, metrics=()):
    """Return what `evaluate` gives, the history of two epochs, and the weights after them."""
    model = kit.Sequential([kit.Input(x.shape[1:]), *stack(kit)])
    model.set_weights([np.eye(*w.shape) if w.ndim == 2 else w for w in model.get_weights()])
    model.compile(kit.optimizers.SGD(1.0), loss, weighted_metrics=list(metrics))
    evaluated = np.ravel(model.evaluate(x, y, verbose=0, sample_weight=sample_weight))
    history = model.fit(x, y, epochs=2, verbose=0, sample_weight=sample_weight).history
    return [evaluated, *(history[name] for name in sorted(history)), *model.get_weights()]


def assert_agree(build, **data):
    ours, theirs = (run(kit, *build(kit), **data) for kit in KITS)
    assert len(ours) == len(theirs)
    for got, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "binary_focal_crossentropy"])
@pytest.mark.parametrize("name", STACKS)
def test_where_logits_are_known(name, loss):
    assert_agree(lambda kit: (STACKS[name], loss), x=LARGE, y=WRONG)


def test_noise_hides_the_logits_in_training_only():
    def stack(kit):
        return [dense(kit), kit.layers.Dropout(0.5, seed=1)]

    for kit in KITS:
        evaluated, history, *_ = run(kit, stack, "binary_crossentropy", LARGE, WRONG)
        assert evaluated == pytest.approx([(60 + 2 * np.log(2)) / 3])
        assert history[0] < 17


@pytest.mark.filterwarnings("ignore:.*from_logits=True:UserWarning")  # Keras's, of such a metric
def test_metrics_take_logits_too():
    def metrics(kit):
        return [
            "categorical_crossentropy",
            "binary_crossentropy",
            kit.losses.CategoricalCrossentropy(label_smoothing=0.1, name="smooth"),
            kit.losses.binary_focal_crossentropy,
            kit.metrics.CategoricalCrossentropy(name="said_to_be_logits", from_logits=True),
        ]

    ours, theirs = (
        run(kit, lambda kit: [dense(kit)], "mse", LARGE, WRONG, metrics=metrics(kit))
        for kit in KITS
    )
    np.testing.assert_allclose(ours[0], theirs[0], rtol=2e-6)
    assert ours[0][1] == pytest.approx(60.0)


LOSSES = {
    "categorical": lambda kit: kit.losses.CategoricalCrossentropy(label_smoothing=0.1),
    "sparse": lambda kit: kit.losses.SparseCategoricalCrossentropy(),
    "ignoring": lambda kit: kit.losses.SparseCategoricalCrossentropy(ignore_class=1),
    "binary": lambda kit: kit.losses.BinaryCrossentropy(label_smoothing=0.1),
    "binary of logits": lambda kit: kit.losses.BinaryCrossentropy(from_logits=True),
    "focal": lambda kit: kit.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, gamma=1.5, label_smoothing=0.1
    ),
    "focal of logits": lambda kit: kit.losses.BinaryFocalCrossentropy(from_logits=True),
    "categorical focal": lambda kit: kit.losses.CategoricalFocalCrossentropy(),
}


@pytest.mark.filterwarnings("ignore:.*from_logits=True:UserWarning")  # Keras's, of such a loss
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_every_activation(name, activation):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((7, 4, 3)).astype("float32")
    x[2, 2:] = x[3, :2] = 0
    labels = rng.integers(0, 3, (7, 4))
    y = labels if name in ("sparse", "ignoring") else np.eye(3, dtype="float32")[labels]

    def stack(kit):
        return [
            kit.layers.Masking(),
            kit.layers.SimpleRNN(3, return_sequences=True),
            dense(kit, activation),
        ]

    weights = rng.random((7, 4)).astype("float32")
    assert_agree(lambda kit: (stack, LOSSES[name](kit)), x=x, y=y, sample_weight=weights)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("name", ["categorical", "binary", "focal"])
def test_gradients_take_logits(name, activation):
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((5, 3)) * 20).astype("float32")
    y = np.eye(3, dtype="float32")[rng.integers(0, 3, 5)]
    kernel = rng.standard_normal((3, 3)).astype("float32")
    models = [kit.Sequential([kit.Input((3,)), dense(kit, activation)]) for kit in KITS]
    for model in models:
        model.set_weights([kernel])
    ours, theirs = models
    ours.compile("sgd", LOSSES[name](rnn_engine))
    found = ours.gradients(x, y, inputs=True)
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        value = LOSSES[name](keras)(y, theirs(given))
    wanted = tape.gradient(value, [theirs.weights[0].value, given])
    np.testing.assert_allclose(found.loss, value, rtol=1e-5)
    for got, array in zip([found.arrays[0], found.inputs], wanted, strict=True):
        np.testing.assert_allclose(got, array, rtol=1e-4, atol=1e-6 * np.abs(array).max())
