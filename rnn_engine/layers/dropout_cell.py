"""`DropoutCell`: a cell that drops inputs and states, the same ones at every step."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.checks import fraction
from rnn_engine.layers.cell import RNNCell
from rnn_engine.layers.dropout_mask import dropout_mask
from rnn_engine.random import check_seed, make_generator


@dataclass(slots=True)
class Factors:
    """What dropout multiplies inputs and states by, drawn once a batch; None where it does not.

    Attributes
    ----------
    x : (1, B, F), or (gates, B, F)
    h : (1, B, U), or (gates, B, U)
    """

    x: np.ndarray | None = None
    h: np.ndarray | None = None

    def of_inputs(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the factors that all gates share, (B, F), and those of each gate."""
        if self.x is None or len(self.x) > 1:
            return None, self.x
        return self.x[0], None


class DropoutCell(RNNCell):
    """Base of the cells with dropout.

    Factors are drawn once a batch and serve all its steps: `RNN` asks for them with
    `draw_factors`; a cell that is called by itself keeps its own until they are reset, as in
    Keras.

    Parameters
    ----------
    dropout, recurrent_dropout : float
        Share of the inputs, and of the states where they meet the recurrent kernel.
    seed : int, optional
    implementation : int
        Of cells with gates. With 1, each gate has factors of its own; so it has with
        `recurrent_dropout`.

    Attributes
    ----------
    gates : int
    """

    gates = 1
    # The sizes of input and state.
    _features: int
    _units: int

    def __init__(
        self,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        self.dropout = fraction(dropout, "dropout")
        self.recurrent_dropout = fraction(recurrent_dropout, "recurrent_dropout")
        self.seed = check_seed(seed)
        implementation = kwargs.pop("implementation", 2) if self.gates > 1 else 2
        self.implementation = 1 if self.gates > 1 and self.recurrent_dropout else implementation
        super().__init__(**kwargs)
        # The global stream gives a generator only to cells that draw something.
        self._generator = make_generator(seed) if self.dropout or self.recurrent_dropout else None
        self._dropout_mask: Any = None
        self._recurrent_dropout_mask: Any = None

    def drops(self, rate: float) -> bool:
        """Whether dropout of this rate does anything in training.

        Of everything it does nothing in Keras's cells with gates.
        """
        return 0 < rate < 1 or (rate == 1 and self.gates == 1)

    def draw(self, rate: float, shape: Any) -> np.ndarray:
        """Return new factors, (1, B, N), or (gates, B, N) where each gate has its own."""
        if self._generator is None:  # a rate that was set later
            self._generator = make_generator(self.seed)
        count = self.gates if self.implementation == 1 else 1
        masks = [dropout_mask(self._generator, rate, shape, self._np_dtype) for _ in range(count)]
        return masks[0][None] if count == 1 else np.stack(masks)

    def draw_factors(self, batch: int) -> Factors:
        """Return new factors for a batch."""
        found = Factors()
        if self.drops(self.dropout):
            found.x = self.draw(self.dropout, (batch, self._features))
        if self.drops(self.recurrent_dropout):
            found.h = self.draw(self.recurrent_dropout, (batch, self._units))
        return found

    def _form(self, factors: np.ndarray | None) -> Any:
        """Return factors as Keras has them: a list of one a gate, or an array for all."""
        if factors is None:
            return None
        return list(factors) if self.implementation == 1 else factors[0]

    def get_dropout_mask(self, step_input: Any) -> Any:
        """Return the factors of the input, drawn if there are none; None without dropout.

        An array, or a list of one a gate where each has its own.
        """
        if self._dropout_mask is None and self.dropout:
            self._dropout_mask = self.draw(self.dropout, np.shape(step_input))
        return self._form(self._dropout_mask)

    def get_recurrent_dropout_mask(self, step_input: Any) -> Any:
        """Return the factors of the state, drawn if there are none; None without dropout."""
        if self._recurrent_dropout_mask is None and self.recurrent_dropout:
            shape = np.shape(step_input)
            self._recurrent_dropout_mask = self.draw(self.recurrent_dropout, shape)
        return self._form(self._recurrent_dropout_mask)

    def reset_dropout_mask(self) -> None:
        """Forget the factors of the input."""
        self._dropout_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Forget the factors of the state."""
        self._recurrent_dropout_mask = None

    def kept_factors(self, x: np.ndarray, h: np.ndarray) -> Factors:
        """Return the factors that stay from call to call until they are reset.

        Raises
        ------
        ValueError
            If they were drawn for another batch size.
        """
        self.get_dropout_mask(x)
        self.get_recurrent_dropout_mask(h)
        found = Factors(
            self._dropout_mask if self.drops(self.dropout) else None,
            self._recurrent_dropout_mask if self.drops(self.recurrent_dropout) else None,
        )
        for factors, like in ((found.x, x), (found.h, h)):
            if factors is not None and factors.shape[1:] != like.shape:
                raise ValueError(
                    f"Cell {self.name!r} keeps dropout masks of shape {factors.shape[1:]} from "
                    f"the call before, which do not fit {like.shape}: reset_dropout_mask() and "
                    f"reset_recurrent_dropout_mask() let it draw new ones."
                )
        return found
