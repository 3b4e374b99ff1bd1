"""Modules of PyTorch by name, made with a seed, and what they are fed with.

``python -m tests.saving.torch_cases`` writes the goldens below ``tests/saving/written/torch``,
so that what PyTorch gives is known where it is not installed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "written" / "torch"
BATCH, STEPS, FEATURES = 3, 6, 4


def _chain(nn: Any, **modules: Any) -> Any:
    """Return modules in a row, by name; recurrent ones give all steps of their output."""

    class Row(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, module in modules.items():
                self.add_module(name, module)

        def forward(self, x: Any) -> Any:
            for module in self.children():
                x = module(x)
                x = x[0] if isinstance(x, tuple) else x
            return x

    return Row()


# Name: the module, made of torch.nn; they run on (batch, steps, features).
MODULES: dict[str, Callable[[Any], Any]] = {
    "RNN": lambda nn: nn.RNN(4, 5, batch_first=True),
    "RNN relu": lambda nn: nn.RNN(4, 5, 2, nonlinearity="relu", batch_first=True, bias=False),
    "RNN both ways": lambda nn: nn.RNN(4, 3, 2, bidirectional=True, batch_first=True),
    "LSTM": lambda nn: nn.LSTM(4, 5, batch_first=True),
    "LSTM without bias": lambda nn: nn.LSTM(4, 5, bias=False, batch_first=True),
    "LSTM deep": lambda nn: nn.LSTM(4, 3, 3, dropout=0.5, bidirectional=True, batch_first=True),
    "GRU": lambda nn: nn.GRU(4, 5, batch_first=True),
    "GRU without bias": lambda nn: nn.GRU(4, 5, 2, bias=False, batch_first=True),
    "GRU both ways": lambda nn: nn.GRU(4, 3, 2, bidirectional=True, batch_first=True),
    "Linear": lambda nn: nn.Linear(4, 3),
    "LayerNorm": lambda nn: nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 2, bias=False)),
    "LayerNorm plain": lambda nn: nn.Sequential(
        nn.Linear(4, 3), nn.LayerNorm(3, eps=0.125, elementwise_affine=False)
    ),
    "LayerNorm without bias": lambda nn: nn.LayerNorm(4, bias=False),
    "BatchNorm1d": lambda nn: nn.Sequential(nn.Conv1d(6, 5, 1), nn.BatchNorm1d(5)),
    "BatchNorm1d plain": lambda nn: nn.Sequential(
        nn.Conv1d(6, 5, 1), nn.BatchNorm1d(5, affine=False, momentum=0.25)
    ),
    "Conv1d": lambda nn: nn.Conv1d(6, 5, 3),
    "Conv1d same": lambda nn: nn.Conv1d(6, 4, 2, padding="same", dilation=2, bias=False),
    "Conv1d padded": lambda nn: nn.Conv1d(6, 4, 3, padding=2, stride=2, groups=2),
    "Conv1d and others": lambda nn: nn.Sequential(
        nn.Conv1d(6, 4, 3, padding=1), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5),
        nn.ConstantPad1d((2, 0), 0.0), nn.Conv1d(4, 5, 3), nn.PReLU(5), nn.Linear(4, 3),
    ),
    "Flatten": lambda nn: nn.Sequential(
        nn.Conv1d(6, 5, 3), nn.Flatten(), nn.Linear(10, 3), nn.BatchNorm1d(3), nn.Softmax(dim=1)
    ),
    "Softmax": lambda nn: nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1)),
    "Softmax over steps": lambda nn: nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)),
    "LogSoftmax": lambda nn: nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(dim=-1)),
    "GLU": lambda nn: nn.Sequential(nn.Linear(4, 6), nn.GLU(), nn.Linear(3, 2)),
    "PReLU": lambda nn: nn.Sequential(nn.Linear(4, 3), nn.PReLU()),
    "nested": lambda nn: nn.Sequential(
        nn.Sequential(nn.Linear(4, 5), nn.Tanh()), nn.Identity(), nn.Sequential(nn.Linear(5, 2))
    ),
    **{name: lambda nn, name=name: nn.Sequential(nn.Linear(4, 3), getattr(nn, name)()) for name in (
        "CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU",
        "LogSigmoid", "Mish", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Softshrink",
        "Softsign", "Tanh", "Tanhshrink",
    )},
    "ELU with alpha": lambda nn: nn.Sequential(nn.Linear(4, 3), nn.ELU(0.5)),
    "LeakyReLU with slope": lambda nn: nn.Sequential(nn.Linear(4, 3), nn.LeakyReLU(0.5)),
}  # fmt: skip

# Name: modules whose forward is a program; they run on tokens or sequences.
ROWS: dict[str, Callable[[Any], Any]] = {
    "tagger": lambda nn: _chain(
        nn, emb=nn.Embedding(11, 4, padding_idx=0), rnn=nn.GRU(4, 3, 2, batch_first=True),
        norm=nn.LayerNorm(3), head=nn.Linear(3, 2),
    ),
    "both": lambda nn: _chain(
        nn, lstm=nn.LSTM(4, 3, 2, bidirectional=True, batch_first=True), head=nn.Linear(6, 2)
    ),
    "plain": lambda nn: _chain(nn, rnn=nn.RNN(4, 3, batch_first=True), head=nn.Linear(3, 1)),
}  # fmt: skip


def inputs(name: str, seed: int = 0) -> np.ndarray:
    """Return the batch that a case is fed with."""
    rng = np.random.default_rng(seed)
    if name == "tagger":
        return rng.integers(0, 11, (BATCH, STEPS))
    return rng.normal(size=(BATCH, STEPS, FEATURES)).astype(np.float32)


def make(name: str) -> Any:
    """Return the module of a case, with its own weights, none of them at a start of zero."""
    import torch

    torch.manual_seed(7)
    module = {**MODULES, **ROWS}[name](torch.nn).eval()
    with torch.no_grad():
        for key, tensor in module.state_dict().items():
            if key.rpartition(".")[2] == "num_batches_tracked":
                continue
            tensor.copy_(
                torch.rand_like(tensor) + 0.2 if "var" in key else torch.randn_like(tensor) / 2
            )
    return module


def output(module: Any, x: np.ndarray) -> np.ndarray:
    """Return what a module gives in prediction."""
    import torch

    with torch.no_grad():
        y = module(torch.from_numpy(x))
    return (y[0] if isinstance(y, tuple) else y).numpy()


GOLDENS = ["RNN relu", "LSTM deep", "GRU both ways", "Flatten", *ROWS]


def main() -> None:
    """Write the goldens, with PyTorch and the package safetensors."""
    import torch
    from safetensors.torch import save_file

    FOLDER.mkdir(parents=True, exist_ok=True)
    outputs = {}
    for name in GOLDENS:
        module = make(name)
        torch.save(module.state_dict(), FOLDER / f"{name.replace(' ', '_')}.pt")
        outputs[name] = output(module, inputs(name))
    save_file(make("tagger").state_dict(), FOLDER / "tagger.safetensors")
    np.savez_compressed(FOLDER / "outputs.npz", version=torch.__version__, **outputs)


if __name__ == "__main__":
    main()
