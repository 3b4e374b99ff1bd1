"""Models of PyTorch whose graphs `test_torch_graphs` reads; `python FILE FOLDER` exports them anew.

Runs with torch, onnx and onnxruntime (and onnxscript, for the newer exporter) alone, and leaves
``onnx-torch.zip`` in the folder: `NAME.onnx`, and `NAME.onnx.npz` with inputs and outputs.
"""

import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

RNN = {"batch_first": True}


class Of(nn.Module):
    """A module of a function of itself and the inputs."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        """Call the function."""
        return self.function(self, *inputs)


def _packed(m, x, lengths):
    rows = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return m.head(nn.utils.rnn.pad_packed_sequence(m.rnn(rows)[0], batch_first=True)[0])


def _steps(m, x):
    h = torch.zeros(x.shape[0], 6)
    for step in range(x.shape[1]):
        h = m.cell(x[:, step], h)
    return m.head(h)


def _last(m, x, lengths):
    places = (lengths - 1).view(-1, 1, 1).expand(-1, 1, 6)
    return m.rnn(x)[0].gather(1, places).squeeze(1)


def _repeated(m, x):
    return m.back(m.rnn(x)[1][0][-1].unsqueeze(1).repeat(1, 4, 1))[0]


def _causal(m, x):
    mask = torch.triu(torch.full((x.shape[1], x.shape[1]), float("-inf")), 1)
    return m.block(x, src_mask=mask)


def _windows(m, x):
    return m.rnn(x.reshape(-1, 5, 4))[0].reshape(x.shape[0], 2, 5, 6)


def models():
    """Yield (name, model, inputs, how to export)."""
    x, lengths = torch.randn(3, 5, 4), torch.tensor([3, 5, 2])
    ids = torch.randint(0, 9, (3, 5))
    block = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    head, gru, lstm = nn.Linear(6, 2), nn.GRU(4, 6, **RNN), nn.LSTM(4, 6, **RNN)
    deep = nn.LSTM(4, 6, 2, bidirectional=True, **RNN)
    packed = Of(_packed, rnn=deep, head=nn.Linear(12, 2))
    yield "packed.dyn", packed, (x, lengths), True
    yield "gru_cell.dyn", Of(_steps, cell=nn.GRUCell(4, 6), head=head), (x,), True
    yield "last_by_length", Of(_last, rnn=lstm), (x, lengths), False
    yield "encoder_decoder", Of(_repeated, rnn=lstm, back=nn.LSTM(6, 5, **RNN)), (x,), False
    yield "attention.dyn", Of(lambda m, x: m.mha(x, x, x), mha=attention), (x,), True
    yield "causal_block", Of(_causal, block=block), (x,), False
    yield "windows", Of(_windows, rnn=gru), (torch.randn(3, 10, 4),), False
    transposed = nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1)
    yield (
        "transposed.dyn",
        Of(lambda m, x: m.conv(x), conv=transposed),
        (torch.randn(3, 4, 9),),
        True,
    )
    one_hot = Of(
        lambda m, i: m.rnn(nn.functional.one_hot(i, 9).float())[0], rnn=nn.RNN(9, 6, **RNN)
    )
    yield "one_hot.dyn", one_hot, (ids,), True
    yield "attention.dynamo", Of(lambda m, x: m.mha(x, x, x)[0], mha=attention), (x,), None
    yield "block.dynamo", Of(lambda m, x: m.block(x), block=block), (x,), None


def export(folder):
    """Write the archive."""
    torch.manual_seed(1)
    with zipfile.ZipFile(folder / "onnx-torch.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, model, inputs, free in models():
            names = [f"in_{i}" for i in range(len(inputs))]
            axes = {n: {0: "batch"} for n in names} if free else None
            how = {"dynamo": True, "external_data": False}
            if free is not None:
                how = {"dynamo": False, "opset_version": 17, "dynamic_axes": axes}
            with tempfile.TemporaryDirectory() as place:  # with gradients: else by a fast path
                path = Path(place) / "m.onnx"
                made = model.eval()(*inputs)
                torch.onnx.export(model, inputs, path, input_names=names, verbose=False, **how)
                graph = onnx.load(path)
            for node in graph.graph.node:  # traces of the exporter
                node.ClearField("metadata_props")
                node.ClearField("doc_string")
            onnx.save(graph, folder / "m.onnx")
            archive.write(folder / "m.onnx", f"{name}.onnx")
            outputs = made if isinstance(made, tuple) else (made,)
            sides = {n: i.numpy() for n, i in zip(names, inputs, strict=True)}
            sides |= {f"out_{i}": y.detach().numpy() for i, y in enumerate(outputs)}
            np.savez_compressed(folder / "m.npz", **sides)
            archive.write(folder / "m.npz", f"{name}.onnx.npz")
    for left in ("m.onnx", "m.npz"):
        (folder / left).unlink()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    export(Path(sys.argv[1]))
