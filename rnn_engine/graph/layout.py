"""`Layout`: a graph laid out once, run forward and back as often as one likes."""

from typing import Any

import numpy as np

from rnn_engine.graph.inside import penalized
from rnn_engine.graph.order import nodes_between
from rnn_engine.graph.steps import PlainStep, Step, add, make_step, numpy_dtype
from rnn_engine.graph.tensor import KerasTensor


class Layout:
    """The nodes between inputs and outputs in an order in which they can be run.

    Every tensor has a place in a list of values, which a pass makes anew: nothing is kept
    from pass to pass.

    Parameters
    ----------
    inputs, outputs : list of KerasTensor
    """

    def __init__(self, inputs: list[KerasTensor], outputs: list[KerasTensor]) -> None:
        self.nodes = nodes_between(inputs, outputs)
        places: dict[int, int] = {}
        for tensor in [*inputs, *(t for node in self.nodes for t in node.outputs)]:
            places.setdefault(id(tensor), len(places))
        self.inputs, self.outputs = inputs, outputs
        self.places = places
        self.input_places = [places[id(tensor)] for tensor in inputs]
        self.output_places = [places[id(tensor)] for tensor in outputs]
        self.steps = self._steps()
        self.output_types = [numpy_dtype(tensor) for tensor in outputs]
        self.row: list[Any] = self.steps if self._is_row() else []
        self._release()
        self.passed_on = self._passed_on()

    def _steps(self) -> list[Step]:
        """Return the steps; those above weights know that gradients are wanted of them."""
        above: set[int] = set()
        steps = []
        for node in self.nodes:
            useful = any(id(tensor) in above for tensor in node.inputs)
            steps.append(make_step(node, self.places, useful))
            if useful or _learns(node.operation):
                above.update(map(id, node.outputs))
        return steps

    def _is_row(self) -> bool:
        """Whether the graph is a row of plain layers, each on the output of the one before."""
        given = self.input_places
        for step in self.steps:
            if not isinstance(step, PlainStep) or step.sources != given:
                return False
            given = step.targets
        return len(self.inputs) == 1 and given == self.output_places

    def _release(self) -> None:
        """Note after which step the value at a place is read no more."""
        kept, seen = set(self.output_places), set[int]()
        for step in reversed(self.steps):
            read = {*step.sources, *step.targets} - kept - seen
            step.released = tuple(read)
            seen |= read

    def _passed_on(self) -> list[bool]:
        """Return for each output whether it may be an input, or a view of one."""
        views = set(self.input_places)
        for step in self.steps:
            if not getattr(step.operation, "weights", ()) and views.intersection(step.sources):
                views.update(step.targets)
        return [place in views for place in self.output_places]

    def forward(
        self, inputs: list[Any], masks: list[Any], training: bool | None, keep: bool
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Return outputs, their masks, and what each step saved."""
        saved: list[Any] = []
        if self.row:
            x, mask = inputs[0], masks[0]
            for step in self.row:
                if step.converts:
                    x = step.operation.convert(x)
                x, mask, kept = step.run(x, training, mask, keep)
                saved.append(kept)
            return [x], [mask], saved
        values: list[Any] = [None] * len(self.places)
        of_values: list[Any] = [None] * len(self.places)
        for place, x, mask in zip(self.input_places, inputs, masks, strict=True):
            values[place], of_values[place] = x, mask
        for step in self.steps:
            saved.append(step.forward(values, of_values, training, keep))
            for place in step.released:
                values[place] = None
        places = self.output_places
        return [values[place] for place in places], [of_values[place] for place in places], saved

    def backward(
        self, dys: list[Any], saved: list[Any], need_dx: bool, from_logits: Any = ()
    ) -> list[Any]:
        """Add the gradients of the weights; return those by the inputs, None if not wanted.

        Parameters
        ----------
        dys : list
            Gradients by the outputs; None for one that nothing depends on.
        from_logits : iterable of pairs
            Ways to the logits of outputs (`GraphLogits`), and the gradients by these.
        """
        if self.row:
            return [self._row_back(dys[0], saved, need_dx, from_logits)]
        gradients: list[Any] = [None] * len(self.places)
        for place, dtype, dy in zip(self.output_places, self.output_types, dys, strict=True):
            if dy is not None:
                add(gradients, place, dy, dtype)
        turned = _by_step(from_logits)
        for number in range(len(self.steps) - 1, -1, -1):
            step = self.steps[number]
            if number in turned:
                path, dz = turned[number]
                dy, gradients[step.targets[0]] = gradients[step.targets[0]], None
                dx = path.back(dz, saved[number], need_dx or step.useful, dy)
                if dx is not None:
                    add(gradients, step.sources[0], dx, step.source_types[0])
            else:
                step.backward(gradients, saved[number], need_dx)
        return [gradients[place] if need_dx else None for place in self.input_places]

    def _row_back(self, dy: Any, saved: list[Any], need_dx: bool, from_logits: Any) -> Any:
        """Go back through a row of layers, where no gradients meet."""
        turned, wanted_type = _by_step(from_logits), self.output_types[0]
        for number in range(len(self.row) - 1, -1, -1):
            step = self.row[number]
            if dy is not None and dy.dtype is not wanted_type:
                dy = dy.astype(wanted_type, copy=False)
            wanted, wanted_type = need_dx or step.useful, step.source_types[0]
            if number in turned:
                path, dz = turned[number]
                dy = path.back(dz, saved[number], wanted, dy)
            elif dy is not None or penalized(step.operation):
                dy = step.operation.backward_with_penalty(dy, saved[number], wanted)
        if dy is not None and need_dx and dy.dtype is not wanted_type:
            dy = dy.astype(wanted_type, copy=False)
        return dy if need_dx else None

    def output_shapes(self, shapes: list[Any]) -> list[Any]:
        """Return the shapes of the outputs for inputs of `shapes`."""
        given = dict(zip(map(id, self.inputs), shapes, strict=True))
        for step in self.steps:
            given.update(zip(map(id, step.node.outputs), step.shapes(given), strict=True))
        return [given[id(tensor)] for tensor in self.outputs]

    def checked_shapes(self, xs: list[Any]) -> list[Any]:
        """Check shapes as the layers would; return those of the outputs, None if unknown.

        Only shapes and types of `xs` count.
        """
        known: dict[int, Any] = {}
        for tensor, x in zip(self.inputs, xs, strict=True):
            known[id(tensor)] = None if x is None else (x.shape, x.dtype)
        for step in self.steps:
            if any(known.get(id(tensor)) is None for tensor in step.node.inputs):
                continue
            step.check({key: empty(*found) for key, found in known.items() if found is not None})
            if not getattr(step.operation, "tells_shapes", True):
                continue
            try:
                shapes = step.shapes({key: f[0] for key, f in known.items() if f is not None})
            except (IndexError, TypeError, ValueError):  # the layer says better what is wrong
                continue
            for tensor, shape in zip(step.node.outputs, shapes, strict=True):
                known[id(tensor)] = (shape, numpy_dtype(tensor))
        found = [known.get(id(tensor)) for tensor in self.outputs]
        return [None if entry is None else entry[0] for entry in found]

    def behind(self, numbers: list[int]) -> list[Any]:
        """Return the operations that the outputs of these numbers are made by."""
        wanted = {self.output_places[number] for number in numbers}
        found = []
        for step in reversed(self.steps):
            if wanted.intersection(step.targets) or penalized(step.operation):
                wanted.update(step.sources)
                found.append(step.operation)
        return found

    def penalties(self, saved: list[Any]) -> float:
        """Return the penalties on activities in what `forward` saved."""
        total = 0.0
        for step, kept in zip(self.steps, saved, strict=True):
            total += step.penalties(kept)
        return total

    def __getstate__(self) -> dict[str, Any]:
        # The nodes first: each is written before what is made of it, however deep the graph.
        return {"nodes": self.nodes, "inputs": self.inputs, "outputs": self.outputs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Laid out anew, by the constructor: no subclass has another.
        self.__init__(state["inputs"], state["outputs"])  # type: ignore[misc]  # made anew


def _by_step(from_logits: Any) -> dict[int, tuple[Any, Any]]:
    """Return ways to logits by the number of their step; gradients of one step are added."""
    turned: dict[int, tuple[Any, Any]] = {}
    for path, dz in from_logits:
        before = turned.get(path.number)
        turned[path.number] = (path, dz if before is None else before[1] + dz)
    return turned


def _learns(operation: Any) -> bool:
    """Whether a gradient by the output of an operation is of use."""
    return bool(getattr(operation, "weights", ())) or penalized(operation)


def empty(shape: Any, dtype: Any) -> np.ndarray:
    """Return an array of a shape that takes no memory."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def copies(outputs: list[Any], inputs: list[Any], passed_on: list[bool]) -> list[Any]:
    """Return outputs that share no memory with the inputs."""
    return [
        y.copy()
        if passed
        and type(y) is np.ndarray
        and any(isinstance(x, np.ndarray) and np.may_share_memory(x, y) for x in inputs)
        else y
        for y, passed in zip(outputs, passed_on, strict=True)
    ]
