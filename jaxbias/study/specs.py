"""Specs: every setting of a study with its default and range, written here and nowhere else."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from jaxbias.values import (
    MOST_REPLICATES,
    Batch,
    Epochs,
    Images,
    Inverse,
    Level,
    PartOf,
    Range,
    Rate,
    Rendered,
    Repeats,
    Seed,
    Share,
    Tolerance,
)

Split = Literal["pretrain", "finetune", "validation", "test"]
SPLITS: tuple[str, ...] = typing.get_args(Split)
Role = Literal["studied", "imported", "control", "scratch"]
ROLES: tuple[str, ...] = typing.get_args(Role)
Optimizer = Literal["sgd", "adamw"]
Curve = Literal["step", "cosine"]  # Of the learning rate.
Mode = Literal["map", "vmap", "unroll"]
MODES: tuple[str, ...] = typing.get_args(Mode)
# The settings that name what is finetuned for, and so the kinds of tasks.
TASKS = ("targets", "pairs", "classes", "labels")
COMPUTED = ("engine", "lift", "save_every", "keep")  # Of pretraining: it gives the same bases.
STUDIED = ("studied", "imported")  # Whose bias is asked for; the others are compared with them.

Point = Mapping[str, Any]  # Axis -> value; what it leaves out takes all the values of the study.
Sweep = tuple[Point, ...]


def _mapping(**items: Any) -> Any:
    return dataclasses.field(default_factory=lambda: dict(items))


@dataclasses.dataclass(frozen=True)
class FacesSpec:
    """Built-in synthetic faces: how many to render and from which joint distribution."""

    population: Mapping[Split, Rendered] = _mapping(
        pretrain=6000, finetune=4000, validation=2000, test=4000
    )
    # Rare (attribute, gender) cells are topped up to this many rendered images ...
    cell_minimum: Mapping[Split, Rendered] = _mapping(
        pretrain=600, finetune=600, validation=100, test=200
    )
    # ... for these attributes.
    strata: Mapping[Split, tuple[str, ...]] = _mapping(
        pretrain=(), finetune=(), validation=(), test=()
    )
    # attribute -> size/contrast of its cue; 1 is the standard drawing.
    salience: Mapping[str, Annotated[float, Range(0, 3)]] = _mapping()
    # attribute -> (P(attribute | female), P(attribute | male)); CelebA's where not given.
    frequencies: Mapping[str, tuple[Share, Share]] = _mapping()
    male_share: Annotated[float, Range(0.001, 0.999)] = 0.419


@dataclasses.dataclass(frozen=True)
class DerivedSpec:
    """A binary column made from the values of another: positive, negative, the rest unknown."""

    column: str = ""
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()  # Empty: every value that is not positive.


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """Where the images and labels come from and how they are split."""

    name: str = "faces"  # One of docs/datasets.md, or tfds:NAME.
    path: str = ""
    # Images are square, uint8[image_size, image_size, 3].
    image_size: Annotated[int, Range(1, 1024)] = 64
    seed: Seed = 0  # Rendering of synthetic images; assignment of examples to splits.
    table: str = "labels.csv"  # CSV or Parquet, relative to `path`.
    file_column: str = "file"
    split_column: str = ""  # Empty: every row is of the one source split "all".
    # source split -> our split -> share of its examples.
    splits: Mapping[str, Mapping[Split, PartOf]] = _mapping()
    derived: Mapping[str, DerivedSpec] = _mapping()
    on_bad_image: Literal["error", "skip"] = "error"  # skip: counted and reported.
    on_missing: Literal["error", "skip"] = "error"  # Of images that a table names.
    # Words of label columns that are unknown, in any case, as an empty field always is.
    missing_values: tuple[str, ...] = ("NA", "N/A", "?", "unknown", "none", "null", "nan", "-")
    # FairFace: ages that a spreadsheet turned into dates.
    damaged_labels: Literal["error", "repair"] = "error"
    # parquet, tfds:NAME: where the image is, and label column -> "column" or "feature/part";
    # no columns: everything that can be a label.
    image_column: str = "image"
    columns: Mapping[str, str] = _mapping()
    annotations: str = ""  # A table (id and label columns) of labels from elsewhere.
    scores: str = ""  # A table (id and attributes) of probabilities: labels and soft targets.
    # attribute -> mean its scores are rescaled to.
    base_rates: Mapping[str, Annotated[float, Range(1e-6, 1 - 1e-6)]] = _mapping()
    sources: Mapping[str, "DataSpec"] = _mapping()  # Of "mix": several joined into one.
    faces: FacesSpec = FacesSpec()


@dataclasses.dataclass(frozen=True)
class GroupSpec:
    """The sensitive attribute; gaps are first minus second."""

    column: str = "Male"
    values: tuple[str, ...] = ("0", "1")
    names: tuple[str, ...] = ("female", "male")


@dataclasses.dataclass(frozen=True)
class GroupingSpec:
    """More groups, of any number, that the same scores are evaluated in; no part of any id."""

    column: str = ""  # A label column, whose values are the groups.
    values: tuple[str, ...] = ()  # Those compared, in order; empty: all that the data have.
    names: tuple[str, ...] = ()  # Of the values; empty: the values themselves.
    # In place of a column: groupings of one column whose groups are crossed; "group" is
    # config.group's.
    crossed: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """The network every base and every finetune uses."""

    name: str = "convnet"  # One of docs/models.md.
    widths: tuple[Annotated[int, Range(1, 65536)], ...] = (16, 32, 64)  # Of the convnet's stages.
    # Of ResNets; small: for images of less than 100 px.
    stem: Literal["imagenet", "small"] = "imagenet"
    zero_init_residual: bool = False  # Whether a ResNet's blocks start as the identity.
    # Parameters and statistics are float32. auto: bfloat16 on accelerators, float32 on CPU.
    compute_dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    # auto: by platform and grid.mode. Equal up to rounding, so no part of what a variant is.
    convolution: Literal["auto", "patches", "conv", "by_image"] = "auto"

    @property
    def content(self) -> dict[str, Any]:
        """What ids are made of: the settings that change this architecture's results."""
        applied = {
            "convnet": ("widths",),
            "resnet": ("stem", "zero_init_residual"),
            "vit": (),
            "efficientnet_lite": (),
            "tf_efficientnet_lite": (),
        }
        kind = next((kind for kind in applied if self.name.startswith(kind)), "")
        every = tuple(setting for settings in applied.values() for setting in settings)
        changed = () if self.compute_dtype == "float32" else ("compute_dtype",)
        names = ("name", *applied.get(kind, every), *changed)
        return {name: to_dict(getattr(self, name)) for name in names}


