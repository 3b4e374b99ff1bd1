"""`Stream`: a model over a sequence that arrives bit by bit."""

from threading import Lock
from typing import Any

import numpy as np

from rnn_engine.checks import as_numbers, positive_int, require_finite
from rnn_engine.kernels.streaming import run
from rnn_engine.streaming.chain import Link, links_of
from rnn_engine.streaming.compiled import Compiled, is_compiled
from rnn_engine.streaming.parts import part_for

_NAN = ("propagate", "raise")


class Stream:
    """A session that takes a model through a sequence, some steps at a time.

    ``model.stream(batch_size)`` makes one. However the sequence is cut into calls, the outputs
    have the bits of `model.predict` on all of it, started from zeros. Where the model's last
    recurrent layer returns its last output only, the output at each step is what `predict` gives
    for the sequence up to there.

    The weights are the model's: what changes them (`fit`, `set_weights`, `load_weights`,
    `Variable.assign`) counts from the next call on, and what was packed of them is packed again
    then. The states are the session's own, also those of layers with ``stateful=True``. Dropout
    does nothing. Layers that are added to the model later are not seen.

    Each thread takes a session of its own; many may run at once.

    Parameters
    ----------
    model : Sequential or Functional
        Built, with layers in one row.
    batch_size : int
        Sequences side by side.
    nan : str
        ``"propagate"``: NaN and infinity are computed with, as in `predict`, and a recurrent
        layer then keeps them until `reset`. ``"raise"``: an input with one is refused.

    Attributes
    ----------
    batch_size : int
    dtype : numpy.dtype
        Of the inputs, unless they are indices.
    compiled : bool
        Whether one call of a kernel runs all layers. Then `step` and `process` with `out`
        allocate nothing.

    Raises
    ------
    ValueError
        If the model is not built or has no axis of time, or if a layer cannot stream: the
        message names it.

    Examples
    --------
    >>> import rnn_engine
    >>> from rnn_engine.layers import Dense, SimpleRNN
    >>> model = rnn_engine.Sequential([SimpleRNN(4, input_shape=(None, 2)), Dense(1)])
    >>> x = np.random.default_rng(0).normal(size=(1, 10, 2)).astype("float32")
    >>> with model.stream() as session:
    ...     y = [session.step(x[:, t]) for t in range(10)]
    >>> np.array_equal(y[-1], model.predict(x, verbose=0))
    True
    """

    def __init__(self, model: Any, batch_size: int = 1, nan: str = "propagate") -> None:
        self.batch_size = positive_int(batch_size, "batch_size")
        if nan not in _NAN:
            raise ValueError(f"Argument `nan` must be one of {_NAN}. Received: nan={nan!r}")
        links, self._out_shape = links_of(model)
        self.nan, self.name = nan, model.name
        self._takes_integers = bool(model.takes_integers)
        self.dtype = np.dtype(model.kernel_dtype)
        self._halved = model.halved if model._gives_half else None
        self._in_shape = tuple(model.input_shape[2:])
        self._parts = _parts_of(links, self.batch_size, self.dtype)
        only = self._parts[0]
        self.compiled = (
            len(self._parts) == 1
            and isinstance(only, Compiled)
            and not (self._halved or self._takes_integers)
        )
        self._out_dtype = np.dtype(np.float16 if self._halved else links[-1].layer.output_dtype)
        self._lock = Lock()
        self._closed = False
        # What a step looks at: small steps are a matter of a microsecond.
        self._step_shape = (self.batch_size, *self._in_shape)
        self._made_shape = (self.batch_size, *self._out_shape)
        self._quick = self.compiled
        self._refuses = nan == "raise"
        self._table = only.table if self.compiled else None
        self._variables = only.variables if self.compiled else []

    # --- steps ------------------------------------------------------------------------

    def step(self, x_t: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Return the output of one step.

        Parameters
        ----------
        x_t : (B, features)
            Of the session's dtype; indices, (B,), before an `Embedding`.
        out : (B, outputs), optional
            C-contiguous and writeable; filled and returned instead of a new array. It must not
            overlap `x_t`.

        Raises
        ------
        ValueError
            If shape, dtype or, with ``nan="raise"``, a value does not fit; the states are as
            they were.
        RuntimeError
            If the session is closed, or another thread is using it.
        """
        if self._fits(x_t, self._step_shape):
            if self._refuses:
                require_finite(x_t, "x_t")
            if out is None:
                out = np.empty(self._made_shape, self.dtype)
            else:
                self._check_out(out, self._made_shape, x_t)
            if not self._lock.acquire(False):
                raise self._busy()
            try:
                version = 0
                for variable in self._variables:
                    version += variable.version
                if version != self._parts[0].version:
                    self._parts[0].refresh()
                run(self._table, x_t, out, 1)
            finally:
                self._lock.release()
            return out
        x = self._checked(x_t, "x_t", self._step_shape)
        if out is not None:
            self._check_out(out, self._made_shape, x)
        y = self._process(x[:, None], None if out is None else out[:, None])
        return out if out is not None else y[:, 0]

    def process(self, block: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Return the outputs of some steps.

        Parameters
        ----------
        block : (B, T, features)
            With T from 0 on; of the session's dtype; indices, (B, T), before an `Embedding`.
        out : (B, T, outputs), optional
            C-contiguous and writeable; filled and returned instead of a new array. It must not
            overlap `block`.

        Raises
        ------
        ValueError, RuntimeError
            As `step` does.
        """
        found = np.shape(block)
        steps = found[1] if len(found) > 1 else 0
        shape = self.batch_size, steps, *self._in_shape
        if self._fits(block, shape):
            x = block
            if self._refuses:
                require_finite(x, "block")
        else:
            x = self._checked(block, "block", shape)
        if out is not None:
            self._check_out(out, (self.batch_size, steps, *self._out_shape), x)
        return self._process(x, out)

    def _process(self, x: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        if out is None:
            shape = self.batch_size, x.shape[1], *self._out_shape
            out = np.empty(shape, self._out_dtype)
        if not self._lock.acquire(False):
            raise self._busy()
        try:
            if self._quick and x.shape[1] <= self._parts[0].most:
                self._parts[0].refresh()
                if x.shape[1]:
                    run(self._table, x, out, x.shape[1])
            elif x.shape[1]:
                before = self._snapshot()
                try:
                    self._run(x, out)
                except BaseException:  # Ctrl-C, too
                    self._restore(before)
                    raise
        finally:
            self._lock.release()
        return out

    def _run(self, x: Any, out: np.ndarray) -> None:
        """Take x through all parts."""
        mask = None
        for part in self._parts:
            if not isinstance(part, Compiled):
                x, mask = part.run(x, mask)
                continue
            part.refresh()
            last = part is self._parts[-1] and self._halved is None
            x = np.require(x, part.dtype, ("C", "A", "W"))
            y = out if last else np.empty((*x.shape[:2], part.units), part.dtype)
            part.run(x, y)
            x = y
        if x is not out:
            out[...] = x if self._halved is None else self._halved(x)

    # --- states -----------------------------------------------------------------------

    def reset(self) -> None:
        """Begin a new sequence."""
        with self._owned():
            for part in self._parts:
                if isinstance(part, Compiled):
                    part.reset()
                elif part.states:
                    part.states = None

    def get_state(self) -> list[np.ndarray]:
        """Return copies of the states, from the first layer on: (B, ...) each.

        Those of a recurrent layer are in Keras's order, of a causal convolution the end of its
        inputs, (B, (kernel_size - 1) · dilation_rate, channels). A recurrent layer behind a mask,
        or of cells of one's own, adds its last output. `numpy.savez` keeps them.
        """
        with self._owned():
            states = []
            for part in self._parts:
                now = part.states if part.states is not None else part.blank()
                states += [state.copy() for state in now]
            return states

    def set_state(self, state: Any) -> None:
        """Go on from states that `get_state` returned, of this session or of another one.

        Raises
        ------
        ValueError
            If number, shapes or types differ; the states are as they were.
        """
        if not hasattr(state, "__iter__"):
            raise ValueError(
                "state must be a list of arrays, as `get_state` returns it. Received: "
                f"{type(state).__name__}"
            )
        given = list(state)
        wanted = self.get_state()
        if len(given) != len(wanted):
            raise ValueError(
                f"The stream of model {self.name!r} has {len(wanted)} states. "
                f"Received: {len(given)}"
            )
        arrays = []
        for index, (value, like) in enumerate(zip(given, wanted, strict=True)):
            array = as_numbers(value, f"state[{index}]")
            if array.shape != like.shape or array.dtype != like.dtype:
                raise ValueError(
                    f"state[{index}] must have shape {like.shape} and dtype {like.dtype}. "
                    f"Received: shape {array.shape}, dtype {array.dtype}"
                )
            arrays.append(array)
        with self._owned():
            for part in self._parts:
                own = part.states if part.states is not None else part.blank()
                now, arrays = arrays[: len(own)], arrays[len(own) :]
                if isinstance(part, Compiled):
                    for target, source in zip(own, now, strict=True):
                        target[...] = source
                    part.started = True
                else:
                    part.states = [array.copy() for array in now]

    def _snapshot(self) -> list[Any]:
        """Return what `_restore` needs to undo a call."""
        kept: list[Any] = []
        for part in self._parts:
            if isinstance(part, Compiled):
                kept.append((part.started, [state.copy() for state in part.states]))
            else:
                kept.append(part.states)
        return kept

    def _restore(self, kept: list[Any]) -> None:
        for part, before in zip(self._parts, kept, strict=True):
            if isinstance(part, Compiled):
                part.started, states = before
                for target, source in zip(part.states, states, strict=True):
                    target[...] = source
            else:
                part.states = before

    # --- life -------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of buffers and weights; every later call raises RuntimeError."""
        with self._owned():
            self._closed, self._quick = True, False
            self._parts, self._variables, self._table = [], [], None

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"batch_size={self.batch_size}"
        return f"<Stream of {self.name}, {state}>"

    def __reduce__(self) -> Any:
        raise TypeError(
            "A Stream cannot be pickled or copied: keep `get_state()` and the model, and give the "
            "state to a new `model.stream()`."
        )

    # --- checks -----------------------------------------------------------------------

    def _owned(self) -> Any:
        """Return the lock, held, for a `with`; raise if the session is in use or closed."""
        if self._closed or not self._lock.acquire(False):
            raise self._busy()
        return _Held(self._lock)

    def _busy(self) -> RuntimeError:
        if self._closed:
            return RuntimeError(f"This stream of model {self.name!r} is closed.")
        return RuntimeError(
            f"Another thread is using this stream of model {self.name!r}: give each thread a "
            "session of its own, `model.stream()`."
        )

    def _fits(self, value: Any, shape: tuple[int, ...]) -> bool:
        """Whether the kernel can take an input as it is."""
        return (
            self._quick
            and type(value) is np.ndarray
            and value.dtype is self.dtype
            and value.shape == shape
            and value.flags.carray
        )

    def _checked(self, value: Any, argument: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return an input as the parts take it."""
        if self._closed:
            raise self._busy()
        array = as_numbers(value, argument)
        if array.shape != shape:
            wanted = list(map(str, shape))
            if argument == "block":
                wanted[1] = "timesteps"
            raise ValueError(
                f"{argument} must have shape ({', '.join(wanted)}), the batch size first. "
                f"Received: shape {array.shape}"
            )
        if self._takes_integers:
            if array.dtype.kind not in "iu":
                raise ValueError(
                    f"{argument} holds indices, so its dtype must be an integer type. Received: "
                    f"{array.dtype}"
                )
            return array
        if type(value) is not np.ndarray and array.dtype.kind in "fiu":
            array = array.astype(self.dtype)
        if array.dtype != self.dtype:
            raise ValueError(
                f"{argument} must have dtype {self.dtype}. Received: {array.dtype}; use "
                f"`.astype({self.dtype.name!r})`"
            )
        if self._refuses:
            require_finite(array, argument)
        return array if array.flags.carray else np.array(array, self.dtype, order="C")

    def _check_out(self, out: Any, shape: tuple[int, ...], x: np.ndarray) -> None:
        if (
            type(out) is np.ndarray
            and out.dtype == self._out_dtype
            and out.shape == shape
            and out.flags.carray
        ):
            views = out is x or out.base is not None or x.base is not None
            if views and np.may_share_memory(out, x):
                raise ValueError("`out` must not overlap the input.")
            return
        what = type(out).__name__
        if isinstance(out, np.ndarray):
            what = f"shape {out.shape}, dtype {out.dtype}, flags.carray={out.flags.carray}"
        raise ValueError(
            f"`out` must be a C-contiguous, writeable array of shape {shape} and dtype "
            f"{self._out_dtype}. Received: {what}"
        )


class _Held:
    """A lock that is held, for a `with` that gives it back."""

    def __init__(self, lock: Lock) -> None:
        self.lock = lock

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self.lock.release()


def _parts_of(links: list[Link], batch: int, dtype: np.dtype) -> list[Any]:
    """Return the parts of a row; layers that can be compiled together are one."""
    parts: list[Any] = []
    group: list[Link] = []

    def close() -> None:
        if group:
            made = Compiled(group, batch, int(group[0].shape[-1]), dtype)
            if not made.empty:
                parts.append(made)
            group.clear()

    for link in links:
        if is_compiled(link, dtype):
            group.append(link)
        else:
            close()
            parts.append(part_for(link, batch))
    close()
    # Of layers that do nothing outside of training there is still the first one.
    return parts or [part_for(links[0], batch)]
