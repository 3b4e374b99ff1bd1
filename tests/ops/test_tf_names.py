"""The functions of `tf.*` and of Keras 2's `K.*`: what programs write, with the same results."""

import importlib
from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine.ops import keras2, tf_names

tf = pytest.importorskip("tensorflow")

RNG = np.random.default_rng(0)
VALUES = {
    "np": np,
    "x": RNG.normal(size=(2, 3, 4)).astype("float32"),
    "y": RNG.normal(size=(2, 4, 3)).astype("float32"),
    "m": RNG.normal(size=(3, 4)).astype("float32"),
    "v": RNG.normal(size=4).astype("float32"),
    "p": RNG.uniform(0.1, 0.9, (3, 4)).astype("float32"),
    "hot": np.eye(4, dtype="float32")[[1, 3, 0]],
    "i": np.array([2, 0, 1], "int32"),
    "ids": np.array([[1, 0], [0, 2]], "int32"),
    "truth": np.array([[True, False, True], [False, False, True]]),
}

TF = """
tf.constant([1, 2, 3]); tf.constant([1.0, 2.0]); tf.constant(3.0, shape=(2, 2))
tf.constant([1, 2], dtype=tf.float32)
tf.convert_to_tensor([[1.0, 2.0]]); tf.cast(i, tf.float32); tf.cast(x, 'int32')
tf.cast(truth, tf.int64)
tf.concat([x, x], axis=1); tf.concat(values=[m, m], axis=-1); tf.stack([m, m], axis=1)
tf.unstack(m, axis=0)
tf.split(m, 2, axis=1); tf.split(m, [1, 3], axis=1); tf.split(m, num_or_size_splits=3)
tf.reduce_mean(x); tf.reduce_mean(x, axis=[0, 2])
tf.reduce_sum(input_tensor=x, axis=-1, keepdims=True)
tf.reduce_max(x, 1); tf.reduce_min(x); tf.reduce_prod(m, axis=0); tf.reduce_any(truth, axis=1)
tf.reduce_all(truth)
tf.math.reduce_std(x, axis=1); tf.math.reduce_variance(x); tf.reduce_logsumexp(x, axis=-1)
tf.reduce_sum(i)
tf.expand_dims(m, -1); tf.expand_dims(m, axis=0); tf.squeeze(tf.expand_dims(m, 1))
tf.squeeze(m[None], axis=[0])
tf.reshape(x, (2, -1)); tf.reshape(x, [-1]); tf.transpose(m); tf.transpose(x, perm=[0, 2, 1])
tf.transpose(x, [1, 0, 2])
tf.one_hot(i, 4); tf.one_hot(ids, depth=3, on_value=2.0, off_value=-1.0)
tf.one_hot(i, 3, dtype=tf.int32); tf.one_hot(i, 3, axis=0)
tf.argmax(m, axis=1); tf.argmax(m); tf.argmin(m, 1); tf.argmax(m, axis=-1, output_type=tf.int32)
tf.argsort(v); tf.sort(v)
tf.matmul(m, m, transpose_b=True); tf.matmul(x, y); tf.matmul(m, m, transpose_a=True)
tf.tensordot(x, m, axes=[[2], [1]])
tf.tensordot(x, y, 1) if False else tf.tensordot(m, v, axes=1); tf.einsum('bij,bjk->bik', x, y)
tf.linalg.matmul(x, y)
tf.tanh(m); tf.sigmoid(m); tf.exp(m); tf.sqrt(p); tf.square(m); tf.abs(m); tf.pow(m, 2)
tf.math.log(p); tf.math.log1p(p)
tf.add(m, m); tf.subtract(m, 1.0); tf.multiply(m, v); tf.divide(m, p)
tf.math.divide_no_nan(m, p * 0); tf.add_n([m, m, m])
tf.maximum(m, 0.0); tf.minimum(m, v); tf.sign(m); tf.round(m * 3); tf.floor(m); tf.math.ceil(m)
tf.math.erf(m); tf.negative(m)
tf.clip_by_value(m, -0.5, 0.5); tf.clip_by_value(m, clip_value_min=-1.0, clip_value_max=1.0)
tf.clip_by_norm(m, 1.0)
tf.clip_by_global_norm([m, v], 1.0)[0]; tf.linalg.global_norm([m, v]); tf.zeros((2, 3))
tf.ones([2], dtype=tf.int32); tf.fill([2, 2], 3.0)
tf.zeros_like(m); tf.ones_like(i); tf.range(5); tf.range(1, 9, 2); tf.range(0.0, 1.0, 0.25)
tf.linspace(0.0, 1.0, 5); tf.eye(3); tf.eye(2, batch_shape=[2])
tf.shape(x); tf.shape(x)[1]; tf.rank(x); tf.size(x); tf.gather(m, i); tf.gather(x, i, axis=2)
tf.gather(x, ids, batch_dims=1); tf.gather_nd(m, ids)
tf.scatter_nd(i[:, None], p, (4, 4)); tf.tensor_scatter_nd_update(m, [[0], [2]], m[:2] * 0)
tf.where(truth); tf.where(m > 0, m, 0.0 * m)
tf.boolean_mask(x[0], np.array([True, False, True])); tf.sequence_mask([1, 3, 2])
tf.sequence_mask(i, 4, dtype=tf.float32); tf.repeat(m, 2, axis=0)
tf.tile(m, [2, 1]); tf.reverse(m, axis=[1]); tf.roll(m, shift=1, axis=0)
tf.pad(m, [[1, 0], [0, 2]]); tf.pad(m, [[1, 1], [1, 1]], 'REFLECT')
tf.slice(m, [0, 1], [2, 2]); tf.cumsum(m, axis=1); tf.norm(m); tf.norm(m, axis=1)
tf.linalg.norm(m, axis=-1, keepdims=True)
tf.equal(i, 1); tf.not_equal(m, 0.0); tf.greater(m, 0.0); tf.less_equal(m, v)
tf.logical_and(truth, truth); tf.logical_not(truth); tf.identity(m)
tf.stop_gradient(m); tf.map_fn(lambda r: r * 2.0, m); tf.broadcast_to(v, (3, 4))
tf.meshgrid([1.0, 2.0], [3.0, 4.0, 5.0]); tf.truediv(m, 2.0)
tf.cond(tf.constant(True), lambda: m, lambda: m * 2.0)
tf.while_loop(lambda k: tf.reduce_sum(k) < 9.0, lambda k: [k * 2.0], [p])
tf.nn.relu(m); tf.nn.softmax(m); tf.nn.softmax(m, axis=0); tf.nn.sigmoid(m); tf.nn.tanh(m)
tf.nn.leaky_relu(m); tf.nn.leaky_relu(m, alpha=0.1); tf.nn.elu(m)
tf.nn.selu(m); tf.nn.gelu(m); tf.nn.silu(m); tf.nn.softplus(m); tf.nn.relu6(m * 5)
tf.nn.log_softmax(m); tf.nn.l2_normalize(m, axis=1); tf.nn.l2_loss(m)
tf.nn.moments(m, axes=[0]); tf.nn.bias_add(m, v); tf.nn.embedding_lookup(m, ids)
tf.nn.softmax_cross_entropy_with_logits(labels=hot, logits=m)
tf.nn.sparse_softmax_cross_entropy_with_logits(labels=i, logits=m)
tf.nn.sigmoid_cross_entropy_with_logits(labels=hot, logits=m); tf.nn.zero_fraction(hot)
tf.nn.weighted_cross_entropy_with_logits(labels=hot, logits=m, pos_weight=2.0)
tf.nn.top_k(m, k=2)[0]; tf.math.top_k(m, k=2)[1]; tf.math.softplus(m)
tf.linalg.band_part(m, -1, 0); tf.linalg.band_part(m, 1, 1); tf.linalg.diag_part(m)
tf.linalg.matrix_transpose(x); tf.math.reduce_mean(x, 0); tf.math.argmax(m, 1)
tf.cast(tf.math.not_equal(i, 0), tf.float32); tf.math.is_nan(m); tf.math.equal(i, i)
tf.math.cumsum(v); tf.ensure_shape(m, [3, None]); tf.print('a') or 0
tf.is_tensor(tf.constant(1)); tf.is_tensor(3); tf.function(lambda a: a * 2.0)(tf.constant(2.0))
tf.numpy_function(lambda a: a + 1, [m], tf.float32)
tf.constant(2.0).numpy(); list(tf.constant([[1.0]]).shape); tf.constant([1.0]).dtype == tf.float32
m[:, tf.newaxis]; tf.math.sqrt(p); tf.math.maximum(m, 0.0)
tf.ones((2, 3))[:, -1]; (tf.ones((2, 3)) @ tf.ones((3, 1)) + 1.0) ** 2 / 3.0
tf.Variable([1.0, 2.0]) * 2.0 + v[:2]; tf.unique(i)[0]
"""

