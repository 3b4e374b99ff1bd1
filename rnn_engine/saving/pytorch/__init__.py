"""PyTorch's modules and their weights, both ways.

What both sides know is a `Part` (`part`): one module of `torch.nn`, its settings and its
arrays. Parts are read from modules (`modules`), from names and shapes (`naming`) and from
files (`pickles`, and the reader of ``.safetensors``); `to_layers` and `to_parts` translate
between them and layers. Only `chain`, a module of PyTorch, needs PyTorch.
"""
