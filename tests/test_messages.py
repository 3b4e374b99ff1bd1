"""Messages begin with Keras's words: what programs match on (`pytest.raises(match=...)`).

Each row is a wrong call and the words, as a regular expression, that both sides begin with.
What follows them is each side's own.
"""

import re
from typing import Any

import numpy as np
import pytest

import rnn_engine

keras = pytest.importorskip("keras")

X, Y = np.zeros((4, 5, 3), "float32"), np.zeros((4, 1), "float32")


class Side:
    """What the calls below are made of: `K` the package, `L` its layers."""

    def __init__(self, package: Any) -> None:
        self.names = {"K": package, "L": package.layers, "np": np, "x": X, "y": Y}
        self.names.update(made=self.made, stack=lambda *layers: package.Sequential(list(layers)))

    def made(self, *layers: Any) -> Any:
        """Return a compiled model for x and y."""
        package = self.names["K"]
        own = layers or (package.layers.SimpleRNN(4), package.layers.Dense(1))
        model = package.Sequential([package.Input((5, 3)), *own])
        model.compile("sgd", "mse")
        return model

    def error(self, call: str) -> Exception:
        """Return what a call raises; statements before it end in semicolons."""
        *before, last = call.split("; ")
        names = dict(self.names)
        for statement in before:
            exec(statement, names)
        try:
            eval(last, names)
        except Exception as error:
            return error
        raise AssertionError(f"{call} raises nothing")


def fits_not(expected: str) -> str:
    """Return the words about a layer's input."""
    start = r"Input 0 with name 'None' of layer '\w+' is incompatible with the layer: expected "
    return start + re.escape(expected)


LAYERS = [
    ("L.SimpleRNN(0)", "Received an invalid value for (argument )?`units`, expected a positive in"),
    ("L.SimpleRNN(4, activation='tan')", "Could not interpret activation function identifier: tan"),
    ("L.SimpleRNN(4, kernel_initializer='g')", "Could not interpret initializer identifier: g"),
    ("L.SimpleRNN(4, kernel_regularizer='l3')", "Could not interpret regularizer identifier: l3"),
    ("L.SimpleRNN(4, bias_constraint='n')", "Could not interpret constraint identifier: n"),
    ("L.SimpleRNN(4, unitz=3)", "Unrecognized keyword arguments passed to SimpleRNN: {'unitz': 3}"),
    ("L.Dense(2)(np.zeros(3))", fits_not("min_ndim=2, found ndim=1. Full shape received: (")),
    ("d = L.Dense(2); _ = d(np.zeros((1, 3))); d(np.zeros((1, 4)))",
     fits_not("axis -1 of input shape to have value 3, but received input with shape (1, 4)")),
    ("L.SpatialDropout1D(0.5)(np.zeros((2, 3)))",
     fits_not("ndim=3, found ndim=2. Full shape received: (2, 3)")),
    ("L.RepeatVector(2)(x)", fits_not("ndim=2, found ndim=3. Full shape received: (4, 5, 3)")),
    ("L.Permute((1, 2, 3))(x)", fits_not("ndim=4, found ndim=3. Full shape received: (4, 5, 3)")),
    ("L.GlobalAveragePooling1D()(np.zeros((2, 3)))",
     fits_not("ndim=3, found ndim=2. Full shape received: (2, 3)")),
    ("L.GlobalMaxPooling1D()(np.zeros((2, 3)))",
     fits_not("ndim=3, found ndim=2. Full shape received: (2, 3)")),
    ("L.Dropout(2)", "Invalid value received for argument `rate`. Expected a float"),
    ("L.GaussianDropout(2)", "Invalid value received for argument `rate`. Expected a float"),
    ("L.GaussianNoise(-1)", "Invalid value received for argument `stddev`. Expected a float"),
    ("L.Bidirectional(L.SimpleRNN(2), merge_mode='max')", "Invalid merge mode. Received: max"),
    ("L.LeakyReLU(negative_slope=-1)", "The negative_slope value of a Leaky ReLU layer cannot be"),
    ("L.ReLU(max_value=-1)", "max_value of a ReLU layer cannot be a negative value. Received"),
    ("L.ReLU(threshold=None)", "threshold of a ReLU layer cannot be None or a negative value."),
    ("L.Activation('nothing')", "Could not interpret activation function identifier: nothing"),
    ("l = L.Dense(2); l.build((None, 3)); l.set_weights([np.zeros((3, 2))])",
     r"You called `set_weights\(weights\)` on layer '\w+' with a weight list of length 1"),
    ("l = L.Dense(2); l.build((None, 3)); l.set_weights([np.zeros((2, 2)), np.zeros(2)])",
     r"Layer \w+ weight shape \(3, 2\) is not compatible with provided weight shape \(2, 2\)"),
    ("L.SimpleRNN(4).count_params()", "You tried to call `count_params` on layer"),
]  # fmt: skip