@dataclasses.dataclass(frozen=True)
class BaseSpec:
    """An initialisation: pretrained here on `target`, random ("scratch"), or `weights`."""

    role: Role = "studied"
    target: str = ""
    # The directory that `jaxbias weights import` wrote: these themselves are of the role imported;
    # beside a target, what its pretraining continues from.
    weights: str = ""
    # Of pretraining that continues: all layers, or as in FinetuneSpec.mode; such bases share what
    # the rest of the network makes of the images.
    trained: Literal["full", "last_block"] = "full"
    # Of its pretraining set, such as "correlation 9": those of docs/pretraining.md. Cells are those
    # of the target, whatever is learnt.
    curation: str = "group_balanced"
    objective: Literal["supervised", "simclr"] = "supervised"  # simclr learns without labels.
    also: tuple[str, ...] = ()  # Binary columns learnt together with the target.
    # Learns the probabilities of config.data.scores for these columns, and not yes and no.
    soft: bool = False
    # "column=value": who is of one of these, or may be (unknown), is left out of its images.
    without: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class PretrainSpec:
    """Pretraining: one schedule for every base, so bases differ in their data alone."""

    n: Images = 3000
    epochs: Epochs = 12
    batch: Batch = 64
    learning_rate: Rate = 0.05
    weight_decay: Rate = 1e-4
    momentum: Share = 0.9
    drop_at: Share = 0.75  # Share of the steps after which the learning rate falls tenfold.
    optimizer: Optimizer = "sgd"
    schedule: Curve = "step"  # step: see drop_at; cosine: to 0.
    warmup: Share = 0.0  # Share of the steps in which the learning rate rises.
    # packed: several bases in one program, each from its first step to its last. loop: one base
    # after another, step by step on all devices, with checkpoints. auto: packed where that can do
    # what is asked: labels, whole batches. Both draw the same batches and flips.
    engine: Literal["auto", "packed", "loop"] = "auto"
    # What follows is for the loop alone.
    temperature: Annotated[float, Range(1e-3, 1000)] = 0.5  # Of SimCLR.
    projection: Annotated[int, Range(1, 65536)] = 64  # Of SimCLR: width of what is compared.
    # Pieces of a batch computed one after another, of which norms see one at a time. 1: the whole
    # batch, in more pieces only where devices cannot hold it and no norm sees it.
    accumulate: Batch = 1
    # How a step is spread over devices. On 2 CPU devices a step of the
    # convnet takes 5 ms by shard_map and 12 by jit, where the compiler gathers activations.
    lift: Literal["shard_map", "jit", "pmap"] = "shard_map"
    save_every: Annotated[int, Range(0, 2**31 - 1)] = 0  # Steps between checkpoints; 0: an epoch.
    keep: Annotated[int, Range(1, 1000)] = 2  # Last checkpoints kept, beside the best.

    @property
    def content(self) -> dict[str, Any]:
        """What ids of bases are made of: not how it is computed, nor later settings unused."""
        fields = {field.name: field for field in dataclasses.fields(self)}
        later = ("optimizer", "schedule", "warmup", "temperature", "projection", "accumulate")
        return {
            name: value
            for name, value in to_dict(self).items()
            if name not in COMPUTED and (name not in later or value != fields[name].default)
        }


