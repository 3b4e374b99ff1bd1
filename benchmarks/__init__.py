"""Speed of rnn_engine beside its peers; `python benchmarks/run.py --help`."""
