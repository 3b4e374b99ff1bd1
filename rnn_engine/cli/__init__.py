"""The command ``rnn-engine``: train, look at and use models from a shell.

Needs click, pandas and matplotlib: ``pip install 'rnn_engine[cli]'``. `rnn_engine.__main__` starts
it, and runs `info` and `warmup` without them.
"""
