"""The other side of every check: float64 oracle, tf.keras twins, comparison, goldens.

Nothing in rnn_engine imports this package. TensorFlow is needed by
`keras_twin`, `verify` and `goldens` (``pip install 'rnn_engine[reference]'``); `oracle`, `compare`,
`cases` and `framework`, which turns them on another framework, need NumPy only.
"""