@dataclasses.dataclass(frozen=True)
class FinetuneSpec:
    """Finetuning: sizes, repeats and the schedule of every variant."""

    n: tuple[Images, ...] = (512,)
    seeds: Repeats = 3  # Repeats: each renews the pretraining of the bases and the draw.
    mode: Literal["full", "head", "last_block"] = "full"  # Which parameters are trained.
    epochs: Epochs = 8
    batch: Batch = 64
    learning_rate: Rate = 0.02
    weight_decay: Rate = 1e-4
    momentum: Share = 0.9
    drop_at: Share = 0.75
    optimizer: Optimizer = "sgd"  # As these three of PretrainSpec.
    schedule: Curve = "step"
    warmup: Share = 0.0
    # How fast group DRO shifts weight to the cell with the largest loss.
    dro_step: Annotated[float, Range(0, 10)] = 0.01
    # In mode "head": sgd, step by step as set above; or lbfgs, logistic regression to convergence.
    solver: Literal["sgd", "lbfgs"] = "sgd"
    C: Inverse = 1.0  # Of lbfgs: inverse strength of the L2 penalty, as in scikit-learn.
    tolerance: Tolerance = (
        1e-4  # Of lbfgs: largest entry of the gradient of the mean loss at the end.
    )


@dataclasses.dataclass(frozen=True)
class ScreenSpec:
    """Screening: the whole grid as heads on frozen bases first, then a part as `finetune` says."""

    on: bool = False
    # How the screen's heads are trained, as in FinetuneSpec; by sgd, on its schedule.
    solver: Literal["sgd", "lbfgs"] = "sgd"
    C: Inverse = 1.0
    tolerance: Tolerance = 1e-4


