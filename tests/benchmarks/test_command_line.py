"""The command line, the table of peers, and failures of a side."""

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import machine, peers
from benchmarks import run as program
from benchmarks.results import to_json
from benchmarks.worker import Failed, Guarded

ROOT = Path(__file__).resolve().parents[2]


def test_list(capsys):
    assert program.main(["--list", "--cases", "fit/*,7x3x2x9", "--dtype", "float64"]) == 0
    names = capsys.readouterr().out.split()
    assert "fit/32x50x8x32/float64" in names
    assert names[-2:] == ["forward/7x3x2x9/float64", "gradients/7x3x2x9/float64"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cases", "nothing"], "--cases: 'nothing'"),
        (["--peers", "nobody"], "--peers: 'nobody'"),
        (["--threads", "0"], "above zero"),
        (["--threads", "99999"], "may use"),
        (["--dtype", "float16"], "float16"),
        (["--rounds", "many"], "many"),
    ],
)
def test_bad_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        program.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_report_on_an_earlier_run(run, tmp_path, capsys):
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps(to_json(run)), encoding="utf-8")
    # One side of it disagreed, which the status says.
    assert program.main(["--again", str(earlier), "--out", str(tmp_path / "out")]) == 1
    assert "2026-01-02" in capsys.readouterr().out
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"benchmark.json", "benchmark.md"} <= written
    data = (tmp_path / "out/benchmark.json").read_text(encoding="utf-8")
    assert json.loads(data) == json.loads(earlier.read_text(encoding="utf-8"))


def test_runs_as_a_script():
    done = subprocess.run(
        [sys.executable, "benchmarks/run.py", "--list", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cold_start" in done.stdout.split()


def test_choose_peers():
    assert peers.choose(None) == [key for key in peers.PEERS if key != peers.JIT]
    assert peers.choose(peers.JIT) == [peers.ENGINE, peers.JIT]
    assert peers.choose("jax, torch") == ["engine", "jax", "torch"]
    assert peers.choose("engine") == ["engine"]
    with pytest.raises(ValueError, match="nobody"):
        peers.choose("jax,nobody")


def test_every_peer_has_an_adapter():
    for peer in peers.PEERS.values():
        assert importlib.util.find_spec(f"benchmarks.peers.{peer.module}") is not None
    assert len({peer.color for peer in peers.PEERS.values()}) == len(peers.PEERS)


def test_cores():
    cores = machine.available_cores()
    assert machine.choose_cores(len(cores)) == cores
    assert len(machine.choose_cores(1)) == 1
    assert set(machine.choose_cores(1)) <= set(cores)


def test_environment_names_no_host():
    import platform

    told = machine.describe(1, [0])
    assert set(told) >= {"date", "cpu", "threads", "cores", "caches", "python"}
    assert "node" not in told
    assert platform.node() not in [str(value) for value in told.values()]


def test_a_failing_side_fails_alone():
    calls = []

    def block(seconds):
        calls.append(seconds)
        raise Failed("gone")

    guarded = Guarded(block)
    assert guarded(1.0) == math.inf
    assert guarded(1.0) == math.inf
    assert calls == [1.0]
    assert guarded.reason == "gone"
