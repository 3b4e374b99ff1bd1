"""More data to score than fit: Dask's collections, and the batches of Ray and their like."""

from math import prod
from typing import Any

import numpy as np

from rnn_engine.distributed.extras import load
from rnn_engine.distributed.shipping import from_bytes, name_of, to_bytes
from rnn_engine.graph.inside import is_stateful
from rnn_engine.training.arguments import check_count

_BATCH = 256


def predict(
    model: Any,
    collection: Any,
    batch_size: int = _BATCH,
    custom_objects: dict[str, Any] | None = None,
) -> Any:
    """Return a model's outputs for a Dask collection of windows, lazily.

    The outputs have the bits of ``model.predict``, whatever the chunks. Nothing is computed
    before the collection that is returned is. Then each chunk is one task: a worker that is
    killed has lost its chunks only, which Dask computes again; a worker holds the model, which
    it loads once, and for each of its threads a chunk, its outputs and the work of one batch.
    The model goes to the workers as the content of a file, and not as a pickle.

    Parameters
    ----------
    model : Model, str or path
        Of one input and one output. A file is read here, so that workers need no access to it.
    collection : dask.array.Array or dask.dataframe.DataFrame
        An array ``(samples, ...)`` of what the model takes. It is cut along the samples only:
        chunks along other axes are put together, so cut it finely along the first. Or a
        DataFrame with a window in each row: all its numbers in order, step by step, or one
        column of arrays.
    batch_size : int
        Rows that are computed at a time; no bit depends on it.
    custom_objects : dict, optional
        A user's own classes, by name, as for `load_model`. Dask sends these as pickles.

    Returns
    -------
    dask.array.Array, chunked as the samples are; or a DataFrame with the old index and the
    outputs in columns ``output_0``, ``output_1``, ..., one a number of a row.

    Raises
    ------
    ImportError
        If dask is missing (extra ``dask``).
    TypeError
        If `collection` is neither.
    ValueError
        If the model is not built, has several inputs or outputs or is stateful, or the windows
        do not fit it.

    Examples
    --------
    >>> import rnn_engine as keras
    >>> da = load("dask.array", "This example")
    >>> model = keras.Sequential([keras.layers.SimpleRNN(3, input_shape=(5, 2))])
    >>> x = np.random.default_rng(0).normal(size=(10, 5, 2)).astype("float32")
    >>> y = predict(model, da.from_array(x, chunks=(4, 5, 2)))
    >>> y.chunks
    ((4, 4, 2), (3,))
    >>> bool((y.compute(scheduler="sync") == model.predict(x, verbose=0)).all())
    True
    """
    dask = load("dask", "Scoring a Dask collection")
    size = check_count(batch_size, "batch_size")
    data = to_bytes(model)
    name = name_of(data)
    found = from_bytes(data, custom_objects, name)
    _check(found)
    # One key for all tasks: the bytes go to each worker once.
    shipped = dask.delayed(data, name=f"rnn_engine-model-{name[:32]}", traverse=False)
    options = {"digest": name, "batch_size": size, "custom_objects": custom_objects}
    if hasattr(collection, "map_partitions") and hasattr(collection, "columns"):
        return _of_frame(found, collection, shipped, options)
    if hasattr(collection, "chunks") and hasattr(collection, "map_blocks"):
        return _of_array(found, collection, shipped, options)
    raise TypeError(
        f"collection must be a Dask array or DataFrame, got {type(collection).__name__}. "
        f"dask.array.from_array makes one of an array; model.predict takes arrays themselves."
    )


def _check(model: Any) -> None:
    form = model.data_form()
    if len(form.inputs) != 1 or len(form.outputs) != 1:
        raise ValueError(
            f"The model must have one input and one output to score a collection, it has "
            f"{len(form.inputs)} and {len(form.outputs)}."
        )
    if any(map(is_stateful, model.layers)):
        raise ValueError(
            "The model is stateful: what a chunk gives would depend on those before it. Make it "
            "with stateful=False."
        )


def _of_array(model: Any, collection: Any, shipped: Any, options: dict[str, Any]) -> Any:
    array = collection.rechunk(dict.fromkeys(range(1, collection.ndim), -1))
    one = model.predict(np.zeros((1, *array.shape[1:]), array.dtype), verbose=0)
    lost = list(range(one.ndim, array.ndim)) or None
    new = list(range(array.ndim, one.ndim)) or None
    return array.map_blocks(
        _score,
        shipped=shipped,
        dtype=one.dtype,
        chunks=(array.chunks[0], *((n,) for n in one.shape[1:])),
        drop_axis=lost,
        new_axis=new,
        meta=np.empty((0,) * one.ndim, one.dtype),
        **options,
    )


