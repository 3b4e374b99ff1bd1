"""PyTorch: `nn.RNN(batch_first=True)`, inference mode forward, fused Adam in training."""

# ruff: noqa: D102  # a method is a kind of work; `Base` describes them all

from __future__ import annotations

from typing import Any

import torch

from benchmarks.peers.base import Base, Task, in_batches, numbers_of_training
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
