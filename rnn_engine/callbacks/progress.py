"""How progress is shown: a bar on a terminal or in a notebook, lines elsewhere."""

import sys
import time
from typing import Any

INTERVAL = 0.05
"""Seconds between two drawings of a bar, as in Keras."""

_BAR = 20  # characters, as in Keras
_CLEAR = "\x1b[2K"  # the terminal's line, from its beginning to its end


def format_value(value: Any) -> str:
    """Return a logged value with four digits, in exponent form when it is tiny."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return f"{number:.4f}" if abs(number) > 1e-3 else f"{number:.4e}"


def format_logs(logs: dict[str, Any]) -> str:
    """Return ``"loss: 0.5000 - mae: 0.1000"``."""
    return " - ".join(f"{name}: {format_value(value)}" for name, value in logs.items())


def format_step_time(seconds: float) -> str:
    """Return the time of one step in the unit that suits it."""
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/step"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms/step"
    return f"{seconds * 1e6:.0f}us/step"


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    return "ipykernel" in sys.modules


def is_live(stream: Any) -> bool:
    """Whether a bar that redraws itself makes sense on `stream`."""
    return in_notebook() or bool(getattr(stream, "isatty", lambda: False)())


def wrapped(start: str, figures: list[str], width: int) -> list[str]:
    """Return lines of at most `width` characters, cut between figures.

    A single figure that is longer has a line of its own.
    """
    lines = [start]
    for figure in figures:
        if len(lines[-1]) + 3 + len(figure) <= width:
            lines[-1] += f" - {figure}"
        else:
            lines.append(f"    {figure}")
    return lines


class Progress:
    """Show the progress of one epoch, one evaluation or one prediction.

    With ``verbose=1`` a live bar on a terminal or in a notebook and one line at
    the end anywhere else (a log file does not want a hundred redrawings); with
    ``verbose=2`` one line at the end. On a terminal that is too narrow for all figures
    the live line goes on below.
    """

    def __init__(self, target: int | None, verbose: int) -> None:
        self.target = target
        self.verbose = verbose
        self.stream = sys.stdout
        self.live = verbose == 1 and is_live(self.stream)
        self.start = time.perf_counter()
        self._next = self.start
        self._lines = 0  # how many stand on the terminal

    def due(self) -> bool:
        """Whether `update` would draw; asked before the logs are computed."""
        return self.live and time.perf_counter() >= self._next

    def update(self, current: int, logs: dict[str, Any]) -> None:
        """Draw the bar at `current` steps, if it is time to."""
        if not self.due():
            return
        self._next = time.perf_counter() + INTERVAL
        self._draw(current, logs)

    def _draw(self, current: int, logs: dict[str, Any]) -> None:
        figures = [f"{name}: {format_value(value)}" for name, value in logs.items()]
        if in_notebook():  # which knows how to begin a line again, but not how to go up
            lines = [" - ".join([self._head(current), *figures])]
            text = "\r" + lines[0]
        else:
            import shutil

            width = shutil.get_terminal_size().columns - 1  # the last one may wrap by itself
            lines = wrapped(self._head(current), figures, width)
            up = f"\x1b[{self._lines - 1}A" if self._lines > 1 else ""
            text = f"\r{up}" + "\n".join(_CLEAR + line for line in lines)
        self._lines = max(self._lines, len(lines))
        print(text, end="", file=self.stream, flush=True)

    def _head(self, current: int) -> str:
        """Return steps, bar, time (what is left of it, until the end) and time a step."""
        seconds = (time.perf_counter() - self.start) / max(current, 1)
        if self.target is None:
            return f"{current}/Unknown {seconds * current:.0f}s {format_step_time(seconds)}"
        left = self.target - current if current < self.target else current
        counted = f"{current:{len(str(self.target))}d}/{self.target}"
        return f"{counted} {self._bar(current)} {seconds * left:.0f}s {format_step_time(seconds)}"

    def _bar(self, current: int) -> str:
        filled = min(_BAR, _BAR * current // max(self.target or 1, 1))
        encoding = str(getattr(self.stream, "encoding", None) or "ascii").lower()
        full, empty = ("\u2501", " ") if encoding.startswith("utf") else ("=", ".")
        return full * filled + empty * (_BAR - filled)

    def finish(self, current: int, logs: dict[str, Any]) -> None:
        """Draw the last state and leave it on the screen."""
        if self.verbose == 0:
            return
        if self.live:
            self._draw(current, logs)
            self.close()
            return
        seconds = time.perf_counter() - self.start
        total = self.target if self.target is not None else current
        width = len(str(total))
        line = f"{current:{width}d}/{total} - {seconds:.0f}s"
        line += f" - {format_step_time(seconds / max(current, 1))}"
        if logs:
            line += f" - {format_logs(logs)}"
        print(line, file=self.stream, flush=True)

    def close(self) -> None:
        """Go to the line below the bar, drawn to its end or not."""
        if self._lines:
            print(file=self.stream, flush=True)
            self._lines = 0
