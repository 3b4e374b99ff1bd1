"""PyTorch: `nn.RNN`, `nn.LSTM`, `nn.GRU`, inference mode forward, fused Adam in training.

Its GRU has the reset gate before the update gate. Its second bias stays zero, and is not
trained, where Keras's cell has one bias.
"""

# ruff: noqa: D102  # a method is a kind of work; `Base` describes them all

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks import features
from benchmarks.peers.base import Base, Task, Unsupported, in_batches, numbers_of_training
from benchmarks.problem import Numbers, Problem

CLASSES = {"SimpleRNN": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}


def _swapped(array: np.ndarray, cell: str) -> np.ndarray:
    """Return Keras's array with PyTorch's order of gates on the last axis, or the other way."""
    if cell != "GRU":
        return array
    update, reset, candidate = np.split(array, 3, axis=-1)
    return np.concatenate([reset, update, candidate], axis=-1)


def load(parameters: Any, weights: Any, cell: str) -> None:
    """Copy kernel, recurrent kernel and bias into the four parameters of a layer's direction."""
    kernel, recurrent, bias = (_swapped(array, cell) for array in weights)
    biases = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
    with torch.no_grad():
        for mine, array in zip(parameters, (kernel.T, recurrent.T, *biases), strict=True):
            mine.copy_(torch.from_numpy(np.ascontiguousarray(array)))
    parameters[3].requires_grad_(bias.ndim == 2)


def read(parameters: Any, cell: str) -> list[np.ndarray]:
    """Return copies of kernel, recurrent kernel and bias of four parameters, as Keras has them."""
    kernel, recurrent, first, second = (p.detach().numpy().copy() for p in parameters)
    bias = np.stack([first, second]) if cell == "GRU" else first
    return [np.ascontiguousarray(_swapped(a, cell)) for a in (kernel.T, recurrent.T, bias)]


def last(states: Any) -> Any:
    """Return the hidden state out of what a layer returns beside its outputs."""
    return states[0] if isinstance(states, tuple) else states


class Net(torch.nn.Module):
    """The model of the whole-program cases: an RNN and a linear layer on its last state."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.rnn, self.cell = make_rnn(problem), problem.case.cell
        self.out = torch.nn.Linear(problem.case.units, 1, dtype=self.rnn.weight_ih_l0.dtype)
        with torch.no_grad():
            self.out.weight.copy_(torch.from_numpy(problem.out_kernel.T))
            self.out.bias.copy_(torch.from_numpy(problem.out_bias))

    def forward(self, x: Any) -> Any:
        """Return the predictions for `x (B,T,F)`."""
        return self.out(last(self.rnn(x)[1])[0])

    def keras_weights(self) -> list[Any]:
        """Return copies of the weights, as Keras keeps them."""
        layer = read(self.rnn.all_weights[0], self.cell)
        return [*layer, *(w.detach().numpy().copy() for w in (self.out.weight.T, self.out.bias))]


def make_rnn(problem: Problem) -> Any:
    """Return the bare layer with the problem's weights."""
    case = problem.case
    rnn = CLASSES[case.cell](case.features, case.units, batch_first=True)
    rnn = rnn.to(getattr(torch, case.dtype))
    load(rnn.all_weights[0], problem.layer_weights, case.cell)
    return rnn


class FeatureNet(torch.nn.Module):
    """A model of `benchmarks.features`; padded sequences are packed, as PyTorch advises."""

    def __init__(self, problem: features.FeatureProblem) -> None:
        super().__init__()
        case, dtype = problem.case, getattr(torch, problem.case.dtype)
        self.table = None
        if features.with_table(case):
            self.table = torch.nn.Embedding(features.VOCABULARY, case.features, dtype=dtype)
        self.cell = case.cell
        self.rnn = CLASSES[case.cell](
            case.features,
            case.units,
            num_layers=features.depth(case),
            bidirectional=features.directions(case) == 2,
            batch_first=True,
            dtype=dtype,
        )
        width, outputs = problem.weights[-2].shape
        self.out = torch.nn.Linear(width, outputs, dtype=dtype)
        self.ends = features.directions(case)
        self.lengths = torch.from_numpy(problem.lengths) if case.kind == "masked" else None
        weights = list(problem.weights)
        with torch.no_grad():
            if self.table is not None:
                self.table.weight.copy_(torch.from_numpy(weights.pop(0)))
            for mine, weight in zip(
                (self.out.bias, self.out.weight.T), weights[:-3:-1], strict=True
            ):
                mine.copy_(torch.from_numpy(weight))
        for i, parameters in enumerate(self.rnn.all_weights):
            load(parameters, weights[3 * i : 3 * i + 3], self.cell)

    def keras_weights(self) -> list[Any]:
        """Return copies of the weights in the order and form that Keras has."""
        found = [] if self.table is None else [self.table.weight.detach().numpy().copy()]
        # weight_ih, weight_hh, bias_ih, bias_hh of every layer and direction.
        for parameters in self.rnn.all_weights:
            found += read(parameters, self.cell)
        return [*found, *(w.detach().numpy().copy() for w in (self.out.weight.T, self.out.bias))]

    def trained(self) -> list[Any]:
        """Return the parameters that are trained: all but the second biases."""
        return [p for p in self.parameters() if p.requires_grad]

    def forward(self, x: Any) -> Any:
        """Return what the last layer adds up."""
        x = x if self.table is None else self.table(x)
        if self.lengths is not None:
            x = torch.nn.utils.rnn.pack_padded_sequence(
                x, self.lengths, batch_first=True, enforce_sorted=False
            )
        ends = last(self.rnn(x)[1])[-self.ends :]
        return self.out(torch.cat(tuple(ends), 1))

    def loss(self, x: Any, y: Any) -> Any:
        """Return the loss: cross-entropy of classes, else mean squared error."""
        functional = torch.nn.functional
        if self.table is not None:
            return functional.cross_entropy(self(x), y)
        return functional.mse_loss(self(x), y)


