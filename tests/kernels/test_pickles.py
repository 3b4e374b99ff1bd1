"""Kernels in pickles go by their name, compiled or of the library."""

import copy
import pickle

import numpy as np
import pytest

from rnn_engine.kernels import gather, optimizers
from rnn_engine.kernels.compiler import LIBRARY
from tests.kernels import process


@pytest.mark.parametrize("kernel", [optimizers.adam, gather.gather_time_major])
def test_a_kernel_comes_back(kernel):
    assert copy.deepcopy(kernel) is kernel
    again = pickle.loads(pickle.dumps(kernel))
    assert again is kernel or LIBRARY is None


@pytest.mark.skipif(LIBRARY is None, reason="there is no library of kernels")
def test_one_of_the_library_comes_to_a_process_that_compiles():
    text = pickle.dumps(optimizers.sum_of_squares)
    code = f"import pickle, numpy as np; print(pickle.loads({text!r})(np.full(4, 3.0)))"
    assert process.run(code, RNN_ENGINE_KERNELS="jit") == "36.0\n"
    assert optimizers.sum_of_squares(np.full(4, 3.0)) == 36
