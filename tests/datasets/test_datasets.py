"""`keras.datasets` and `get_file`, on small files of the same form over a local server."""

import functools
import gzip
import hashlib
import http.server
import io
import json
import pickle
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras as real
import numpy as np
import pytest

import rnn_engine
from rnn_engine.datasets import files
from rnn_engine.utils.download import get_file, validate_file


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder that the server shows."""
    path = tmp_path / "served"
    path.mkdir()
    return path


@pytest.fixture
def server(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of a server, the cache being a folder of the test's."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    handler = functools.partial(Quiet, directory=str(folder))
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    rnn_engine.utils.disable_interactive_logging()
    yield f"http://127.0.0.1:{served.server_port}/"
    rnn_engine.utils.enable_interactive_logging()
    served.shutdown()
    served.server_close()
    thread.join()


# --- get_file ---------------------------------------------------------------------


def test_a_file_is_fetched_once(server: str, folder: Path, tmp_path: Path) -> None:
    (folder / "a.txt").write_text("one")
    path = get_file("a.txt", server + "a.txt")
    assert path == str(tmp_path / "home/datasets/a.txt")
    assert Path(path).read_text() == "one"
    (folder / "a.txt").write_text("two")
    assert Path(get_file("a.txt", server + "a.txt")).read_text() == "one"
    assert Path(get_file(origin=server + "a.txt?x=1", force_download=True)).read_text() == "two"
    assert [entry.name for entry in (tmp_path / "home/datasets").iterdir()] == ["a.txt"]


def test_hashes(server: str, folder: Path, tmp_path: Path) -> None:
    (folder / "a.txt").write_text("one")
    sha, md5 = hashlib.sha256(b"one").hexdigest(), hashlib.md5(b"one").hexdigest()
    for options in ({"file_hash": sha}, {"file_hash": md5}, {"md5_hash": md5}):
        path = get_file("a.txt", server + "a.txt", **options)
        assert validate_file(path, next(iter(options.values())))
    Path(path).write_text("damaged")
    assert Path(get_file("a.txt", server + "a.txt", file_hash=sha)).read_text() == "one"
    wrong = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(ValueError, match="does not match the provided value"):
        get_file("a.txt", server + "a.txt", file_hash=wrong)
    assert Path(path).read_text() == "one", "what was there stays"
    with pytest.raises(ValueError, match="does not match"):
        get_file("b.txt", server + "a.txt", file_hash=wrong)
    assert [entry.name for entry in (tmp_path / "home/datasets").iterdir()] == ["a.txt"]


def test_what_cannot_be_had(server: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"404.*put the file there yourself: .*missing.txt"):
        get_file("missing.txt", server + "missing.txt")
    with pytest.raises(OSError, match="put the file there yourself"):
        get_file("x.txt", "http://127.0.0.1:9/x.txt")
    assert list((tmp_path / "home/datasets").iterdir()) == []
    with pytest.raises(ValueError, match='"origin"'):
        get_file("x.txt")
    for name in ("../x.txt", "a/b.txt", ".."):
        with pytest.raises(ValueError, match="fname"):
            get_file(name, server + "x.txt")
    with pytest.raises(ValueError, match="Can't parse the file name"):
        get_file(origin=server)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_archives(server: str, folder: Path, tmp_path: Path, kind: str) -> None:
    """Members that would leave the folder are left out, and said."""
    names = {"inside/a.txt": b"a", "../outside.txt": b"b", "c.txt": b"c"}
    if kind == "tar":
        with tarfile.open(folder / "data.tgz", "w:gz") as tar:
            for name, data in names.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "../../secret"
            tar.addfile(link)
    else:
        with zipfile.ZipFile(folder / "data.tgz", "w") as archive:
            for name, data in names.items():
                archive.writestr(name, data)
    with pytest.warns(UserWarning, match="Skipping invalid path"):
        path = Path(get_file("data.tgz", server + "data.tgz", extract=True))
    assert path == tmp_path / "home/datasets/data_extracted"
    assert (path / "inside/a.txt").read_bytes() == b"a"
    assert (path / "c.txt").read_bytes() == b"c"
    found = {entry.name for entry in tmp_path.rglob("*")}
    assert "outside.txt" not in found
    assert "link" not in found
    with pytest.warns(UserWarning, match="Skipping"):
        assert Path(get_file("data", server + "data.tgz", extract=True)).name == "data"


def test_no_archive(server: str, folder: Path) -> None:
    (folder / "a.txt").write_text("one")
    with pytest.warns(UserWarning, match="Could not extract"):
        get_file("a.txt", server + "a.txt", untar=True)


# --- the datasets -----------------------------------------------------------------


@pytest.fixture
def served(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have ours fetch from the server, and Keras's take what ours fetched."""

    def without_hash(path: Any, origin: str, file_hash: Any = None, **kwargs: Any) -> str:
        assert file_hash is None or len(file_hash) in (32, 64)
        return get_file(path, origin=server + origin.rsplit("/", 1)[1], **kwargs)

    def theirs(fname: Any = None, origin: str = "", file_hash: Any = None, **kwargs: Any) -> str:
        return without_hash(fname, origin, file_hash, **kwargs)

    monkeypatch.setattr(files, "get_file", without_hash)
    for name in ("imdb", "reuters", "mnist", "fashion_mnist", "boston_housing"):
        monkeypatch.setattr(f"keras.src.datasets.{name}.get_file", theirs)
    monkeypatch.setattr("keras.src.datasets.california_housing.get_file", theirs)
    return server


