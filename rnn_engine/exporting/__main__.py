"""Export a saved model to C, for the CPU that Numba is told: ``MODEL FOLDER NAME``."""

import sys

from rnn_engine.exporting import export_c
from rnn_engine.models import load_model

if __name__ == "__main__":
    model, folder, name = sys.argv[1:]
    export_c(load_model(model), folder, name)
