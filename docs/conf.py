"""What Sphinx is told: `make docs` writes the site to out/site.

The left side lists the pages that are there, section by section; a page that is in none of them
stands under "More", so that a new page needs no line here. A page of docs/api/ is written by hand
down to its example; behind that follows every public name of its module, from the docstrings.
"""

import ast
import functools
import importlib
import inspect
import re
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

project = "rnn_engine"
author = ""
html_title = "rnn_engine"
html_copy_source = html_show_sourcelink = html_show_copyright = False
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["style.css"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nitpicky = False
myst_heading_anchors = 3
default_role = "literal"  # `x` is code in docstrings, as in Markdown
add_module_names = False
autodoc_typehints = "none"  # the docstrings tell types and shapes
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
maximum_signature_line_length = 80

SECTIONS = {
    "Start": ("from_keras", "keras_parity"),
    "Use": (
        "serving", "streaming", "many_models", "scikit_learn", "command_line", "uses", "extending",
        "files", "export_c",
    ),
    "Understand": ("bptt", "long_sequences", "inspect", "kernels", "building"),
    "Rely on": ("reproducibility", "verify", "threads", "speed", "scale"),
}  # fmt: skip
# Modules of so many small functions that each gets a line.
IN_LINES = ("ops",)
# Methods are shown of the classes that programs call methods of; of all others, the class alone.
METHODS = {
    "Model": (
        "compile", "fit", "evaluate", "predict", "predict_on_batch", "train_on_batch",
        "test_on_batch", "gradients", "stream", "summary", "save", "save_weights", "load_weights",
        "get_weights", "set_weights", "get_layer",
    ),
    "Sequential": ("add", "pop"),
    "Layer": ("add_weight", "build", "forward", "backward", "get_weights", "set_weights"),
    "Callback": (
        "on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_train_batch_begin",
        "on_train_batch_end",
    ),
    "Stream": ("step", "process", "reset", "get_state", "set_state"),
    "Forecaster": ("fit", "predict", "backtest", "evaluate"),
    "Metric": ("update_state", "result", "reset_state"),
}  # fmt: skip


def setup(app: Any) -> dict[str, bool]:
    """Have the lists of pages and of names appended when a page is read."""
    app.connect("source-read", lambda _, page, text: text.append(text.pop() + appended(page)))
    app.connect("autodoc-process-docstring", in_sections, priority=100)  # before napoleon's
    return {"parallel_read_safe": True}


def in_sections(app: Any, kind: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Make a section "Notes" of the paragraphs behind a list of parameters.

    The house writes shapes there, without a heading; NumPy's convention would take them for
    parameters.
    """
    section, found = "", []
    for i, line in enumerate(lines):
        if lines[i + 1 : i + 2] and re.fullmatch("-{3,}", lines[i + 1]):
            section = line
        text = line[:1].strip() and not lines[i - 1].strip()
        if section in ("Parameters", "Attributes", "Returns") and text and line != section:
            section = "Notes"
            found += ["Notes", "-----"]
        # A star is a star, as in `kernel_*` and (*sizes, channels), and begins no emphasis.
        starred = re.sub(r"(?:(?<=\w_)|(?<=[ (]))\*(?=\w|,|$)", r"\\*", line)
        found.append(line if section == "Examples" else starred)
    lines[:] = found


def appended(page: str) -> str:
    """Return what follows the text of a page: trees of pages, names of a module, or nothing."""
    if page == "index":
        return trees()
    if page.startswith("api/"):
        return "\n\n" + contents(page.removeprefix("api/"))
    return ""


def trees() -> str:
    """Return the lists of the left side, of the pages that are there."""
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    # The package itself comes first, then its modules by name.
    modules = sorted({path.stem for path in DOCS.glob("api/*.md")} - {"rnn_engine"})
    lists = {section: [n for n in names if n in pages] for section, names in SECTIONS.items()}
    lists["More"] = sorted(pages.difference(*lists.values()))
    lists["API"] = [f"{name} <api/{name}>" for name in ("rnn_engine", *modules)]
    blocks = [
        f"```{{toctree}}\n:hidden:\n:caption: {section}\n\n" + "\n".join(names) + "\n```"
        for section, names in lists.items()
        if names
    ]
    return "\n\n" + "\n\n".join(blocks)


def imported(stem: str) -> ModuleType:
    """Return the module that a page of docs/api/ is about."""
    return importlib.import_module("rnn_engine" if stem == "rnn_engine" else f"rnn_engine.{stem}")


def public(module: ModuleType) -> dict[str, Any]:
    """Return the names of a module that are for programs, with modules that have no page."""
    listed = getattr(module, "__all__", None)
    names = listed or [name for name in dir(module) if name[0] != "_"]
    found = {name: getattr(module, name) for name in names if name != "registry"}
    return {
        name: value
        for name, value in found.items()
        if (
            is_inner(value, module) if isinstance(value, ModuleType) else listed or has_entry(value)
        )
    }


def is_inner(value: ModuleType, module: ModuleType) -> bool:
    """Tell the modules inside of another that have no page of their own."""
    path = value.__name__.removeprefix("rnn_engine.")
    return value.__name__.startswith(f"{module.__name__}.") and not (
        module.__name__ == "rnn_engine" or (DOCS / "api" / f"{path}.md").exists()
    )


def has_entry(value: Any) -> bool:
    """Tell the package's classes and functions from constants and from what tables made."""
    if not isinstance(value, type | FunctionType):
        return False
    return "rnn_engine" in value.__module__


@functools.cache
def homes() -> dict[int, str]:
    """Return for each class and function the page that has its entry: one, of several modules."""
    stems = {path.stem for path in DOCS.glob("api/*.md")}
    found: dict[int, str] = {}
    for stem in ("models", *sorted(stems - {"models", "rnn_engine"}), "rnn_engine"):
        for value in public(imported(stem)).values():
            if has_entry(value):
                found.setdefault(id(value), stem)
    return found


def contents(stem: str) -> str:
    """Return the Markdown of all public names of a module: classes, functions, the rest."""
    # One entry for a class or function, whatever names it has; that of its definition is the title.
    names: dict[int, list[str]] = {}
    values: dict[int, Any] = {}
    for name, value in sorted(public(imported(stem)).items()):
        names.setdefault(id(value), []).append(name)
        values[id(value)] = value
    parts: dict[str, list[str]] = {"Classes": [], "Functions": []}
    rows = []
    for key, value in values.items():
        title = getattr(value, "__name__", "")
        title = title if title in names[key] else names[key][0]
        others = [name for name in names[key] if name != title]
        if homes().get(key) == stem and stem not in IN_LINES:
            kind = "Classes" if isinstance(value, type) else "Functions"
            parts[kind].append(entry(imported(stem).__name__, title, value, others))
        else:
            rows.append(row(title, value, others, homes().get(key, stem)))
    text = [f"## {title}\n\n" + "\n".join(part) for title, part in parts.items() if part]
    if rows:
        head = "| name | |\n|---|---|\n"
        text.append(f"## {'More names' if text else 'Names'}\n\n{head}" + "\n".join(sorted(rows)))
    return "\n\n".join(text)


def entry(module: str, title: str, value: Any, others: list[str]) -> str:
    """Return the block from which autodoc makes the entry of a class or function."""
    kind = "autoclass" if isinstance(value, type) else "autofunction"
    lines = [f".. {kind}:: {module}.{title}"]
    if title in METHODS:
        lines.append(f"   :members: {', '.join(METHODS[title])}")
    if others:
        lines += ["", "   Also " + ", ".join(f"`{name}`" for name in others) + "."]
    return "\n".join(["```{eval-rst}", *lines, "```", ""])


def row(title: str, value: Any, others: list[str], home: str) -> str:
    """Return a row of the table of names: how it is called, and the first line of its docstring."""
    told = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    told += "".join(f" Also `{name}`." for name in others)
    if not has_entry(value) or home in IN_LINES:
        try:
            shape = short(str(inspect.signature(value)))
        except (TypeError, ValueError):
            shape = ""
        return f"| `{title}{shape}` | {told} |".replace("``", "`")
    return f"| [`{title}`]({home}.md) | {told} |".replace("``", "`")


def short(signature: str) -> str:
    """Return ``(x, axis=-1)`` of ``(x: Any, axis: int = -1) -> Any``."""
    try:
        tree = ast.parse(f"def f{signature}: pass").body[0]
    except SyntaxError:
        return "(...)"
    assert isinstance(tree, ast.FunctionDef)
    for argument in ast.walk(tree.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return f"({ast.unparse(tree.args)})".replace("|", "\\|")
