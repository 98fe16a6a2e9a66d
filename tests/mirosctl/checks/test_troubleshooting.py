"""docs/troubleshooting.md says what the doctor says."""

import re

import pytest

from mirosctl.checks.remedies import HERE, THERE
from mirosctl.cures import cure
from tests.mirosctl.checks.troubleshooting import PAGE, page

FACTS = {"{user}", "{node}", "{address}", "{host}"}


def test_the_page_is_of_the_doctors_texts() -> None:
    """Word for word; python -m tests.mirosctl.checks.troubleshooting writes it anew."""
    assert page() == PAGE.read_text()


@pytest.mark.parametrize("code", sorted({*HERE, *THERE}))
def test_a_remedy_is_for_a_code_that_has_a_cure(code: str) -> None:
    """One that nobody says any more would be found by nobody."""
    assert cure(code)


def test_commands_name_only_facts_that_are_there() -> None:
    """Else none would be shown at all."""
    named = {
        fact for table in (HERE, THERE) for commands in table.values() for fact in re.findall(r"{\w*}", str(commands))
    }

    assert set() == named - FACTS
    assert {"{user}", "{address}"} == {
        fact for commands in HERE.values() for fact in re.findall(r"{\w*}", str(commands))
    }
