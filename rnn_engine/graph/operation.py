"""`Operation` and `Node`: calls on symbolic tensors, of which graphs are made."""

from typing import Any

import numpy as np

from rnn_engine.graph.nest import flatten, leaves, map_structure
from rnn_engine.graph.tensor import KerasTensor
from rnn_engine.utils.naming import auto_name

_DATA = (str, bytes, float, int, np.generic)


def is_symbolic(*values: Any) -> bool:
    """Whether a symbolic tensor is among the leaves of `values`.

    A list that begins with a number or a text is data, and is not looked through.
    """
    for value in values:
        if isinstance(value, KerasTensor):
            return True
        inner = value.values() if isinstance(value, dict) else value
        if isinstance(inner, list | tuple) and inner and isinstance(inner[0], _DATA):
            continue
        if isinstance(value, list | tuple | dict) and is_symbolic(*inner):
            return True
    return False


class Node:
    """One call of an operation on symbolic tensors.

    Attributes
    ----------
    operation : Operation or Layer
    args, kwargs
        What it was called with; nests with symbolic tensors among their leaves.
    inputs, outputs : list of KerasTensor
        The tensors among the arguments, those of `args` first, and those that it returned.
    place : int
        Which call of the operation this is, from zero.
    """

    def __init__(self, operation: Any, args: Any, kwargs: dict[str, Any], outputs: Any) -> None:
        self.operation = operation
        self.args, self.kwargs = args, kwargs
        found = leaves((args, list(kwargs.values())))
        self.inputs = [leaf for leaf in found if isinstance(leaf, KerasTensor)]
        self.outputs: list[KerasTensor] = flatten(outputs)
        self.place = len(operation._inbound_nodes)
        operation._inbound_nodes.append(self)
        for index, tensor in enumerate(self.outputs):
            tensor.node, tensor.index = self, index

    @property
    def is_input(self) -> bool:
        """Whether the graph begins here."""
        return not self.inputs

    input_tensors = property(lambda self: self.inputs)
    output_tensors = property(lambda self: self.outputs)

    @property
    def parent_nodes(self) -> "list[Node]":
        """The calls whose outputs this one takes."""
        return [tensor.node for tensor in self.inputs if tensor.node is not None]

    def mask_of(self, index: int) -> Any:
        """Return the symbolic mask of one of the outputs, None without one."""
        layer = self.operation
        if self.is_input or not hasattr(layer, "compute_mask"):  # masks end at an op, as in Keras
            return None
        inputs = layer.bind(*self.args, **self.kwargs)[0]
        masks = self.kwargs.get("mask")
        if masks is None:
            masks = map_structure(lambda leaf: getattr(leaf, "_keras_mask", None), inputs)
            if all(mask is None for mask in flatten(masks)):
                masks = None
        if not layer.makes_masks and (masks is None or not layer.supports_masking):
            return None
        found = layer.compute_mask(inputs, masks)
        return found[index] if isinstance(found, list | tuple) else found

    def filled(self, values: list[Any]) -> tuple[Any, dict[str, Any]]:
        """Return the arguments with `values` in place of the input tensors, in their order."""
        following = iter(values)

        def fill(leaf: Any) -> Any:
            return next(following) if isinstance(leaf, KerasTensor) else leaf

        args = map_structure(fill, self.args)
        return args, {name: map_structure(fill, value) for name, value in self.kwargs.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.place = len(self.operation._inbound_nodes)  # layers come without their nodes
        self.operation._inbound_nodes.append(self)

    def __repr__(self) -> str:
        return f"<Node operation={self.operation.name}, place={self.place}>"


class Operation:
    """Something that makes tensors of tensors and can go back (`keras.Operation`).

    A subclass has three methods, each called with the arguments of the call:

    ``compute_output_spec(*args, **kwargs)``
        the outputs as `KerasTensor`, for symbolic arguments;
    ``forward(*args, **kwargs) -> (y, saved)``
        the outputs for arrays, with whatever `backward` will need;
    ``backward(dy, saved) -> dx``
        from the gradient by the output (a list of them where there are several outputs, None
        for those that nothing depends on) those by the tensors among the arguments: one
        array where there is one tensor, else a list in the order of `Node.inputs`; None
        for a tensor without gradient, such as indices.

    An operation holds settings but no weights: what has weights is a layer.

    Parameters
    ----------
    name : str, optional
        Made from the class name if None.

    Examples
    --------
    >>> import rnn_engine
    >>> class Double(Operation):
    ...     def compute_output_spec(self, x):
    ...         return KerasTensor(x.shape, x.dtype)
    ...
    ...     def forward(self, x):
    ...         return 2 * x, None
    ...
    ...     def backward(self, dy, saved):
    ...         return 2 * dy
    >>> x = rnn_engine.Input((3,))
    >>> rnn_engine.Model(x, Double()(x)).predict([[1.0, 2.0, 3.0]], verbose=0)
    array([[2., 4., 6.]], dtype=float32)
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = auto_name(type(self).__name__) if name is None else name
        self._inbound_nodes: list[Node] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the outputs: symbolic ones, and a new node, for symbolic arguments."""
        if is_symbolic(*args, *kwargs.values()):
            return self.symbolic_call(*args, **kwargs)
        return self.forward(*args, **kwargs)[0]

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Return symbolic outputs and remember the call."""
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return the outputs as symbolic tensors."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_output_spec.")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return ``(y, saved)`` for arrays."""
        raise NotImplementedError(f"{type(self).__name__} must define forward.")

    def backward(self, dy: Any, saved: Any) -> Any:
        """Return the gradients by the tensors among the arguments."""
        raise NotImplementedError(f"{type(self).__name__} must define backward.")

    @property
    def input(self) -> Any:
        """The symbolic input of the first call, a list where there are several."""
        return _single(first_node(self, "input").inputs)

    @property
    def output(self) -> Any:
        """The symbolic output of the first call, a list where there are several."""
        return _single(first_node(self, "output").outputs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Return an operation from what `get_config` returned."""
        return cls(**config)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_inbound_nodes": []}

    def __repr__(self) -> str:
        return f"<Operation name={self.name}>"


def first_node(operation: Any, what: str) -> Node:
    """Return the first call of an operation on symbolic tensors.

    Raises
    ------
    AttributeError
        If there was none; the message says that the operation has no `what`.
    """
    if not operation._inbound_nodes:
        raise AttributeError(
            f"The layer {operation.name} has never been called and thus has no defined {what}."
        )
    node: Node = operation._inbound_nodes[0]
    return node


def _single(tensors: list[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors
