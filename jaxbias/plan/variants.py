"""Variants: every training of a study, each with an id made of its content alone."""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from jaxbias.files.content import content_id
from jaxbias.study import (
    BaseSpec,
    Curation,
    FinetuneSpec,
    Point,
    PretrainSpec,
    Study,
    curations_of,
    parse_curation,
    to_dict,
)

# No weights are imported.
NONE: Mapping[str, str] = MappingProxyType({})
# Settings of a recipe that came later than its first results: these are of the values here, and ids
# of variants that are so too do not tell of them.
LATER: Mapping[str, Any] = MappingProxyType({"optimizer": "sgd", "schedule": "step", "warmup": 0.0})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a training run is done.

    Learning rate, weight decay, drop_at, warmup, dro_step, C and tolerance may differ between the
    variants of one program; the rest fixes its shapes.

    Attributes: see `FinetuneSpec`; the mode of a pretraining is `BaseSpec.trained`.
    """

    mode: str
    epochs: int
    batch: int
    momentum: float
    learning_rate: float
    weight_decay: float
    drop_at: float
    dro_step: float
    solver: str = "sgd"
    C: float = 1.0
    tolerance: float = 1e-4
    optimizer: str = LATER["optimizer"]
    schedule: str = LATER["schedule"]
    warmup: float = LATER["warmup"]

    @classmethod
    def of(cls, spec: PretrainSpec | FinetuneSpec) -> "Recipe":
        """Returns the recipe of a study's settings."""
        plain = {"mode": "full", "dro_step": 0.0}
        return cls(
            **{
                field.name: getattr(spec, field.name, plain.get(field.name, field.default))
                for field in dataclasses.fields(cls)
            }
        )

    @classmethod
    def of_base(cls, spec: PretrainSpec, base: "Base") -> "Recipe":
        """Returns how a base is pretrained."""
        return dataclasses.replace(cls.of(spec), mode=base.trained)

    @property
    def content(self) -> dict[str, Any]:
        """What a variant's id is made of: not what says nothing, nor later settings unused.

        How heads are solved says nothing of any other mode.
        """
        unused = [] if self.mode == "head" else ["solver", "C", "tolerance"]
        unused += [name for name, value in LATER.items() if getattr(self, name) == value]
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in unused}

    @property
    def shape(self) -> tuple:
        """What must agree within a program."""
        return (
            self.mode, self.epochs, self.batch, self.momentum, self.optimizer, self.schedule
        )  # fmt: skip


_RECIPE = frozenset(field.name for field in dataclasses.fields(Recipe))


@dataclasses.dataclass(frozen=True)
class Base:
    """One initialisation: a kind of base and a pretraining seed.

    Attributes:
      name: its key in config.bases.
      role: studied, imported, control or scratch.
      target: the column it is pretrained to predict; "" for those that are not pretrained here.
      curation: the curation of its pretraining set.
      seed: of the draw, the initialisation and the batch order.
      id: hash of the data, the network, the schedule and the rest (the name and role excepted).
      objective: what it is pretrained by, "supervised" or "simclr".
      also: columns learnt together with the target.
      soft: whether their probabilities are learnt.
      without: "column=value", who is left out of its pretraining set.
      weights: id of the imported weights that it is, or that its pretraining continues from; "":
        there are none.
      trained: what of the network its pretraining trains, "full" or "last_block".
    """

    name: str
    role: str
    target: str
    curation: str
    seed: int
    id: str
    objective: str = "supervised"
    also: tuple[str, ...] = ()
    soft: bool = False
    without: tuple[str, ...] = ()
    weights: str = ""
    trained: str = "full"

    @classmethod
    def of(cls, name: str, spec: BaseSpec, seed: int, id: str = "", weights: str = "") -> "Base":
        """Returns the base of a study's settings; its weights are told by their id."""
        own = {"name": name, "seed": seed, "id": id, "weights": weights}
        fields = [field.name for field in dataclasses.fields(cls) if field.name not in own]
        return cls(**own, **{field: getattr(spec, field) for field in fields})

    @property
    def trained_here(self) -> bool:
        """Whether the study pretrains it."""
        return self.role not in ("imported", "scratch")

    @property
    def trunk(self) -> str:
        """Id of the imported weights whose trunk it has unchanged; "": its own."""
        return self.weights if not self.trained_here or self.trained == "last_block" else ""


@dataclasses.dataclass(frozen=True)
class Variant:
    """One finetuning: a base, a task, a curation, a size, a recipe and a seed."""

    base: Base
    task: str
    curation: Curation
    n: int
    recipe: Recipe
    seed: int
    id: str

    @property
    def objective(self) -> str:
        """What is minimised; see `Curation.objective`."""
        return self.curation.objective


def expand(study: Study, data: str, weights: Mapping[str, str] = NONE) -> list[Variant]:
    """Returns every variant of a study.

    Repeat r finetunes draw r from pretraining seed r: a repeat renews the base and the draw
    together, so repeats are independent and the unit of replication.

    Args:
      study: the study.
      data: the dataset's fingerprint.
      weights: base that has weights -> their identity; "table NAME" -> the hash of a table of
        example scores.
    """
    maker = Maker(study, data, weights)
    if study.experiments:
        points = itertools.chain.from_iterable(study.experiments.values())
        return list({variant.id: variant for variant in maker.variants(points)}.values())
    return list(maker.variants([{}]))


def expand_by_experiment(
    study: Study, data: str, weights: Mapping[str, str] = NONE
) -> dict[str, list[Variant]]:
    """Returns the variants of each experiment; experiments may share some.

    A study without experiments has one, of its own name.
    """
    if not study.experiments:
        return {study.name: expand(study, data, weights)}
    maker = Maker(study, data, weights)
    return {
        name: list({variant.id: variant for variant in maker.variants(points)}.values())
        for name, points in study.experiments.items()
    }


class Maker:
    """Makes the variants of points; what many of them share is made once."""

    def __init__(self, study: Study, data: str, weights: Mapping[str, str] = NONE) -> None:
        self.study = study
        self.tasks = tuple(study.tasks)
        self.fixed = {
            "data": data,
            "model": study.model.content,
            "group": to_dict(study.group),
            "on_shortage": study.curations.on_shortage,
        }
        # What is learnt, where a task's name alone does not say it.
        self.learnt: dict[str, dict[str, Any]] = {
            **{task: {"learnt": "classes"} for task in study.classes},
            **{task: {"learnt": list(columns)} for task, columns in study.labels.items()},
        }
        self.base = functools.cache(lambda name, seed: _base(study, data, weights, name, seed))
        self.identities = weights
        self.curations = functools.cache(
            lambda task: [self._identified(each) for each in curations_of(study, task)]
        )
        self.curation = functools.cache(
            lambda name: self._identified(parse_curation(name, "config.experiments"))
        )
        self.rule = functools.cache(lambda curation: curation.content)
        self.recipe = functools.cache(self._recipe)
        self.done = functools.cache(lambda recipe: recipe.content)

    def variants(self, points: Iterable[Point]) -> Iterator[Variant]:
        """Yields every variant of every point, in order; an axis left out takes all values."""
        study = self.study
        for point in points:
            recipe = self.recipe(tuple(item for item in point.items() if item[0] in _RECIPE))
            for task in _of(point, "task", self.tasks):
                curations = (
                    (self.curation(point["curation"]),)
                    if "curation" in point
                    else self.curations(task)
                )
                for n in _of(point, "n", study.finetune.n):
                    for seed in _of(point, "seed", range(study.finetune.seeds)):
                        for name in _of(point, "base", study.bases):
                            base = self.base(name, seed)
                            for curation in curations:
                                yield self.make(base, task, curation, n, recipe, seed)

    def _identified(self, curation: Curation) -> Curation:
        """A table is what is in it."""
        if curation.table is None:
            return curation
        digest = self.identities[f"table {curation.table}"]
        return dataclasses.replace(curation, digest=digest)

    def _recipe(self, changed: tuple[tuple[str, Any], ...]) -> Recipe:
        return dataclasses.replace(Recipe.of(self.study.finetune), **dict(changed))

    def make(
        self, base: Base, task: str, curation: Curation, n: int, recipe: Recipe, seed: int
    ) -> Variant:
        """Returns the variant of these settings."""
        content = {
            **self.fixed,
            "base": base.id,
            "task": task,
            **self.learnt.get(task, {}),
            "curation": self.rule(curation),
            "n": n,
            "recipe": self.done(recipe),
            "seed": seed,
        }
        return Variant(base, task, curation, n, recipe, seed, content_id(content))

    def remake(self, variant: Variant) -> Variant:
        """Returns a variant with the id that it has in this study."""
        v = variant
        return self.make(v.base, v.task, v.curation, v.n, v.recipe, v.seed)


def _of(point: Point, axis: str, values: Iterable[Any]) -> Iterable[Any]:
    return (point[axis],) if axis in point else values


def _base(study: Study, data: str, weights: Mapping[str, str], name: str, seed: int) -> Base:
    spec = study.bases[name]
    start = content_id({"weights": weights[name]}) if spec.weights else ""
    if spec.role == "imported":  # One checkpoint for every seed.
        return Base.of(name, spec, 0, start, start)
    base = Base.of(name, spec, seed, weights=start)
    return dataclasses.replace(base, id=base_id(study, data, base))


def base_id(study: Study, data: str, base: Base) -> str:
    """Returns the id of a base that is made here: a hash of what makes it.

    Args:
      study: the study.
      data: the dataset's fingerprint.
      base: of any role but imported; its own id is not looked at.
    """
    if base.role == "scratch":
        return content_id(
            {"model": study.model.content, "image_size": study.data.image_size, "seed": base.seed}
        )
    content = {
        "data": data,
        "model": study.model.content,
        "group": to_dict(study.group),
        "target": base.target,
        "curation": base.curation,
        "pretrain": study.pretrain.content,
        "seed": base.seed,
    }
    if base.objective != "supervised" or base.also:
        content |= {"objective": base.objective, "also": list(base.also)}
    if base.soft:
        content["soft"] = True
    if base.without:
        content["without"] = sorted(base.without)
    if base.weights:
        content |= {"weights": base.weights, "trained": base.trained}
    return content_id(content)