@dataclasses.dataclass(frozen=True)
class SearchSpec:
    """Hyperparameter search by successive halving; without values to try there is none.

    Searched once per base, task and n, at one curation; all finetunes of that base, task and n take
    its learning rate, weight decay and epochs in place of config.finetune's. Learning rates of
    trials and of these finetunes are constant, whatever config.finetune.drop_at says: a trial cut
    at a rung must be the beginning of the longer run.
    """

    learning_rates: tuple[Rate, ...] = ()  # Empty beside weight_decays: config.finetune's alone.
    weight_decays: tuple[Rate, ...] = ()
    # Trials of one configuration, each with a draw and a pretraining of its own.
    repeats: Annotated[int, Range(1, 1000)] = 2
    # Every rung trains to eta times the epochs of the one before this share of its configurations,
    # rounded up. Many small cuts find the best more often than few large ones of the same cost (the
    # textbook's eta is 2 or more, its share 1/eta): benchmarks/search.py.
    eta: Annotated[float, Range(1.1, 100)] = 1.5
    keep: Share = 0.7
    first_epochs: Epochs = 3  # Of the first rung.
    max_epochs: Epochs = 24  # Of the last.
    # See jaxbias/plan/criteria.py.
    criterion: Literal["val_loss", "val_auc", "val_worst_group", "val_gap_constrained"] = "val_loss"
    curation: str = ""  # Where targets are searched, such as "correlation 5"; empty: the middle.
    pair_curation: str = ""  # Where pairs are, such as "pair_mix 5".

    @property
    def on(self) -> bool:
        """Whether anything is searched."""
        return bool(self.learning_rates or self.weight_decays)


@dataclasses.dataclass(frozen=True)
class CorrelationSpec:
    """Correlation levels 0..10: 0 ties positives to the first group, 5 balances, 10 reverses."""

    levels: tuple[Level, ...] = ()
    prevalence: str = "0.5"  # A share of positives, or "natural".


@dataclasses.dataclass(frozen=True)
class PairMixSpec:
    """Levels 0..10 of the second attribute's share among the positives of a pair."""

    levels: tuple[Level, ...] = ()
    prevalence: str = "0.5"


@dataclasses.dataclass(frozen=True)
class SourceMixSpec:
    """Levels 0..10 of the second source's share of the images, each source drawn naturally."""

    levels: tuple[Level, ...] = ()
    # The first and the second are the two values that finetuning examples have, in their order.
    column: str = "source"


@dataclasses.dataclass(frozen=True)
class ReduceOnlySpec:
    """Correlation levels 0..10 reached by removing images alone, from a set of n at `start`."""

    levels: tuple[Level, ...] = ()
    start: Level = 2
    prevalence: str = "0.5"


@dataclasses.dataclass(frozen=True)
class MixtureSpec:
    """Sets of which a share is drawn naturally and the rest at a correlation level 0..10."""

    levels: tuple[Level, ...] = ()
    shares: tuple[PartOf, ...] = (0.5,)  # Of n, drawn naturally.
    prevalence: str = "0.5"  # Of the rest.


@dataclasses.dataclass(frozen=True)
class DropSpec:
    """Natural draws without the k images that hurt most, by tables of example scores."""

    k: tuple[Images, ...] = ()
    # name -> CSV or Parquet file of columns id and score, relative to data.path or to where jaxbias
    # is run: how much each finetuning example hurts. `jaxbias attribute` writes one.
    tables: Mapping[str, str] = _mapping()


@dataclasses.dataclass(frozen=True)
class CurationsSpec:
    """Which curations of the finetuning data are tried. The natural draw always is."""

    correlation: CorrelationSpec = CorrelationSpec()
    pair_mix: PairMixSpec = PairMixSpec()
    source_mix: SourceMixSpec = SourceMixSpec()
    reduce_only: ReduceOnlySpec = ReduceOnlySpec()
    mixture: MixtureSpec = MixtureSpec()
    drop: DropSpec = DropSpec()
    group_balanced: bool = False
    class_balanced: bool = False
    # Natural draws trained otherwise: loss weights, group DRO, last-layer refit on a balanced part.
    reweight: bool = False
    group_reweight: bool = False
    class_reweight: bool = False
    group_dro: bool = False
    dfr: bool = False
    add_minority: tuple[Images, ...] = ()
    replace_minority: tuple[Images, ...] = ()
    on_shortage: Literal["error", "shrink"] = "error"  # shrink: reported.


@dataclasses.dataclass(frozen=True)
class EvaluationSpec:
    """An evaluation population, expressed as weights on the examples of a split."""

    # Correlation level 0..10; -1: the natural correlation.
    level: Annotated[int, Range(-1, 10)] = -1
    prevalence: str = "natural"  # A share of positives, or "natural".


