"""What programs ask of TensorFlow around a model."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import rnn_engine as ours

NAMES = """
config.list_physical_devices config.list_logical_devices config.set_visible_devices
config.get_visible_devices config.run_functions_eagerly config.functions_run_eagerly
config.set_soft_device_placement config.experimental.list_physical_devices
config.experimental.set_memory_growth config.experimental.enable_op_determinism
config.threading.set_intra_op_parallelism_threads
config.threading.get_intra_op_parallelism_threads
config.threading.set_inter_op_parallelism_threads config.optimizer.set_jit
config.set_logical_device_configuration config.LogicalDeviceConfiguration config.PhysicalDevice
device distribute.MirroredStrategy distribute.OneDeviceStrategy distribute.get_strategy
executing_eagerly get_logger autograph.set_verbosity autograph.experimental.do_not_convert
test.is_gpu_available test.gpu_device_name test.is_built_with_cuda sysconfig.get_build_info
compat.v1.set_random_seed compat.v1.disable_v2_behavior compat.v1.disable_eager_execution
compat.v1.enable_eager_execution compat.v1.logging.set_verbosity compat.v1.logging.ERROR
compat.v2.random.set_seed random.set_seed random.normal random.uniform random.truncated_normal
random.shuffle random.categorical data.Dataset data.AUTOTUNE data.INFINITE_CARDINALITY
TensorSpec
"""


@pytest.mark.parametrize("name", NAMES.split())
def test_names_that_tensorflow_has(name: str) -> None:
    mine, theirs = ours, tf
    for part in name.split("."):
        mine, theirs = getattr(mine, part), getattr(theirs, part)
    assert callable(mine) == callable(theirs)


def test_devices() -> None:
    assert [d.device_type for d in ours.config.list_physical_devices()] == ["CPU"]
    assert ours.config.list_physical_devices("CPU")[0].name == "/physical_device:CPU:0"
    assert ours.config.list_physical_devices("GPU") == []
    assert ours.config.experimental.list_physical_devices("TPU") == []
    assert not ours.test.is_gpu_available()
    for gpu in ours.config.list_physical_devices("GPU"):
        ours.config.experimental.set_memory_growth(gpu, True)
    with ours.device("/GPU:0"):
        strategy = ours.distribute.MirroredStrategy()
    with strategy.scope():
        assert strategy.num_replicas_in_sync == 1
        assert strategy.run(lambda a, b: a + b, (1,), {"b": 2}) == 3


def test_threads() -> None:
    before = ours.get_num_threads()
    try:
        ours.config.threading.set_intra_op_parallelism_threads(1)
        assert (
            ours.get_num_threads() == 1 == ours.config.threading.get_intra_op_parallelism_threads()
        )
        ours.config.threading.set_intra_op_parallelism_threads(0)
        assert ours.get_num_threads() == 1
    finally:
        ours.set_num_threads(before)
    ours.config.threading.set_inter_op_parallelism_threads(2)


def test_logging() -> None:
    logger = ours.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    ours.compat.v1.logging.set_verbosity(ours.compat.v1.logging.WARN)
    assert logger.level == 30 == ours.compat.v1.logging.get_verbosity()
    logger.setLevel(level)

    @ours.autograph.experimental.do_not_convert
    def same(x: Any) -> Any:
        return x

    assert same(3) == 3


@pytest.mark.parametrize("seed", [0, 42, -1, 2**40])
@pytest.mark.parametrize("name", ["random.set_seed", "compat.v1.set_random_seed"])
def test_seeds(seed: int, name: str) -> None:
    set_seed: Any = ours
    for part in name.split("."):
        set_seed = getattr(set_seed, part)

    def drawn() -> np.ndarray:
        set_seed(seed)
        return np.concatenate(
            [ours.random.normal((3,)), ours.initializers.GlorotUniform()((1, 3))[0]]
        )

    np.testing.assert_array_equal(drawn(), drawn())
    with pytest.raises(ValueError, match="seed"):
        set_seed("a")


def test_numbers() -> None:
    whole = ours.random.uniform((1000,), 0, 5, dtype="int32", seed=1)
    assert whole.dtype == np.int32
    assert set(whole.tolist()) == {0, 1, 2, 3, 4}
    count = 200_000
    for numbers, mean, spread in (
        (ours.random.gamma((count,), 3.0, seed=1), 3.0, 3.0),
        (ours.random.beta((count,), 2.0, 6.0, seed=2), 0.25, 1 / 48),
        (ours.random.binomial((count,), 10, 0.3, seed=3), 3.0, 2.1),
    ):
        assert numbers.dtype == np.float32
        assert abs(numbers.mean(dtype="f8") - mean) < 5 * (spread / count) ** 0.5
        assert abs(numbers.var(dtype="f8") - spread) < 0.05 * spread
    x = np.full((count // 100, 100), 3, "f4")
    dropped = ours.random.dropout(x, 0.25, noise_shape=(None, 1), seed=4)
    assert (dropped == dropped[:, :1]).all()
    assert {*np.unique(dropped)} == {0, 4}
    assert abs((dropped[:, 0] == 0).mean() - 0.25) < 0.05
    assert (ours.random.dropout(x, 1.0) == 0).all()


def test_settings() -> None:
    config = ours.config
    config.set_image_data_format("channels_last")
    with pytest.raises(ValueError, match="data_format"):
        config.set_image_data_format("channels_first")
    assert config.is_traceback_filtering_enabled()
    config.disable_traceback_filtering()
    assert not config.is_traceback_filtering_enabled()
    config.enable_traceback_filtering()


def test_none_of_it_is_loaded_before_it_is_asked_for() -> None:
    code = (
        "import sys, rnn_engine as k; names = set(dir(k));"
        "assert not {'datasets', 'data', 'compat', 'device'} & names, names;"
        "late = 'environment compat data datasets utils.download preprocessing.text lazy'.split();"
        "print(*[n for n in late if f'rnn_engine.{n}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["lazy"]


def test_modules_under_keras_are_the_same_ones() -> None:
    code = (
        "from rnn_engine.keras.datasets import imdb; from rnn_engine.keras.utils import get_file;"
        "from rnn_engine.keras.preprocessing.text import Tokenizer;"
        "import rnn_engine.keras.utils.plotting;"
        "import rnn_engine.datasets.imdb, rnn_engine.preprocessing.text, sys;"
        "assert rnn_engine.datasets.imdb is imdb;"
        "assert rnn_engine.preprocessing.text.Tokenizer is Tokenizer;"
        "assert imdb.__spec__.name == 'rnn_engine.datasets.imdb' == imdb.__name__;"
        "import importlib.util as u; assert u.find_spec('rnn_engine.keras.nothing') is None"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
