"""Groupings: what the settings of further groups may say together."""

from jaxbias.errors import echo, nearest, require
from jaxbias.study.specs import GroupingSpec, Study

GROUP = "group"  # What groupings call config.group.


def check_groupings(study: Study) -> None:
    """Refuses groupings that are of no column, or cross what is none.

    Raises:
      InputError: naming the setting.
    """
    require(
        GROUP not in study.groupings,
        f"config.groupings.{GROUP}: '{GROUP}' is config.group's own; choose another name",
    )
    single = {GROUP, *(name for name, spec in study.groupings.items() if spec.column)}
    for name, spec in study.groupings.items():
        _check_one(f"config.groupings.{echo(name)}", spec, single - {name})


def _check_one(place: str, spec: GroupingSpec, single: set[str]) -> None:
    require(
        bool(spec.column) != bool(spec.crossed),
        f"{place} must have a column, or groupings that are crossed, such as crossed=('group', "
        "'race')",
    )
    require(
        not spec.crossed or not (spec.values or spec.names),
        f"{place}: what is crossed has its own values and names; leave them out here",
    )
    require(
        not spec.names or len(spec.names) == len(spec.values),
        f"{place}.names has {len(spec.names):,} and values {len(spec.values):,}; name each value "
        "once, or none",
    )
    for field in ("values", "names", "crossed"):
        given = getattr(spec, field)
        twice = next((one for one in given if given.count(one) > 1), None)
        require(twice is None, f"{place}.{field} has '{echo(twice)}' twice")
        require(len(given) != 1, f"{place}.{field}={echo(given)} must be at least two, or none")
    for one in spec.crossed:
        require(
            one in single,
            f"{place}.crossed: '{echo(one)}' is no grouping of one column; {nearest(one, single)}",
        )