@dataclasses.dataclass(frozen=True)
class AnswerSpec:
    """The rules of the answer, fixed before the run."""

    population: str = "natural"  # Which of `evaluations` the verdicts use.
    epsilon: Share = 0.05  # A signed gap inside ±epsilon counts as no gap.
    delta: Share = 0.03  # The AUC a fix may cost.
    # Gaps that a fix must close; the first is the one that is asked about.
    gaps: tuple[Literal["fpr_gap", "tpr_gap", "auc_gap"], ...] = ("fpr_gap",)
    # A control or scratch: gaps are then those beyond its, at the same curation; "": the gaps.
    relative_to: str = ""
    confidence: Annotated[float, Range(0.5, 0.9999)] = 0.95
    replicates: Annotated[int, Range(2, MOST_REPLICATES)] = (
        200  # Bootstrap replicates over test examples.
    )


@dataclasses.dataclass(frozen=True)
class GridSpec:
    """How variants are packed, and how this machine runs packs; none is part of any id."""

    # How variants are mapped on a device; auto: the fastest by the table that
    # `jaxbias run --calibrate` writes, or that comes with jaxbias; "map" where neither tells.
    mode: Literal["auto", Mode] = "map"
    # Finetunes per pack: what an interruption costs at most. 0: up to 64. Packs of heads (mode
    # "head") hold up to 1,024. A pack that does not fit the memory is run in parts.
    pack_width: Annotated[int, Range(0, 65536)] = 8
    # Of each device. 0: what the device reports; on CPU a share of the RAM that is available.
    memory_mib: Annotated[int, Range(0, 2**24)] = 0
    # 0: every accelerator, or one virtual CPU device per core.
    devices: Annotated[int, Range(0, 4096)] = 0
    # Where the images are during training: on the device, or on the host, from where the next are
    # fetched while the present ones are trained on; auto: on the device, unless they take half of
    # its memory.
    store: Literal["auto", "device", "host"] = "auto"


@dataclasses.dataclass(frozen=True)
class Study:
    """Everything that will be done. Built by `make_study` alone."""

    name: str = "study"
    data: DataSpec = DataSpec()
    group: GroupSpec = GroupSpec()
    groupings: Mapping[str, GroupingSpec] = _mapping()  # name -> more groups, beside `group`.
    targets: tuple[str, ...] = ()  # Binary columns to finetune for.
    pairs: tuple[str, ...] = ()  # "A|B": positive is A or B, for underrepresentation.
    classes: tuple[str, ...] = ()  # Columns of any number of classes, each learnt by itself.
    # task -> binary columns that are learnt together, each where it is known.
    labels: Mapping[str, tuple[str, ...]] = _mapping()
    bases: Mapping[str, BaseSpec] = _mapping()
    model: ModelSpec = ModelSpec()
    pretrain: PretrainSpec = PretrainSpec()
    finetune: FinetuneSpec = FinetuneSpec()
    screen: ScreenSpec = ScreenSpec()
    search: SearchSpec = SearchSpec()
    curations: CurationsSpec = CurationsSpec()
    evaluations: Mapping[str, EvaluationSpec] = dataclasses.field(
        default_factory=lambda: {"natural": EvaluationSpec()}
    )
    answer: AnswerSpec = AnswerSpec()
    grid: GridSpec = GridSpec()
    # name -> points, made with `jaxbias.study.sweep`; of what one leaves out, all values above.
    # Empty: the whole grid of the settings above.
    experiments: Mapping[str, Sweep] = _mapping()

    @property
    def tasks(self) -> dict[str, str]:
        """Name of every task -> its kind, one of `TASKS`."""
        return {task: kind for kind in TASKS for task in getattr(self, kind)}

    @property
    def several(self) -> tuple[str, ...]:
        """The tasks of several outputs: of classes and of labels."""
        return (*self.classes, *self.labels)


def to_dict(spec: Any) -> Any:
    """Returns a spec as plain JSON-able values (tuples become lists)."""
    if dataclasses.is_dataclass(spec):
        return {f.name: to_dict(getattr(spec, f.name)) for f in dataclasses.fields(spec)}
    if isinstance(spec, Mapping):
        return {key: to_dict(value) for key, value in sorted(spec.items())}
    if isinstance(spec, tuple | list):
        return [to_dict(value) for value in spec]
    return spec
