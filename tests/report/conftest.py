"""Made-up answers and their reports, each written once."""

import pytest

from jaxbias import report
from tests.report.answers import (
    make_answer,
    make_empty_answer,
    make_hostile_answer,
    make_pair_answer,
)
from tests.report.browsing import browsing


@pytest.fixture(scope="session")
def browser():
    with browsing() as driver:
        yield driver


@pytest.fixture
def answer():
    return make_answer()


@pytest.fixture
def pair_answer():
    return make_pair_answer()


@pytest.fixture
def hostile_answer():
    return make_hostile_answer()


@pytest.fixture
def empty_answer():
    return make_empty_answer()


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The whole report of the demo-sized answer, written once: (answer, directory)."""
    answer, directory = make_answer(), tmp_path_factory.mktemp("spurious")
    manifest = directory / "manifest.csv"
    manifest.write_text("variant,example\n")
    report.write(answer, directory / "report", manifest)
    return answer, directory / "report"


@pytest.fixture(scope="session")
def written_pair(tmp_path_factory):
    """The same of the underrepresentation answer."""
    answer, directory = make_pair_answer(), tmp_path_factory.mktemp("pair")
    report.write(answer, directory)
    return answer, directory


@pytest.fixture(scope="session")
def written_hostile(tmp_path_factory):
    """The same with hostile names."""
    answer, directory = make_hostile_answer(), tmp_path_factory.mktemp("hostile")
    report.write(answer, directory)
    return answer, directory
