"""The command `jaxbias`: flags in, one of the flow's functions, and errors as one line."""

import dataclasses
import functools
import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jax
from absl.flags import FlagValues

from jaxbias import data, report
from jaxbias.analysis import make_answer
from jaxbias.cli import arguments
from jaxbias.cli.arguments import Command, refuse_unused
from jaxbias.data.describe import contact_sheet, describe
from jaxbias.data.duplicates import duplicates_text, near_duplicates
from jaxbias.engine.curator import curate
from jaxbias.engine.limits import check_limits
from jaxbias.errors import InputError, nearest
from jaxbias.files.atomic import check_directory, check_file, write_bytes, write_csv
from jaxbias.metrics import DEFAULT_METRICS
from jaxbias.metrics.one_target import Settings
from jaxbias.scores import external, score_files
from jaxbias.stages import gang, outlook, train
from jaxbias.stages.accounting import accounting_text
from jaxbias.study import Study
from jaxbias.study.config_file import study as _study
from jaxbias.weights import describe_text, import_text
from jaxbias.weights.convert import checked
from jaxbias.words import count
from jaxbias.workdir.crew import check_words
from jaxbias.workdir.results import ResultDirectory


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 2 wrong input, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A minus sign must not end a long run.
            stream.reconfigure(errors="backslashreplace")
    try:
        name, rest = arguments.find(list(sys.argv if argv is None else argv), _COMMANDS)
        command = _COMMANDS[name]
        command.do(arguments.parse(rest, name, command))
    except InputError as error:
        print(f"jaxbias: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\njaxbias: interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def _run(given: FlagValues) -> None:
    study = _study(given)
    if given.calibrate:
        _calibrate(given, study)
        return
    workdir = Path(_required(given, "workdir", "a directory for the results"))
    stage, packs = given.stage or "", given.packs or ""
    if stage and stage not in train.STAGES:
        raise InputError(f"--stage={stage} is no stage; {nearest(stage, train.STAGES)}")
    if packs and stage not in ("pretrain", "search", "finetune"):
        raise InputError("--packs needs --stage=pretrain, search or finetune: whose packs?")
    check_words(packs, stage)
    if stage == "search" and not study.search.on:
        raise InputError(
            "--stage=search: config.search has nothing to try; set config.search.learning_rates"
        )
    if stage and given.dry_run:
        raise InputError("--dry_run estimates whole runs; leave out --stage")
    if stage == "report":
        _write_report(workdir)
        return
    _set_up_devices(study, workdir)
    if given.dry_run:
        print(outlook.dry_run(study, workdir))
        return
    timings = train.train(study, workdir, stage, packs)
    if stage:
        print(accounting_text(timings) if timings else "Done already")
        return
    began = time.perf_counter()
    _write_report(workdir)
    print(accounting_text({**timings, "report_seconds": time.perf_counter() - began}))


def _calibrate(given: FlagValues, study: Study) -> None:
    refuse_unused(given, ("config", "calibrate"), "jaxbias run --calibrate")
    _set_up_devices(study)
    print(outlook.calibrate(study))


def _report(given: FlagValues) -> None:
    if given.workdir:
        workdir = Path(given.workdir)
        refuse_unused(given, ("workdir",), "jaxbias report --workdir")
        if not workdir.is_dir():
            raise InputError(f"there is no directory {workdir}")
        _write_report(workdir)
        return
    paths = [
        _file(given, name, what)
        for name, what in (
            ("scores", "or give --workdir"),
            ("variants", "a CSV: model, base, role, curation, n, seed"),
            ("labels", "a CSV: id, split and label columns"),
        )
    ]
    out = check_directory(Path(given.out or "report"))
    if given.config is None:
        target = _required(given, "target", "the column the models predict")
        group = _required(given, "group", "the sensitive column")
        study = external.external_study(
            paths[1], paths[2], target, group, tuple(given.group_values)
        )
    else:
        used = ("scores", "variants", "labels", "config", "out")
        refuse_unused(given, used, "jaxbias report --scores --config")
        study = _study(given)
    dataset, scores = external.read_external(*paths, study)
    answer = make_answer(study, dataset, scores)
    page = report.write(answer, out)
    report.terminal(answer)
    print("\n".join(["", *dataset.notes]))
    print(f"Report: {page}")


def _evaluate(given: FlagValues) -> None:
    metrics = tuple(given.metrics) or DEFAULT_METRICS
    out = check_file(score_files.frame_path(given.out)) if given.out else None
    settings = Settings(  # Refuses what is wrong before a file is read.
        threshold=score_files.parse_threshold(given.threshold),
        metrics=metrics,
        link=given.link,
        population=score_files.parse_population(given.population),
        intersections=_intersections(given),
        train_shares=None,
        common_positives=None,
        bootstrap=given.bootstrap,
        interval=given.interval,
        confidence=given.confidence,
        seed=0,
        description="evaluating",
    )
    found, notes = score_files.evaluate_files(
        _file(given, "scores", "a CSV or Parquet: a column per model, a row per example"),
        _file(given, "labels", "a CSV: a row per example, with the target and the groups"),
        _required(given, "target", "the binary column the models predict"),
        given.groups,
        weights=given.weights,
        against=given.against,
        **vars(settings),
    )
    frame = found.frame()
    shown = metrics if given.metrics else score_files.SHOWN
    report.show_metrics(frame, [m for m in shown if m in set(frame["metric"])], notes)
    if given.against:
        others = [name for name in found.names if name != given.against]
        compared = [m for m in shown if m != "threshold"]
        report.show_comparison(found.compare(others, given.against, metrics=compared))
    if out:
        print(f"All metrics: {score_files.write_frame(frame, out)}")


def _intersections(given: FlagValues) -> list[tuple[str, ...]]:
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


def _pretrain(given: FlagValues) -> None:
    study = _study(given)
    study = dataclasses.replace(study, pretrain=dataclasses.replace(study.pretrain, engine="loop"))
    workdir = Path(_required(given, "workdir", "a directory for the results"))
    if not any(base.target for base in study.bases.values()):
        raise InputError("config.bases has none that is pretrained here; give one a target")
    check_directory(workdir)
    if given.distributed:
        gang.join()
        gang.pretrain_together(study, workdir)
    else:
        _set_up_devices(study, workdir)
        train.train(study, workdir, "pretrain")
    plan = ResultDirectory(workdir).plan()
    for base in [base for pack in plan.bases for base in pack.members]:
        print(f"{base.name}, seed {base.seed}: {workdir / 'bases' / base.id}")


def _curate(given: FlagValues) -> None:
    study = _study(given)
    out = check_file(Path(_required(given, "out", "a CSV file for the example ids")))
    check = functools.partial(check_limits, study, trained=False)
    table = curate(study, data.load(study.data, check))
    write_csv(out, table)
    sets = count(table["curated_set"].nunique(), "curated set")
    print(f"{out}: {count(len(table), 'row')}, {sets}")


def _describe(given: FlagValues) -> None:
    study = _study(given)
    out = check_file(Path(given.out or f"{study.name}-contact-sheet.png"))
    dataset = data.load(study.data)
    tasks = (*study.targets, *study.pairs)
    print(describe(dataset, study.group, tasks))
    print(f"\n{duplicates_text(near_duplicates(dataset))}\n")
    png = io.BytesIO()
    contact_sheet(dataset, study.group, tasks[0]).save(png, "PNG")
    write_bytes(out, png.getvalue())
    print(f"Contact sheet: {out}")


def _prepare(given: FlagValues) -> None:
    study = _study(given)
    dataset = data.load(study.data, verify=True)
    images, size = dataset.images.shape[:2]
    done = "decoded" if dataset.built else "decoded before and whole"
    print(
        f"{dataset.name}: {count(images, 'image')} of {size} × {size}, {done}, in "
        f"{data.home()}/stores"
    )
    for note in dataset.notes:
        print(note)


def _weights_import(given: FlagValues) -> None:
    arch = _required(given, "arch", "such as resnet50")
    source = _required(given, "source", "such as torchvision")
    file = Path(_required(given, "file", "a checkpoint"))
    out = check_directory(Path(_required(given, "out", "a new directory for the weights")))
    checked(arch, source)
    print(import_text(arch, source, file, out))


def _weights_describe(given: FlagValues) -> None:
    print(describe_text(Path(_required(given, "file", "a checkpoint, or imported weights"))))


def _required(given: FlagValues, name: str, what: str) -> str:
    if not given[name].value:
        raise InputError(f"--{name} is missing: {what}")
    return given[name].value


def _file(given: FlagValues, name: str, what: str) -> Path:
    path = Path(_required(given, name, what))
    if not path.is_file():
        raise InputError(f"--{name}: there is no file {path}")
    return path


def _set_up_devices(study: Study, workdir: Path | None = None) -> None:
    """One virtual CPU device per core, or as many as the plan has; before JAX starts."""
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if forced or jax.config.jax_num_cpu_devices != -1:
        return  # Somebody has chosen already: JAX_NUM_CPU_DEVICES, or the caller of `main`.
    plan = ResultDirectory(workdir).plan() if workdir else None
    devices = plan.devices if plan else study.grid.devices
    jax.config.update("jax_num_cpu_devices", devices or min(os.cpu_count() or 1, 8))


def _write_report(workdir: Path) -> None:
    answer, page = train.write_report(workdir)
    report.terminal(answer)
    print(f"Report: {page}")


_CONFIG = "--config=FILE.py [--config.FIELD=VALUE ...]"
_COMMANDS = {
    "run": Command(
        _run,
        "train what a study lacks, answer its questions, write the report.",
        (
            f"{_CONFIG} --workdir=DIR",
            "--config=... --workdir=DIR --stage=STAGE [--packs=0,3-5]",
            "--config=... --workdir=DIR --dry_run",
            "--config=... --calibrate",
        ),
        dict.fromkeys(("config", "workdir", "stage", "packs", "dry_run", "calibrate"), ""),
    ),
    "pretrain": Command(
        _pretrain,
        "pretrain the bases of a study, step by step with checkpoints.",
        (f"{_CONFIG} --workdir=DIR [--distributed]",),
        dict.fromkeys(("config", "workdir", "distributed"), ""),
    ),
    "report": Command(
        _report,
        "answer again from stored scores, or from those of models trained elsewhere.",
        (
            "--workdir=DIR",
            "--scores=FILE --variants=FILE --labels=FILE --target=COLUMN --group=COLUMN",
            "--scores=FILE --variants=FILE --labels=FILE --config=FILE.py [--out=DIR]",
        ),
        {
            "workdir": "The result directory of a run; its report is drawn again.",
            "scores": "",
            "variants": "",
            "labels": "",
            "target": "What the models predict, or 'A|B' for a pair.",
            "group": "",
            "group_values": "",
            "config": "The study, instead of --target and --group: a file with get_config(arg).",
            "out": "The report's directory. Default: report.",
        },
    ),
    "evaluate": Command(
        _evaluate,
        "metrics of every model of a file of scores, with intervals, per group.",
        ("--scores=FILE --labels=FILE --target=COLUMN [--groups=COLUMNS] [--out=FILE.csv]",),
        dict.fromkeys(
            (
                *("scores", "labels", "target", "groups", "intersections", "metrics", "threshold"),
                *("population", "weights", "link", "against", "bootstrap", "interval"),
                "confidence",
            ),
            "",
        )
        | {"out": "A .csv or .parquet file for all metrics."},
    ),
    "curate": Command(
        _curate,
        "the example ids of every curated set of a study, to train on elsewhere.",
        (f"{_CONFIG} --out=FILE.csv",),
        {"config": "", "out": "A CSV file for the example ids."},
    ),
    "data describe": Command(
        _describe,
        "splits, cells, correlations and copies of a dataset, and a contact sheet.",
        (f"{_CONFIG} [--out=FILE.png]",),
        {"config": "", "out": "The contact sheet. Default: NAME-contact-sheet.png."},
    ),
    "data prepare": Command(
        _prepare,
        "decode a dataset's images ahead of a run.",
        (_CONFIG,),
        {"config": ""},
    ),
    "weights import": Command(
        _weights_import,
        "take over a checkpoint of another framework as a base.",
        ("--arch=NAME --source=NAME --file=FILE --out=DIR",),
        {"arch": "", "source": "", "file": "", "out": "A new directory for the weights."},
    ),
    "weights describe": Command(
        _weights_describe,
        "what a checkpoint, or a directory of imported weights, holds.",
        ("FILE",),
        {"file": "A checkpoint, or imported weights."},
        word="file",
    ),
}
