"""`Recurrence`: a cell of some sizes, run through time forward and back."""

import dataclasses
import weakref
from typing import Any

import numpy as np

from rnn_engine.kernels import finish, threads
from rnn_engine.kernels.buffers import BufferPool
from rnn_engine.kernels.recurrent import cells, launch, steps, walker
from rnn_engine.kernels.recurrent.checkpoints import Checkpoints, Segment, segment_steps, within
from rnn_engine.kernels.recurrent.places import P, S
from rnn_engine.kernels.recurrent.plan import (
    Plan,
    Sizes,
    backward_plan,
    forward_plan,
    group_count,
    is_thin,
    parts_of,
)
from rnn_engine.kernels.recurrent.rows import Rows
from rnn_engine.kernels.recurrent.weights import pack_weights, stage_places


class Packed:
    """Weights as `Recurrence.pack` packed them, and as they were given, which `backward` reads."""

    __slots__ = ("kernel", "recurrent_kernel", "weights")

    def __init__(
        self, weights: np.ndarray, kernel: np.ndarray, recurrent_kernel: np.ndarray
    ) -> None:
        self.weights, self.kernel, self.recurrent_kernel = weights, kernel, recurrent_kernel


class Rules:
    """What makes some steps different: a mask, dropout, and the order of the rows.

    Attributes
    ----------
    mask : (T, B) of bool, or None
    drop_x : (G, B, F), or None
    drop_h : (1 or G, B, U), or None
    rows : Rows, or None without a mask
    order, back : those of `rows`, None where nothing is sorted
    """

    __slots__ = ("back", "drop_h", "drop_x", "mask", "order", "rows")
    mask: Any
    order: Any
    back: Any

    def __init__(self, mask: Any, drop_x: Any, drop_h: Any) -> None:
        # Sorted by length, rows that are closed lie behind the open ones and cost nothing.
        rows: Any = None if mask is None else Rows(mask)
        self.rows = rows
        self.mask, self.order, self.back = (
            (None, None, None) if rows is None else (rows.mask, rows.order, rows.back)
        )
        if self.order is not None:
            drop_x, drop_h = (
                None if d is None else np.take(d, self.order, axis=1) for d in (drop_x, drop_h)
            )
        self.drop_x, self.drop_h = drop_x, drop_h

    def shares(self, batch: int, tasks: int) -> tuple[np.ndarray, int]:
        """Return the bounds (tasks + 1,) of the tasks' rows, and the most that one has."""
        if self.rows is not None:
            return self.rows.shares(tasks)
        return batch * np.arange(tasks + 1) // tasks, -(-batch // tasks)

    @property
    def drops(self) -> bool:
        """Whether there is dropout."""
        return self.drop_x is not None or self.drop_h is not None

    def write(self, table: np.ndarray) -> None:
        """Write them into a plan."""
        if self.mask is not None:
            table[P.MASK], table[P.CARRIES] = _address(self.mask), 1
        if self.drop_x is not None:
            table[P.DROP_X], table[P.DROPS_X] = _address(self.drop_x), 1
        if self.drop_h is not None:
            table[P.DROP_H], table[P.DROP_GATES] = _address(self.drop_h), len(self.drop_h)


