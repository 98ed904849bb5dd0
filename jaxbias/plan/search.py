"""Hyperparameter search: the rules of successive halving, and what follows from results so far.

Every configuration (learning rate × weight decay) is tried `repeats` times. A rung trains what is
left to its epochs and keeps the best share of the configurations (after Jamieson & Talwalkar,
2016, who keep 1/eta); a configuration ranks by the best epoch so far of `criteria.ranking`. The
choice is the configuration whose criterion was ever the lowest, and the epoch at which it was. Ties
go to what is listed first.

A trial at the end of a rung is an ordinary variant whose recipe has the rung's epochs: its id is
its content, it is the beginning of the trial at the next rung, and stopping a finetune there is
the same training. So the next rung, the choices and the ids of all finetunes follow from the
settings and the stored results, in whatever order these came about.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from jaxbias.errors import InputError
from jaxbias.plan.criteria import MEASURES, criterion, ranking
from jaxbias.plan.variants import NONE, Maker, Recipe, Variant, expand
from jaxbias.study import SearchSpec, Study, searched_curation


@dataclasses.dataclass(frozen=True)
class Searched:
    """What is searched once: all finetunes of a base, a task and an n, whatever their curation.

    Attributes:
      base: its name.
      task: the task.
      n: finetuning images.
      recipe: what is not searched of it; the rest is zero.
    """

    base: str
    task: str
    n: int
    recipe: Recipe

    @classmethod
    def of(cls, variant: Variant) -> "Searched":
        """Returns what a variant is a finetune of."""
        fixed = dataclasses.replace(
            variant.recipe, learning_rate=0.0, weight_decay=0.0, epochs=0, drop_at=1.0
        )
        return cls(variant.base.name, variant.task, variant.n, fixed)

    def __str__(self) -> str:
        return f"base '{self.base}', task '{self.task}', n={self.n}"


@dataclasses.dataclass(frozen=True, eq=False)
class RungResult:
    """The end of one rung of a trial.

    Attributes:
      curves: measure -> float64[E], of the epochs of this rung alone.
      status: "ok", or at which step the trial diverged.
    """

    curves: dict[str, np.ndarray]
    status: str


Results = Callable[[Variant], RungResult | None]  # None: the rung of this trial is not done.


@dataclasses.dataclass(frozen=True)
class Configuration:
    """One configuration of a search, as far as results go.

    Attributes:
      learning_rate: of the trials.
      weight_decay: of the trials.
      trials: per repeat, the trial at the end of each rung it was due at.
      rungs: how many of these are done.
      curve: float64[E], its criterion after every epoch; infinite where a repeat diverged.
    """

    learning_rate: float
    weight_decay: float
    trials: tuple[tuple[Variant, ...], ...]
    rungs: int
    curve: np.ndarray

    @property
    def value(self) -> float:
        """The lowest criterion so far."""
        return float(self.curve.min(initial=np.inf))


@dataclasses.dataclass(frozen=True)
class Search:
    """One search, as far as results go.

    Attributes:
      searched: of what.
      configurations: in the order of the settings.
      done: whether nothing more is to be tried.
    """

    searched: Searched
    configurations: tuple[Configuration, ...]
    done: bool

    @property
    def winner(self) -> int:
        """The place of the best configuration."""
        return int(np.argmin([c.value for c in self.configurations]))

    @property
    def recipe(self) -> Recipe:
        """What its finetunes are trained with."""
        best = self.configurations[self.winner]
        return dataclasses.replace(
            self.searched.recipe,
            learning_rate=best.learning_rate,
            weight_decay=best.weight_decay,
            epochs=1 + int(np.argmin(best.curve)),
        )


@dataclasses.dataclass(frozen=True)
class Course:
    """What a study trains, as far as its search has come.

    Attributes:
      searches: all; none where nothing is searched.
      variants: of the study, with config.finetune's recipes.
      finetunes: the same with the recipes that were chosen; none before all searches are done.
    """

    searches: tuple[Search, ...]
    variants: list[Variant]
    finetunes: list[Variant]

    @property
    def trials(self) -> list[Variant]:
        """Every trial at every rung that is due or done, rung by rung."""
        each = [
            trial
            for search in self.searches
            for configuration in search.configurations
            for trials in configuration.trials
            for trial in trials
        ]
        return sorted(each, key=lambda trial: trial.recipe.epochs)

    def chosen(self, variants: Iterable[Variant], maker: Maker) -> list[Variant]:
        """Returns variants with the recipes that their searches chose."""
        if not self.searches:
            return list(variants)
        recipes = {search.searched: search.recipe for search in self.searches}
        return [
            maker.make(v.base, v.task, v.curation, v.n, recipes[Searched.of(v)], v.seed)
            for v in variants
        ]


def rung_epochs(spec: SearchSpec) -> tuple[int, ...]:
    """Returns the epochs after which each rung ends.

    A rung that would end less than half a step (a factor of √eta) before the last is left out.

    >>> rung_epochs(SearchSpec())
    (3, 5, 7, 10, 15, 24)
    >>> rung_epochs(SearchSpec(first_epochs=3, max_epochs=25, eta=2.0))
    (3, 6, 12, 25)
    """
    rungs = [spec.first_epochs]
    for power in itertools.count(1):
        epochs = math.floor(spec.first_epochs * spec.eta**power + 0.5)
        if epochs * math.sqrt(spec.eta) >= spec.max_epochs:
            break
        rungs.append(epochs)
    return (*(e for e in dict.fromkeys(rungs) if e < spec.max_epochs), spec.max_epochs)


def kept(spec: SearchSpec, count: int) -> tuple[int, ...]:
    """Returns how many of `count` configurations each rung trains, at most.

    >>> kept(SearchSpec(), 20)
    (20, 14, 10, 7, 5, 4)
    """
    shares = (count * spec.keep**rung for rung in range(len(rung_epochs(spec))))
    # Rounded up, but for what floating point adds: 10 × 0.1 is 1.
    return tuple(max(1, math.ceil(share - 1e-9)) for share in shares)


def _survivors(values: Sequence[float], alive: Sequence[int], keep: int) -> list[int]:
    """Returns the configurations that go on to the next rung, in their own order.

    Args:
      values: the criterion of each; infinite: diverged.
      alive: those that this rung trained.
      keep: how many at most.

    >>> _survivors([0.3, 0.1, float("inf"), 0.1, 0.2], [0, 1, 2, 3, 4], 3)
    [1, 3, 4]
    """
    sound = [c for c in alive if np.isfinite(values[c])]
    return sorted(sorted(sound, key=lambda c: (values[c], c))[:keep])


def follow(study: Study, data: str, results: Results, weights: Mapping[str, str] = NONE) -> Course:
    """Returns what a study trains, given the results of its trials so far.

    Args:
      study: the study.
      data: the dataset's fingerprint.
      results: of every trial that is done.
      weights: base that is imported -> the identity of its weights.

    Raises:
      InputError: every trial of a search diverged.
    """
    variants = expand(study, data, weights)
    if not study.search.on:
        return Course((), variants, variants)
    maker = Maker(study, data)
    every = dict.fromkeys(map(Searched.of, variants))
    searches = tuple(_follow(study, maker, searched, results) for searched in every)
    course = Course(searches, variants, [])
    if not all(search.done for search in searches):
        return course
    return dataclasses.replace(course, finetunes=course.chosen(variants, maker))


def _follow(study: Study, maker: Maker, searched: Searched, results: Results) -> Search:
    spec, fine = study.search, study.finetune
    tried = list(
        itertools.product(
            spec.learning_rates or (fine.learning_rate,), spec.weight_decays or (fine.weight_decay,)
        )
    )
    curation = searched_curation(study, searched.task)

    def trial(configuration: int, repeat: int, epochs: int) -> Variant:
        rate, decay = tried[configuration]
        recipe = dataclasses.replace(
            searched.recipe, learning_rate=rate, weight_decay=decay, epochs=epochs
        )
        base = maker.base(searched.base, repeat)
        return maker.make(base, searched.task, curation, searched.n, recipe, repeat)

    due: list[list[list[Variant]]] = [[[] for _ in range(spec.repeats)] for _ in tried]
    ended: list[list[list[RungResult]]] = [[[] for _ in range(spec.repeats)] for _ in tried]
    curves, ranked = [np.zeros(0)] * len(tried), [np.inf] * len(tried)
    alive, done = list(range(len(tried))), True
    for rung, epochs in enumerate(rung_epochs(spec)):
        found = {}
        for c, repeat in itertools.product(alive, range(spec.repeats)):
            due[c][repeat].append(trial(c, repeat, epochs))
            found[c, repeat] = results(due[c][repeat][-1])
        if not all(found.values()):
            done = False
            break
        for (c, repeat), end in found.items():
            ended[c][repeat].append(end)
        for c in alive:
            curves[c] = curve_of(study, ended[c])
            ranked[c] = float(curve_of(study, ended[c], ranking(spec.criterion)).min())
        if not any(np.isfinite(curve).any() for curve in curves):
            status = next(iter(found.values())).status
            raise InputError(
                f"every configuration of the search for {searched} diverged (the first trial: "
                f"{status}); lower config.search.learning_rates and use a new workdir"
            )
        # Where all that were left diverge now, an earlier one is still the best.
        if epochs < spec.max_epochs:
            alive = _survivors(ranked, alive, kept(spec, len(tried))[rung + 1])
    configurations = tuple(
        Configuration(*tried[c], tuple(map(tuple, due[c])), len(ended[c][0]), curves[c])
        for c in range(len(tried))
    )
    return Search(searched, configurations, done)


def curve_of(study: Study, repeats: Sequence[Sequence[RungResult]], name: str = "") -> np.ndarray:
    """Returns float64[E], the criterion of repeats after every epoch.

    Args:
      study: names the criterion.
      repeats: the rungs of each.
      name: of another criterion.
    """
    curves = {
        name: np.stack([np.concatenate([end.curves[name] for end in ends]) for ends in repeats])
        for name in MEASURES
    }
    values = criterion(name or study.search.criterion, curves, study.answer.epsilon)
    sound = all(end.status == "ok" for ends in repeats for end in ends)
    return values if sound else np.full_like(values, np.inf)


def assumed(study: Study, results: Results) -> Results:
    """Returns results to plan ahead with: a trial that is not done improves with every epoch.

    Those listed first go on, and finetunes take the most epochs: what a search costs depends on
    neither, what finetunes cost is an upper bound.
    """
    rungs = rung_epochs(study.search)

    def ended(trial: Variant) -> RungResult:
        last = trial.recipe.epochs
        first = max((epochs for epochs in rungs if epochs < last), default=0)
        error = 1 / (2.0 + np.arange(first, last))
        curves = {"loss": error, "auc": 1 - error, "worst_group": 1 - error, "fpr_gap": 0 * error}
        return results(trial) or RungResult(curves, "ok")

    return ended
