"""Successive halving on made-up results: who goes on, what is chosen, what the ids follow from."""

import dataclasses

import numpy as np
import pytest

from jaxbias.errors import InputError
from jaxbias.plan.search import RungResult, Searched, assumed, follow, rung_epochs
from jaxbias.plan.search_tables import tables
from jaxbias.plan.variants import expand
from jaxbias.study import SearchSpec, make_study
from tests.tiny import tiny_config, tiny_study

SEARCH = {
    "learning_rates": (0.1, 0.05, 0.02, 0.01),
    "weight_decays": (0.0, 1e-3),
    "repeats": 2,
    "eta": 2,
    "keep": 0.5,
    "first_epochs": 2,
    "max_epochs": 8,
}


def study_of(**changes):
    return tiny_study(search=SEARCH | changes)


def made_up(loss, diverged=lambda trial: False):
    """Results of every trial whose loss(trial, epoch) is a number."""

    def results(trial):
        last = trial.recipe.epochs
        first = max((e for e in (2, 4) if e < last), default=0)
        losses = np.array([loss(trial, epoch) for epoch in range(first + 1, last + 1)])
        if np.isnan(losses).any():
            return None
        curves = dict.fromkeys(("auc", "worst_group", "fpr_gap"), np.zeros_like(losses))
        return RungResult(
            curves | {"loss": losses}, "diverged at step 3" if diverged(trial) else "ok"
        )

    return results


def place(trial):
    """Of the trial's configuration in the settings."""
    rates = SEARCH["learning_rates"]
    return 2 * rates.index(trial.recipe.learning_rate) + (trial.recipe.weight_decay > 0)


def tried(course, base="Scratch"):
    search = next(s for s in course.searches if s.searched.base == base)
    return [len(c.trials[0]) for c in search.configurations]


def test_survivors_by_hand():
    """8 configurations at 2 epochs, 4 at 4, 2 at 8; ranks by the mean of the repeats."""
    # Repeat 0 alone would prefer configuration 7; its second sample ranks far below.
    table = np.array([[5, 5], [4, 4], [3, 9], [2, 4], [8, 8], [1, 5], [9, 1], [0, 99]])

    def loss(trial, epoch):
        return float(table[place(trial), trial.seed]) + 1 / epoch

    course = follow(study_of(), "d", made_up(loss))
    # Means 5, 4, 6, 3, 8, 3, 5, 49.5: the best four are 3, 5, 1 and, of the tie, 0.
    assert tried(course) == [2, 3 - 1, 1, 3, 1, 3, 1, 1]
    search = course.searches[0]
    assert search.winner == 3  # It ties with 5 and is listed first.
    assert (search.recipe.learning_rate, search.recipe.weight_decay) == (0.05, 1e-3)
    assert search.recipe.epochs == 8
    assert search.recipe.drop_at == 1


def test_epochs_are_those_of_the_lowest_mean_not_of_the_end():
    def loss(trial, epoch):
        best = (3, 5)[trial.seed]  # Each repeat has its own best epoch.
        return place(trial) + (epoch - best) ** 2

    course = follow(study_of(), "d", made_up(loss))
    assert {s.recipe.epochs for s in course.searches} == {4}
    assert {s.winner for s in course.searches} == {0}


def test_the_plan_goes_as_far_as_results_do():
    def up_to(last):
        return made_up(lambda trial, epoch: float("nan") if epoch > last else place(trial) / epoch)

    study = study_of()
    for last, epochs, count in ((0, {2}, 16), (2, {2, 4}, 24), (4, {2, 4, 8}, 28)):
        course = follow(study, "d", up_to(last))
        assert {trial.recipe.epochs for trial in course.trials} == epochs
        assert len(course.trials) == 3 * count
        assert not course.finetunes
    done = follow(study, "d", up_to(8))
    assert len(done.trials) == 3 * 28
    assert len(done.finetunes) == len(expand(study, "d"))
    again = follow(study, "d", up_to(8))
    assert [v.id for v in again.finetunes] == [v.id for v in done.finetunes]


def test_one_search_serves_every_curation_level_and_repeat():
    course = follow(study_of(), "d", made_up(lambda trial, epoch: (place(trial) - 3) ** 2 - epoch))
    assert [s.searched.base for s in course.searches] == ["Control", "Grouped", "Scratch"]
    assert {t.curation.name for t in course.trials} == {"correlation 2"}  # The lower middle.
    assert {(t.seed, t.base.seed) for t in course.trials} == {(0, 0), (1, 1)}
    assert {v.curation.name for v in course.finetunes} == {
        "natural",
        "correlation 2",
        "correlation 5",
    }
    assert len({v.recipe for v in course.finetunes}) == 1
    # A finetune that stops where a trial did is the same training, with the same id.
    assert {t.id for t in course.trials} & {v.id for v in course.finetunes}