TEXT = [
    ("L.TextVectorization(output_mode='words')",
     "Unknown value for `output_mode` argument of TextVectorization. Allowed values are: "),
    ("L.TextVectorization(standardize='x')",
     "Unknown value for `standardize` argument of TextVectorization. Allowed values are: "),
    ("L.TextVectorization(split='x')", "Unknown value for `split` argument of TextVectorization."),
    ("L.TextVectorization(ngrams='a')", "`ngrams` must be None, an integer, or a tuple of integer"),
    ("L.TextVectorization(max_tokens=0)", "If set, `max_tokens` must be greater than 1. Received"),
    ("L.TextVectorization(output_mode='multi_hot', output_sequence_length=3)",
     "`output_sequence_length` must not be set if `output_mode` is not 'int'. Received"),
    ("L.TextVectorization(vocabulary=['a', 'a'])",
     "The passed vocabulary has at least one repeated term. Please uniquify your dataset. The "),
    ("L.TextVectorization(max_tokens=3).set_vocabulary(['a', 'b', 'c', 'd'])",
     "Attempted to set a vocabulary larger than the maximum vocab size. Received vocabulary size"),
    ("L.StringLookup(output_mode='x')", "Unknown value for `output_mode` argument of StringLookup"),
    ("L.StringLookup(num_oov_indices=-1)", "`num_oov_indices` must be greater than or equal to 0."),
    ("L.StringLookup(invert=True, output_mode='one_hot')",
     "`output_mode` must be `'int'` when `invert` is true. Received: output_mode=one_hot"),
    ("L.StringLookup(vocabulary='missing.txt')", "Vocabulary file missing.txt does not exist."),
]  # fmt: skip

FUNCTIONS = [
    ("K.losses.get('nothing')", "Could not interpret loss identifier: nothing"),
    ("K.metrics.get('nothing')", "Could not interpret metric identifier: nothing"),
    ("K.optimizers.get('nothing')", "Could not interpret optimizer identifier: nothing"),
    ("K.activations.get('nothing')", "Could not interpret activation function identifier: nothing"),
    ("K.initializers.get('nothing')", "Could not interpret initializer identifier: nothing"),
    ("K.losses.MeanSquaredError(reduction='average')",
     "Invalid value for argument `reduction`. Expected one of "),
    ("K.losses.BinaryCrossentropy()(np.zeros((2, 3)), np.zeros((2, 4)))",
     r"Arguments `target` and `output` must have the same shape. Received: target.shape=\(2, 3\)"),
    ("K.losses.CategoricalCrossentropy()(np.zeros((2, 3)), np.zeros((2, 4)))",
     r"Arguments `target` and `output` must have the same shape. Received: target.shape=\(2, 3\)"),
    ("K.losses.SparseCategoricalCrossentropy()(np.zeros((2, 3)), np.zeros((2, 4)))",
     r"Argument `output` must have rank \(ndim\) `target.ndim - 1`. Received: target.shape="),
    ("K.losses.SparseCategoricalCrossentropy()(np.zeros(3), np.zeros((2, 4)))",
     "Arguments `target` and `output` must have the same shape up until the last dimension"),
    ("K.initializers.RandomNormal(seed='a')",
     "`seed` argument should be an instance of `keras.random.SeedGenerator"),
    ("K.initializers.VarianceScaling(scale=0)", "Argument `scale` must be positive float. Receive"),
    ("K.initializers.VarianceScaling(mode='x')", "Invalid `mode` argument: x. Please use one of "),
    ("K.initializers.VarianceScaling(distribution='x')", "Invalid `distribution` argument: x"),
    ("K.initializers.Orthogonal()((2,))",
     r"The tensor to initialize must be at least two-dimensional. Received: shape=\(2,\) of rank "),
    ("K.initializers.Identity()((2,))",
     r"Identity matrix initializer can only be used for 2D matrices. Received: shape=\(2,\) of ra"),
    ("K.regularizers.L1('a')", "Invalid value for argument l1: expected a non-negative float"),
    ("K.regularizers.L1L2(l2=-1)", "Invalid value for argument l2: expected a non-negative float"),
    ("K.regularizers.OrthogonalRegularizer(mode='x')",
     "Invalid value for argument `mode`. Expected one of {\"rows\", \"columns\"}. Received: mode="),
    ("K.regularizers.OrthogonalRegularizer()(np.zeros(3))",
     r"Inputs to OrthogonalRegularizer must have rank 2. Received: inputs.shape=\(3,\)"),
]  # fmt: skip

