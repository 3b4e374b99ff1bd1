"""`Recurrence`: a cell of some sizes, run through time forward and back."""

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.core import types

from rnn_engine.kernels import threads
from rnn_engine.kernels.buffers import BufferPool
from rnn_engine.kernels.gather import gather_time_major
from rnn_engine.kernels.recurrent import cells, launch, steps, walker
from rnn_engine.kernels.recurrent.places import P, S
from rnn_engine.kernels.recurrent.plan import Plan, Sizes, backward_plan, forward_plan, group_count
from rnn_engine.kernels.recurrent.rows import by_length, shares
from rnn_engine.kernels.recurrent.weights import pack_weights, stage_places


@dataclass(frozen=True, slots=True)
class Packed:
    """Weights as `Recurrence.pack` packed them, and as they were given."""

    weights: np.ndarray
    kernel: np.ndarray
    recurrent_kernel: np.ndarray


@dataclass(slots=True)
class Saved:
    """What `backward` reads of a pass forward.

    Attributes
    ----------
    packed : Packed
    x : (B, T, F) as the kernels took it
    states : (states, T + 1, B, U), the initial ones in slot 0
    kept : (T, B, keeps · U), what the steps kept
    operand : (T, B, U), what a stage made for R, or empty
    started : whether there were initial states
    mask : (T, B) of bool or None, in the order of `order`
    drop_x, drop_h : factors, or None, in that order
    order : (B,), the row of the batch that each row is, or None
    """

    packed: Packed
    x: np.ndarray
    states: np.ndarray
    kept: np.ndarray
    operand: np.ndarray
    started: bool
    mask: np.ndarray | None
    drop_x: np.ndarray | None
    drop_h: np.ndarray | None
    order: np.ndarray | None


_made: "weakref.WeakValueDictionary[Any, Recurrence]" = weakref.WeakValueDictionary()


def recurrence(
    cell: str, activations: tuple[int, ...], features: int, units: int, dtype: Any
) -> "Recurrence":
    """Return the `Recurrence` of a cell, the same one as long as somebody holds it.

    Parameters
    ----------
    cell : str
        A name of `cells.CELLS`: "simple_rnn", "lstm", "gru" (reset after the product) or
        "gru_reset_before".
    activations : tuple of int
        Codes of `formulas.TABLE`: that of the output alone for "simple_rnn", else that of the
        candidate and the output, then that of the gates.
    features, units : int
    dtype : float32 or float64
    """
    key = cell, tuple(activations), features, units, np.dtype(dtype)
    made = _made.get(key)
    if made is None:
        made = _made[key] = Recurrence(*key)
    return made


