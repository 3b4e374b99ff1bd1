"""`get_file`: a file of the web in the folder where Keras keeps its own."""

import contextlib
import hashlib
import os
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rnn_engine.config import is_interactive_logging_enabled, keras_home

_BLOCK = 1 << 16


def get_file(
    fname: Any = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """Download a file if it is not in the cache, and return its path (`keras.utils.get_file`).

    The cache is Keras's own folder, so what Keras has fetched is used. A download goes to a
    temporary file first: one that breaks off, or has another hash, leaves nothing behind and
    nothing changed (Keras writes to the final name).

    Parameters
    ----------
    fname : str or path, optional
        Name in the cache, without a folder; that at the end of `origin` if None.
    origin : str
        The URL.
    untar : bool
        Old form of `extract`, for tar archives.
    md5_hash : str, optional
        Old form of `file_hash`.
    file_hash : str, optional
        SHA-256 or MD5 in hexadecimal, which the file must have.
    cache_subdir : str
        Folder within the cache; an absolute one stands for itself.
    hash_algorithm : {"auto", "sha256", "md5"}
    extract : bool
        Unpack a tar or zip archive; members that would leave the folder are left out, with a
        warning. The path of the folder is returned then.
    archive_format : {"auto", "tar", "zip"}, a list of them, or None
    cache_dir : path, optional
        ``$KERAS_HOME`` or ``~/.keras`` if None.
    force_download : bool
        Download even if the file is there.

    Raises
    ------
    ValueError
        If `origin` is missing or `fname` names a folder.
    OSError
        If the file cannot be had; the message says where to put it by hand.
    """
    if origin is None:
        raise ValueError('Please specify the "origin" argument (URL of the file to download).')
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    folder = _folder(cache_dir, cache_subdir)
    name = _file_name(fname, origin)
    unpacks = extract or untar
    target, unpacked = folder / name, folder / name
    if unpacks and fname and "." in name:
        unpacked = folder / f"{name[: name.find('.')]}_extracted"
    elif unpacks:
        target = folder / f"{name}_archive"
    if force_download or not _is_there(target, file_hash, hash_algorithm):
        _download(origin, target, file_hash, hash_algorithm)
    if not unpacks:
        return str(target)
    if not _extract(target, unpacked, "tar" if untar else archive_format):
        warnings.warn("Could not extract archive.", stacklevel=2)
    return str(unpacked)


def _folder(cache_dir: Any, cache_subdir: str) -> Path:
    base = Path(os.path.expanduser(keras_home() if cache_dir is None else cache_dir))
    if cache_dir is None:
        with contextlib.suppress(OSError):
            base.mkdir(parents=True, exist_ok=True)
    if not os.access(base, os.W_OK):
        base = Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()) / ".keras"
    folder = base / cache_subdir
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _file_name(fname: Any, origin: str) -> str:
    """Return the name of the file in its folder, which it cannot leave."""
    if fname:
        name = os.fspath(fname)
        if os.sep in name:
            raise ValueError(
                "Paths are no longer accepted as the `fname` argument. To specify the file's "
                f"parent directory, use the `cache_dir` argument. Received: fname={name}"
            )
    else:
        name = os.path.basename(urllib.parse.urlsplit(origin).path)
    if name in ("", ".", ".."):
        raise ValueError(
            f"Can't parse the file name from the origin provided: '{origin}'. Please specify the "
            f"`fname` argument. Received: fname={fname!r}"
        )
    return name


def _is_there(target: Path, file_hash: str | None, algorithm: str) -> bool:
    if not target.exists():
        return False
    if file_hash is None or validate_file(target, file_hash, algorithm):
        return True
    _say(
        f"A local file was found, but it seems to be incomplete or outdated because the "
        f"{algorithm} file hash does not match the original value of {file_hash} so we will "
        f"re-download the data."
    )
    return False


def _say(line: str) -> None:
    if is_interactive_logging_enabled():
        print(line)


