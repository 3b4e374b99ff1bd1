"""Load files in a process that notes what Python does meanwhile: `python audited.py FILE...`.

Everything of the library is imported and a good file of each format read before; from then on an
audit hook notes code that is run or imported, processes, sockets, native libraries, and files that
are opened or changed other than the one to load. A line of JSON a file says how it went.
"""

import contextlib
import json
import os
import pkgutil
import sys
import warnings

WATCHED = (
    "exec", "import", "open", "os.", "socket.", "subprocess.", "ctypes.", "marshal.loads",
    "pickle.",
    "shutil.", "code.__new__", "function.__new__", "tempfile.", "urllib.", "webbrowser.", "pty.",
    "http.", "ftplib.", "glob.", "cpython.run", "sqlite3.", "mmap.__new__",
)  # fmt: skip


class Hook:
    """An audit hook that notes what a load has no business with."""

    def __init__(self):
        self.path = None
        self.seen = []

    def __call__(self, event, arguments):
        """Note an event, unless it opens the file to load for reading."""
        if self.path is None or not event.startswith(WATCHED):
            return
        if event == "open" and arguments[0] == self.path and "r" in (arguments[1] or "r"):
            return
        self.seen.append(f"{event} {arguments[:2]!r}"[:200])

    def during(self, path, call):
        """Return what `call` ended in, and what was seen meanwhile."""
        self.path, self.seen = path, []
        try:
            call()
            said = "loaded"
        except ValueError as error:
            said = "refused" if os.path.basename(path) in str(error) else f"unnamed: {error}"
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        self.path = None
        return said, self.seen


def main(good, paths):
    """Read the good files, then each of the others."""
    import rnn_engine
    from rnn_engine.saving import load_model
    from tests.saving import cases

    for module in pkgutil.walk_packages(rnn_engine.__path__, "rnn_engine."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # of an extra that is not there
                __import__(module.name)
    model = cases.small_model(rnn_engine)
    model.fit(*cases.data(), verbose=0)
    hook = Hook()
    sys.addaudithook(hook)
    for path in [*good, *paths]:
        for name, call in (("load_model", load_model), ("load_weights", model.load_weights)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                said, seen = hook.during(path, lambda call=call, path=path: call(path))
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