class Adapter(Base):
    """PyTorch in eager mode, which is what runs `nn.RNN` fastest on a CPU."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        torch.set_num_threads(threads)

    def forward(self, problem: Problem) -> Task:
        rnn, x = make_rnn(problem).eval(), torch.from_numpy(problem.x)

        def call() -> Any:
            with torch.inference_mode():
                return last(rnn(x)[1])

        return Task(call, lambda: {"h": call()[0].numpy()})

    def gradients(self, problem: Problem) -> Task:
        rnn = make_rnn(problem)
        x, dy = torch.from_numpy(problem.x).requires_grad_(), torch.from_numpy(problem.dy)[None]
        cell = problem.case.cell
        parameters = rnn.all_weights[0]
        trained = [p for p in parameters if p.requires_grad]

        def call() -> Any:
            h = last(rnn(x)[1])
            return h, torch.autograd.grad(h, [x, *trained], dy)

        def check() -> Numbers:
            h, (dx, *found) = call()
            found += [torch.zeros_like(p) for p in parameters[len(found) :]]
            names = ("d_kernel", "d_recurrent", "d_bias")
            layer = dict(zip(names, read(found, cell), strict=True))
            return {"h": h[0].detach().numpy(), "d_x": dx.numpy(), **layer}

        return Task(call, check)

    def _trainer(self, problem: Problem) -> tuple[Net, Any]:
        net = Net(problem)
        trained = [p for p in net.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(trained, lr=1e-3, eps=1e-7, fused=True)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(net(x), y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return net, step

    def fit(self, problem: Problem) -> Task:
        x, y, batch = torch.from_numpy(problem.x), torch.from_numpy(problem.y), problem.case.batch

        def epoch(step: Any, order: Any) -> float:
            total = torch.zeros((), dtype=x.dtype)
            for rows in order.split(batch):
                total += step(x[rows], y[rows]) * len(rows)
            return total.item() / len(order)

        def check() -> Numbers:
            net, step = self._trainer(problem)
            loss = epoch(step, torch.arange(problem.check_rows))
            return numbers_of_training(loss, net.keras_weights())

        _, step = self._trainer(problem)
        return Task(
            lambda: epoch(step, torch.randperm(len(x))), check, lambda: epoch(step, torch.arange(2))
        )

    def train_on_batch(self, problem: Problem) -> Task:
        def once(step: Any) -> float:
            return step(torch.from_numpy(problem.x), torch.from_numpy(problem.y)).item()

        def check() -> Numbers:
            net, step = self._trainer(problem)
            return numbers_of_training(once(step), net.keras_weights())

        _, step = self._trainer(problem)
        return Task(lambda: once(step), check)

    def predict(self, problem: Problem) -> Task:
        net, x, batch = Net(problem).eval(), problem.x, problem.case.batch

        def call() -> Any:
            with torch.inference_mode():
                return torch.cat(in_batches(net, torch.from_numpy(x), batch)).numpy()

        return Task(call, lambda: {"y": call()})

    def layer_call(self, problem: Problem) -> Task:
        net, x = Net(problem).eval(), problem.x

        def call() -> Any:
            with torch.inference_mode():
                return net(torch.from_numpy(x)).numpy()

        return Task(call, lambda: {"y": call()})

    predict_on_batch = layer_call

    def feature(self, problem: features.FeatureProblem) -> Task:
        case = problem.case
        if case.kind == "dropout":
            raise Unsupported("nn.RNN has no dropout of its inputs or its state")
        x, y = problem.x, problem.y

        def descent(net: FeatureNet) -> Any:
            return torch.optim.SGD(net.trained(), lr=1.0)

        def adam(net: FeatureNet) -> Any:
            return torch.optim.Adam(net.trained(), lr=1e-3, eps=1e-7, fused=True)

        def step(net: FeatureNet, optimizer: Any) -> float:
            optimizer.zero_grad()
            loss = net.loss(torch.from_numpy(x), torch.from_numpy(y))
            loss.backward()
            optimizer.step()
            return loss.item()

        def check() -> Numbers:
            net = FeatureNet(problem)
            loss = step(net, descent(net))
            after = net.keras_weights()
            gradients = [w - v for w, v in zip(problem.weights, after, strict=True)]
            net = FeatureNet(problem)
            step(net, adam(net))
            second = net.loss(torch.from_numpy(x), torch.from_numpy(y))
            return features.numbers(loss, second.item(), gradients)

        net = FeatureNet(problem)
        optimizer = adam(net)

        def predict() -> Any:
            with torch.inference_mode():
                return torch.softmax(net(torch.from_numpy(x)), 1).numpy()

        if case.kind == "softmax_predict":
            return Task(predict, lambda: {"y": predict()})
        return Task(lambda: step(net, optimizer), check)
