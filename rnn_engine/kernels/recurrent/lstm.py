"""Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates).

    i, f, o = gate(z_i), gate(z_f), gate(z_o)    g = act(z_g)    z = x·W + b + h·R
    c' = f ⊙ c + i ⊙ g
    h' = o ⊙ act(c')

    dc' += dh' ⊙ o ⊙ act'(c')    dc = dc' ⊙ f
    di = dc' ⊙ g    df = dc' ⊙ c    dg = dc' ⊙ i    do = dh' ⊙ act(c')

Gates in Keras's order i, f, g, o. act(c') is computed again going back: 13 cycles against
four bytes a unit and step.
"""

from collections.abc import Sequence

from rnn_engine.kernels.recurrent.cells import Activation, Back, Cell, Here, Made, Stage
from rnn_engine.kernels.vector import Vector, fma


def _step(activations: Sequence[Activation], at: Here) -> Made:
    act, gate = activations
    z = [at.z[k] for k in range(4)]
    i, f, g, o = gate(z[0]), gate(z[1]), act(z[2]), gate(z[3])
    states = _states(act, i, f, g, o, at.before[1])
    kept = {0: gate.keep(z[0], i), 1: gate.keep(z[1], f), 2: act.keep(z[2], g)}
    return Made(states, {**kept, 3: gate.keep(z[3], o)})


def _states(
    act: Activation, i: Vector, f: Vector, g: Vector, o: Vector, before: Vector
) -> dict[int, Vector]:
    c = fma(f, before, i * g)
    return {0: o * act(c), 1: c}


def _restore(activations: Sequence[Activation], at: Here) -> Made:
    act, gate = activations
    i, f, g, o = (use.restore(at.kept[k])[0] for k, use in enumerate((gate, gate, act, gate)))
    return Made(_states(act, i, f, g, o, at.before[1]))


def _back(activations: Sequence[Activation], at: Here) -> Back:
    act, gate = activations
    i, i_slope = gate.restore(at.kept[0])
    f, f_slope = gate.restore(at.kept[1])
    g, g_slope = act.restore(at.kept[2])
    o, o_slope = gate.restore(at.kept[3])
    y, slope = act.at(at.after[1])
    dh = at.d[0]
    dc = fma(dh * o, slope, at.d[1])
    dz = {
        0: dc * g * i_slope,
        1: dc * at.before[1] * f_slope,
        2: dc * i * g_slope,
        3: dh * y * o_slope,
    }
    return Back(dz, {1: dc * f})


CELL = Cell(
    "lstm",
    states=2,
    stages=(Stage(4, _step, _back),),
    keeps=lambda activations: 4,
    restore=_restore,
)