OPTIMIZERS = [
    ("K.optimizers.Adam(lr=0.1)", r"Argument\(s\) not recognized: {'lr': 0.1}"),
    ("K.optimizers.Adam('a')", "Argument `learning_rate` should be float, or an instance of Learn"),
    ("K.optimizers.SGD(momentum=2)", r"`momentum` must be a float between \[0, 1\]"),
    ("K.optimizers.SGD(clipnorm=1, clipvalue=1)",
     "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: clipnorm=1"),
    ("K.optimizers.Adam(use_ema=True, ema_momentum=2)",
     r"`ema_momentum` must be in the range \[0, 1\]. Received: ema_momentum=2"),
    ("K.optimizers.Adam(use_ema=True, ema_overwrite_frequency=-1)",
     "`ema_overwrite_frequency` must be an integer >= 1 or None. Received: ema_overwrite_frequenc"),
    ("K.optimizers.Adam(gradient_accumulation_steps=1)",
     "`gradient_accumulation_steps` must be an integer >= 2. Received: gradient_accumulation_step"),
    ("K.optimizers.AdamW(weight_decay=None)", "Argument `weight_decay` must be a float. Received:"),
    ("K.optimizers.Lion(beta_1=2)",
     r"Argument `beta_1` must be in the \[0, 1\] range. Otherwise, the optimizer degenerates to S"),
    ("K.optimizers.Ftrl(initial_accumulator_value=-1)",
     "`initial_accumulator_value` needs to be positive or zero. Received: initial_accumulator_val"),
    ("K.optimizers.Ftrl(learning_rate_power=1)",
     "`learning_rate_power` needs to be negative or zero. Received: learning_rate_power=1."),
    ("K.optimizers.schedules.PiecewiseConstantDecay([1, 2], [1])",
     "The length of boundaries should be 1 less than the length of values"),
    ("K.optimizers.schedules.CosineDecay(1.0, 0)(1)",
     "Argument `decay_steps` must be > 0. Received: decay_steps=0"),
    ("o = K.optimizers.Adam(); o.build([K.Variable(np.zeros(2))]); o.apply([np.zeros(2)] * 2)",
     "When passing `grads` as a list of gradient tensors, the gradients must match"),
]  # fmt: skip

METRICS = [
    ("K.metrics.AUC(num_thresholds=1)", "Argument `num_thresholds` must be an integer > 1."),
    ("K.metrics.AUC(curve='x')", 'Invalid AUC curve value: "x". Expected values are ['[:-1]),
    ("K.metrics.AUC(summation_method='x')", 'Invalid AUC summation method value: "x". Expected'),
    ("K.metrics.Precision(thresholds=2)", r"Threshold values must be in \[0, 1\]. Received: \[2\]"),
    ("K.metrics.PrecisionAtRecall(2)", r"Argument `recall` must be in the range \[0, 1\]. Receive"),
    ("K.metrics.SensitivityAtSpecificity(2)",
     r"Argument `specificity` must be in the range \[0, 1\]. Received: specificity=2"),
    ("K.metrics.SensitivityAtSpecificity(0.5, num_thresholds=0)",
     "Argument `num_thresholds` must be an integer > 0. Received: num_thresholds=0"),
    ("K.metrics.FBetaScore(average='x')", "Invalid `average` argument value. Expected one of: "),
    ("K.metrics.FBetaScore(beta='x')", "Invalid `beta` argument value. It should be a Python floa"),
    ("K.metrics.FBetaScore(threshold=2)", "Invalid `threshold` argument value. It should be a Pyt"),
    ("K.metrics.FBetaScore()(np.zeros(3), np.zeros(3))",
     r"FBetaScore expects 2D inputs with shape \(batch_size, output_dim\). Received input shapes:"),
    ("K.metrics.IoU(2, [3])", r"Target class id 3 is out of range, which is \[0, 2\)"),
    ("K.metrics.R2Score(class_aggregation='x')",
     "Invalid value for argument `class_aggregation`. Expected one of"),
    ("K.metrics.R2Score(num_regressors=-1)",
     "Invalid value for argument `num_regressors`. Expected a value >= 0. Received: num_regressor"),
    ("K.metrics.R2Score()(np.zeros(3), np.zeros(3))",
     r"R2Score expects 2D inputs with shape \(batch_size, output_dim\). Received input shapes: "),
]  # fmt: skip

