"""`jaxbias report` and `jaxbias evaluate`: from stored scores, or those of a file, to answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl.flags import FlagValues

from jaxbias.cli.arguments import refuse_unused, required, required_file, study_of
from jaxbias.cli.runs import show_report
from jaxbias.errors import InputError, echo, nearest
from jaxbias.files.atomic import check_directory, check_file, write_bytes, write_csv
from jaxbias.files.digits import real
from jaxbias.files.objects import is_url
from jaxbias.metrics import DEFAULT_METRICS
from jaxbias.metrics.settings import Settings

# What a terminal shows where no metrics were named.
_SHOWN = ("auc", "fpr", "tpr", "fpr_gap", "tpr_gap", "auc_gap")


def report(given: FlagValues) -> None:
    """Draws the report of a result directory, of two, or of models trained elsewhere."""
    if given.compare:
        _compare(given)
        return
    if given.workdir:
        workdir = given.workdir
        refuse_unused(given, ("workdir", "config"), "jaxbias report --workdir")
        if not is_url(workdir) and not Path(workdir).is_dir():
            raise InputError(f"there is no directory {workdir}")
        show_report(workdir, None if given.config is None else study_of(given))
        return
    paths = [
        required_file(given, name, what)
        for name, what in (
            ("scores", "or give --workdir"),
            ("variants", "a CSV: model, base, role, curation, n, seed"),
            ("labels", "a CSV: id, split and label columns"),
        )
    ]
    out = check_directory(Path(given.out or "report"))
    study = None
    if given.config is None:
        target = required(given, "target", "the column the models predict")
        group = required(given, "group", "the sensitive column")
        if len(given.group_values) not in (0, 2):
            raise InputError("--group_values must name two, as in --group_values=woman,man")
    else:
        used = ("scores", "variants", "labels", "config", "out")
        refuse_unused(given, used, "jaxbias report --scores --config")
        study = study_of(given)
    # pandas and JAX take seconds: after everything that flags alone can tell.
    from jaxbias.analysis import make_answer
    from jaxbias.report import show_answer, write
    from jaxbias.scores import external

    if study is None:
        study = external.external_study(
            paths[1], paths[2], target, group, tuple(given.group_values)
        )
    dataset, scores = external.read_external(*paths, study)
    answer = make_answer(study, dataset, scores)
    page = write(answer, out)
    show_answer(answer)
    print("\n".join(["", *dataset.notes]))
    print(f"Report: {page}")


def _compare(given: FlagValues) -> None:
    """Puts two result directories side by side."""
    refuse_unused(given, ("compare", "out"), "jaxbias report --compare")
    if len(given.compare) != 2:
        raise InputError(
            f"--compare takes two result directories, not {len(given.compare)}, as in --compare A B"
        )
    first, second = given.compare
    for name in (first, second):
        if not is_url(name) and not Path(name).is_dir():
            raise InputError(f"--compare: there is no directory {name}")
    same = first == second if is_url(first) else Path(first).resolve() == Path(second).resolve()
    if same:
        raise InputError(f"--compare: {first} and {second} are the same directory")
    out = check_directory(Path(given.out or "comparison"))
    # pandas and JAX take seconds: after everything that flags alone can tell.
    from jaxbias.stages.compare import compare

    found, page = compare(first, second, out)
    print("\n".join([*found.warnings, *found.sentences]))
    print(f"Comparison: {page}")


def evaluate(given: FlagValues) -> None:
    """Prints the metrics of every model of a file of scores."""
    metrics = tuple(given.metrics) or DEFAULT_METRICS
    out = check_file(_frame_path(given.out)) if given.out else None
    settings = Settings(  # Refuses what is wrong before a file is read.
        threshold=_parse_threshold(given.threshold),
        metrics=metrics,
        link=given.link,
        population=_parse_population(given.population),
        intersections=_intersections(given),
        train_shares=None,
        common_positives=None,
        bootstrap=given.bootstrap,
        interval=given.interval,
        confidence=given.confidence,
        seed=0,
        description="evaluating",
    )
    paths = [
        required_file(given, "scores", "a CSV or Parquet: a column per model, a row per example"),
        required_file(given, "labels", "a CSV: a row per example, with the target and the groups"),
    ]
    target = required(given, "target", "the binary column the models predict")
    # pandas and JAX take seconds: after everything that flags alone can tell.
    from jaxbias.report import show_comparison, show_metrics
    from jaxbias.scores import score_files

    found, notes = score_files.evaluate_files(
        *paths,
        target,
        given.groups,
        weights=given.weights,
        against=given.against,
        **vars(settings),
    )
    frame = found.frame()
    shown = metrics if given.metrics else _SHOWN
    show_metrics(frame, [m for m in shown if m in set(frame["metric"])], notes)
    if given.against:
        others = [name for name in found.names if name != given.against]
        compared = [m for m in shown if m != "threshold"]
        show_comparison(found.compare(others, given.against, metrics=compared))
    if out:
        print(f"All metrics: {_write_frame(frame, out)}")


def _parse_threshold(text: str) -> Any:
    """Reads a threshold as the command line has it.

    >>> _parse_threshold("fpr:0.1"), _parse_threshold("0.5"), _parse_threshold("youden")
    ({'fpr': 0.1}, 0.5, 'youden')
    """
    rule, colon, rate = text.partition(":")
    number = real(rate if colon else text)
    if number is None:
        return text
    return {rule: number} if colon else number


def _parse_population(text: str | None) -> dict[str, float] | None:
    """Reads a population as the command line has it.

    >>> _parse_population("level=2,prevalence=0.5")
    {'level': 2.0, 'prevalence': 0.5}
    """
    if text is None:
        return None
    fields = [part.partition("=") for part in text.split(",")]
    found = {name: real(value) for name, _, value in fields}
    if None in found.values() or len(found) < len(fields):
        raise InputError(f"--population={echo(text)} must be written like level=2,prevalence=0.5")
    return found


def _intersections(given: FlagValues) -> Sequence[tuple[str, ...]]:
    pairs = [tuple(text.split(":")) for text in given.intersections]
    for pair in pairs:
        for name in pair:
            if name not in given.groups:
                raise InputError(
                    f"--intersections={':'.join(pair)}: '{name}' is not among --groups; "
                    f"{nearest(name, given.groups)}"
                )
        if len(pair) < 2:
            raise InputError(f"--intersections={pair[0]} names one column; write gender:race")
    return pairs


def _frame_path(out: str) -> Path:
    """Where a frame is to be written; refuses what `_write_frame` cannot write."""
    if Path(out).suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"--out={out} must end in .csv or .parquet")
    return Path(out)


def _write_frame(frame: Any, path: Path) -> Path:
    if path.suffix.lower() == ".parquet":
        return write_bytes(path, frame.to_parquet(index=False))
    return write_csv(path, frame)
