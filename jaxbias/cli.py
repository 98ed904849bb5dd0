"""The command `jaxbias`: flags in, one of the flow's functions, and errors as one line.

jaxbias run --config=configs/quickstart.py --workdir=DIR [--config.finetune.n=512 ...]
jaxbias run --config=... --workdir=DIR --stage=plan|pretrain|search|finetune|report
    [--packs=0,3-5]
jaxbias run --config=... --workdir=DIR --dry_run
jaxbias run --config=... --calibrate
jaxbias pretrain --config=... --workdir=DIR [--distributed]
jaxbias report --workdir=DIR
jaxbias report --scores=S.parquet --variants=V.csv --labels=L.csv --target=T --group=G --out=DIR
jaxbias evaluate --scores=S.parquet --labels=L.csv --target=T --groups=G,H [--out=metrics.csv]
jaxbias curate --config=... --out=ids.csv
jaxbias data describe --config=... [--out=sheet.png]
jaxbias data prepare --config=...
jaxbias weights import --arch=resnet50 --source=torchvision --file=F.pth --out=DIR
jaxbias weights describe F.pth
"""

import dataclasses
import io
import os
import sys
import textwrap
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags
from ml_collections import ConfigDict, config_flags

from jaxbias import data, external, gang, planning, report, score_files, workflow
from jaxbias.analysis import make_answer
from jaxbias.atomic import write_bytes, write_csv
from jaxbias.data.describe import contact_sheet, describe
from jaxbias.data.duplicates import duplicates_text, near_duplicates
from jaxbias.errors import InputError, nearest
from jaxbias.grid import Plan, curate
from jaxbias.metrics import DEFAULT_METRICS
from jaxbias.results import ResultDirectory
from jaxbias.study import Study, default_config, make_study
from jaxbias.weights import describe_text, import_text