# By what Keras 2 gave: `keras.ops` of today, or an expression in it.
K = {
    "K.mean(x, axis=-1)": "o.mean(x, axis=-1)",
    "K.sum(x, axis=[1, 2], keepdims=True)": "o.sum(x, axis=[1, 2], keepdims=True)",
    "K.square(m)": "o.square(m)",
    "K.sqrt(K.mean(K.square(m)))": "o.sqrt(o.mean(o.square(m)))",
    "K.abs(m)": "o.abs(m)",
    "K.dot(m, K.transpose(m))": "o.matmul(m, o.transpose(m))",
    "K.dot(x, K.transpose(m))": "o.matmul(x, o.transpose(m))",
    "K.dot(x, K.expand_dims(v))": "o.matmul(x, v[:, None])",
    "K.batch_dot(x, y)": "o.matmul(x, y)",
    "K.batch_dot(x, x, axes=[2, 2])": "o.einsum('bij,bkj->bik', x, x)",
    "K.batch_dot(m, m)": "o.sum(o.multiply(m, m), axis=1, keepdims=True)",
    "K.batch_dot(x, y[:, :, 0], axes=[2, 1])": "o.einsum('bij,bj->bi', x, y[:, :, 0])",
    "K.batch_dot(x, x, axes=2)": "o.einsum('bij,bkj->bik', x, x)",
    "K.batch_dot(x[:, 0], y, axes=[1, 1])": "o.einsum('bj,bjk->bk', x[:, 0], y)",
    "K.permute_dimensions(x, (0, 2, 1))": "o.transpose(x, (0, 2, 1))",
    "K.expand_dims(m)": "m[..., None]",
    "K.squeeze(m[None], 0)": "m",
    "K.epsilon()": "1e-7",
    "K.clip(m, 0, 1)": "o.clip(m, 0, 1)",
    "K.int_shape(x)": "(2, 3, 4)",
    "K.softmax(m)": "o.softmax(m)",
    "K.softmax(m, axis=0)": "o.softmax(m, axis=0)",
    "K.exp(m)": "o.exp(m)",
    "K.log(p + K.epsilon())": "o.log(p + np.float32(1e-7))",
    "K.tanh(m)": "o.tanh(m)",
    "K.sigmoid(m)": "o.sigmoid(m)",
    "K.relu(m)": "o.relu(m)",
    "K.relu(m, alpha=0.1)": "o.leaky_relu(m, 0.1)",
    "K.elu(m)": "o.elu(m)",
    "K.concatenate([m, m])": "o.concatenate([m, m], -1)",
    "K.concatenate([x, x], axis=1)": "o.concatenate([x, x], 1)",
    "K.stack([m, m], axis=0)": "o.stack([m, m])",
    "K.repeat(m, 3)": "o.repeat(m[:, None], 3, 1)",
    "K.repeat_elements(m, 2, 1)": "o.repeat(m, 2, 1)",
    "K.reshape(x, (-1, 4))": "o.reshape(x, (-1, 4))",
    "K.reverse(m, 1)": "o.flip(m, 1)",
    "K.gather(m, ids)": "o.take(m, ids, 0)",
    "K.one_hot(i, 4)": "o.one_hot(i, 4)",
    "K.flatten(x)": "o.ravel(x)",
    "K.batch_flatten(x)": "o.reshape(x, (2, 12))",
    "K.argmax(m)": "o.argmax(m, axis=-1)",
    "K.argmax(m, axis=-1)": "o.argmax(m, axis=-1)",
    "K.max(m)": "o.max(m)",
    "K.min(m, axis=0)": "o.min(m, axis=0)",
    "K.prod(p)": "o.prod(p)",
    "K.pow(m, 2)": "o.power(m, 2)",
    "K.maximum(m, 0.)": "o.maximum(m, 0.)",
    "K.equal(i, i)": "o.equal(i, i)",
    "K.cast(i, 'float32')": "o.cast(i, 'float32')",
    "K.cast(K.greater(m, 0), K.floatx())": "o.cast(o.greater(m, 0), 'float32')",
    "K.switch(K.greater(m, 0), m, m * 0)": "o.where(o.greater(m, 0), m, m * 0)",
    "K.l2_normalize(m, axis=-1)": "m / np.sqrt((m * m).sum(-1, keepdims=True))",
    "K.binary_crossentropy(hot, p)": "o.binary_crossentropy(hot, p)",
    "K.categorical_crossentropy(hot, p)": "o.categorical_crossentropy(hot, p)",
    "K.sparse_categorical_crossentropy(i, p)": "o.sparse_categorical_crossentropy(i, p)",
    "K.std(m)": "o.std(m)",
    "K.var(m, axis=0)": "o.var(m, axis=0)",
    "K.logsumexp(m, axis=1)": "o.logsumexp(m, axis=1)",
    "K.all(truth)": "o.all(truth)",
    "K.any(truth, axis=0)": "o.any(truth, axis=0)",
    "K.ndim(x)": "3",
    "K.shape(x)": "(2, 3, 4)",
    "K.zeros_like(m)": "m * 0",
    "K.ones((2, 2))": "np.ones((2, 2), 'float32')",
    "K.zeros(3)": "np.zeros(3, 'float32')",
    "K.constant([1, 2])": "np.array([1, 2], 'float32')",
    "K.constant(1.5, shape=(2,))": "np.full(2, 1.5, 'float32')",
    "K.variable(m)": "m",
    "K.eval(K.variable(m) * 2)": "m * 2",
    "K.get_value(K.variable(v))": "v",
    "K.arange(4)": "np.arange(4, dtype='int32')",
    "K.tile(m, (2, 1))": "o.tile(m, (2, 1))",
    "K.cumsum(m, axis=1)": "o.cumsum(m, axis=1)",
    "K.round(m)": "o.round(m)",
    "K.sign(m)": "o.sign(m)",
    "K.eye(3)": "o.eye(3)",
    "K.bias_add(m, v)": "m + v",
    "K.temporal_padding(x, (1, 2))": "np.pad(x, ((0, 0), (1, 2), (0, 0)))",
    "K.foldl(lambda a, b: a + b, m)": "m.sum(0)",
    "K.map_fn(lambda r: r * 2, m)": "m * 2",
    "K.count_params(m)": "12",
    "K.hard_sigmoid(m)": "o.hard_sigmoid(m)",
    "K.softplus(m)": "o.softplus(m)",
    "K.in_train_phase(m, m * 2)": "m * 2",
    "K.is_keras_tensor(m)": "False",
    "K.in_top_k(p, i, 2)": "o.in_top_k(i, p, 2)",
    "K.stop_gradient(m)": "m",
    "K.cast_to_floatx([1, 2])": "np.array([1, 2], 'float32')",
    "K.not_equal(i, 1)": "o.not_equal(i, 1)",
    "K.learning_phase()": "0",
}


def flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple) and not isinstance(value, tf.TensorShape):
        return [leaf for part in value for leaf in flat(part)]
    return [value]


def same(ours: Any, theirs: Any, what: str) -> None:
    for a, b in zip(flat(ours), flat(theirs), strict=True):
        x, y = np.asarray(a), np.asarray(b)
        assert x.shape == y.shape, what
        if hasattr(b, "dtype"):
            assert x.dtype == y.dtype, (what, x.dtype, y.dtype)
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-5, err_msg=what)


@pytest.mark.parametrize("line", TF.strip().split("\n"), ids=lambda line: line[:40])
def test_functions_of_tensorflow(line: str, capsys: Any) -> None:
    for text in line.split("; "):
        same(eval(text, {**VALUES, "tf": rnn_engine}), eval(text, {**VALUES, "tf": tf}), text)


@pytest.mark.parametrize("text", K)
def test_functions_of_keras_2(text: str) -> None:
    theirs = eval(K[text], {**VALUES, "o": importlib.import_module("keras").ops})
    same(eval(text, {**VALUES, "K": rnn_engine.backend}), theirs, text)


def test_all_names_are_served_and_none_is_shown() -> None:
    for name in rnn_engine._TENSORFLOW.split():
        assert getattr(rnn_engine, name) is tf_names.TABLE[name], name
        assert hasattr(tf, name), name
    for name in keras2.K:
        assert getattr(rnn_engine.backend, name) is keras2.K[name], name
    assert not {"reduce_mean", "float32", "concat"} & set(rnn_engine.__all__)
