"""What a launch will cost, by each source against numbers worked out by hand."""

import dataclasses
import typing

import pytest

from jaxbias.costs.estimate import Cost, PlanCost
from jaxbias.costs.prediction import CYCLES, ROOFLINE
from jaxbias.errors import InputError
from jaxbias.targets import KINDS
from jaxbias.workdir.overview import Overview, Stage
from launch import cost
from launch.settings import LaunchSpec

NOTHING = Cost(0, 0, 0, 0, 0.0, 0.0, 0.0, 0)


def plan_cost(**parts):
    named = dict.fromkeys(("bases", "finetunes", "trials"), NOTHING)
    rest = dict.fromkeys((f.name for f in dataclasses.fields(PlanCost)), 0)
    return PlanCost(**{**rest, "experiments": {}, "rates": {}, "devices": 1, **named, **parts})


def some(**numbers):
    return dataclasses.replace(NOTHING, **numbers)


def stage(name, of_kinds, **members):
    members = {**dict.fromkeys(("done", "running", "waiting", "quarantined"), 0), **members}
    return Stage(name, members, members, None, None, of_kinds)


def test_measured_hours_are_members_times_seconds_of_devices_alike():
    stages = (
        stage("pretrain", {"cpu": 900.0}, done=4),  # None are left.
        stage("search", {}, waiting=8),  # Nothing is known.
        # 40 members.
        stage(
            "finetune",
            {"NVIDIA L4": 360.0, "NVIDIA H100 80GB HBM3": 90.0, "cpu": 9e3, "TPU v4": 45.0},
            **{"done": 2, "running": 10, "waiting": 30, "quarantined": 5},
        ),
    )
    overview = Overview(stages, hosts=(), quarantine="", now=0.0)
    for spec, hours in (
        (LaunchSpec(device="gpu", kind="H100"), {"finetune": 1.0}),
        (LaunchSpec(device="gpu", kind="A100"), {}),
        (LaunchSpec(device="gpu"), {"finetune": 4.0}),
        (LaunchSpec(device="tpu"), {"finetune": 0.5}),
        (LaunchSpec(), {"finetune": 100.0}),
    ):
        assert cost.measured(overview, spec) == hours


def test_estimated_hours_are_those_of_the_dry_run_on_all_its_devices():
    found = plan_cost(
        bases=some(seconds=1800.0), finetunes=some(seconds=7000.0), feature_seconds=200.0, devices=2
    )
    assert cost.estimated(found) == {"pretrain": 1.0, "search": 0.0, "finetune": 4.0}


def test_bounded_hours_are_a_tenth_of_the_roofline():
    peak = dataclasses.replace(KINDS["v5e"], flops=1e12, bandwidth=1e11)
    found = plan_cost(
        # 360 s of arithmetic, 36 s of memory; at a tenth of that an hour.
        bases=some(flops=3.6e14, traffic=3.6e12, seconds=5.0),
        # 36 s of arithmetic, 720 s of memory: two hours.
        trials=some(flops=3.6e13, traffic=7.2e13),
        # 180 s and, for features, 180 s of arithmetic.
        finetunes=some(flops=1.8e14),
        feature_flops=1.8e14,
        devices=8,
    )
    expected = {"pretrain": 1.0, "search": 2.0, "finetune": 1.0}
    assert cost.bounded(found, peak) == pytest.approx(expected)


@dataclasses.dataclass(frozen=True)
class Rate:
    basis: str
    misfit: str = ""


def test_predicted_hours_are_of_what_the_compiler_tells_the_time_of():
    peak = dataclasses.replace(KINDS["v5e"], flops=1e12, bandwidth=1e11)
    found = plan_cost(
        bases=some(seconds=7200.0, flops=3.6e14, kinds=frozenset({"loop", "pack"})),
        finetunes=some(seconds=1700.0, flops=3.6e15, kinds=frozenset({"pack"})),
        feature_seconds=100.0,
        rates={"loop": Rate(ROOFLINE), "pack": Rate(CYCLES)},
        devices=4,
    )
    # 1,800 s of 4 devices; of bases the bound, 360 s of arithmetic at a tenth of the peak.
    expected = {"finetune": 2.0, "search": 0.0}, {"pretrain": 1.0}
    assert cost.predicted(found, peak) == expected
    unfit = dataclasses.replace(found, rates={**found.rates, "pack": Rate(CYCLES, "too large")})
    with pytest.raises(InputError, match=r"^too large$"):
        cost.predicted(unfit, peak)


def test_every_kind_that_a_launch_may_ask_for_has_its_peaks():
    assert {*typing.get_args(typing.get_type_hints(LaunchSpec)["kind"])} == {"", *KINDS}


def test_what_is_left_is_said_with_where_it_is_from():
    known = cost.Left({"measured": 2.0, "guessed": 0.5})
    assert known.sentence(0.0) == "2.50 device hours are left: 2.00 measured; 0.50 guessed"
    assert known.sentence(3.0).startswith("2.50 device hours are left, 7.50 at 3 an hour: ")
    partly = dataclasses.replace(known, unknown="no data")
    assert partly.sentence(3.0).endswith("; more is left, and not known: no data")
    assert cost.Left({}, "no data").sentence(3.0) == "What is left is not known: no data"


@pytest.mark.parametrize(
    ("hours", "unknown", "refused"),
    [(2.0, "", False), (2.1, "", True), (0.5, "no data", True)],
)
def test_what_costs_too_much_or_is_not_known_is_refused(hours, unknown, refused):
    left, spec = cost.Left({"measured": hours}, unknown), LaunchSpec(price=2.5, max_cost=5.0)
    cost.refuse(left, spec, confirmed=True)
    cost.refuse(left, dataclasses.replace(spec, max_cost=0.0), confirmed=False)
    if refused:
        with pytest.raises(InputError, match=r"launch\.max_cost=5, so add --yes"):
            cost.refuse(left, spec, confirmed=False)
    else:
        cost.refuse(left, spec, confirmed=False)


def test_workers_times_hours_are_held_to_what_is_left():
    spec, left = LaunchSpec(devices=4), cost.Left({"measured": 70.0})
    # Of 4 devices and two hours: 8 device hours each.
    said = cost.within(left, spec, 16, 120)
    assert said == "16 workers × 2 h × 4 devices: 128.00 device hours at most; 9 would do"
    said = cost.within(left, spec, 8, 120)
    assert said.endswith(
        "64.00 device hours at most; it takes 9, or `resubmit` when they have ended"
    )
    unknown = dataclasses.replace(left, unknown="no data")
    assert cost.within(unknown, spec, 16, 120).endswith("128.00 device hours at most")
