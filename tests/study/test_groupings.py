"""Groupings as settings: what they may say together, and that files change them as they are."""

import pytest

from jaxbias.errors import InputError
from jaxbias.study import default_config, make_study, to_config, to_dict
from tests.tiny import tiny_config, tiny_study

RACE = {"column": "race"}


def test_a_config_file_sets_them_and_they_come_back():
    given = {
        "race": {"column": "race", "values": ("b", "a"), "names": ("B", "A")},
        "both": {"crossed": ("group", "race")},
    }
    config = default_config()
    config.update({k: v for k, v in tiny_config().items() if k not in ("bases", "data")})
    config.bases = tiny_config()["bases"]
    config.groupings = given
    study = make_study(config)
    assert study.groupings["race"].names == ("B", "A")
    assert study.groupings["both"].crossed == ("group", "race")
    assert make_study(to_dict(study)) == study
    assert make_study(to_config(study)) == study


@pytest.mark.parametrize(
    ("groupings", "message"),
    [
        ({"race": {}}, r"config\.groupings\.race must have a column, or groupings"),
        ({"race": {**RACE, "crossed": ("group", "race")}}, "must have a column, or"),
        ({"race": {"colum": "race"}}, r"race\.colum: no such field; did you mean 'column'"),
        ({"race": {**RACE, "names": ("A", "B")}}, r"race\.names has 2 and values 0"),
        ({"race": {**RACE, "values": ("a", "a")}}, r"race\.values has 'a' twice"),
        ({"race": {**RACE, "values": ("a",)}}, r"race\.values=\('a',\) must be at least two"),
        ({"group": RACE}, r"config\.groupings\.group: 'group' is config\.group's own"),
        ({"race": RACE, "x": {"crossed": ("group", "rave")}}, "did you mean 'race'"),
        ({"race": RACE, "x": {"crossed": ("group", "x")}}, "'x' is no grouping of one column"),
        ({"x": {"crossed": ("group", "group")}}, r"x\.crossed has 'group' twice"),
        (
            {"race": RACE, "x": {"crossed": ("group", "race"), "values": ("a", "b")}},
            "what is crossed has its own values",
        ),
    ],
)
def test_settings_that_make_no_groups_are_refused(groupings, message):
    with pytest.raises(InputError, match=message):
        tiny_study(groupings=groupings)
