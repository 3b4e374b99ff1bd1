"""Past one machine, on engines that exist: MPI, Dask, Ray, joblib.

One large training goes over the ranks of MPI (`DataParallel`), more data than fit are scored by
the workers of Dask or Ray (`predict`, `BatchPredictor`), and many models are trained beside each
other by joblib, which needs nothing of ours. See ``docs/scale.md``.
"""

from rnn_engine.distributed.parallel import DataParallel
from rnn_engine.distributed.peers import RankError, rank, size
from rnn_engine.distributed.scoring import BatchPredictor, predict
from rnn_engine.distributed.shipping import to_bytes

__all__ = [
    "BatchPredictor",
    "DataParallel",
    "RankError",
    "predict",
    "rank",
    "size",
    "to_bytes",
]