def ragged(lists: list[list[int]]) -> np.ndarray:
    array = np.empty(len(lists), object)
    array[:] = lists
    return array


def same(ours: Any, theirs: Any) -> None:
    for our_part, their_part in zip(ours, theirs, strict=True):
        for a, b in zip(our_part, their_part, strict=True):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            np.testing.assert_array_equal(a, b)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_words": 20},
    {"num_words": 20, "skip_top": 5, "seed": 7},
    {"maxlen": 8},
    {"start_char": None, "oov_char": None, "num_words": 15, "index_from": 2},
    {"start_char": None, "index_from": 0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_imdb(served: str, folder: Path, options: Any) -> None:
    rng = np.random.default_rng(0)
    texts = [
        ragged([rng.integers(1, 30, rng.integers(2, 12)).tolist() for _ in range(9)])
        for _ in range(2)
    ]
    labels = [rng.integers(0, 2, 9) for _ in range(2)]
    np.savez(
        folder / "imdb.npz",
        x_train=texts[0], y_train=labels[0], x_test=texts[1], y_test=labels[1],
    )  # fmt: skip
    same(rnn_engine.datasets.imdb.load_data(**options), real.datasets.imdb.load_data(**options))


@pytest.mark.parametrize("options", [*OPTIONS, {"test_split": 0.5}], ids=str)
def test_reuters(served: str, folder: Path, options: Any) -> None:
    rng = np.random.default_rng(1)
    texts = ragged([rng.integers(1, 30, rng.integers(2, 12)).tolist() for _ in range(19)])
    np.savez(folder / "reuters.npz", x=texts, y=rng.integers(0, 46, 19))
    same(
        rnn_engine.datasets.reuters.load_data(**options), real.datasets.reuters.load_data(**options)
    )
    labels = real.datasets.reuters.get_label_names()
    assert rnn_engine.datasets.reuters.get_label_names() == labels


@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_words(served: str, folder: Path, name: str) -> None:
    (folder / f"{name}_word_index.json").write_text(json.dumps({"the": 1, "été": 2}))
    index = getattr(rnn_engine.datasets, name).get_word_index()
    assert index == {"the": 1, "été": 2} == getattr(real.datasets, name).get_word_index()


def test_tables(served: str, folder: Path) -> None:
    rng = np.random.default_rng(2)
    for name, rows in (("boston_housing", 20), ("california_housing", 700)):
        np.savez(folder / f"{name}.npz", x=rng.normal(size=(rows, 3)), y=rng.normal(size=rows))
    ours, theirs = rnn_engine.datasets, real.datasets
    same(ours.boston_housing.load_data(), theirs.boston_housing.load_data())
    same(
        ours.boston_housing.load_data(test_split=0.5, seed=3),
        theirs.boston_housing.load_data(test_split=0.5, seed=3),
    )
    for version in ("small", "large"):
        same(
            ours.california_housing.load_data(version=version),
            theirs.california_housing.load_data(version=version),
        )
    with pytest.raises(ValueError, match="version"):
        ours.california_housing.load_data(version="middle")
    with pytest.raises(ValueError, match="test_split"):
        ours.boston_housing.load_data(test_split=1)


def test_pictures(served: str, folder: Path) -> None:
    rng = np.random.default_rng(3)
    pictures, labels = rng.integers(0, 256, (5, 28, 28), np.uint8), np.arange(5, dtype=np.uint8)
    np.savez(
        folder / "mnist.npz",
        x_train=pictures,
        y_train=labels,
        x_test=pictures[:2],
        y_test=labels[:2],
    )
    for part, count in (("train", 5), ("t10k", 2)):
        for kind, array, header in (
            ("images-idx3", pictures, 16),
            ("labels-idx1", labels, 8),
        ):
            with gzip.open(folder / f"{part}-{kind}-ubyte.gz", "wb") as file:
                file.write(bytes(header) + array[:count].tobytes())
    same(rnn_engine.datasets.mnist.load_data(), real.datasets.mnist.load_data())
    same(rnn_engine.datasets.fashion_mnist.load_data(), real.datasets.fashion_mnist.load_data())


def test_a_dataset_runs_no_code(served: str, folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (open, (str(tmp_path / "made"), "w"))

    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|O", "fortran_order": False, "shape": (1,)}
    )
    pickle.dump(Evil(), stream)
    with zipfile.ZipFile(folder / "imdb.npz", "w") as archive:
        archive.writestr("x_train.npy", stream.getvalue())
    with pytest.raises(pickle.UnpicklingError, match="Refusing"):
        rnn_engine.datasets.imdb.load_data()
    assert not (tmp_path / "made").exists()
