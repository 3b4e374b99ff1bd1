"""Read files in a process that notes what Python does meanwhile: `python audited.py FILE...`.

Everything of the library is imported and a good file of each format read before, by every reader
there is for it; from then on an audit hook notes code that is run or imported, processes, sockets,
native libraries, and files that are opened or changed other than the one to read, and the one that
`convert` makes of it. A line of JSON a file and reader says how it went.
"""

import contextlib
import json
import os
import pkgutil
import sys
import tempfile
import warnings

import rnn_engine
from rnn_engine import train
from rnn_engine.models import model_from_json
from rnn_engine.saving import convert, from_onnx, from_torch, load_model, show, verify
from tests.saving import cases

WATCHED = (
    "exec", "import", "open", "os.", "socket.", "subprocess.", "ctypes.", "marshal.loads",
    "pickle.",
    "shutil.", "code.__new__", "function.__new__", "tempfile.", "urllib.", "webbrowser.", "pty.",
    "http.", "ftplib.", "glob.", "cpython.run", "sqlite3.", "mmap.__new__",
)  # fmt: skip
_WRITES = ("open", "os.listdir", "os.chmod", "os.rename", "os.remove")


class Hook:
    """An audit hook that notes what a load has no business with."""

    def __init__(self, target):
        self.path, self.target = None, target
        self.seen = []

    def __call__(self, event, arguments):
        """Note an event, unless it opens the file to read, or writes what it becomes."""
        if self.path is None or not event.startswith(WATCHED):
            return
        if event == "open" and arguments[0] == self.path and "r" in (arguments[1] or "r"):
            return
        if event == "mmap.__new__" and self.path.endswith(".safetensors"):
            return  # of the file to read: it opens no other
        if event in _WRITES and all(self._is_written(a) for a in arguments if isinstance(a, str)):
            return
        self.seen.append(f"{event} {arguments[:2]!r}"[:200])

    def _is_written(self, text):
        folder = os.path.dirname(self.target)
        return os.path.dirname(text) == folder or text in (folder, "r", "w", "x+", "x+b", "rb")

    def during(self, path, call):
        """Return what `call` ended in, and what was seen meanwhile."""
        self.path, self.seen = path, []
        try:
            call()
            said = "loaded"
        except ValueError as error:
            name = os.path.basename(path).removesuffix(".npz")
            names = ("json_string", "the config") if path.endswith(".json") else (name,)
            said = "refused" if any(n in str(error) for n in names) else f"unnamed: {error}"
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        self.path = None
        return said, self.seen


def readers(path, model, target):
    """Return what reads a file, by name."""
    if path.endswith(".onnx"):
        return {"from_onnx": lambda: from_onnx(path), "convert": lambda: convert(path, target)}
    if path.endswith(".pt"):
        return {"from_torch": lambda: from_torch(path), "convert": lambda: convert(path, target)}
    if path.endswith(".ckpt.npz"):
        checkpoint = train.Checkpoint(model=model)
        return {"read": lambda: checkpoint.read(path.removesuffix(".npz"))}
    if path.endswith(".json"):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        return {"model_from_json": lambda: model_from_json(text)}
    return {
        "load_model": lambda: load_model(path),
        "load_weights": lambda: model.load_weights(path),
        "show": lambda: show(path),
        "verify": lambda: verify(path),
        "convert": lambda: convert(path, target),
    }


def main(good, paths):
    """Read the good files, then each of the others."""
    for module in pkgutil.walk_packages(rnn_engine.__path__, "rnn_engine."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # of an extra that is not there
                __import__(module.name)
    model = cases.small_model(rnn_engine)
    model.fit(*cases.data(), verbose=0)
    place = tempfile.TemporaryDirectory()
    target = os.path.join(place.name, "converted.npz")
    hook = Hook(target)
    sys.addaudithook(hook)
    for path in [*good, *paths]:
        for name, call in readers(path, model, target).items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                said, seen = hook.during(path, call)
            if path in good and said != "loaded":
                raise AssertionError(f"{name} of {path}: {said}")
            if path in paths:
                print(json.dumps([os.path.basename(path), name, said, seen]))

    def trespass():
        exec("import this_module_is_nowhere")

    said, seen = hook.during(paths[0], lambda: open("/dev/null").close())
    more = hook.during(paths[0], trespass)[1]
    print(json.dumps(["control", "", said, seen + more]))


if __name__ == "__main__":
    split = sys.argv.index("--")
    main(sys.argv[1:split], sys.argv[split + 1 :])