MODELS = [
    ("stack(3)", "Only instances of `keras.Layer` can be added to a Sequential model. Received: 3"),
    ("stack(L.Dense(1, name='a'), L.Dense(1, name='a'))",
     "All layers added to a Sequential model should have unique names. Name .a. is already the"),
    ("made().get_layer('missing')", "No such layer: missing. Existing layers are: "),
    ("made().get_layer()", "Provide either a layer name or( a)? layer index at `get_layer`."),
    ("made().get_layer('a', index=1)", "Provide only a layer name or a layer index. Received: ind"),
    ("stack(L.Dense(1)).fit(x, y)", r"You must call `compile\(\)` before "),
    ("m = stack(L.Dense(1)); m.compile(); m.fit(x, y, verbose=0)", "No loss to compute. Provide a"),
    ("made().fit(x, y[:3], verbose=0)", "Data cardinality is ambiguous. Make sure all arrays cont"),
    ("made().fit('abc', y, verbose=0)", "Unrecognized data type: x='?abc'? "),
    ("made().fit((i for i in [(x, y)]), y, verbose=0)",
     "When providing `x` as a (?:Python )?generator, `y` should not be passed"),
    ("made().compile(optimizer='adamm')", "Could not interpret optimizer identifier: adamm"),
    ("made().save('model.xyz')", "Invalid filepath extension for saving"),
    ("made().save_weights('weights.txt')", "The filename must end in `.weights.h5`"),
    ("K.models.load_model('missing.keras')", "File not found: filepath=missing.keras."),
    ("made(L.SimpleRNN(2, stateful=True))",
     "When using `stateful=True` in a RNN, the batch size must be static. Found dynamic batch siz"),
]  # fmt: skip

REST = [
    ("K.callbacks.ModelCheckpoint('model.txt')", "The filepath provided must end in `.keras`"),
    ("K.callbacks.ModelCheckpoint('model.keras', save_weights_only=True)",
     "When using `save_weights_only=True` in `ModelCheckpoint`, the filepath provided must end in"),
    ("K.callbacks.ReduceLROnPlateau(factor=1.5)", "ReduceLROnPlateau does not support a factor >="),
    ("K.utils.pad_sequences([1, 2])", "`sequences` must be a list of iterables. Found non-iterabl"),
    ("K.utils.pad_sequences(3)", "`sequences` must be iterable."),
    ("K.utils.pad_sequences([[1]], padding='left')", 'Padding type "left" not understood'),
    ("K.utils.pad_sequences([[1]], truncating='left')", 'Truncating type "left" not understood'),
    ("K.utils.pad_sequences([[1], [[1, 2]]])", r"Shape of sample \(2,\) of sequence at position 1"),
    ("K.utils.pad_sequences([[1]], value='a')", "`dtype` int32 is not compatible with `value`'s t"),
    ("K.utils.normalize([1, 2], order=0)", "Argument `order` must be an int >= 1. Received: order"),
    ("K.utils.set_random_seed('a')", "Expected `seed` argument to be an integer. Received: seed=a"),
    ("K.utils.set_random_seed(-1)", r"Seed must be between 0 and 2\*\*32 - 1"),
    *(
        (f"K.utils.timeseries_dataset_from_array(np.zeros(9), None, 2, {arguments})", words)
        for arguments, words in (
            ("sampling_rate=0", "`sampling_rate` must be higher than 0. Received: sampling_rate=0"),
            ("sequence_stride=0", "`sequence_stride` must be higher than 0. Received: sequence_st"),
            ("sequence_stride=9", "`sequence_stride` must be lower than the length of the data. R"),
            ("start_index=-1", "`start_index` must be 0 or greater. Received: start_index=-1"),
            ("start_index=9", "`start_index` must be lower than the length of the data. Received:"),
            ("end_index=-1", "`end_index` must be higher than 0. Received: end_index=-1"),
            ("end_index=10", "`end_index` must be lower than the length of the data. Received: en"),
            ("start_index=5, end_index=3", "`end_index` must be higher than `start_index`. Receiv"),
        )
    ),
]  # fmt: skip

ROWS = [*LAYERS, *TEXT, *FUNCTIONS, *OPTIMIZERS, *METRICS, *MODELS, *REST]


@pytest.mark.parametrize(("call", "words"), ROWS, ids=[call[:60] for call, _ in ROWS])
def test_messages_begin_as_in_keras(call: str, words: str, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    theirs, ours = (Side(package).error(call) for package in (keras, rnn_engine))
    assert re.match(words, str(theirs)), f"Keras: {theirs}"
    assert re.match(words, str(ours)), f"ours: {ours}"
    assert isinstance(ours, type(theirs)), f"ours: {ours!r}"
