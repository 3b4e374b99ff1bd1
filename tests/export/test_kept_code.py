"""LLVM's code of the kernels is kept between exports, whole or not at all."""

import pytest

from rnn_engine.kernels import cache

pytestmark = pytest.mark.jit


class Maker:
    """Counts how often it is asked."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return b"code"


def test_it_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    make = Maker()
    for _ in range(3):
        assert cache.kept("walk", ("a", 1), make) == b"code"
    assert make.count == 1
    assert cache.kept("walk", ("a", 2), make) == b"code"
    assert make.count == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_file_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    make = Maker()
    cache.kept("walk", "key", make)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for content in (b"", whole[:-1], whole[:10], whole[:-1] + b"x"):
        file.write_bytes(content)
        before = make.count
        assert cache.kept("walk", "key", make) == b"code"
        assert make.count == before + 1
        assert file.read_bytes() == whole


def test_without_a_folder_it_is_made_each_time(tmp_path, monkeypatch):
    make = Maker()
    for place in (None, tmp_path / "gone"):
        monkeypatch.setattr(cache, "folder", lambda place=place: place)
        assert [cache.kept("walk", "key", make) for _ in range(2)] == [b"code"] * 2
    assert make.count == 4