_FLAGS = {
    "workdir": "The result directory.",
    "stage": "Of a run, this stage alone: plan, pretrain, search, finetune or report.",
    "packs": "Of a stage, these packs of the plan: places from 0, ranges, ids.",
    "out": "File or directory to write.",
    "scores": "Scores of models trained elsewhere.",
    "variants": "Settings of these models.",
    "labels": "Labels of the scored examples.",
    "target": "What these models predict: a column, or 'A|B'.",
    "group": "The sensitive column.",
    "weights": "A column of example weights.",
    "threshold": "base_rate, group_base_rate, youden, fpr:RATE, tpr:RATE or a number.",
    "population": "Evaluate on a population, such as level=2,prevalence=0.5.",
    "against": "A model every other is compared with.",
    "link": "identity: scores are probabilities; sigmoid: logits.",
    "interval": "standard, percentile or bca.",
    "arch": "The architecture of weights, such as resnet50.",
    "source": "Who saved them, such as torchvision.",
    "file": "A checkpoint.",
}
_DEFAULTS = {"threshold": "base_rate", "link": "identity", "interval": "standard"}
_LISTS = {
    "group_values": "The group's two values, first - second.",
    "groups": "Columns of groups.",
    "intersections": "Columns whose combinations are groups too, such as gender:race.",
    "metrics": "What to compute; see docs/metrics.md.",
}
_SWITCHES = {
    "dry_run": "Say what a run would cost; write nothing.",
    "calibrate": "Time the modes of a grid; train nothing.",
    "distributed": "Pretrain together with the other processes of a job.",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 2 wrong input, 130 interrupted."""
    argv = list(sys.argv if argv is None else argv)
    try:
        name, rest = _command(argv)
        given = _parse([argv[0], *rest])
        command, uses = _COMMANDS[name]
        _refuse_unused(given, uses, f"jaxbias {name}")
        command(given)
    except InputError as error:
        print(f"jaxbias: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\njaxbias: interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def _run(given: flags.FlagValues) -> None:
    study = _study(given)
    if given.calibrate:
        _calibrate(given, study)
        return
    workdir = Path(_required(given, "workdir", "a directory for the results"))
    stage, packs = given.stage or "", given.packs or ""
    if stage and stage not in workflow.STAGES:
        raise InputError(f"--stage={stage} is no stage; {nearest(stage, workflow.STAGES)}")
    if packs and stage not in ("pretrain", "search", "finetune"):
        raise InputError("--packs needs --stage=pretrain, search or finetune: whose packs?")
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
        print(planning.dry_run(study, workdir))
        return
    timings = workflow.train(study, workdir, stage, packs)
    if stage:
        print(workflow.accounting_text(timings) if timings else "Done already")
        return
    began = time.perf_counter()
    _write_report(workdir)
    print(workflow.accounting_text({**timings, "report_seconds": time.perf_counter() - began}))


def _calibrate(given: flags.FlagValues, study: Study) -> None:
    _refuse_unused(given, "config calibrate", "jaxbias run --calibrate")
    _set_up_devices(study)
    print(planning.calibrate(study))


def _report(given: flags.FlagValues) -> None:
    if given.workdir:
        workdir = Path(given.workdir)
        if not workdir.is_dir():
            raise InputError(f"there is no directory {workdir}")
        _refuse_unused(given, "workdir", "jaxbias report --workdir")
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
    if given.config is None:
        target = _required(given, "target", "the column the models predict")
        group = _required(given, "group", "the sensitive column")
        study = external.external_study(
            paths[1], paths[2], target, group, tuple(given.group_values)
        )
    else:
        study = _study(given)
    dataset, scores = external.read_external(*paths, study)
    answer = make_answer(study, dataset, scores)
    page = report.write(answer, Path(given.out or "report"))
    report.terminal(answer)
    print(f"Report: {page}")


def _evaluate(given: flags.FlagValues) -> None:
    metrics = tuple(given.metrics) or DEFAULT_METRICS
    out = score_files.frame_path(given.out) if given.out else None
    found, notes = score_files.evaluate_files(
        _file(given, "scores", "a CSV or Parquet: a column per model, a row per example"),
        _file(given, "labels", "a CSV: a row per example, with the target and the groups"),
        _required(given, "target", "the binary column the models predict"),
        given.groups,
        weights=given.weights,
        threshold=score_files.parse_threshold(given.threshold),
        metrics=metrics,
        link=given.link,
        population=score_files.parse_population(given.population),
        intersections=[tuple(pair.split(":")) for pair in given.intersections],
        bootstrap=given.bootstrap,
        interval=given.interval,
        confidence=given.confidence,
        description="evaluating",
    )
    frame = found.frame()
    shown = metrics if given.metrics else score_files.SHOWN
    report.show_metrics(frame, [m for m in shown if m in set(frame["metric"])], notes)
    if given.against:
        others = [name for name in found.names if name != given.against]
        if not others:
            raise InputError(f"--against={given.against} leaves no other model to compare with it")
        compared = [m for m in shown if m != "threshold"]
        report.show_comparison(found.compare(others, given.against, metrics=compared))
    if out:
        print(f"All metrics: {score_files.write_frame(frame, out)}")


def _pretrain(given: flags.FlagValues) -> None:
    study = _study(given)
    study = dataclasses.replace(study, pretrain=dataclasses.replace(study.pretrain, engine="loop"))
    workdir = Path(_required(given, "workdir", "a directory for the results"))
    if not any(base.target for base in study.bases.values()):
        raise InputError("config.bases has none that is pretrained here; give one a target")
    if given.distributed:
        gang.join()
        gang.pretrain_together(study, workdir)
    else:
        _set_up_devices(study, workdir)
        workflow.train(study, workdir, "pretrain")
    plan = ResultDirectory(workdir).plan()
    for base in [base for pack in plan.bases for base in pack.members]:
        print(f"{base.name}, seed {base.seed}: {workdir / 'bases' / base.id}")


def _curate(given: flags.FlagValues) -> None:
    study = _study(given)
    out = Path(_required(given, "out", "a CSV file for the example ids"))
    table = curate(study, data.load(study.data))
    write_csv(out, table)
    sets = table["curated_set"].nunique()
    print(f"{out}: {len(table):,} rows, {sets:,} curated sets")


def _describe(given: flags.FlagValues) -> None:
    study = _study(given)
    dataset = data.load(study.data)
    tasks = (*study.targets, *study.pairs)
    print(describe(dataset, study.group, tasks))
    print(f"\n{duplicates_text(near_duplicates(dataset))}\n")
    out = Path(given.out or f"{study.name}-contact-sheet.png")
    png = io.BytesIO()
    contact_sheet(dataset, study.group, tasks[0]).save(png, "PNG")
    write_bytes(out, png.getvalue())
    print(f"Contact sheet: {out}")


def _prepare(given: flags.FlagValues) -> None:
    study = _study(given)
    dataset = data.load(study.data, verify=True)
    count, size = dataset.images.shape[:2]
    done = "decoded" if dataset.built else "decoded before and whole"
    print(f"{dataset.name}: {count:,} images of {size} × {size}, {done}, in {data.home()}/stores")
    for note in dataset.notes:
        print(note)


def _weights_import(given: flags.FlagValues) -> None:
    arch = _required(given, "arch", "such as resnet50")
    source = _required(given, "source", "such as torchvision")
    file = Path(_required(given, "file", "a checkpoint"))
    out = Path(_required(given, "out", "a new directory for the weights"))
    print(import_text(arch, source, file, out))


def _weights_describe(given: flags.FlagValues) -> None:
    print(describe_text(Path(_required(given, "file", "a checkpoint, or imported weights"))))


# What each command does, and the flags it looks at.
_COMMANDS: dict[str, tuple[Callable[[flags.FlagValues], None], str]] = {
    "run": (_run, "config workdir stage packs dry_run calibrate"),
    "pretrain": (_pretrain, "config workdir distributed"),
    "report": (
        _report,
        "workdir config scores variants labels target group group_values out",
    ),
    "evaluate": (
        _evaluate,
        "scores labels target groups intersections metrics threshold population weights link "
        "against bootstrap interval confidence out",
    ),
    "curate": (_curate, "config out"),
    "data describe": (_describe, "config out"),
    "data prepare": (_prepare, "config"),
    "weights import": (_weights_import, "arch source file out"),
    "weights describe": (_weights_describe, "file"),
}
# Commands that take a word after their name for a flag.
_WORD = {"weights describe": "file"}


def _refuse_unused(given: flags.FlagValues, uses: str, what: str) -> None:
    """A flag that would change nothing is a mistake."""
    for name in (*_FLAGS, *_LISTS, "config", "bootstrap", "confidence", *_SWITCHES):
        if given[name].present and name not in uses.split():
            used = ", ".join(f"--{use}" for use in uses.split())
            raise InputError(f"--{name} changes nothing in '{what}', which uses {used}")


def _command(argv: list[str]) -> tuple[str, list[str]]:
    words = []
    for word in argv[1:]:
        if word.startswith("-"):
            break
        words.append(word)
    asked = bool({"-h", "--help"} & set(argv))
    if asked or not words:
        usage = f"{textwrap.dedent(__doc__).strip()}\n\ncommands: {', '.join(_COMMANDS)}"
        print(usage, file=sys.stdout if asked else sys.stderr)
        sys.exit(0 if asked else 2)
    for count in (2, 1):
        name = " ".join(words[:count])
        if name in _COMMANDS:
            if name in _WORD and len(words) == count + 1:
                return name, [f"--{_WORD[name]}={words[count]}", *argv[2 + count :]]
            if words[count:]:
                raise InputError(f"'{words[count]}' is not understood after 'jaxbias {name}'")
            return name, argv[1 + len(name.split()) :]
    raise InputError(f"'{' '.join(words)}' is no command; {nearest(words[0], _COMMANDS)}")


def _parse(argv: list[str]) -> flags.FlagValues:
    """Reads the flags; what is wrong with them or the config file becomes one line."""
    given = flags.FlagValues()
    config_flags.DEFINE_config_file(
        "config",
        None,
        "The study, as FILE.py or FILE.py:ARG.",
        given,
        sys_argv=argv,
        lock_config=False,
        accept_new_attributes=True,  # In mappings with names of one's own; the study checks all.
    )
    for name, help in _FLAGS.items():
        flags.DEFINE_string(name, _DEFAULTS.get(name), help, given)
    for name, help in _LISTS.items():
        flags.DEFINE_list(name, [], help, given)
    for name, help in _SWITCHES.items():
        flags.DEFINE_bool(name, False, help, given)
    flags.DEFINE_integer("bootstrap", 1000, "Replicates; 0: no intervals.", flag_values=given)
    flags.DEFINE_float("confidence", 0.95, "Of the intervals.", flag_values=given)

    config = _config_file(argv)
    if config is not None:
        file = Path(config.split(":")[0])
        if not file.is_file():
            raise InputError(f"--config: there is no file {config.split(':')[0] or '(empty)'}")
        # A config imports its neighbours as `from configs import base`.
        sys.path.insert(0, str(file.resolve().parent.parent))
    _check_overrides(argv)
    try:
        left = given(argv)
        # A config file that could not read a file of its own says so only when it is looked into.
        getattr(given.config, "keys", None)
    except Exception as error:  # A config file is a program of the user's: it may raise anything.
        raise InputError(_one_line(error, config and str(file))) from error
    if left[1:]:
        raise InputError(f"'{left[1]}' is not understood; flags are written --name=value")
    return given


def _config_file(argv: Sequence[str]) -> str | None:
    """Returns what follows `--config=` or `--config`, in either of absl's spellings."""
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in ("--config", "-config"):
            return value if equals else following
    return None


def _check_overrides(argv: Sequence[str]) -> None:
    """Names the nearest field for a `--config.a.b=` that no study has."""
    for word in argv:
        if not word.startswith("--config."):
            continue
        path = word.removeprefix("--config.").split("=")[0]
        node: Any = default_config()
        for field in path.split("."):
            if not isinstance(node, ConfigDict):
                raise InputError(f"--config.{path}: no such field; '{field}' is below a value")
            if not node.is_locked:
                break  # Names of the config file's own.
            if field not in node:
                raise InputError(f"--config.{path}: no such field; {nearest(field, node)}")
            node = node[field]


def _one_line(error: Exception, config: str | None) -> str:
    """The message of an error; where the config file raised it, with the place in the file."""
    # absl and ml_collections wrap some errors in their own, with a traceback as the message.
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    for cause in reversed(chain):
        for frame in reversed(traceback.extract_tb(cause.__traceback__)):
            if config and Path(frame.filename) == Path(config):
                return f"{config} line {frame.lineno}: {type(cause).__name__}: {_message(cause)}"
    return _message(error)


def _message(error: BaseException) -> str:
    """The message on one line; that of a KeyError, and of what repeats it, is a repr."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = text.replace("\\n", "\n").replace("\\'", "'")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if isinstance(error, KeyError) and lines[:1] == [repr(text.strip("'"))]:
        return (
            f"--config has no field {lines[0]}; give a new name all its settings at once, "
            "as in --config.bases.Mine=\"{'role': 'scratch'}\""
        )
    return " ".join(lines[:2]) or repr(error)


def _study(given: flags.FlagValues) -> Study:
    if given.config is None and given["config"].present:
        raise InputError("--config: get_config() returns nothing; end it with `return config`")
    if given.config is None:
        raise InputError("--config=FILE.py is missing, for example --config=configs/quickstart.py")
    return make_study(given.config)


def _required(given: flags.FlagValues, name: str, what: str) -> str:
    if not given[name].value:
        raise InputError(f"--{name} is missing: {what}")
    return given[name].value


def _file(given: flags.FlagValues, name: str, what: str) -> Path:
    path = Path(_required(given, name, what))
    if not path.is_file():
        raise InputError(f"--{name}: there is no file {path}")
    return path


def _set_up_devices(study: Study, workdir: Path | None = None) -> None:
    """One virtual CPU device per core, or as many as the plan has; before JAX starts."""
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if forced or jax.config.jax_num_cpu_devices != -1:
        return  # Somebody has chosen already: JAX_NUM_CPU_DEVICES, or the caller of `main`.
    path = workdir and workdir / "plan.json"
    devices = Plan.read(path).devices if path and path.exists() else study.grid.devices
    jax.config.update("jax_num_cpu_devices", devices or min(os.cpu_count() or 1, 8))


def _write_report(workdir: Path) -> None:
    answer, page = workflow.write_report(workdir)
    report.terminal(answer)
    print(f"Report: {page}")
