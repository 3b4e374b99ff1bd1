"""Assets: what layers keep beside their weights, such as vocabularies, as files."""

import zipfile
from collections.abc import Callable, Mapping
from functools import partial

from rnn_engine.saving.archive import Archive
from rnn_engine.saving.state import Group

FOLDER = "assets/"


def write_assets(archive: zipfile.ZipFile, groups: list[Group]) -> None:
    """Write the assets of groups into an archive, one file each below ``assets/``."""
    for group in groups:
        for name, content in group.assets.items():
            archive.writestr(f"{FOLDER}{group.path}/{name}", content)


def assets_of(archive: Archive) -> Mapping[str, Callable[[], bytes]]:
    """Return what reads each asset, by its path below ``assets/``."""
    names = [name for name in archive.names if name.startswith(FOLDER)]
    return {name.removeprefix(FOLDER): partial(archive.text, name) for name in names}
