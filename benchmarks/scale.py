"""What it costs to go past one process, and past one machine: ``python -m benchmarks.scale``.

Needs the extras ``mpi`` and ``dask``, and joblib. Small by default; ``--sequences 10000000`` and
``--series 10000`` are the large runs of docs/scale.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log2
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent

# batch, steps, features, units, groups: from small steps to those worth dividing.
CASES = ((128, 50, 16, 32, 2), (128, 100, 32, 64, 2), (256, 100, 32, 128, 4))


# --- the model of cost --------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """What the ranks run on: seconds of one message, bytes a second, cores for all ranks."""

    latency: float
    bandwidth: float
    cores: float = float("inf")


COLLECTIVES = 5
"""Exchanges of a step: two meetings, the numbers, the slices there and back."""


def step_time(
    machine: Machine, ranks: int, groups: int, group_seconds: float, fixed: float, weights: int
) -> float:
    """Return the seconds of a step.

    Parameters
    ----------
    group_seconds : float
        Forward and back of one group of rows, on one rank.
    fixed : float
        What every rank does by itself once a step, such as the update.
    weights : int
        Bytes of the gradients.

    Notes
    -----
    ``waves · group + fixed`` of the slowest rank, times ranks/cores where there are fewer cores;
    5 exchanges of log2(ranks) messages each, but the slices, which are ranks - 1 messages; and
    2 · bytes · (1 - 1/ranks) through a rank's connection.
    """
    waves = ceil(groups / ranks)
    share = max(1.0, ranks / machine.cores)
    work = waves * group_seconds * min(share, groups / waves / machine.cores) if share > 1 else (
        waves * group_seconds
    )  # fmt: skip
    if ranks == 1:
        return work + fixed
    messages = (COLLECTIVES - 1) * ceil(log2(ranks)) + ranks - 1
    data = 2 * weights * (1 - 1 / ranks) / machine.bandwidth
    return work + fixed * share + messages * machine.latency + data


# --- one process --------------------------------------------------------------------


def make(steps: int, features: int, units: int) -> Any:
    """Return a compiled LSTM."""
    import rnn_engine

    rnn_engine.utils.set_random_seed(1)
    layers = rnn_engine.layers
    inner = [layers.Input((steps, features)), layers.LSTM(units), layers.Dense(1)]
    model = rnn_engine.Sequential(inner)
    model.compile("adam", "mse")
    return model


def data_for(rows: int, steps: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, steps, features)).astype(np.float32)
    return x, rng.normal(size=(rows, 1)).astype(np.float32)


def best(runs: Sequence[Callable[[], Any]], rounds: int, clock: Callable[[], float]) -> list[float]:
    """Return the shortest time of each run, taken in turns."""
    times = [[] for _ in runs]  # type: list[list[float]]
    for _ in range(rounds):
        for run, found in zip(runs, times, strict=True):
            begin = clock()
            run()
            found.append(clock() - begin)
    return [min(found[1:]) for found in times]


def overhead(rounds: int) -> None:
    """Print what `DataParallel` on one rank takes beside plain `fit`, in processor time."""
    from rnn_engine.distributed import DataParallel

    print("\nDataParallel on one rank beside fit, processor time of a step")
    for batch, steps, features, units, groups in CASES:
        x, y = data_for(8 * batch, steps, features)
        runs = []
        for parallel in (None, DataParallel(groups=1), DataParallel(groups=groups)):
            model = make(steps, features, units)
            settings = {"batch_size": batch, "verbose": 0, "parallel": parallel}
            runs.append(lambda m=model, s=settings, x=x, y=y: m.fit(x, y, **s))
        plain, one, many = best(runs, rounds, time.process_time)
        print(
            f"  {batch:4} x {steps} x {features} x {units}: {plain / 8 * 1e3:7.2f} ms; "
            f"one group {one / plain - 1:+.1%}, {groups} groups {many / plain - 1:+.1%}"
        )


class Echo:
    """A communicator that says that there are so many ranks, and is all of them.

    So the work of one rank can be measured by itself, in processor time, on a busy machine, too:
    what it gets from others is what it sent itself, of the right shape.
    """

    def __init__(self, ranks: int) -> None:
        self.ranks = ranks

    def Get_rank(self) -> int:  # MPI's names
        """Return the first rank."""
        return 0

    def Get_size(self) -> int:
        """Return how many ranks there seem to be."""
        return self.ranks

    def Bcast(self, data: Any, root: int) -> None:
        """Leave the data of the first rank as they are."""

    def Allgather(self, row: Any, rows: Any) -> None:
        """Return the same of all."""
        rows[...] = row

    def Allgatherv(self, part: Any, whole: Any) -> None:
        """Fill the whole with the part again and again."""
        whole[0][...] = np.resize(part, whole[0].shape)

    def Alltoallv(self, send: Any, found: Any) -> None:
        """Return what was sent."""
        found[0][...] = np.resize(send[0], found[0].shape)


def division(rounds: int) -> None:
    """Print the processor time of a rank's part of a step, beside that of one rank alone."""
    from rnn_engine.distributed import DataParallel

    print("\nWork of one of 2 and 4 ranks, processor time of a step; 4 groups a batch")
    for batch, steps, features, units, _ in CASES:
        x, y = data_for(8 * batch, steps, features)
        runs = []
        for count in (1, 2, 4):
            parallel = DataParallel(groups=4, comm=Echo(count))
            settings = {"batch_size": batch, "verbose": 0, "parallel": parallel}
            model = make(steps, features, units)
            runs.append(lambda m=model, s=settings, x=x, y=y: m.fit(x, y, **s))
        one, two, four = (t / 8 for t in best(runs, rounds, time.process_time))
        print(
            f"  {batch:4} x {steps} x {features} x {units}: {one * 1e3:7.2f} ms; of 2 ranks "
            f"{two * 1e3:.2f} ({one / two / 2:.0%}), of 4 {four * 1e3:.2f} ({one / four / 4:.0%})"
        )


