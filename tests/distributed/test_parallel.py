"""One training over ranks: the bits of one, and what becomes of all when one fails."""

import json
import pickle
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine import callbacks, layers, losses, metrics
from rnn_engine.distributed import DataParallel
from rnn_engine.training.custom import CustomSteps
from tests.distributed.launch import finish, run, start
from tests.distributed.trainings import TRAININGS, bits, train


class Alone:
    """A communicator of one rank, which nobody asks for more."""

    def Get_rank(self) -> int:  # MPI's name
        return 0

    def Get_size(self) -> int:
        return 1


def alone(groups: int | None = 7) -> DataParallel:
    return DataParallel(groups, comm=Alone())


@pytest.fixture(scope="module")
def of_one_rank() -> dict[str, Any]:
    return {name: json.loads(json.dumps(bits(*train(name, alone())))) for name in TRAININGS}


@pytest.mark.parametrize(("ranks", "threads"), [(2, 2), (3, 1), (4, 1), (7, 1)])
def test_the_bits_are_those_of_one_rank(
    of_one_rank: dict[str, Any], ranks: int, threads: int
) -> None:
    found = json.loads(run(ranks, "bits", RNN_ENGINE_NUM_THREADS=str(threads)))
    assert found == of_one_rank


def test_states_that_are_computed_again_change_no_bit(of_one_rank: dict[str, Any]) -> None:
    assert of_one_rank["checkpoints"] == of_one_rank["random"]


@pytest.mark.parametrize("name", [n for n in TRAININGS if n not in ("random", "checkpoints")])
def test_groups_train_as_whole_batches_do(name: str) -> None:
    plain, history = train(name, None)
    for groups in (1, 3, 7):
        model, found = train(name, alone(groups))
        assert set(found) == set(history)
        for key, values in history.items():
            np.testing.assert_allclose(found[key], values, rtol=2e-5, atol=1e-6, err_msg=key)
        for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


def test_one_group_without_random_numbers_has_the_bits_of_fit() -> None:
    for name in ("unpenalized", "dataset", "weighted"):
        plain, parallel = train(name, None)[0], train(name, alone(1))[0]
        for a, b in zip(plain.get_weights(), parallel.get_weights(), strict=True):
            if name == "weighted":  # a penalty comes first in `fit`, and last over ranks
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
            else:
                np.testing.assert_array_equal(a, b)


def test_another_number_of_groups_has_other_bits() -> None:
    """Else the other tests could not tell whether groups are there at all."""
    assert bits(*train("weighted", alone(1)))[0] != bits(*train("weighted", alone(7)))[0]


def test_dropout_differs_between_groups_and_batches() -> None:
    seen: list[np.ndarray] = []

    class Watch(layers.Layer):
        def forward(self, x: Any, training: bool = False, mask: Any = None) -> Any:
            if training:
                seen.append(np.array(x))
            return x, None

        def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
            return dy

    model = rnn_engine.Sequential(
        [layers.Input((50,)), layers.Dropout(0.5), Watch(), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 50)), np.ones(8), batch_size=4, verbose=0, parallel=alone(2))
    assert [len(part) for part in seen] == [2, 2, 2, 2]
    for i, first in enumerate(seen):
        assert set(np.unique(first)) == {0.0, 2.0}
        for second in seen[:i]:
            assert (first != second).any()


def test_a_failure_of_one_rank_ends_all_and_they_can_go_on() -> None:
    told = json.loads(run(3, "fail"))
    assert [said[0] for said in told] == [
        "RankError: Rank 1 of 3 failed: OSError: disk full", "OSError: disk full",
        "RankError: Rank 1 of 3 failed: OSError: disk full",
    ]  # fmt: skip
    assert [said[1].rstrip(": ") for said in told] == [
        "RankError: Rank 1 of 3 failed: KeyboardInterrupt", "KeyboardInterrupt",
        "RankError: Rank 1 of 3 failed: KeyboardInterrupt",
    ]  # fmt: skip
    for said in told:
        assert "The ranks differ in their data or weights at the end of an epoch" in said[2]
        assert "The ranks differ in their data or weights at a training step" in said[3]
        assert said[4] == "2"  # batch 5 of 4 an epoch, on all ranks
    assert len({said[5] for said in told}) == 1


