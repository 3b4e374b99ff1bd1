"""The recipes for containers, Slurm and Kubernetes: their syntax, and the program they run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.distributed.launch import ROOT, environment

CLUSTER = ROOT / "examples" / "cluster"


def test_the_script_for_slurm_is_bash() -> None:
    path = CLUSTER / "slurm.sh"
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    options = re.findall(r"^#SBATCH --([a-z-]+)", path.read_text(), flags=re.MULTILINE)
    assert {"nodes", "ntasks-per-node", "cpus-per-task", "time"} <= set(options)
    # Slurm stops reading them at the first command.
    assert "#SBATCH" not in path.read_text().partition("set -euo")[2]


def test_the_job_for_kubernetes_is_one() -> None:
    (job,) = yaml.safe_load_all((CLUSTER / "kubernetes.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v2beta1", "MPIJob")
    roles = job["spec"]["mpiReplicaSpecs"]
    launcher, worker = (
        roles[name]["template"]["spec"]["containers"][0] for name in ("Launcher", "Worker")
    )
    ranks = int(launcher["command"][launcher["command"].index("-n") + 1])
    assert ranks == roles["Worker"]["replicas"] * job["spec"]["slotsPerWorker"]
    assert worker["resources"]["limits"] == worker["resources"]["requests"]
    mounted = {mount["name"] for mount in worker["volumeMounts"]}
    there = {volume["name"] for volume in roles["Worker"]["template"]["spec"]["volumes"]}
    assert mounted == there


INSTRUCTIONS = ["FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "CMD"]


def test_the_recipe_of_the_image_copies_what_is_there() -> None:
    text = (CLUSTER / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(line.split()[0] in INSTRUCTIONS for line in lines)
    assert lines[0].startswith("FROM ")
    for line in lines:
        if line.startswith("COPY "):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
    order = [i for i, line in enumerate(lines) if "warmup" in line or line.startswith("USER")]
    assert len(order) == 2
    assert "warmup" in lines[order[1]]  # by the user that runs it, whose cache it is


def test_the_program_trains_alone_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("mpi4py")
    command = [sys.executable, str(CLUSTER / "train.py"), "--epochs", "3"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, last = map(float, re.findall(r"\d+\.\d+", done.stdout))
    assert last < 0.9 * first
    assert (tmp_path / "model.npz").exists()
    assert not (tmp_path / "backup").exists()