class Recurrence:
    """A cell of some sizes: see `recurrence`."""

    def __init__(
        self, cell: str, activations: tuple[int, ...], features: int, units: int, dtype: np.dtype
    ) -> None:
        self.cell = cells.find(cell)
        self.activations, self.features, self.units = activations, features, units
        self.dtype = dtype
        self._type = types.float32 if dtype.itemsize == 4 else types.float64
        self._stages, self._weights_size = stage_places(self.cell, features, units, dtype)
        self._used = self._stages[: len(self.cell.stages) * S.SIZE]
        self._like = np.empty(0, dtype)
        self._buffers = BufferPool(most=24)
        self._sizes: dict[tuple[int, int], Sizes] = {}

    def __reduce__(self) -> Any:
        key = self.cell.name, self.activations, self.features, self.units, self.dtype
        return recurrence, key

    def __deepcopy__(self, memo: Any) -> "Recurrence":
        return self

    # --- weights ----------------------------------------------------------------

    def pack(self, kernel: Any, recurrent_kernel: Any, bias: Any = None) -> Packed:
        """Return the weights as the kernels read them.

        Parameters
        ----------
        kernel : (F, G·U)
        recurrent_kernel : (U, G·U)
        bias : (G·U,), or (2, G·U) for a cell that has two, or None
        """
        packed = self._buffers.empty((self._weights_size,), self.dtype)
        flat = self._like if bias is None else bias.reshape(-1)
        pack_weights(kernel, recurrent_kernel, flat, self._used, packed)
        return Packed(packed, kernel, recurrent_kernel)

    # --- forward ----------------------------------------------------------------

    def sizes(self, batch: int, steps: int) -> Sizes:
        """Return the sizes of a pass."""
        found = self._sizes.get((batch, steps))
        if found is None:
            if len(self._sizes) > 256:
                self._sizes.clear()
            found = self._sizes[batch, steps] = Sizes(
                self.cell, self.activations, self.dtype, self.features, self.units, batch, steps
            )
        return found

    def last(self, packed: Packed, x: np.ndarray) -> np.ndarray:
        """Return the last output (B, U) of x (B, T, F), from zeros, and nothing else."""
        return self.forward(packed, x)[1][0]

    def forward(
        self,
        packed: Packed,
        x: np.ndarray,
        initial: list[np.ndarray] | None = None,
        mask: np.ndarray | None = None,
        drop_x: np.ndarray | None = None,
        drop_h: np.ndarray | None = None,
        sequence: bool = False,
        keep: bool = False,
    ) -> tuple[np.ndarray | None, list[np.ndarray], Saved | None]:
        """Run through all steps.

        Parameters
        ----------
        packed : from `pack`
        x : (B, T, F) with B, T >= 1, any strides
        initial : a (B, U) for each state, C-contiguous, or None for zeros
        mask : (T, B) of bool, C-contiguous, in order of reading, or None. A closed step repeats
            states and output
        drop_x : (G, B, F), factors of the inputs, one mask a gate, or None
        drop_h : (1 or G, B, U), factors of what R multiplies, or None
        sequence : whether the outputs of all steps are wanted
        keep : whether `backward` follows

        Returns
        -------
        h : (T, B, U), or None unless `sequence`
        last : a fresh (B, U) for each state
        saved : for `backward`, or None unless `keep`
        """
        batch, steps, _ = x.shape
        sizes, cell, units = self.sizes(batch, steps), self.cell, self.units
        if x.strides[2] != x.itemsize:
            x = np.ascontiguousarray(x)
        order = None
        regular = mask is None and drop_x is None and drop_h is None
        if mask is not None:
            order = by_length(mask)
            if order is not None:
                mask = np.take(mask, order, axis=1)
                x = self._in_order(x, order)
                initial = initial and [state[order] for state in initial]
                drop_x, drop_h = (
                    d if d is None else np.take(d, order, axis=1) for d in (drop_x, drop_h)
                )
        kept_states = cell.states if keep else int(sequence)
        tasks = threads.tasks(sizes.work, batch)
        bounds, rows = None, 0
        if not regular:
            bounds = shares(mask, batch, tasks)
            rows = int(np.diff(bounds).max())
        plan = forward_plan(sizes, tasks, kept_states, keep, rows)
        table = plan.table.copy()
        if bounds is not None:
            table[P.BOUNDS] = _address(bounds)
            self._set_rules(table, mask, drop_x, drop_h)
        states = self._buffers.empty((kept_states, steps + 1, batch, units), self.dtype)
        kept = self._buffers.empty((steps if keep else 0, batch, sizes.keeps * units), self.dtype)
        own = keep and len(cell.stages) > 1
        operand = self._buffers.empty((steps if own else 0, batch, units), self.dtype)
        last = np.empty((cell.states, batch, units), self.dtype)
        scratch = self._buffers.empty((plan.space,), self.dtype)
        start = None
        if initial is not None:
            start = np.stack(initial)
            table[P.START], table[P.STARTED] = _address(start), 1
        table[P.X], table[P.WEIGHTS] = _address(x), _address(packed.weights)
        table[P.X_ROW], table[P.X_STEP] = (stride // x.itemsize for stride in x.strides[:2])
        table[P.LAST], table[P.SCRATCH] = _address(last), _address(scratch)
        for s in range(kept_states):
            table[P.STATE + s] = _address(states[s])
        table[P.KEPT], table[P.OPERAND] = _address(kept), _address(operand)
        self._choose(table, False, drop_x is not None or drop_h is not None, not regular)
        self._run(table, walker.forward, plan)
        saved = None
        if keep:
            started = initial is not None
            saved = Saved(packed, x, states, kept, operand, started, mask, drop_x, drop_h, order)
        h = states[0, 1:] if sequence else None
        if order is not None:
            back = np.argsort(order)
            last = np.take(last, back, axis=1)
            if h is not None:
                out = self._buffers.empty(h.shape, self.dtype)
                h = np.take(h, back, axis=1, out=out, mode="clip")
        return h, list(last), saved

    def _in_order(self, x: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Return the rows of x (B, T, F) in an order, time-major in memory."""
        laid = self._buffers.empty((x.shape[1], *x.shape[::2]), self.dtype)
        if x.flags.carray:
            gather_time_major(x, order, laid)
        else:
            np.take(x.transpose(1, 0, 2), order, axis=1, out=laid, mode="clip")
        return laid.transpose(1, 0, 2)

    def _set_rules(
        self, table: np.ndarray, mask: Any, drop_x: np.ndarray | None, drop_h: np.ndarray | None
    ) -> None:
        """Write masks and factors into a plan."""
        if mask is not None:
            table[P.MASK], table[P.CARRIES] = _address(mask), 1
        if drop_x is not None:
            table[P.DROP_X], table[P.DROPS_X] = _address(drop_x), 1
        if drop_h is not None:
            table[P.DROP_H], table[P.DROP_GATES] = _address(drop_h), len(drop_h)

    def _choose(self, table: np.ndarray, back: bool, drops: bool, gathers: bool) -> None:
        """Fill in the addresses of the code that a pass runs."""
        for index in range(len(self.cell.stages)):
            at = P.STAGE + index * S.SIZE + (S.BACK if back else S.STEP)
            table[at] = steps.address_of(self.cell, index, self.activations, back, self._type)
        product: Any = walker
        if drops:
            from rnn_engine.kernels.recurrent import dropout

            product = dropout
        if not back:
            table[P.RUN_STAGE] = launch.address_of(product.run_stage, self._type, True)
            return
        from rnn_engine.kernels.recurrent import chain, gather, gradients

        product, sums = product if drops else chain, gather if gathers else gradients
        table[P.ARRIVE] = launch.address_of(product.arrive, self._type, True)
        table[P.GRADIENTS] = launch.address_of(sums.gradients, self._type, True)

    def _run(self, table: np.ndarray, body: Any, plan: Plan) -> None:
        """Run a body over all calls of a plan, those going back from the last one."""
        table[P.BODY], table[P.TASKS] = launch.address_of(body, self._type), plan.tasks
        go = launch.run if plan.tasks == 1 else launch.launch
        for begin, stop in plan.calls:
            table[P.BEGIN], table[P.STOP] = begin, stop
            go(table, self._like, plan.tasks)

    # --- backward ---------------------------------------------------------------

    def backward(
        self,
        saved: Saved,
        dy: np.ndarray | None,
        dlast: list[np.ndarray | None],
        gradients: tuple[np.ndarray, np.ndarray, np.ndarray | None],
        need_dx: bool = True,
    ) -> tuple[np.ndarray | None, list[np.ndarray] | None]:
        """Go back through what `forward` kept.

        Parameters
        ----------
        saved : from `forward`
        dy : (T, B, U), C-contiguous, gradients of the outputs of all steps, or None
        dlast : a (B, U), C-contiguous, or None for each state: gradients of the last ones
        gradients : (dW, dR, db or None), added to, in the shapes of the weights
        need_dx : whether dx is wanted

        Returns
        -------
        dx : (B, T, F), or None
        dinitial : a (B, U) for each state, or None where `forward` began with zeros
        """
        from rnn_engine.kernels.recurrent import gradients as module

        batch, steps, features = saved.x.shape
        sizes, cell = self.sizes(batch, steps), self.cell
        regular = saved.mask is None and saved.drop_x is None and saved.drop_h is None
        tasks = threads.tasks(2 * sizes.work, threads.get_num_threads())
        bounds, rows = None, 0
        if not regular:
            bounds = shares(saved.mask, batch, group_count(sizes))
            rows = int(np.diff(bounds).max())
        plan = backward_plan(sizes, tasks, rows)
        table, order = plan.table.copy(), saved.order
        if bounds is not None:
            table[P.BOUNDS] = _address(bounds)
            self._set_rules(table, saved.mask, saved.drop_x, saved.drop_h)
        if order is not None:
            if dy is not None:
                taken = self._buffers.empty(dy.shape, self.dtype)
                dy = np.take(dy, order, axis=1, out=taken, mode="clip")
            dlast = [d if d is None else d[order] for d in dlast]
            table[P.ORDER] = _address(order)
        dx: Any = self._buffers.empty((steps if need_dx else 0, batch, features), self.dtype)
        work = self._buffers.empty((plan.space,), self.dtype)
        dstart = np.empty((cell.states if saved.started else 0, batch, self.units), self.dtype)
        dw, dr, db = gradients
        if db is None:
            db = np.zeros((1 + cell.apart) * cell.gates * self.units, self.dtype)
        x = saved.x
        table[P.X] = _address(x)
        table[P.X_ROW], table[P.X_STEP] = (stride // x.itemsize for stride in x.strides[:2])
        for s in range(cell.states):
            table[P.STATE + s] = _address(saved.states[s])
            table[P.DLAST + s] = _address(dlast[s])
        table[P.KEPT], table[P.OPERAND] = _address(saved.kept), _address(saved.operand)
        table[P.W], table[P.R] = (
            _address(saved.packed.kernel),
            _address(saved.packed.recurrent_kernel),
        )
        table[P.DY] = _address(dy)
        table[P.DW], table[P.DR], table[P.DB] = _address(dw), _address(dr), _address(db)
        table[P.DX] = _address(dx) if need_dx else 0
        table[P.DSTART], table[P.WANTS_START] = _address(dstart), saved.started
        table[P.WORK] = _address(work)
        self._choose(table, True, saved.drop_x is not None or saved.drop_h is not None, not regular)
        groups, members = int(table[P.GROUPS]), int(table[P.MEMBERS])
        if members == 1:
            for begin, stop in reversed(plan.calls):
                self._call(table, module.backward, begin, stop, groups, tasks)
        else:
            self._call(table, module.begin_groups, 0, steps, groups, tasks)
            chunk, stop = int(table[P.CHUNK]), steps
            while stop:
                start = (stop - 1) // chunk * chunk
                for body in (module.chain_share, module.gradient_share):
                    self._call(table, body, start, stop, plan.tasks, tasks)
                stop = start
        if groups > 1:
            self._call(table, module.add_sums, 0, steps, max(1, tasks), tasks)
        if order is not None:
            dstart = np.take(dstart, np.argsort(order), axis=1)
        out = dx.transpose(1, 0, 2) if need_dx else None
        return out, list(dstart) if saved.started else None

    def _call(
        self, table: np.ndarray, body: Any, begin: int, stop: int, count: int, tasks: int
    ) -> None:
        table[P.BODY], table[P.TASKS] = launch.address_of(body, self._type), count
        table[P.BEGIN], table[P.STOP] = begin, stop
        go = launch.run if tasks == 1 or count == 1 else launch.launch
        go(table, self._like, count)


def _address(array: np.ndarray | None) -> int:
    return 0 if array is None else int(array.ctypes.data)


def _take(array: np.ndarray | None, order: np.ndarray) -> np.ndarray | None:
    """Return (., B, .) in an order of the rows, contiguous."""
    return None if array is None else np.take(array, order, axis=1)