def test_a_killed_rank_loses_nothing(tmp_path: Path) -> None:
    begin = time.monotonic()
    code, out, err = finish(start(3, "go_on", str(tmp_path / "backup"), "1"))
    assert code != 0
    assert "signal 9 (Killed)" in out + err
    assert time.monotonic() - begin < 120  # nobody waits for the dead, on a busy machine either
    assert (tmp_path / "backup").exists()
    found = json.loads(run(2, "go_on", str(tmp_path / "backup"), "none"))
    assert not (tmp_path / "backup").exists()
    model, history = _fit_alone()
    assert found == json.loads(json.dumps(bits(model, history)))
    lines = (tmp_path / "backup.2.none.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["epoch", "1", "2", "3"]  # once, not twice
    weights = model.get_weights()
    model.set_weights([np.zeros_like(weight) for weight in weights])
    model.load_weights(tmp_path / "backup.2.weights.npz")
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def _fit_alone() -> tuple[Any, Any]:
    """Return what the program `go_on` trains, uninterrupted and on one rank."""
    rnn_engine.utils.set_random_seed(1)
    model = rnn_engine.Sequential(
        [layers.Input((6, 3)), layers.LSTM(6, dropout=0.2), layers.Dense(1)]
    )
    model.compile("adam", "mse", metrics=["mae"])
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=shape).astype("float32") for shape in ((40, 6, 3), (40, 1)))
    history = model.fit(x, y, batch_size=10, epochs=4, verbose=0, parallel=alone(4))
    return model, history.history


def test_ctrl_c_of_mpirun_leaves_no_process(tmp_path: Path) -> None:
    process = start(2, "for_ever", str(tmp_path))
    deadline = time.monotonic() + 120
    while len(list(tmp_path.iterdir())) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    code, _, _ = finish(process, 60)
    assert code != 0
    deadline = time.monotonic() + 20
    while [path.name for path in tmp_path.iterdir() if _runs(path.name)]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _runs(pid: str) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


# --- what is refused --------------------------------------------------------------------


def _model(*inner: Any, loss: Any = "mse", **settings: Any) -> Any:
    model = rnn_engine.Sequential([layers.Input((4, 2)), *inner])
    model.compile("sgd", loss, **settings)
    return model


class Own(metrics.Metric):
    def __init__(self) -> None:
        super().__init__(name="own")
        self.rows = self.add_variable((), "zeros", name="rows")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.rows.assign(self.rows.value + len(y_pred))

    def result(self) -> Any:
        return self.rows.value[()]


class Adding(Own):
    adds_up = True


X, Y = np.ones((8, 4, 2), "float32"), np.ones((8, 1), "float32")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: _model(layers.BatchNormalization(), layers.GRU(1)), "mixes the rows"),
        (lambda: _model(layers.GRU(1), metrics=[Own()]), "adds_up = True"),
        (lambda: _model(layers.GRU(1), loss=losses.Dice()), "all rows of a batch at once"),
    ],
)
def test_what_has_no_sum_over_groups_is_refused(make: Any, reason: str) -> None:
    model = make()
    before = model.get_weights()
    with pytest.raises(ValueError, match=reason):
        model.fit(X, Y, verbose=0, parallel=alone())
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"][0])  # not in its way


def test_stateful_layers_and_windows_are_refused() -> None:
    model = rnn_engine.Sequential(
        [layers.Input(batch_shape=(8, 4, 2)), layers.GRU(1, stateful=True)]
    )
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="stateful"):
        model.fit(X, Y, verbose=0, parallel=alone())
    with pytest.raises(ValueError, match="window"):
        model.fit(X, Y, verbose=0, parallel=alone(), window=2)


