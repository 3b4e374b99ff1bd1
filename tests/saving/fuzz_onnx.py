"""Damage graphs of ONNX by their own means: names, attributes, shapes, numbers elsewhere."""

import zipfile
from pathlib import Path

import onnx

import rnn_engine
from rnn_engine.saving import to_onnx

OWN_GRAPHS = 6  # of those to damage, the first ones


def graphs_to_damage(path):
    """Return graphs of ONNX: some of this library's, and those of all exporters."""
    layers = rnn_engine.layers
    model = rnn_engine.Sequential([
        layers.Input((6, 4)),
        layers.Conv1D(4, 3, padding="same", activation="elu"),
        layers.LayerNormalization(),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.Masking(),
        layers.GRU(3, return_sequences=True),
        layers.MaxPooling1D(2),
        layers.Flatten(),
        layers.Dense(2, "softmax"),
    ])  # fmt: skip
    inputs = layers.Input((None,), dtype="int32")
    x = layers.Embedding(5, 4, mask_zero=True)(inputs)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True)])
    x = layers.Bidirectional(layers.GRU(2))(layers.LSTM(3, return_sequences=True)(x))
    words = layers.Input((3,), dtype="string")
    lookup = layers.StringLookup(vocabulary=["a", "b"], mask_token="")
    text = layers.LSTM(2)(layers.Embedding(4, 2, mask_zero=True)(lookup(words)))
    texts = layers.Input((1,), dtype="string")
    cut = layers.TextVectorization(
        standardize=None, output_sequence_length=4, vocabulary=["a", "b"]
    )
    terms = layers.StringLookup(vocabulary=["c", "d"], invert=True)(cut(texts))
    image = layers.Input((4, 3, 2))
    y = layers.Conv2DTranspose(3, 3, strides=2, padding="same")(layers.UpSampling2D()(image))
    y = layers.SeparableConv2D(2, 2)(layers.ZeroPadding2D(1)(y))
    y = layers.EinsumDense("abcd,de->abce", (None, None, 3))(layers.Normalization(-1, 1, 4)(y))
    frames = layers.Input((3, 4, 2))
    models = [model, *(rnn_engine.Model(*pair) for pair in (
        (inputs, x), (words, text), (texts, terms), (image, y),
        (frames, layers.ConvLSTM1D(2, 2)(frames))))]  # fmt: skip
    found = []
    for one in models:
        to_onnx(one, path)
        found.append(path.read_bytes())
    for archive in sorted((Path(__file__).parent / "written").glob("onnx*.zip")):
        with zipfile.ZipFile(archive) as graphs:
            names = sorted(name for name in graphs.namelist() if name.endswith(".onnx"))
            found += map(graphs.read, names)
    return found


def damaged_onnx(content, rng, damaged_bytes):
    """Damage a graph of ONNX by its own means, or its bytes."""
    if rng.random() < 0.2:
        return damaged_bytes(content, rng)
    model = onnx.ModelProto.FromString(content)
    for _ in range(rng.randint(1, 3)):
        nodes = [*model.graph.node, *(n for g in _bodies(model.graph) for n in g.node)]
        how = rng.random()
        if how < 0.45 and nodes:
            _damage_node(rng.choice(nodes), nodes, rng)
        elif how < 0.75:
            tensors = [*model.graph.initializer]
            tensors += [a.t for n in nodes for a in n.attribute if a.HasField("t")]
            if tensors:
                _damage_tensor(rng.choice(tensors), rng, damaged_bytes)
        elif how < 0.85:
            _damage_port(rng.choice([*model.graph.input, *model.graph.output]), rng)
        elif how < 0.9:
            del model.graph.node[rng.randrange(len(model.graph.node))]
        elif how < 0.95:
            model.opset_import[0].version = rng.choice([0, 6, 9, 11, 13, 17, 21, 99, -1])
        else:
            model.graph.node.add().CopyFrom(rng.choice(model.graph.node))
        if not model.graph.node:
            break
    return model.SerializeToString()


def _bodies(graph):
    return [a.g for node in graph.node for a in node.attribute if a.HasField("g")]


def _damage_node(node, nodes, rng):
    names = [name for other in nodes for name in (*other.input, *other.output)] or ["x"]
    how = rng.random()
    if how < 0.25 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice([*names, "", "nowhere"])
    elif how < 0.35 and node.output:
        node.output[rng.randrange(len(node.output))] = rng.choice(names)
    elif how < 0.45:
        (node.input if rng.random() < 0.5 else node.output).append(rng.choice(names))
    elif how < 0.55 and node.input:
        del node.input[-1]
    elif how < 0.7:
        node.op_type = rng.choice([*(other.op_type for other in nodes), "Tile", "Range", "Loop"])
    elif node.attribute:
        attribute = rng.choice(node.attribute)
        number = rng.choice([0, 1, -1, 2, 7, 1 << 40, -(1 << 62)])
        if attribute.ints:
            attribute.ints[rng.randrange(len(attribute.ints))] = number
        elif attribute.floats:
            attribute.floats[0] = rng.choice([0.0, float("nan"), float("inf"), -1.0])
        elif attribute.strings:
            attribute.strings[0] = rng.choice([b"Relu", b"", b"\xff", b"Affine"])
        elif rng.random() < 0.3:
            attribute.type = rng.randrange(15)
        else:
            attribute.i, attribute.s = number, rng.choice([b"reverse", b"x", b"bidirectional"])


def _damage_tensor(tensor, rng, damaged_bytes):
    how = rng.random()
    if how < 0.3 and tensor.dims:
        place = rng.randrange(len(tensor.dims))
        tensor.dims[place] = rng.choice([0, 1, -1, 5, 1 << 30, 1 << 62])
    elif how < 0.4:
        tensor.dims.append(rng.choice([0, 1, 2, 1 << 33]))
    elif how < 0.5:
        tensor.data_type = rng.randrange(24)
    elif how < 0.6:
        tensor.data_location = 1
        tensor.external_data.add(
            key="location", value=rng.choice(["../x", "good.npz", "/etc/passwd"])
        )
        tensor.external_data.add(key="offset", value=rng.choice(["-1", "x", "0", "9" * 30]))
    elif how < 0.7:
        tensor.name = rng.choice(["", "x", "y"])
    elif tensor.raw_data:
        tensor.raw_data = damaged_bytes(tensor.raw_data, rng)


def _damage_port(port, rng):
    shape = port.type.tensor_type.shape
    how = rng.random()
    if how < 0.5 and shape.dim:
        rng.choice(shape.dim).dim_value = rng.choice([0, 1, 2, 3, 1 << 20, 1 << 40, -5])
    elif how < 0.7:
        shape.dim.add().dim_param = "more"
    elif how < 0.8:
        port.type.tensor_type.ClearField("shape")
    else:
        port.type.tensor_type.elem_type = rng.randrange(24)
