"""That the list of deliberate faults still fits the code; check.py tries the faults themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from fault import Fault
from faults import FAULTS, table

ROOT = Path(__file__).resolve().parent.parent.parent


def test_no_two_are_the_same():
    assert len({fault.what for fault in FAULTS}) == len({(fault.file, fault.old) for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_the_edit_fits(fault: Fault):
    assert (ROOT / fault.file).read_text(encoding="utf-8").count(fault.old) == 1
    assert fault.old != fault.new


def test_the_table_lists_them():
    assert Path(__file__).with_name("README.md").read_text(encoding="utf-8").endswith("\n\n" + table())
