"""The page of parity is what `python -m reference.parity` writes, with a word on every name."""

import re

import pytest

pytest.importorskip("keras")

from reference import parity, parity_reasons
from rnn_engine import missing


def test_the_page_is_true() -> None:
    assert parity.PAGE.read_text() == parity.page(), "run python -m reference.parity"


def test_every_absent_name_has_its_reason() -> None:
    absent = [row for row in parity.rows() if row.status == "absent"]
    assert [f"{row.space}.{row.name}" for row in absent if not row.note] == []
    assert len(absent) < 200


def test_no_reason_is_for_nothing() -> None:
    rows = {f"{row.space}.{row.name}".lstrip("."): row for row in parity.rows()}
    assert [key for key in parity_reasons.DIFFERENT if rows[key].status != "different"] == []
    absent = [key for key, row in rows.items() if row.status == "absent"]
    for pattern in parity_reasons.NAMES:
        assert any(re.fullmatch(pattern, key) for key in absent), pattern
    assert missing.INSTEAD
