"""Recurrent layers that an exporter wrote as a `Loop` or a `Scan`, told by what they compute.

A body is not compared with a pattern: exporters write one step in many ways. Its matrices tell
which layer it may be; whether it is that layer is found out by computing some steps of both on
random numbers, with open and closed masks. What agrees everywhere is the same function.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnn_engine import activations
from rnn_engine.saving.budget import Budget
from rnn_engine.saving.onnx.activations import HARD_SIGMOID
from rnn_engine.saving.onnx.builder import Builder, handles
from rnn_engine.saving.onnx.folding import fold
from rnn_engine.saving.onnx.graph import Graph, Node
from rnn_engine.saving.onnx.recurrent import Recurrence, emit
from rnn_engine.saving.onnx.views import Size, View, Wide, arranged, size_of

_STEPS, _ROWS = 5, 3  # of the random sequences, where the file does not say how long they are
_MOST_NODES = 2000
_MOST_STATES = 4  # two of an LSTM, its last output under a mask, and one more
_CLOSE = 1e-5
_SCALES = (0.3, 1.0, 4.0)
# Which activations may be behind which operators of a body.
_KERAS_2 = "hard sigmoid of Keras 2"
_BEHIND = {
    "Tanh": ["tanh"], "Sigmoid": ["sigmoid"], "Relu": ["relu"], "Elu": ["elu"],
    "Selu": ["selu"], "Softsign": ["softsign"], "Softplus": ["softplus"],
    "HardSigmoid": [_KERAS_2, "hard_sigmoid"],
    "Clip": [_KERAS_2, "hard_sigmoid", "relu6"],
    "Min": [_KERAS_2, "hard_sigmoid", "relu6"],
    "LeakyRelu": ["leaky_relu"], "Exp": ["exponential"],
}  # fmt: skip


@dataclass
class Body:
    """What one step reads and writes.

    Attributes
    ----------
    states : places of the carried values that change, and are tensors
    counters : those that count the steps
    sequence, mask : names of the tensors that are read step by step, time first
    outer : what the body reads from outside, by name
    slices : inputs of the body that are a step of a tensor, and the tensor's name
    reverse : whether the steps are read from the end
    """

    node: Node
    graph: Graph
    carried: list[str]
    results: list[str]
    values: list[Any]
    scanned: list[str]
    states: list[int] = field(default_factory=list)
    counters: list[int] = field(default_factory=list)
    sequence: str = ""
    mask: str = ""
    outer: dict[str, Any] = field(default_factory=dict)
    slices: dict[str, str] = field(default_factory=dict)
    reverse: bool = False


@handles("Loop")
def _loop(b: Builder, node: Node, v: list[Any]) -> Any:
    graph = node.get("body")
    count = len(v) - 2
    if not isinstance(graph, Graph) or len(graph.inputs) + len(graph.constants) < count + 2:
        raise node.refuse("its body does not fit its inputs.")
    names = [port.name for port in graph.inputs]
    results = [port.name for port in graph.outputs]
    if len(names) != count + 2 or len(results) < count + 1 or len(graph.nodes) > _MOST_NODES:
        raise node.refuse("its body does not fit its inputs.")
    body = Body(node, graph, names[2:], results[1 : count + 1], v[2:], results[count + 1 :])
    _sort_carried(b, body)
    _find_reads(b, body)
    probe = _Probe(b, body, names[0], names[1], results[0], v)
    probe.check_count()
    found, roles = _recognised(body, probe)
    return _emitted(b, body, found, roles)


@handles("Scan")
def _scan(b: Builder, node: Node, v: list[Any]) -> Any:
    graph, read = node.get("body"), node.number("num_scan_inputs", 0)
    count = len(v) - read
    if not isinstance(graph, Graph) or count < 1 or read < 1 or b.version < 9:
        raise node.refuse("its body does not fit its inputs, or it is of a version before 9.")
    names = [port.name for port in graph.inputs]
    results = [port.name for port in graph.outputs]
    if len(names) != len(v) or len(results) < count or len(graph.nodes) > _MOST_NODES:
        raise node.refuse("its body does not fit its inputs.")
    ways = {*(node.numbers("scan_input_directions") or [0] * read),
            *(node.numbers("scan_output_directions") or [0] * (len(results) - count))}  # fmt: skip
    axes = {*(node.numbers("scan_input_axes") or [0]), *(node.numbers("scan_output_axes") or [0])}
    if axes != {0} or len(ways) > 1:
        raise node.refuse("it reads or writes along another axis than the first, or both ways.")
    body = Body(node, graph, names[:count], results[:count], v[:count], results[count:])
    body.reverse = ways == {1}
    for name, outer, value in zip(names[count:], node.inputs[count:], v[count:], strict=True):
        body.slices[name] = outer
        body.outer[outer] = value
    _sort_carried(b, body)
    _find_reads(b, body)
    probe = _Probe(b, body, "", "", "", [None, None])
    found, roles = _recognised(body, probe)
    found.reverse = body.reverse
    return _emitted(b, body, found, roles)


def _through(graph: Graph, name: str) -> str:
    """Return the name behind a row of `Identity` nodes."""
    made = {n.outputs[0]: n for n in graph.nodes if n.op == "Identity" and n.outputs}
    for _ in range(len(made)):
        if name not in made:
            break
        name = made[name].inputs[0]
    return name


def _sort_carried(b: Builder, body: Body) -> None:
    for place, (name, result, value) in enumerate(
        zip(body.carried, body.results, body.values, strict=True)
    ):
        if _through(body.graph, result) == name:
            body.outer[name] = value
        elif isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "iu":
            body.counters.append(place)
        elif isinstance(value, np.ndarray | Wide | View):
            body.states.append(place)
        else:
            raise body.node.refuse("it carries something that is neither a number nor a tensor.")
    if len(body.states) > _MOST_STATES:
        raise body.node.refuse(f"it carries {len(body.states)} states.")
    own = {n for node in body.graph.nodes for n in node.outputs}
    own |= {port.name for port in body.graph.inputs} | set(body.graph.constants)
    for node in body.graph.nodes:
        for name in node.inputs:
            if name and name not in own:
                body.outer[name] = b.value(body.node, name)


def _find_reads(b: Builder, body: Body) -> None:
    """Find the tensors of which each step reads its own part."""
    reads = [
        node.inputs[0]
        for node in body.graph.nodes
        if node.op == "Gather" and isinstance(body.outer.get(node.inputs[0]), View)
    ] + list(body.slices.values())
    views = {n for n, v in body.outer.items() if isinstance(v, View)}
    if not reads or views != set(reads):
        raise body.node.refuse("its body reads other tensors than a sequence, step by step.")
    for name in dict.fromkeys(reads):
        kind = body.outer[name].dtype.kind
        if kind == "f" and not body.sequence:
            body.sequence = name
        elif kind == "b" and not body.mask:
            body.mask = name
        else:
            raise body.node.refuse("its body reads more than one sequence and a mask.")
    x = body.outer.get(body.sequence)
    if not isinstance(x, View) or x.rank != 3:
        raise body.node.refuse("its body reads no sequence (time, batch, features).")


class _Probe:
    """Computes a body on numbers."""

    def __init__(
        self, b: Builder, body: Body, iteration: str, condition: str, goes_on: str, v: list[Any]
    ) -> None:
        self.body, self.iteration, self.condition, self.goes_on = (
            body,
            iteration,
            condition,
            goes_on,
        )
        self.limit, self.first = v[0], v[1]
        x = body.outer[body.sequence]
        time = x.axes[0]
        self.time = time
        steps = size_of(time)
        self.steps = steps if isinstance(steps, int) else _STEPS
        if not 0 < self.steps <= 1 << 20:
            raise body.node.refuse("its sequence is too long.")
        self.features = size_of(x.axes[2])
        if not isinstance(self.features, int):
            raise body.node.refuse("its sequence has features of unknown size.")
        self.fixed = {
            name: self._numbers(value)
            for name, value in body.outer.items()
            if not isinstance(value, View)
        }

    def _numbers(self, value: Any) -> np.ndarray:
        """Return a constant, sizes in it as in the probe."""
        if isinstance(value, Wide) and value.array.size == 1:
            return value.array
        if not isinstance(value, np.ndarray):
            raise self.body.node.refuse("its body reads a constant of unknown size.")
        if value.dtype != object:
            return value
        flat = [self._size(n) for n in value.ravel()]
        return np.array(flat, np.int64).reshape(value.shape)

    def _size(self, n: Any) -> int:
        if not isinstance(n, Size):
            return int(n)
        if tuple(n.factors) == tuple(self.time):
            return self.steps * n.times
        if all(f.batch for f in n.factors):
            return _ROWS * n.times
        raise self.body.node.refuse("it depends on a size that is not that of its sequence.")

    def step(self, place: int, x: Any, mask: Any, states: dict[int, Any]) -> dict[str, Any]:
        """Return the values of all names after one step."""
        body = self.body
        known: dict[str, Any] = {**body.graph.constants, **self.fixed}
        known[self.iteration] = np.array(place, np.int64)
        known[self.condition] = np.array(True)
        for carried in body.counters:
            start = body.values[carried]
            known[body.carried[carried]] = (start + place).astype(start.dtype)
        for carried in body.states:
            known[body.carried[carried]] = states[carried]
        whole = {body.sequence: x, body.mask: mask}
        known.update((name, whole[outer]) for name, outer in body.slices.items())
        budget = Budget(1 << 20, str(body.node))
        for node in body.graph.nodes:
            if node.op == "Gather" and node.inputs[0] in whole:
                if int(np.asarray(known[node.inputs[1]]).reshape(())) != place:
                    raise node.refuse("a step reads another step of the sequence than its own.")
                if node.number("axis", 0) or known[node.inputs[1]].ndim:
                    raise node.refuse("a sequence is read along another axis than its first.")
                known[node.outputs[0]] = whole[node.inputs[0]]
                continue
            if not known.keys() >= {n for n in node.inputs if n}:
                raise node.refuse("it reads what no node before it makes.")
            values = [known[n] if n else None for n in node.inputs]
            made = _computed(node, values, budget)
            for name, value in zip(node.outputs, made, strict=False):
                known[name] = value
        return known

    def random(self, units: dict[int, int], rng: Any, scale: float, is_open: bool) -> Any:
        """Return an input, a mask and states for one step."""
        x = (scale * rng.standard_normal((_ROWS, self.features))).astype(self.dtype)
        states = {
            p: (scale * rng.standard_normal((_ROWS, n))).astype(self.dtype)
            for p, n in units.items()
        }
        mask = None
        if self.body.mask:
            rank = self.body.outer[self.body.mask].rank - 1
            mask = np.full((_ROWS, 1)[:rank], is_open)
        return x, mask, states

    @property
    def dtype(self) -> np.dtype:
        """Type of the sequence."""
        return np.dtype(self.body.outer[self.body.sequence].dtype)

    def units(self) -> dict[int, int]:
        """Return the sizes of the states."""
        found = {}
        for place in self.body.states:
            value = self.body.values[place]
            shape = value.shape() if isinstance(value, View) else (
                value.dims if isinstance(value, Wide) else value.shape
            )  # fmt: skip
            if len(shape) != 2 or not isinstance(shape[1], int | np.integer):
                raise self.body.node.refuse("a state is no (batch, units).")
            found[place] = int(shape[1])
        return found

    def check_count(self) -> None:
        """Check that there are as many steps as the sequence has.

        Raises
        ------
        ValueError
            If not.
        """
        refuse = self.body.node.refuse
        if self.first is not None and not bool(self._numbers(self.first).all()):
            raise refuse("it makes no step.")
        if self.limit is not None:
            limit = int(self._numbers(self.limit).reshape(()))
            if limit == self.steps:
                return
            if limit < self.steps:
                raise refuse(f"it makes {limit} steps of {self.steps}.")
        rng = np.random.default_rng(0)
        x, mask, states = self.random(self.units(), rng, 1.0, True)
        for place in sorted({0, self.steps // 2, max(self.steps - 2, 0), self.steps - 1}):
            goes_on = bool(np.all(self.step(place, x, mask, states)[self.goes_on]))
            if goes_on != (place + 1 < self.steps):
                raise refuse("it does not make as many steps as its sequence has.")


def _computed(node: Node, values: list[Any], budget: Budget) -> list[Any]:
    """Return what a node of a body gives for numbers."""
    if node.op == "Split":
        return _parts(node, values)
    if node.op in _STEP_FUNCTIONS:
        with np.errstate(all="ignore"):
            return [_STEP_FUNCTIONS[node.op](node, values)]
    return [fold(node, values, budget)]


def _parts(node: Node, values: list[Any]) -> list[Any]:
    sizes = values[1].tolist() if node.has(1) else node.numbers("split")
    axis = node.number("axis", 0)
    cut: Any = len(node.outputs) if sizes is None else np.cumsum(sizes)[:-1].tolist()
    return list(np.split(values[0], cut, axis=axis))


def _gemm(node: Node, v: list[Any]) -> Any:
    a = v[0].T if node.number("transA", 0) else v[0]
    m = v[1].T if node.number("transB", 0) else v[1]
    y = node.real("alpha", 1.0) * (a @ m)
    return y + node.real("beta", 1.0) * v[2] if node.has(2) else y


def _clip(node: Node, v: list[Any]) -> Any:
    low = v[1] if node.has(1) else node.get("min", -np.inf)
    high = v[2] if node.has(2) else node.get("max", np.inf)
    return np.clip(v[0], low, high).astype(v[0].dtype)


def _like(name: str) -> Any:
    return lambda node, v: np.asarray(activations.get(name)(v[0]))


_STEP_FUNCTIONS: dict[str, Any] = {
    "Gemm": _gemm,
    "Clip": _clip,
    "Sigmoid": _like("sigmoid"),
    "Tanh": _like("tanh"),
    "Relu": _like("relu"),
    "Softplus": _like("softplus"),
    "Softsign": _like("softsign"),
    "Selu": _like("selu"),
    "Elu": lambda node, v: np.where(
        v[0] > 0, v[0], node.real("alpha", 1.0) * np.expm1(np.minimum(v[0], 0))
    ).astype(v[0].dtype),
    "LeakyRelu": lambda node, v: np.where(v[0] >= 0, v[0], node.real("alpha", 0.01) * v[0]).astype(
        v[0].dtype
    ),
    "HardSigmoid": lambda node, v: np.clip(
        node.real("alpha", 0.2) * v[0] + node.real("beta", 0.5), 0, 1
    ).astype(v[0].dtype),
}


# --- which layer it is ------------------------------------------------------------------------


@dataclass
class _Roles:
    """Which carried values are the states of the layer, and which one repeats its output."""

    states: list[int]
    repeats: list[int]
    zero_output: bool = False


def _matrices(body: Body, probe: _Probe) -> tuple[list[np.ndarray], list[np.ndarray], list[Any]]:
    """Return the constants that the input and the states are multiplied by, and the biases.

    What is multiplied by something that is neither counts with the states, behind them.
    """
    known = {**body.graph.constants, **probe.fixed}
    for node in body.graph.nodes:
        if node.op in ("Identity", "Constant", "Transpose", "Cast", "Squeeze", "Unsqueeze") and all(
            n in known for n in node.inputs if n
        ):
            values = [known[n] if n else None for n in node.inputs]
            known[node.outputs[0]] = fold(node, values, Budget(1 << 24, str(node)))
    steps = {n.outputs[0] for n in body.graph.nodes if n.inputs and n.inputs[0] == body.sequence}
    steps |= {name for name, outer in body.slices.items() if outer == body.sequence}
    carried = {body.carried[p] for p in body.states}
    kernels: list[np.ndarray] = []
    recurrents: list[np.ndarray] = []
    others: list[np.ndarray] = []
    biases: list[np.ndarray] = []
    for node in body.graph.nodes:
        if node.op in ("MatMul", "Gemm") and node.inputs[1] in known:
            matrix = known[node.inputs[1]]
            matrix = matrix.T if node.number("transB", 0) else matrix
            if matrix.ndim != 2 or matrix.dtype.kind != "f":
                raise node.refuse("its matrix is none.")
            data = _through(body.graph, node.inputs[0])
            into = kernels if data in steps else recurrents if data in carried else others
            into.append(matrix)
            if node.op == "Gemm" and node.has(2) and node.inputs[2] in known:
                biases.append(known[node.inputs[2]])
        elif node.op in ("Add", "Sub"):
            biases += [known[n] for n in node.inputs if n in known and known[n].size > 1]
    return kernels, [*recurrents, *others], [b.reshape(-1) for b in biases if b.dtype.kind == "f"]


def _recognised(body: Body, probe: _Probe) -> tuple[Recurrence, _Roles]:
    """Return the layer whose step the body is.

    Raises
    ------
    ValueError
        If it is none.
    """
    kernels, recurrents, biases = _matrices(body, probe)
    units = probe.units()
    if not kernels or not recurrents:
        raise body.node.refuse("its body multiplies no input or no state by a matrix.")
    try:
        kernel, recurrent = np.concatenate(kernels, 1), np.concatenate(recurrents, 1)
    except ValueError:
        raise body.node.refuse("the matrices of its body do not fit one another.") from None
    size = recurrent.shape[0]
    if kernel.shape[1] != recurrent.shape[1] or kernel.shape[0] != probe.features:
        raise body.node.refuse("the matrices of its body do not fit one another.")
    if any(n != size for n in units.values()) or recurrent.shape[1] % size:
        raise body.node.refuse("its states do not fit the matrices of its body.")
    kinds = {1: "RNN", 4: "LSTM", 3: "GRU"}
    kind = kinds.get(recurrent.shape[1] // size)
    if kind is None:
        raise body.node.refuse(f"its body has {recurrent.shape[1] // size} gates.")
    samples = _samples(body, probe, units)
    for found in _hypotheses(body, kind, kernel, recurrent, biases):
        for states in itertools.permutations(body.states, 2 if kind == "LSTM" else 1):
            roles = _Roles(list(states), [p for p in body.states if p not in states])
            if _agrees(body, found, roles, samples):
                return found, roles
    raise body.node.refuse("its body is no step of a SimpleRNN, an LSTM or a GRU.")


def _samples(body: Body, probe: _Probe, units: dict[int, int]) -> list[Any]:
    """Return steps of the body: what went in, whether the mask was open, what came out."""
    rng = np.random.default_rng(7)
    found = []
    for scale in _SCALES:
        for is_open in (True, False) if body.mask else (True,):
            x, mask, states = probe.random(units, rng, scale, is_open)
            known = probe.step(0, x, mask, states)
            after = {p: known[body.results[p]] for p in body.states}
            outputs = [known[name] for name in body.scanned]
            found.append((x, is_open, states, after, outputs))
    return found


def _hypotheses(
    body: Body, kind: str, kernel: np.ndarray, recurrent: np.ndarray, biases: list[np.ndarray]
) -> Iterator[Recurrence]:
    ops = {node.op for node in body.graph.nodes}
    names = ["linear", *dict.fromkeys(n for op in ops & set(_BEHIND) for n in _BEHIND[op])]
    fitting = [bias for bias in biases if bias.size == kernel.shape[1]]
    total = np.sum(fitting, axis=0) if fitting else None
    for outer, inner in itertools.product(names, ["linear"] if kind == "RNN" else names):
        chosen = [_activation(name) for name in (outer, inner)]
        base = [np.ascontiguousarray(kernel), np.ascontiguousarray(recurrent)]
        if kind != "GRU":
            mine = base if total is None else [*base, total.astype(kernel.dtype)]
            yield Recurrence(kind, [mine], [chosen])
            continue
        zero = np.zeros(kernel.shape[1], kernel.dtype)
        pairs = [(total if total is not None else zero, zero)]
        if len(fitting) == 2:
            pairs = [(fitting[0], fitting[1]), (fitting[1], fitting[0])]
        for one, two in pairs:
            yield Recurrence(kind, [[*base, np.stack([one, two])]], [chosen], reset_after=True)
        yield Recurrence(kind, [[*base, zero if total is None else total]], [chosen],
                         reset_after=False)  # fmt: skip


def _activation(name: str) -> Any:
    if name == _KERAS_2:
        return HARD_SIGMOID.with_arguments(alpha=0.2, beta=0.5)
    return activations.get(name)


def _agrees(body: Body, found: Recurrence, roles: _Roles, samples: list[Any]) -> bool:
    """Whether the layer does in all samples what the body did."""
    zero_outputs: set[bool] = set()
    for x, is_open, states, after, outputs in samples:
        mine = [states[p] for p in roles.states]
        new = _step(found, x, mine)
        expected = new if is_open else mine
        got = [after[p] for p in roles.states]
        if not all(_close(a, b) for a, b in zip(expected, got, strict=True)):
            return False
        if is_open:
            if not all(_close(new[0], after[p]) for p in roles.repeats):
                return False
            if not all(_close(new[0], out) for out in outputs):
                return False
            continue
        if not all(_close(states[p], after[p]) for p in roles.repeats):
            return False
        before = [states[p] for p in roles.repeats] or [mine[0]]
        for out in outputs:
            if np.shape(out) == np.shape(mine[0]) and not np.any(out):
                zero_outputs.add(True)
            elif any(_close(state, out) for state in before):
                zero_outputs.add(False)
            else:
                return False
    roles.zero_output = zero_outputs == {True}
    # An output that is the state before, and not the output before, begins with the state.
    return len(zero_outputs) < 2


def _close(a: Any, b: Any) -> bool:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= _CLOSE * (1 + np.abs(a))))


def _step(found: Recurrence, x: np.ndarray, states: list[np.ndarray]) -> list[np.ndarray]:
    """Return the new states of one step of a layer."""
    kernel, recurrent, *rest = found.weights[0]
    act, gate = found.activations[0]
    h = states[0]
    zx = x @ kernel
    if found.kind == "RNN":
        return [np.asarray(act(zx + h @ recurrent + (rest[0] if rest else 0)))]
    units = found.units
    if found.kind == "LSTM":
        z = zx + h @ recurrent + (rest[0] if rest else 0)
        i, f, c, o = (z[:, k * units : (k + 1) * units] for k in range(4))
        new = gate(f) * states[1] + gate(i) * act(c)
        return [np.asarray(gate(o) * act(new)), np.asarray(new)]
    bias = np.broadcast_to(rest[0], (2, kernel.shape[1])) if found.reset_after else None
    if bias is not None:
        zx, zh = zx + bias[0], h @ recurrent + bias[1]
        z, r = gate(zx[:, :units] + zh[:, :units]), None
        r = gate(zx[:, units : 2 * units] + zh[:, units : 2 * units])
        candidate = act(zx[:, 2 * units :] + r * zh[:, 2 * units :])
    else:
        zx = zx + rest[0]
        zh = h @ recurrent[:, : 2 * units]
        z, r = gate(zx[:, :units] + zh[:, :units]), gate(zx[:, units : 2 * units] + zh[:, units:])
        candidate = act(zx[:, 2 * units :] + (r * h) @ recurrent[:, 2 * units :])
    return [np.asarray(z * h + (1 - z) * candidate)]


# --- the layer --------------------------------------------------------------------------------


def _emitted(b: Builder, body: Body, found: Recurrence, roles: _Roles) -> list[Any]:
    node = body.node
    x = body.outer[body.sequence]
    x = x.seen([x.axes[1], x.axes[0], x.axes[2]])
    mask = None
    if body.mask:
        seen = body.outer[body.mask]
        if seen.rank == 3 and seen.axes[2]:
            raise node.refuse("its mask has an axis of features.")
        mask = arranged(seen, [seen.axes[1], seen.axes[0]])
    count = len(body.carried)
    for place in roles.repeats:
        value = body.values[place]
        array = value.array if isinstance(value, Wide) else value
        if not isinstance(array, np.ndarray) or array.any():
            raise node.refuse("its first output before a closed mask is not zero.")
    states = [_one_direction(body.values[p]) for p in roles.states]
    sequences = any(b.wanted(node, count + i) for i in range(len(body.scanned)))
    ends = [b.wanted(node, p) for p in roles.states]
    begins_elsewhere = any(s is not None and not _zero(s) for s in states)
    repeats_state = sequences and not roles.repeats and not roles.zero_output
    if mask is not None and repeats_state and begins_elsewhere:
        raise node.refuse("its outputs before an open mask are its initial state.")
    outputs = emit(b, node, found, x, mask, states, [sequences, *ends], keeps=not roles.zero_output)
    whole, *last = outputs
    results: list[Any] = [None] * (count + len(body.scanned))
    for place, state in zip(roles.states, last, strict=True):
        if state is not None:
            results[place] = state.seen([state.axes[0], state.axes[2]])
    for place in roles.repeats:
        if b.wanted(node, place):
            raise node.refuse("the last output under a mask is read.")
    if whole is not None:
        for i in range(len(body.scanned)):
            results[count + i] = whole.seen([whole.axes[1], whole.axes[0], whole.axes[3]])
    return results


def _zero(value: Any) -> bool:
    array = value.array if isinstance(value, Wide) else value
    return isinstance(array, np.ndarray) and not array.any()


def _one_direction(value: Any) -> Any:
    """Return an initial state (batch, units) with an axis of one direction in front."""
    if isinstance(value, View):
        return value.seen([(), *value.axes])
    if isinstance(value, Wide):
        return Wide(value.array[None], [1, *value.dims])
    return value[None]
