"""PyTorch: `nn.RNN(batch_first=True)`, inference mode forward, fused Adam in training."""

# ruff: noqa: D102  # a method is a kind of work; `Base` describes them all

from __future__ import annotations

from typing import Any

import torch

from benchmarks import features
from benchmarks.peers.base import Base, Task, Unsupported, in_batches, numbers_of_training
from benchmarks.problem import Numbers, Problem


class Net(torch.nn.Module):
    """The model of the whole-program cases: an RNN and a linear layer on its last state."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.rnn = make_rnn(problem)
        self.out = torch.nn.Linear(problem.case.units, 1, dtype=self.rnn.weight_ih_l0.dtype)
        with torch.no_grad():
            self.out.weight.copy_(torch.from_numpy(problem.out_kernel.T))
            self.out.bias.copy_(torch.from_numpy(problem.out_bias))

    def forward(self, x: Any) -> Any:
        """Return the predictions for `x (B,T,F)`."""
        return self.out(self.rnn(x)[1][0])

    def keras_weights(self) -> list[Any]:
        """Return copies of the weights, transposed as Keras keeps them."""
        rnn, out = self.rnn, self.out
        weights = [rnn.weight_ih_l0.T, rnn.weight_hh_l0.T, rnn.bias_ih_l0, out.weight.T, out.bias]
        return [w.detach().numpy().copy() for w in weights]


def make_rnn(problem: Problem) -> Any:
    """Return `nn.RNN` with the problem's weights; its second bias is zero and stays so."""
    rnn = torch.nn.RNN(problem.case.features, problem.case.units, batch_first=True)
    rnn = rnn.to(getattr(torch, problem.case.dtype))
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.from_numpy(problem.kernel.T))
        rnn.weight_hh_l0.copy_(torch.from_numpy(problem.recurrent.T))
        rnn.bias_ih_l0.copy_(torch.from_numpy(problem.bias))
        rnn.bias_hh_l0.zero_()
    rnn.bias_hh_l0.requires_grad_(False)
    return rnn


class FeatureNet(torch.nn.Module):
    """A model of `benchmarks.features`; padded sequences are packed, as PyTorch advises."""

    def __init__(self, problem: features.FeatureProblem) -> None:
        super().__init__()
        case, dtype = problem.case, getattr(torch, problem.case.dtype)
        self.table = None
        if features.with_table(case):
            self.table = torch.nn.Embedding(features.VOCABULARY, case.features, dtype=dtype)
        self.rnn = torch.nn.RNN(
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
        with torch.no_grad():
            for mine, weight in zip(self.keras_weights(), problem.weights, strict=True):
                mine.copy_(torch.from_numpy(weight))
            for name, second in self.rnn.named_parameters():
                if name.startswith("bias_hh"):
                    second.zero_().requires_grad_(False)

    def keras_weights(self) -> list[Any]:
        """Return views of the weights in the order and form that Keras has."""
        found = [] if self.table is None else [self.table.weight]
        # weight_ih, weight_hh, bias_ih, bias_hh of every layer and direction.
        for kernel, recurrent, bias, _ in self.rnn.all_weights:
            found += [kernel.T, recurrent.T, bias]
        return [*found, self.out.weight.T, self.out.bias]

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
        last = self.rnn(x)[1][-self.ends :]
        return self.out(torch.cat(tuple(last), 1))

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
                return rnn(x)[1]

        return Task(call, lambda: {"h": call()[0].numpy()})

    def gradients(self, problem: Problem) -> Task:
        rnn = make_rnn(problem)
        x, dy = torch.from_numpy(problem.x).requires_grad_(), torch.from_numpy(problem.dy)[None]
        wanted = [rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0, x]

        def call() -> Any:
            h = rnn(x)[1]
            return h, torch.autograd.grad(h, wanted, dy)

        def check() -> Numbers:
            h, (kernel, recurrent, bias, dx) = call()
            return {
                "h": h[0].detach().numpy(),
                "d_kernel": kernel.T.numpy(),
                "d_recurrent": recurrent.T.numpy(),
                "d_bias": bias.numpy(),
                "d_x": dx.numpy(),
            }

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
            after = [w.detach().numpy() for w in net.keras_weights()]
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