class Saved:
    """What `Recurrence.backward` reads of a pass forward.

    Attributes
    ----------
    packed : Packed
    x : (B, T, F) as the kernels took it
    space : flat, what the steps kept
    plan : Plan of the pass, which knows the places in it
    started : whether there were initial states
    rules : Rules or None
    checkpoints : Checkpoints, where the states of few steps are kept, or None
    """

    __slots__ = ("checkpoints", "packed", "plan", "rules", "space", "started", "x")

    def __init__(
        self, packed: Packed, x: np.ndarray, space: np.ndarray, plan: Plan, started: bool,
        rules: Any = None, checkpoints: Checkpoints | None = None,
    ) -> None:  # fmt: skip
        self.packed, self.x, self.space, self.plan = packed, x, space, plan
        self.started, self.rules, self.checkpoints = started, rules, checkpoints


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
        table, self._weights_size = stage_places(self.cell, features, units, dtype)
        self._stages = table[: len(self.cell.stages) * S.SIZE].copy()
        self._none = np.empty(0, dtype)
        self._none3 = np.empty((0, 0, 0), dtype)
        self._buffers = BufferPool(most=24)
        self._sizes: dict[tuple[int, int], Sizes] = {}
        self._quick: dict[Any, Plan] = {}

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
        flat = self._none if bias is None else bias.reshape(-1)
        pack_weights(kernel, recurrent_kernel, flat, self._stages, packed)
        return Packed(packed, kernel, recurrent_kernel)

    # --- plans ------------------------------------------------------------------

    def _sizes_of(self, batch: int, count: int) -> Sizes:
        found = self._sizes.get((batch, count))
        if found is None:
            if len(self._sizes) > 256:
                self._sizes.clear()
            found = self._sizes[batch, count] = Sizes(
                self.cell, self.activations, self.dtype, self.features, self.units, batch, count
            )
        return found

    def stream_plan(self, batch: int, steps: int) -> Plan:
        """Return the plan of up to `steps` steps on one thread that keeps h at each of them.

        For who binds arrays of its own to a copy of the table: see `kernels.streaming`.
        """
        sizes = self._sizes_of(batch, steps)
        plan = forward_plan(sizes, 1, 1, False)
        if not plan.ready:
            self._ready(plan, False, None)
        from rnn_engine.kernels.recurrent import lone  # few programs stream

        if not lone.is_lone(sizes):
            return plan
        table, step = plan.table.copy(), P.STAGE + S.STEP
        table[P.BODY] = launch.address_of(lone.forward_lone, self.dtype)
        table[step] = lone.step_address(self.cell, self.activations, self.dtype)
        return dataclasses.replace(plan, table=table)

    def _ready(self, plan: Plan, back: bool, rules: Rules | None) -> Plan:
        """Fill in the addresses of the code that a pass runs, compiled now if it is new."""
        table, drops = plan.table, rules is not None and rules.drops
        for index in range(len(self.cell.stages)):
            at = P.STAGE + index * S.SIZE + (S.BACK if back else S.STEP)
            part = "back" if back else "step"
            table[at] = steps.address_of(self.cell, index, self.activations, part, self.dtype)
        if not cells.is_fused(self.cell, self.activations):
            table[P.ACTIVATIONS] = finish.addresses(self.activations, self.dtype).ctypes.data
        product: Any = walker
        if drops:
            from rnn_engine.kernels.recurrent import dropout

            product = dropout
        if back:
            from rnn_engine.kernels.recurrent import chain, gather, gradients

            sums = gradients if rules is None else gather
            product = product if drops else chain
            table[P.ARRIVE] = launch.address_of(product.arrive, self.dtype)
            table[P.GRADIENTS] = launch.address_of(sums.gradients, self.dtype)
            table[P.BODY] = launch.address_of(gradients.backward, self.dtype)
        else:
            table[P.RUN_STAGE] = launch.address_of(product.run_stage, self.dtype)
            body = launch.address_of(walker.forward, self.dtype)
            if plan.parts > 1:
                from rnn_engine.kernels.recurrent import team

                # Another thread may do the same with this plan: nothing is read of the table.
                table[P.ALONE] = body
                body = launch.address_of(team.forward_team, self.dtype)
            table[P.BODY] = body
        plan.ready = True
        return plan

    # --- forward ----------------------------------------------------------------

    def last(self, packed: Packed, x: np.ndarray) -> np.ndarray:
        """Return the last output (B, U) of x (B, T, F), from zeros, and nothing else.

        Small calls are a matter of a microsecond: no more Python than needed.
        """
        plan = self._quick.get(x.shape)
        if plan is not None and x.flags.carray and plan.work < threads.SERIAL_WORK:
            last = np.empty(plan.shape, self.dtype)
            launch.run_forward(plan.table, x, packed.weights, self._none, last)
            return last[0]
        batch, count, _ = x.shape
        sizes = self._sizes_of(batch, count)
        plan = forward_plan(sizes, 1, 0, False)
        if plan.brief and len(self._quick) < 256:
            self._quick[x.shape] = self._ready(plan, False, None)
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
        checkpoint_steps: int | str | None = None,
    ) -> tuple[np.ndarray | None, list[np.ndarray], Saved | None]:
        """Run through all steps.

        Parameters
        ----------
        packed : from `pack`
        x : (B, T, F) with B, T >= 1, any strides
        initial : a (B, U) for each state, or None for zeros
        mask : (T, B) of bool, C-contiguous, in order of reading, or None. A closed step repeats
            states and output
        drop_x : (G, B, F), C-contiguous, factors of the inputs, one mask a gate, or None
        drop_h : (1 or G, B, U), C-contiguous, factors of what R multiplies, or None
        sequence : whether the outputs of all steps are wanted
        keep : whether `backward` follows
        checkpoint_steps : keep the states once in so many steps, "auto" for √T, rather than all
            that the steps make: `backward` goes them again, and its results have the same bits

        Returns
        -------
        h : (T, B, U), or None unless `sequence`
        last : a fresh (B, U) for each state
        saved : for `backward`, or None unless `keep`
        """
        batch, count, _ = x.shape
        sizes, cell = self._sizes_of(batch, count), self.cell
        work = sizes.work
        tasks, parts = threads.tasks(work, batch), 1
        rules, bounds, most = None, None, 0
        if mask is None and drop_x is None and drop_h is None:
            parts = parts_of(sizes, work)
            tasks = tasks if parts == 1 else 1
        else:
            rules = Rules(mask, drop_x, drop_h)
            bounds, most = rules.shares(batch, tasks)
            if rules.order is not None:
                x = self._in_order(x, rules.rows)
                initial = initial and [state[rules.order] for state in initial]
        checkpoints = None
        if keep:
            checkpoints = self._checkpoints(sizes, rules, checkpoint_steps, sequence)
        whole = keep and checkpoints is None
        keeps = whole or (checkpoints is not None and checkpoints.is_thin)
        kept_states = cell.states if whole else int(sequence)
        drops = rules is not None and rules.drops
        plan = forward_plan(sizes, tasks, kept_states, keeps, most, drops, parts)
        if not plan.ready:
            self._ready(plan, False, rules)
        space = self._buffers.empty((plan.kept,), self.dtype) if plan.kept else self._none
        last = np.empty((cell.states, batch, self.units), self.dtype)
        if checkpoints is not None:
            start = None if initial is None else checkpoints.start_from(initial)
            table, x, used = self._bound(plan, packed, x, space, last, start, rules, bounds)
            for begin, stop in checkpoints.segments:
                self._walk(plan, table, begin, stop)
                checkpoints.keep(stop, last)
            del used
        elif plan.brief and rules is None and initial is None and x.flags.carray:
            launch.run_forward(plan.table, x, packed.weights, space, last)
        else:
            start = None if initial is None else np.stack(initial)
            table, x, used = self._bound(plan, packed, x, space, last, start, rules, bounds)
            self._walk(plan, table, 0, count)
            del used
        h = None
        if sequence:
            step = batch * self.units
            h = space[step : (count + 1) * step].reshape(count, batch, self.units)
        saved = None
        if keep:
            kept = space if keeps else self._none
            saved = Saved(packed, x, kept, plan, initial is not None, rules, checkpoints)
        if rules is not None and rules.order is not None:
            last = np.take(last, rules.back, axis=1)
            h = None if h is None else self._rows(h, rules.back)
        return h, list(last), saved

    def _checkpoints(
        self, sizes: Sizes, rules: Rules | None, asked: int | str | None, sequence: bool
    ) -> Checkpoints | None:
        """Return where the states will be kept, or None where all of a pass may be."""
        held = None
        if asked is None:
            held = int(sequence)
            if not is_thin(sizes, held):
                return None
        elif sequence and self.cell.states == len(self.cell.stages) == 1 and not sizes.keeps:
            return None  # the sequence that is returned is all that would be kept
        # Segments are whole chunks of the way back: so the sums of the gradients have their order.
        plan = self._plan_back(sizes, rules, 1)[0]
        length = segment_steps(asked or "auto", sizes.steps, int(plan.table[P.CHUNK]))
        if length >= sizes.steps:
            return None
        return Checkpoints(sizes, length, held)

    def _bound(
        self, plan: Plan, packed: Packed, x: np.ndarray, space: np.ndarray, last: np.ndarray,
        start: np.ndarray | None, rules: Rules | None, bounds: Any,
    ) -> tuple[np.ndarray, np.ndarray, Any]:  # fmt: skip
        """Return a plan of one pass forward with its arrays, x as it takes it, and its scratch.

        Whoever runs it holds on to the arrays for as long.
        """
        table = plan.table.copy()
        if not x.flags.carray:
            x = _with_rows(x)
            table[P.X_ROW], table[P.X_STEP] = _strides(x)
        if start is not None:
            table[P.START], table[P.STARTED] = _address(start), 1
        if rules is not None:
            rules.write(table)
            table[P.BOUNDS] = _address(bounds)
        scratch = self._buffers.empty((plan.scratch,), self.dtype)
        launch.bind_forward(table, x, packed.weights, space, last, scratch)
        return table, x, (scratch, start)

    def _walk(self, plan: Plan, table: np.ndarray, begin: int, stop: int) -> None:
        """Go forward through some steps."""
        go = launch.run if plan.tasks == 1 else launch.launch
        for table[P.BEGIN], table[P.STOP] in within(plan.calls, begin, stop):
            go(table, self._none, plan.tasks)

    def _in_order(self, x: np.ndarray, rows: Rows) -> np.ndarray:
        """Return what is open of x (B, T, F) in the order of the rows, time-major in memory."""
        laid = self._buffers.empty((x.shape[1], *x.shape[::2]), self.dtype)
        rows.gather(x, laid)
        return laid.transpose(1, 0, 2)

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
        batch, count, features = saved.x.shape
        sizes, rules = self._sizes_of(batch, count), saved.rules
        tasks = threads.tasks(2 * sizes.work, threads.get_num_threads())
        plan, bounds = self._plan_back(sizes, rules, tasks)
        if not plan.ready:
            self._ready(plan, True, rules)
        dx = self._none3
        if need_dx:
            dx = self._buffers.empty((count, batch, features), self.dtype)
        dw, dr, db = gradients
        if db is None:
            db = np.zeros(int(plan.table[P.BIASES]) * dr.shape[1], self.dtype)
        packed, dstart = saved.packed, None
        arrays = packed.kernel, packed.recurrent_kernel, saved.x, saved.space
        only = dlast[0] if dy is None else dy if dlast[0] is None else None
        if (
            plan.brief
            and rules is None
            and saved.checkpoints is None
            and only is not None
            and not (saved.started or any(d is not None for d in dlast[1:]))
            and saved.x.flags.carray
        ):
            launch.run_backward(plan.table, *arrays, only, dw, dr, db, dx)
        else:
            table = plan.table.copy()
            dstart, used = self._begin_back(table, saved, [dy, *dlast], bounds)
            work = self._buffers.empty((plan.scratch,), self.dtype)
            launch.bind_backward(table, *arrays, dw, dr, db, dx, work)
            if saved.checkpoints is None:
                self._run_back(plan, table, tasks, 0, count)
            else:
                self._run_segments_back(plan, table, tasks, saved)
            del used
            if rules is not None and rules.order is not None and dstart is not None:
                dstart = np.take(dstart, rules.back, axis=1)
        out = dx.transpose(1, 0, 2) if need_dx else None
        return out, None if dstart is None else list(dstart)

    def _plan_back(self, sizes: Sizes, rules: Rules | None, tasks: int) -> tuple[Plan, Any]:
        """Return the plan of a pass back, and the bounds of its groups where rules decide them."""
        if rules is None:
            return backward_plan(sizes, tasks), None
        bounds, most = rules.shares(sizes.batch, group_count(sizes))
        return backward_plan(sizes, tasks, most, rules.drops), bounds

    def _run_segments_back(self, plan: Plan, table: np.ndarray, tasks: int, saved: Saved) -> None:
        """Run a pass back from the states of few steps: each segment, the last one first."""
        checkpoints = saved.checkpoints
        assert checkpoints is not None
        segment = Segment(checkpoints, saved.plan, saved.space, self._buffers.empty)
        if checkpoints.is_thin:
            table[P.KEPT_STATES] = checkpoints.held
            table[P.RESTORE] = steps.address_of(
                self.cell, 0, self.activations, "restore", self.dtype
            )
        else:
            ahead, again, _used = self._plan_again(saved)
        for begin, stop in reversed(checkpoints.segments):
            segment.point(table, begin)
            segment.fill(begin)
            if checkpoints.is_thin:
                self._restore(plan, table, tasks, begin, stop)
            else:
                segment.point(again, begin)
                self._walk(ahead, again, begin, stop)
            self._run_back(plan, table, tasks, begin, stop)

    def _plan_again(self, saved: Saved) -> tuple[Plan, np.ndarray, Any]:
        """Return the plan by which a pass goes forward again, its copy, and what that uses."""
        checkpoints, rules, cell = saved.checkpoints, saved.rules, self.cell
        assert checkpoints is not None
        sizes, batch = checkpoints.sizes, checkpoints.sizes.batch
        count = threads.tasks(sizes.work, batch)
        bounds, most = None, 0
        if rules is not None:
            bounds, most = rules.shares(batch, count)
        drops = rules is not None and rules.drops
        plan = forward_plan(sizes, count, cell.states, True, most, drops)
        if not plan.ready:
            self._ready(plan, False, rules)
        last = np.empty((cell.states, batch, self.units), self.dtype)
        start = checkpoints.states[0] if saved.started else None
        table, _, used = self._bound(
            plan, saved.packed, saved.x, self._none, last, start, rules, bounds
        )
        return plan, table, (used, last, bounds)

    def _restore(self, plan: Plan, table: np.ndarray, tasks: int, begin: int, stop: int) -> None:
        """Make the states of some steps again of what they have kept."""
        from rnn_engine.kernels.recurrent import restoring

        table[P.BODY] = launch.address_of(restoring.restore_states, self.dtype)
        table[P.BEGIN], table[P.STOP] = begin, stop
        go = launch.run if tasks == 1 or plan.tasks == 1 else launch.launch
        go(table, self._none, plan.tasks)

    def _begin_back(
        self, table: np.ndarray, saved: Saved, d: list[Any], bounds: Any
    ) -> tuple[np.ndarray | None, Any]:
        """Write into a plan what not every pass back has.

        Return where dinitial will be, and what has to live as long as the plan is used.
        """
        batch, rules = saved.x.shape[0], saved.rules
        table[P.X_ROW], table[P.X_STEP] = _strides(saved.x)
        if rules is not None:
            rules.write(table)
            table[P.BOUNDS], table[P.ORDER] = _address(bounds), _address(rules.order)
            if rules.order is not None:
                d = [a if a is None else self._rows(a, rules.order) for a in d]
        for place, array in zip((P.DY, *range(P.DLAST, P.DLAST + len(d))), d, strict=False):
            table[place] = _address(array)
        if not saved.started:
            return None, d
        dstart = np.empty((self.cell.states, batch, self.units), self.dtype)
        table[P.DSTART], table[P.WANTS_START] = _address(dstart), 1
        return dstart, d

    def _rows(self, array: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Return rows (..., B, U) in an order."""
        out = self._buffers.empty(array.shape, self.dtype)
        return np.take(array, order, axis=-2, out=out, mode="clip")

    def _run_back(self, plan: Plan, table: np.ndarray, tasks: int, first: int, end: int) -> None:
        """Run a pass back that is not brief through the steps from `end` to `first`."""
        from rnn_engine.kernels.recurrent import gradients as bodies

        groups, members, steps = (int(table[p]) for p in (P.GROUPS, P.MEMBERS, P.STEPS))

        def call(body: Any, begin: int, stop: int, count: int) -> None:
            table[P.BODY], table[P.TASKS] = launch.address_of(body, self.dtype), count
            table[P.BEGIN], table[P.STOP] = begin, stop
            go = launch.run if tasks == 1 or count == 1 else launch.launch
            go(table, self._none, count)

        if members == 1:
            for begin, stop in reversed(within(plan.calls, first, end)):
                call(bodies.backward, begin, stop, groups)
        else:
            if end == steps:
                call(bodies.begin_groups, 0, end, groups)
            chunk, stop = int(table[P.CHUNK]), end
            while stop > first:
                start = (stop - 1) // chunk * chunk
                for body in (bodies.chain_share, bodies.gradient_share):
                    call(body, start, stop, plan.tasks)
                stop = start
        if groups > 1 and first == 0:
            call(bodies.add_sums, 0, steps, tasks)


def _address(array: np.ndarray | None) -> int:
    return 0 if array is None else int(array.ctypes.data)


def _with_rows(x: np.ndarray) -> np.ndarray:
    """Return x (B, T, F) with the features of a row side by side, whole numbers from row to row."""
    return x if x.strides[2] == x.itemsize and x.flags.aligned else x.copy()


def _strides(x: np.ndarray) -> tuple[int, ...]:
    """Return how many numbers the rows, and the steps, of x (B, T, F) lie apart."""
    return tuple(stride // x.itemsize for stride in x.strides[:2])
