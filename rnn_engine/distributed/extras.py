"""The packages that an extra of the installation brings, loaded when they are first used."""

import importlib
from typing import Any

_EXTRAS = {"mpi4py": "mpi", "dask": "dask", "distributed": "dask", "pandas": "dask"}


def load(module: str, purpose: str) -> Any:
    """Return a module of a package that comes with an extra.

    Raises
    ------
    ImportError
        If the package is not installed; the message names the extra that brings it.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise ImportError(
            f"{purpose} needs the package {package}: pip install 'rnn_engine[{_EXTRAS[package]}]'."
        ) from None
    except (ImportError, RuntimeError) as error:
        # mpi4py that finds no library of MPI
        raise ImportError(
            f"{purpose} needs the package {package}, which does not load here: {error}\n"
            f"pip install 'rnn_engine[{_EXTRAS[package]}]' brings what it needs."
        ) from error
