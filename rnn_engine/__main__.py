"""`python -m rnn_engine`, and the command `rnn-engine`.

What this machine gives the engine, compiling ahead, and files of models need nothing more; what
trains and forecasts is in `rnn_engine.cli`, of the extra `cli`.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from rnn_engine.kernels import cache
from rnn_engine.kernels.compiler import LIBRARY
from rnn_engine.system import info, warmup

_SYSTEM = ("info", "warmup", "show", "convert", "verify")
_MORE = ("train", "predict", "evaluate", "bench")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    words, _ = without_debug(given)
    if words[:1] and words[0] in _SYSTEM:
        return system(given)
    try:
        from rnn_engine.cli.commands import run
    except ImportError as error:
        if words[:1] and words[0] in _MORE:
            print(
                f"rnn-engine: {words[0]} needs the packages of the extra cli: pip install "
                f"'rnn_engine[cli]' ({error})",
                file=sys.stderr,
            )
            return 1
        return system(given)
    try:
        return run(given)
    except BrokenPipeError:
        return _unread()


class _Parser(argparse.ArgumentParser):
    """One that tells of wrong arguments in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}. See {self.prog} --help.", file=sys.stderr)
        raise SystemExit(2)


def without_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Return the arguments without ``--debug``, which may stand anywhere, and whether it did."""
    return [word for word in arguments if word != "--debug"], "--debug" in arguments


def told(error: BaseException) -> str:
    """Return an error in one line."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split()) or type(error).__name__


def system(arguments: Sequence[str]) -> int:
    """Run a command that needs no other package, and return the exit status."""
    arguments, debug = without_debug(arguments)
    parser = _Parser(
        prog="rnn-engine",
        description="What this machine gives the engine, compiling ahead, files of models.",
        epilog=f"{', '.join(_MORE)}: pip install 'rnn_engine[cli]'",
    )
    parser.add_argument("--version", action="version", version=f"rnn-engine, version {_version()}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="CPU, threads, cache and versions: the text for an issue")
    warm = commands.add_parser("warmup", help="compile the kernels of ordinary programs ahead")
    warm.add_argument(
        "--dtypes", nargs="+", default=["float32"], choices=["float32", "float64"], metavar="DTYPE",
        help="float32 (the default), float64 or both",
    )  # fmt: skip
    warm.add_argument(
        "--serial", action="store_true", help="leave out what runs on several threads"
    )
    shows = commands.add_parser("show", help="layers, shapes, parameters of a file of a model")
    verifies = commands.add_parser("verify", help="recompute the sample that a saved model carries")
    converts = commands.add_parser("convert", help="load a model, save it as the new name ends")
    for command in (shows, verifies, converts):
        command.add_argument("file")
    converts.add_argument("target")
    chosen = parser.parse_args(arguments)
    if chosen.command == "info":
        return _show(info())
    if chosen.command in ("show", "verify", "convert"):
        return on_file(chosen.command, chosen.file, getattr(chosen, "target", ""), debug)
    return warm_up(chosen.dtypes, parallel=not chosen.serial)


def on_file(command: str, file: str, target: str = "", debug: bool = False) -> int:
    """Show, verify or convert a file of a model, and return the exit status."""
    from rnn_engine import saving

    try:
        if command == "show":
            return _show(str(saving.show(file)))
        if command == "verify":
            difference = saving.verify(file)
            return _show(f"{file}: the output is that of the save, within {difference:.3g}")
        saving.convert(file, target)
        return _show(f"{file} is {target}, too")
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        if debug:
            raise
        print(f"rnn-engine: {told(error)} (--debug shows where)", file=sys.stderr)
        return 1


def warm_up(dtypes: Sequence[str], parallel: bool) -> int:
    """Compile the kernels of ordinary programs, and return the exit status."""
    if LIBRARY is not None:
        return _show("the kernels are built ahead: there is nothing to compile")
    if not cache.can_save():
        print(
            "rnn_engine: no private folder can be written, so nothing that is compiled now would "
            "be kept; set RNN_ENGINE_CACHE_DIR",
            file=sys.stderr,
        )
        return 1
    start = time.monotonic()
    warmup(dtypes, parallel=parallel)
    count, seconds = len(cache.kernel_sizes()), time.monotonic() - start
    return _show(f"{count} kernels in {cache.folder()}, ready after {seconds:.1f} s")


def _show(text: str) -> int:
    """Print a text, whatever the output can write, and return the exit status."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:
        return _unread()
    return 0


def _unread() -> int:
    """Return the exit status where the reader has seen enough, as `head` has."""
    # Python writes out what is left when it ends, and would complain then.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _version() -> str:
    import rnn_engine

    return rnn_engine.__version__


if __name__ == "__main__":
    sys.exit(main())