def test_steps_of_ones_own_are_refused() -> None:
    class Stepping(rnn_engine.Sequential):
        def train_step(self, data: Any) -> dict[str, Any]:
            return CustomSteps.train_step(self, data)  # type: ignore[arg-type]

    model = Stepping([layers.Input((4, 2)), layers.GRU(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="train_step"):
        model.fit(X, Y, verbose=0, parallel=alone())


def test_frozen_batch_normalization_is_taken() -> None:
    frozen = layers.BatchNormalization(trainable=False)
    model = _model(frozen, layers.GRU(1))
    history = model.fit(X, Y, verbose=0, parallel=alone(3))
    plain = _model(layers.BatchNormalization(trainable=False), layers.GRU(1))
    assert len(history.history["loss"]) == 1
    assert plain.count_params() == model.count_params()


def test_a_metric_that_adds_up_counts_every_row_once() -> None:
    model = _model(layers.GRU(1), metrics=[Adding()])
    assert model.fit(X, Y, verbose=0, parallel=alone(3)).history["own"] == [8.0]


@pytest.mark.parametrize("wrong", [True, 3, "mpi"])
def test_parallel_must_be_data_parallel(wrong: Any) -> None:
    with pytest.raises(TypeError, match="parallel must be"):
        _model(layers.GRU(1)).fit(X, Y, verbose=0, parallel=wrong)


@pytest.mark.parametrize("groups", [0, -1, 1.5, True])
def test_groups_must_be_positive(groups: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="groups"):
        DataParallel(groups, comm=Alone())


def test_a_list_of_callbacks_is_wanted() -> None:
    with pytest.raises(ValueError, match="CallbackList"):
        _model(layers.GRU(1)).fit(
            X, Y, verbose=0, parallel=alone(), callbacks=callbacks.CallbackList()
        )


def test_every_metric_of_the_library_adds_up() -> None:
    """What the trainings rely on: the state of two groups is the sum of theirs."""
    rng = np.random.default_rng(0)
    y, pred = (rng.random((12, 3)) > 0.5).astype("float32"), rng.random((12, 3)).astype("float32")
    for name in metrics.__all__:
        cls = getattr(metrics, name)
        if not isinstance(cls, type) or not issubclass(cls, metrics.Metric):
            continue
        for arguments in ({}, {"num_classes": 3}, {"recall": 0.5}, {"precision": 0.5},
                          {"sensitivity": 0.5}, {"specificity": 0.5},
                          {"num_classes": 3, "target_class_ids": [1]}):  # fmt: skip
            try:
                first, second, both = cls(**arguments), cls(**arguments), cls(**arguments)
                first.update_state(y[:5], pred[:5])
                second.update_state(y[5:], pred[5:])
                both.update_state(y, pred)
            except (TypeError, ValueError, IndexError, NotImplementedError):
                continue
            for a, b, c in zip(first.variables, second.variables, both.variables, strict=True):
                total = a.value + b.value
                np.testing.assert_allclose(total, c.value, rtol=1e-6, atol=1e-9, err_msg=name)
            break


class Looks(callbacks.Callback):
    """Evaluates, and copies the model, at the end of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        copy = pickle.loads(pickle.dumps(self.model))
        self.found.append(
            [self.model.evaluate(X, Y, verbose=0), self.model.test_on_batch(X, Y),
             copy.evaluate(X, Y, verbose=0)]
        )  # fmt: skip


def test_callbacks_evaluate_and_copy_the_model_as_ever() -> None:
    found = []
    for parallel in (None, alone(1)):
        rnn_engine.utils.set_random_seed(4)
        looks = Looks()
        _model(layers.GRU(2)).fit(X, Y, epochs=2, verbose=0, parallel=parallel, callbacks=[looks])
        found.append(looks.found)
    assert found[0] == found[1]
    assert found[0][0] != found[0][1]


def test_tensorboard_has_the_report_of_each_epoch_and_only_of_this_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboardX")
    told: list[tuple[str, float, int]] = []
    monkeypatch.setattr(
        "tensorboardX.SummaryWriter.add_scalar", lambda self, *given: told.append(given)
    )
    model = _model(layers.GRU(2))
    options: dict[str, Any] = {"batch_size": 2, "epochs": 2, "verbose": 0}
    model.fit(X, Y, parallel=alone(1), callbacks=[callbacks.TensorBoard(tmp_path)], **options)
    steps = -(-len(X) // 2)
    assert [entry for entry in told if entry[0] == "epoch_parallel_steps"] == [
        ("epoch_parallel_steps", steps, 0), ("epoch_parallel_steps", 2 * steps, 1)
    ]  # fmt: skip
    told.clear()
    model.fit(X, Y, callbacks=[callbacks.TensorBoard(tmp_path)], **options)
    assert told
    assert not [name for name, *_ in told if "parallel" in name]