def _of_frame(model: Any, frame: Any, shipped: Any, options: dict[str, Any]) -> Any:
    pandas = load("pandas", "A DataFrame")
    shape, count = model.input_shape[1:], len(frame.columns)
    apart = count > 1 or shape == (1,)  # else one column of arrays
    if apart and (None in shape or prod(shape) != count):
        raise ValueError(
            f"The rows of the DataFrame have {count} numbers, the model takes windows of shape "
            f"{shape}: one column for each number, step by step, or one of arrays."
        )
    if None in model.output_shape[1:]:
        raise ValueError(
            "The outputs of windows of any length have no fixed number of columns: score an array."
        )
    dtype = model.predict(np.zeros((1, *(n or 1 for n in shape)), np.float32), verbose=0).dtype
    columns = [f"output_{i}" for i in range(prod(model.output_shape[1:]))]
    meta = pandas.DataFrame({c: np.empty(0, dtype) for c in columns}, index=frame._meta.index)
    return frame.map_partitions(
        _score_frame,
        shipped=shipped,
        shape=shape if apart else None,
        columns=columns,
        dtype=dtype.name,
        meta=meta,
        **options,
    )


def _score(
    block: np.ndarray, shipped: bytes, digest: str, batch_size: int, custom_objects: Any
) -> np.ndarray:
    """Return the outputs for a chunk; runs in a worker."""
    model = from_bytes(shipped, custom_objects, digest)
    if len(block) == 0:
        one = model.predict(np.zeros((1, *block.shape[1:]), block.dtype), verbose=0)
        return one[:0]
    found: np.ndarray = model.predict(block, batch_size=batch_size, verbose=0)
    return found


def _score_frame(
    frame: Any, shipped: bytes, shape: Any, columns: list[str], dtype: str, **options: Any
) -> Any:
    """Return the outputs for a partition; runs in a worker."""
    if len(frame) == 0:
        found = np.empty((0, len(columns)), dtype)
    else:
        if shape is not None:
            windows = frame.to_numpy().reshape(len(frame), *shape)
        else:
            windows = _stacked(frame.iloc[:, 0])
        found = _score(windows, shipped, **options).reshape(len(frame), -1)
    return type(frame)(found, index=frame.index, columns=columns)


def _stacked(column: Any) -> np.ndarray:
    """Return a column of arrays as one array."""
    return np.stack([np.asarray(window) for window in column])


class BatchPredictor:
    """A callable that scores batches: for ``map_batches`` of Ray Data, and its like.

    Parameters
    ----------
    model : bytes, str, path or Model
        What `to_bytes` returned, or a file. Ray sends the arguments of a constructor as
        pickles: bytes and a name stay what they are.
    column : str, optional
        Where batches are dicts of arrays, the one with the windows.
    output : str
        Where batches are dicts, the name of the outputs beside the other columns.
    batch_size : int
        Rows that are computed at a time; no bit depends on it.
    custom_objects : dict, optional
        As for `load_model`.

    Raises
    ------
    ValueError
        If the model is damaged, or not of one input and one output; in a call, if a batch has
        no such column.

    Examples
    --------
    ``dataset.map_batches(BatchPredictor, fn_constructor_args=[to_bytes(model), "window"],
    concurrency=2, batch_size=1024)`` with Ray Data. By hand:

    >>> import rnn_engine as keras
    >>> model = keras.Sequential([keras.layers.SimpleRNN(3, input_shape=(5, 2))])
    >>> score = BatchPredictor(to_bytes(model), "window")
    >>> batch = score({"window": np.zeros((4, 5, 2), "float32"), "id": np.arange(4)})
    >>> {name: array.shape for name, array in batch.items()}
    {'window': (4, 5, 2), 'id': (4,), 'output': (4, 3)}
    """

    def __init__(
        self,
        model: Any,
        column: str | None = None,
        output: str = "output",
        batch_size: int = _BATCH,
        custom_objects: dict[str, Any] | None = None,
    ) -> None:
        self.data = to_bytes(model)
        self.column, self.output = column, output
        self.batch_size = check_count(batch_size, "batch_size")
        self.custom_objects = custom_objects
        self._name = name_of(self.data)
        _check(self._model())

    def _model(self) -> Any:
        return from_bytes(self.data, self.custom_objects, self._name)

    def __call__(self, batch: Any) -> Any:
        """Return the outputs for an array, or a dict with them beside its columns."""
        if self.column is None and not isinstance(batch, dict):
            return self._score(batch)
        if not isinstance(batch, dict) or self.column not in batch:
            names = list(batch) if isinstance(batch, dict) else type(batch).__name__
            raise ValueError(
                f"The batch must be a dict with the column {self.column!r}, got {names}."
            )
        return {**batch, self.output: self._score(batch[self.column])}

    def _score(self, windows: Any) -> np.ndarray:
        array = np.asarray(windows)
        if array.dtype == object:  # Ray's column of arrays
            array = _stacked(array)
        return _score(array, self.data, self._name, self.batch_size, self.custom_objects)
