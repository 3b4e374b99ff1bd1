"""A module of PyTorch that runs others in a row; imported when one is asked for."""

from collections import OrderedDict
from typing import Any

import torch

nn: Any = torch.nn
DTYPES = {False: torch.float32, True: torch.float64}
"""Of single and of double precision."""


class Chain(torch.nn.Sequential):
    """`torch.nn.Sequential`, with what goes on after a recurrent module, and in which axes.

    Parameters
    ----------
    modules : dict
        From names to modules.
    how : dict
        For each name what is done: ``"plain"`` calls the module; ``"sequences"`` passes on the
        output of a recurrent one, ``"last"`` its last state, that of both directions side by
        side; ``"channels"`` calls it between exchanged axes 1 and 2, ``"turn"`` exchanges them.
    """

    def __init__(self, modules: dict[str, Any], how: dict[str, str]) -> None:
        super().__init__(OrderedDict(modules))
        self.how = dict(how)

    def forward(self, x: Any) -> Any:
        """Return the output for a batch, batch first."""
        for name, module in self.named_children():
            how = self.how[name]
            if how == "turn":
                x = x.transpose(1, 2)
            elif how == "channels":
                x = module(x.transpose(1, 2)).transpose(1, 2)
            elif how == "plain":
                x = module(x)
            else:
                output, state = module(x)
                last = state[0] if isinstance(state, tuple) else state
                ways = 2 if module.bidirectional else 1
                x = output if how == "sequences" else torch.cat(tuple(last[-ways:]), -1)
        return x


def filled(modules: dict[str, Any], how: dict[str, str], arrays: dict[str, Any]) -> Chain:
    """Return modules in a row, for prediction, with weights that are arrays of NumPy."""
    chain = Chain(modules, how)
    chain.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
    return chain.eval()
