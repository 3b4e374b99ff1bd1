"""`BatchInside`: a model of which some input or output has the batch elsewhere than in front."""

from typing import Any

import numpy as np

from rnn_engine.functional import Functional
from rnn_engine.layers.base import registry
from rnn_engine.tensor import as_tensor


@registry.register()
class BatchInside(Functional):
    """A graph whose data cannot be cut into batches along their first axis.

    What `from_onnx` makes where an input or output has time, or directions, in front. It is
    called, and predicts, on all the data at once.
    """

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the outputs for all the data in one batch, whatever `batch_size` says."""
        found = self(x, training=False)
        if isinstance(found, list | tuple):
            return type(found)(np.asarray(part) for part in found)
        return np.asarray(as_tensor(found))

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Raise: data are cut into batches along their first axis.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            "This model has an input or output whose first axis is not the batch, as its ONNX "
            "file has it: it cannot be trained or evaluated batch by batch. Make a "
            "Model(inputs, outputs) of the part whose tensors have the batch first."
        )

    evaluate = train_on_batch = test_on_batch = fit
