#!/usr/bin/env bash
# One training on 4 machines, a rank on each 4 cores: sbatch examples/cluster/slurm.sh
#SBATCH --job-name=rnn_engine
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=4
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --kill-on-invalid-dep=yes
set -euo pipefail

# The environment with rnn_engine[mpi], on a file system that all machines see.
source "${VENV:-$HOME/rnn_engine-venv}/bin/activate"

# Kernels are compiled once a machine: homes may be slow, shared or read-only.
export RNN_ENGINE_CACHE_DIR="${SLURM_TMPDIR:-/tmp}/rnn_engine-$USER"
export RNN_ENGINE_NUM_THREADS="$SLURM_CPUS_PER_TASK"
srun --ntasks-per-node=1 python -m rnn_engine warmup

# mpirun of the environment starts its ranks through Slurm, and ends all of them if one dies. A
# job that is requeued goes on from the last backup, also on another number of machines.
mpirun -n "$SLURM_NTASKS" --map-by "ppr:8:node:pe=$SLURM_CPUS_PER_TASK" \
    python -m mpi4py examples/cluster/train.py --data "$DATA" --backup "$SCRATCH/backup"