def _download(origin: str, target: Path, file_hash: str | None, algorithm: str) -> None:
    """Write the file at `origin` to `target`, whole and with the right hash or not at all."""
    _say(f"Downloading data from {origin}")
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    part = Path(name)
    by_hand = f"Without a network, put the file there yourself: {target}"
    try:
        with os.fdopen(handle, "wb") as out:
            _copy(origin, out)
        if file_hash is not None and not validate_file(part, file_hash, algorithm):
            raise ValueError(
                f"Incomplete or corrupted file detected. The {algorithm} file hash does not match "
                f"the provided value of {file_hash}. It came from {origin}."
            )
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, target)
    except urllib.error.HTTPError as error:
        raise OSError(
            f"URL fetch failure on {origin}: {error.code} -- {error.msg}. {by_hand}"
        ) from error
    except urllib.error.URLError as error:
        raise OSError(
            f"URL fetch failure on {origin}: {error.errno} -- {error.reason}. {by_hand}"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    """Return the mask that a plain `open` would have used."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _copy(origin: str, out: Any) -> None:
    with urllib.request.urlopen(origin) as source:
        size = source.headers.get("Content-Length")
        show = _bar(int(size) if size and size.isdecimal() else None)
        received = 0
        while block := source.read(_BLOCK):
            out.write(block)
            received += len(block)
            show(len(block))
    if size and size.isdecimal() and received < int(size):
        raise urllib.error.URLError(f"it broke off after {received} of {size} bytes")


def _bar(total: int | None) -> Callable[[int], Any]:
    if not is_interactive_logging_enabled():
        return lambda received: None
    from tqdm import tqdm  # only a download that is shown draws a bar

    return tqdm(total=total, unit="B", unit_scale=True, leave=False).update


# --- hashes -----------------------------------------------------------------------


def _hasher(algorithm: str, file_hash: str | None = None) -> Any:
    long = algorithm == "auto" and file_hash is not None and len(file_hash) == 64
    if algorithm == "sha256" or long:
        return hashlib.sha256()
    return hashlib.md5(usedforsecurity=False)


def validate_file(
    fpath: Any, file_hash: str, algorithm: str = "auto", chunk_size: int = _BLOCK
) -> bool:
    """Return whether a file has a SHA-256 or MD5 hash. Mirrors `keras.utils.validate_file`."""
    hasher = _hasher(algorithm, str(file_hash))
    with open(fpath, "rb") as file:
        while block := file.read(chunk_size):
            hasher.update(block)
    return bool(hasher.hexdigest() == str(file_hash))


# --- archives ---------------------------------------------------------------------


def _extract(archive: Path, folder: Path, formats: Any) -> bool:
    """Unpack an archive of one of the formats; False if it is of none."""
    kinds: Any = ["tar", "zip"] if formats == "auto" else formats or []
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind not in ("tar", "zip"):
            raise NotImplementedError(f"archive_format must be 'tar' or 'zip', got {kind!r}.")
        if kind == "tar" and tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                _extract_tar(tar, folder)
            return True
        if kind == "zip" and zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                inside = list(_inside(folder, packed.infolist(), lambda info: info.filename))
                packed.extractall(folder, members=inside)
            return True
    return False


def _extract_tar(tar: tarfile.TarFile, folder: Path) -> None:
    """Unpack regular members; links and devices that lead elsewhere are refused by the filter."""
    for member in _inside(folder, tar.getmembers(), lambda info: info.name):
        try:
            tar.extract(member, folder, filter="data")
        except tarfile.FilterError:
            _skipped(member.name)


def _inside(folder: Path, members: Any, name_of: Callable[[Any], str]) -> Iterator[Any]:
    base = os.path.realpath(folder)
    for member in members:
        place = os.path.realpath(os.path.join(base, name_of(member)))
        if os.path.commonpath([place, base]) == base:
            yield member
        else:
            _skipped(name_of(member))


def _skipped(name: str) -> None:
    warnings.warn(
        f"Skipping invalid path during archive extraction: '{name}'.", UserWarning, stacklevel=3
    )
