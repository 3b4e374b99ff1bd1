"""Gated recurrent units (Cho et al. 2014): the reset gate after the product, or before it.

    z, r = gate(z_z), gate(z_r)        z_g = x·W_g + b_g + h·R_g
    after:   n = act(m + r ⊙ q)        m = x·W_n + b_n,  q = h·R_n + b'_n
    before:  n = act(x·W_n + b_n + a·R_n)                a = r ⊙ h
    h' = z ⊙ h + (1 - z) ⊙ n

    dn = dh' ⊙ (1 - z) ⊙ act'    dz = dh' ⊙ (h - n) ⊙ gate'    dh = dh' ⊙ z + ...
    after:   dq = dn ⊙ r         dr = dn ⊙ q ⊙ gate'
    before:  da = dn·R_nᵀ        dr = da ⊙ h ⊙ gate'           dh += da ⊙ r

Gates in Keras's order z, r, n. With the reset after, every gate has two biases, and dz a fourth
column, dq.
"""

from collections.abc import Sequence

from rnn_engine.kernels.recurrent.cells import Activation, Back, Cell, Here, Made, Stage
from rnn_engine.kernels.vector import Vector, fma


def _step_after(activations: Sequence[Activation], at: Here) -> Made:
    act, gate = activations
    z_r, z_z = at.z[1] + at.zh[1], at.z[0] + at.zh[0]
    r, z = gate(z_r), gate(z_z)
    z_n = fma(r, at.zh[2], at.z[2])
    n = act(z_n)
    kept = {0: gate.keep(z_z, z), 1: gate.keep(z_r, r), 2: act.keep(z_n, n), 3: at.zh[2]}
    return Made({0: _output(z, n, at.before[0])}, kept)


def _output(z: Vector, n: Vector, before: Vector) -> Vector:
    return fma(z, before - n, n)


def _restore_after(activations: Sequence[Activation], at: Here) -> Made:
    act, gate = activations
    z, n = gate.restore(at.kept[0])[0], act.restore(at.kept[2])[0]
    return Made({0: _output(z, n, at.before[0])})


def _back_after(activations: Sequence[Activation], at: Here) -> Back:
    act, gate = activations
    z, z_slope = gate.restore(at.kept[0])
    r, r_slope = gate.restore(at.kept[1])
    n, n_slope = act.restore(at.kept[2])
    d = at.d[0]
    dn = fma(-d, z, d) * n_slope
    dz = {0: d * (at.before[0] - n) * z_slope, 1: dn * at.kept[3] * r_slope, 2: dn, 3: dn * r}
    return Back(dz, {0: d * z})


def _gates(activations: Sequence[Activation], at: Here) -> Made:
    _, gate = activations
    z, r = gate(at.z[0]), gate(at.z[1])
    kept = {0: gate.keep(at.z[0], z), 1: gate.keep(at.z[1], r)}
    return Made({}, kept, operand=r * at.before[0])


def _candidate(activations: Sequence[Activation], at: Here) -> Made:
    act, gate = activations
    z, _ = gate.restore(at.kept[0])
    n = act(at.z[0])
    return Made({0: _output(z, n, at.before[0])}, {2: act.keep(at.z[0], n)})


def _restore_before(activations: Sequence[Activation], at: Here) -> Made:
    r = activations[1].restore(at.kept[1])[0]
    return Made(_restore_after(activations, at).states, operand=r * at.before[0])


def _candidate_back(activations: Sequence[Activation], at: Here) -> Back:
    act, gate = activations
    z, z_slope = gate.restore(at.kept[0])
    n, n_slope = act.restore(at.kept[2])
    d = at.d[0]
    dz = {0: d * (at.before[0] - n) * z_slope, 2: fma(-d, z, d) * n_slope}
    return Back(dz, {0: d * z})


def _gates_back(activations: Sequence[Activation], at: Here) -> Back:
    _, gate = activations
    r, r_slope = gate.restore(at.kept[1])
    da = at.d[0]
    return Back({1: da * at.before[0] * r_slope}, {0: da * r})


RESET_AFTER = Cell(
    "gru",
    states=1,
    stages=(Stage(3, _step_after, _back_after, apart=True, slots=(0, 1, 3)),),
    keeps=lambda activations: 4,
    restore=_restore_after,
    carries=True,
    slots=4,
)
RESET_BEFORE = Cell(
    "gru_reset_before",
    states=1,
    stages=(Stage(2, _gates, _gates_back), Stage(1, _candidate, _candidate_back, own=True)),
    keeps=lambda activations: 3,
    restore=_restore_before,
    carries=True,
)