# --- ranks --------------------------------------------------------------------------


def as_rank(rounds: int) -> None:
    """Measure in one of several ranks, and print JSON from the first one."""
    from rnn_engine.distributed import DataParallel
    from rnn_engine.distributed.peers import HOOKS, Peers, world

    comm = world()
    peers = Peers(comm)
    found: dict[str, Any] = {"ranks": peers.size, "cases": []}
    found["meeting"] = best([lambda: peers.meet(HOOKS)], 300, time.perf_counter)[0]
    part = np.zeros(1_000_000 // peers.size, np.float32)
    counts, whole = [part.size] * peers.size, np.zeros(part.size * peers.size, np.float32)
    if peers.size > 1:
        run = [
            lambda: peers.spread(peers.exchange(whole, counts, counts)[: part.size], counts, whole)
        ]
        found["reduce_4_MB"] = best(run, 20, time.perf_counter)[0]
    for batch, steps, features, units, _ in CASES:
        x, y = data_for(batch, steps, features)
        model = make(steps, features, units)
        times = []
        for _ in range(5 * rounds):
            comm.Barrier()
            history = model.fit(
                x, y, batch_size=batch, epochs=1, verbose=0, parallel=DataParallel(groups=4)
            )
            times.append(history.parallel)
        report = min(times[1:], key=lambda entry: entry["seconds_per_step"])
        size = sum(weight.nbytes for weight in model.get_weights())
        found["cases"].append({**report, "weights": size})
    if peers.rank == 0:
        print("RESULT" + json.dumps(found))


def run_ranks(ranks: int, rounds: int) -> dict[str, Any]:
    """Return what `as_rank` measures on so many ranks."""
    beside = Path(sys.executable).parent / "mpirun"
    mpirun = str(beside) if beside.exists() else shutil.which("mpirun")
    if mpirun is None:
        raise SystemExit("There is no mpirun: pip install 'rnn_engine[mpi]'.")
    command = [mpirun, "--oversubscribe", "-n", str(ranks), sys.executable, "-m", "mpi4py"]
    root = ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"]
    root += ["PRTE_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM"]
    environment = {**os.environ, **dict.fromkeys(root, "1"), "RNN_ENGINE_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "-m", "benchmarks.scale", "--as-rank", "--rounds", str(rounds)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
    if line is None:
        raise SystemExit(f"The ranks ended without a result:\n{done.stdout}\n{done.stderr}")
    return dict(json.loads(line.removeprefix("RESULT")))


def ranks(rounds: int) -> None:
    """Print step times on 1, 2 and 4 ranks, beside the model of cost."""
    from rnn_engine.kernels.cores import available_cores

    found = {count: run_ranks(count, rounds) for count in (1, 2, 4)}
    cores = available_cores()
    print(f"\n1, 2 and 4 ranks on {cores} cores, one thread each, 4 groups a batch")
    for count in (2, 4):
        meeting, reduce = found[count]["meeting"], found[count]["reduce_4_MB"]
        print(f"  {count} ranks: meeting {meeting * 1e6:.0f} us, sum of 4 MB {reduce * 1e3:.2f} ms")
    for i, (batch, steps, features, units, _) in enumerate(CASES):
        alone = found[1]["cases"][i]
        group = alone["seconds_per_step"] / 4
        print(f"  {batch} x {steps} x {features} x {units}, {alone['weights'] / 1e3:.0f} kB:")
        for count in (1, 2, 4):
            report = found[count]["cases"][i]
            seconds, text = report["seconds_per_step"], ""
            if count > 1:
                latency = found[count]["meeting"] / ceil(log2(count))
                bandwidth = 2 * 4e6 * (1 - 1 / count) / found[count]["reduce_4_MB"]
                machine = Machine(latency, bandwidth, cores)
                modelled = step_time(machine, count, 4, group, 0.0, alone["weights"])
                efficiency = alone["seconds_per_step"] / seconds / min(count, cores)
                text = f", modelled {modelled * 1e3:.2f}; efficiency {efficiency:.0%}"
            print(
                f"    {count} ranks {seconds * 1e3:7.2f} ms, in MPI "
                f"{report['seconds_in_mpi_per_step'] * 1e3:.2f}, "
                f"{report['bytes_sent_per_step'] / 1e3:.0f} kB sent{text}"
            )


def plan() -> None:
    """Print what the model of cost says of clusters."""
    ether, infini = Machine(20e-6, 1.2e9), Machine(2e-6, 12e9)
    print("\nModelled: groups of 64 rows x 100 steps, one a rank, one core a rank")
    print("  units   kB     group   | efficiency: 10 Gbit Ethernet        | InfiniBand")
    print("                         |    8       64      512 ranks        |    8       64      512")
    for units in (32, 64, 128, 256, 512):
        weights = 4 * (4 * units * (32 + units + 1) + units + 1)
        work = 6 * 64 * 100 * 4 * units * (32 + units)
        group = work / 100e9  # a core of this engine at 100 GFLOP/s
        cells = [
            f"{group / step_time(machine, count, count, group, 0.0, weights):7.0%}"
            for machine in (ether, infini)
            for count in (8, 64, 512)
        ]
        print(f"  {units:5} {weights / 1e3:6.0f} {group * 1e3:7.2f} ms |"
              f" {' '.join(cells[:3])}            | {' '.join(cells[3:])}")  # fmt: skip


# --- workers ------------------------------------------------------------------------


def scoring(sequences: int) -> None:
    """Print the rate of scoring over Dask's workers, and lose one on the way."""
    import dask.array as da
    from dask.distributed import Client, LocalCluster

    import rnn_engine
    from rnn_engine.distributed import predict

    layers = rnn_engine.layers
    inner = [layers.Input((16, 2)), layers.GRU(16), layers.Dense(1)]
    model = rnn_engine.Sequential(inner)
    chunk = min(100_000, max(1000, sequences // 20))
    print(f"\nScoring {sequences:,} sequences of 16 x 2 with a GRU of 16 units, Dask")
    for workers in (1, 2):
        cluster = LocalCluster(
            n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None,
            memory_limit="1GiB",
        )  # fmt: skip
        with cluster, Client(cluster) as client:
            x = da.random.default_rng(1).normal(size=(sequences, 16, 2), chunks=(chunk, 16, 2))
            y = predict(model, x.astype(np.float32))
            predict(model, da.zeros((1000, 16, 2), dtype=np.float32)).compute()
            begin = time.perf_counter()
            future = client.compute(y.sum(dtype=np.float64))
            lost = ""
            if workers == 2:
                time.sleep(1.0)
                pid = next(iter(client.run(os.getpid).values()))
                os.kill(pid, 9)
                lost = ", one worker killed on the way"
            total = future.result()
            seconds = time.perf_counter() - begin
        print(f"  {workers} workers: {sequences / seconds:,.0f} a second, sum {total!r}{lost}")


def train_series(number: int) -> float:
    """Train one small model on one series; runs in a worker."""
    import rnn_engine

    rng = np.random.default_rng(number)
    series = np.cumsum(rng.normal(size=80)).astype(np.float32)
    x = np.stack([series[i : i + 8] for i in range(64)])[..., None]
    rnn_engine.utils.set_random_seed(number)
    layers = rnn_engine.layers
    model = rnn_engine.Sequential([layers.Input((8, 1)), layers.GRU(4), layers.Dense(1)])
    model.compile("adam", "mse")
    history = model.fit(x, series[8:72], batch_size=32, epochs=3, verbose=0)
    return float(history.history["loss"][-1])


def series(count: int) -> None:
    """Print the rate of training many models with joblib."""
    import joblib

    print(f"\n{count:,} series, a GRU of 4 units each, joblib (loky)")
    rates = {}
    for jobs in (1, 2):
        with joblib.Parallel(n_jobs=jobs, batch_size="auto") as run:
            run(joblib.delayed(train_series)(i) for i in range(2 * jobs))
            begin = time.perf_counter()
            losses = run(joblib.delayed(train_series)(i) for i in range(count))
            rates[jobs] = count / (time.perf_counter() - begin)
        print(f"  {jobs} workers: {rates[jobs]:.1f} models a second, sum {sum(losses)!r}")
    print(f"  efficiency of 2 workers: {rates[2] / rates[1] / 2:.0%}")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=200_000, help="to score (0: none)")
    parser.add_argument("--series", type=int, default=60, help="to train models on (0: none)")
    parser.add_argument("--rounds", type=int, default=6, help="runs of which the best counts")
    parser.add_argument("--as-rank", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("RNN_ENGINE_NUM_THREADS", "1")
    if arguments.as_rank:
        as_rank(arguments.rounds)
        return
    if arguments.rounds > 1:
        overhead(arguments.rounds)
        division(arguments.rounds)
        ranks(arguments.rounds)
    plan()
    if arguments.sequences:
        scoring(arguments.sequences)
    if arguments.series:
        series(arguments.series)


if __name__ == "__main__":
    main()
