"""The plain recurrence.

h' = act(x·W + b + h·R)
dz = dh' ⊙ act'(z)
"""

from collections.abc import Sequence

from rnn_engine.kernels.recurrent.cells import Activation, Back, Cell, Here, Made, Stage


def _step(activations: Sequence[Activation], at: Here) -> Made:
    (act,) = activations
    h = act(at.z[0])
    return Made({0: h}, {0: act.keep(at.z[0], h)} if act.from_input else {})


def _back(activations: Sequence[Activation], at: Here) -> Back:
    (act,) = activations
    _, slope = act.restore((at.kept if act.from_input else at.after)[0])
    return Back({0: at.d[0] * slope})


CELL = Cell(
    "simple_rnn",
    states=1,
    stages=(Stage(1, _step, _back),),
    keeps=lambda activations: int(activations[0].from_input),
)