def test_every_arm_has_a_choice_of_its_own():
    def loss(trial, epoch):
        best = {"Control": 1, "Grouped": 6, "Scratch": 3}[trial.base.name]
        return abs(place(trial) - best) - epoch / 100

    course = follow(study_of(), "d", made_up(loss))
    assert [s.winner for s in course.searches] == [1, 6, 3]
    for variant in course.finetunes:
        own = next(s for s in course.searches if s.searched == Searched.of(variant))
        assert variant.recipe == own.recipe
    trials, choices = tables(study_of(), course, made_up(loss))
    assert len(trials) == 3 * 8 * 2
    chosen = trials[trials["status"] == "chosen"]
    assert chosen.groupby("base")["learning_rate"].unique().str[0].to_dict() == dict(
        zip(choices["base"], choices["learning_rate"], strict=True)
    )
    # 16 trials of 2 epochs, 8 of 2 more, 4 of 4 more.
    assert (choices["trained_epochs"] == 64).all() and (choices["exhaustive_epochs"] == 128).all()
    assert trials["epochs"].sum() == 3 * 64


def test_a_diverged_repeat_costs_its_configuration_and_no_other():
    def diverged(trial):
        return place(trial) == 0 and trial.seed == 1

    results = made_up(lambda trial, epoch: place(trial) / epoch, diverged)
    course = follow(study_of(), "d", results)
    assert {s.winner for s in course.searches} == {1}
    trials, _ = tables(study_of(), course, results)
    first = trials[(trials["learning_rate"] == 0.1) & (trials["weight_decay"] == 0)]
    assert set(first["status"]) == {"stopped", "diverged at step 3"}
    assert np.isinf(first["configuration_criterion"]).all()


def test_where_all_that_are_left_diverge_the_best_of_those_before_is_chosen():
    results = made_up(
        lambda trial, epoch: float(place(trial)),
        lambda trial: place(trial) < 4 and trial.recipe.epochs == 4,
    )
    course = follow(study_of(), "d", results)
    assert {s.winner for s in course.searches} == {4}
    assert {s.recipe.epochs for s in course.searches} == {1}


def test_an_arm_that_diverges_altogether_is_named():
    results = made_up(lambda trial, epoch: 1.0, lambda trial: trial.base.name == "Grouped")
    with pytest.raises(InputError, match=r"for base 'Grouped', task 'target', n=20 diverged \(.*3"):
        follow(study_of(), "d", results)


def test_two_criteria_choose_differently():
    def results(trial):
        epochs = np.arange({2: 0, 4: 2, 8: 4}[trial.recipe.epochs], trial.recipe.epochs)
        fair = place(trial) == 5
        return RungResult(
            {
                "loss": 1 + place(trial) - epochs / 100,
                "auc": np.full(len(epochs), 0.8 if fair else 0.9),
                "worst_group": np.zeros(len(epochs)),
                "fpr_gap": np.full(len(epochs), -0.04 if fair else 0.2),
            },
            "ok",
        )

    for name, winner in (("val_loss", 0), ("val_auc", 0), ("val_gap_constrained", 5)):
        course = follow(study_of(criterion=name), "d", results)
        assert {s.winner for s in course.searches} == {winner}
        # The bound judges the choice; who goes on is told by the AUC, lowest for the fair one.
        assert tried(course)[5] == 1


def test_without_values_nothing_is_searched_and_ids_stay():
    study = tiny_study()
    course = follow(study, "d", lambda trial: None)
    assert course.trials == [] and course.finetunes == expand(study, "d")
    # As they were before there were searches.
    assert expand(study, "d")[0].id == "557688f58a745b58"


def test_planning_ahead_counts_every_rung_and_the_longest_finetunes():
    study = study_of()
    course = follow(study, "d", assumed(study, lambda trial: None))
    assert len(course.trials) == 3 * 28
    assert {v.recipe.epochs for v in course.finetunes} == {8}


def test_one_axis_alone_takes_the_others_from_finetune():
    study = tiny_study(search={"weight_decays": (0.0, 0.1), "max_epochs": 3})
    course = follow(study, "d", lambda trial: None)
    assert {t.recipe.learning_rate for t in course.trials} == {study.finetune.learning_rate}


def test_rungs_and_points_of_several_modes():
    assert rung_epochs(SearchSpec(first_epochs=3, max_epochs=24, eta=2)) == (3, 6, 12, 24)
    assert rung_epochs(SearchSpec(first_epochs=4, max_epochs=4)) == (4,)
    config = tiny_config(search=SEARCH)
    config["experiments"] = {"both": ({"mode": "full"}, {"mode": "head"})}
    course = follow(make_study(config), "d", made_up(lambda trial, epoch: place(trial)))
    assert len(course.searches) == 6
    assert {dataclasses.replace(s.searched, base="").recipe.mode for s in course.searches} == {
        "full",
        "head",
    }
