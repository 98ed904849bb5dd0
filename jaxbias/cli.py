"""The command `jaxbias`: flags in, one of the flow's functions, and errors as one line.

jaxbias run --config=configs/quickstart.py --workdir=DIR [--config.finetune.n=512 ...]
jaxbias report --workdir=DIR
jaxbias report --scores=S.parquet --variants=V.csv --labels=L.csv --target=T --group=G --out=DIR
jaxbias curate --config=... --out=ids.csv
jaxbias data describe --config=... [--out=sheet.png]
"""

import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
from absl import flags, logging
from ml_collections import config_flags

from jaxbias import data, external, report, workflow
from jaxbias.analysis import make_answer
from jaxbias.atomic import write_csv
from jaxbias.data.describe import contact_sheet, describe
from jaxbias.errors import InputError
from jaxbias.grid import Plan, curate
from jaxbias.study import Study, make_study, nearest

_CONFIG = config_flags.DEFINE_config_file("config", None, "The study, as FILE.py or FILE.py:ARG.")
_WORKDIR = flags.DEFINE_string("workdir", None, "The result directory.")
_OUT = flags.DEFINE_string("out", None, "File or directory to write.")
_SCORES = flags.DEFINE_string("scores", None, "Scores of models trained elsewhere.")
_VARIANTS = flags.DEFINE_string("variants", None, "Settings of these models.")
_LABELS = flags.DEFINE_string("labels", None, "Labels of the scored examples.")
_TARGET = flags.DEFINE_string("target", None, "What these models predict: a column, or 'A|B'.")
_GROUP = flags.DEFINE_string("group", None, "The sensitive column.")
_GROUP_VALUES = flags.DEFINE_list("group_values", [], "Its two values; gaps are first - second.")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 2 wrong input, 130 interrupted."""
    argv = list(sys.argv if argv is None else argv)
    try:
        command, rest = _command(argv)
        _parse([argv[0], *rest])
        command()
    except InputError as error:
        print(f"jaxbias: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\njaxbias: interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def _run() -> None:
    study = _study()
    workdir = Path(_required(_WORKDIR, "a directory for the results"))
    _set_up_devices(study, workdir)
    timings = workflow.train(study, workdir)
    _write_report(workdir)
    print(workflow.accounting_text(timings))


def _report() -> None:
    if _WORKDIR.value:
        workdir = Path(_WORKDIR.value)
        if not workdir.is_dir():
            raise InputError(f"there is no directory {workdir}")
        _write_report(workdir)
        return
    paths = [
        _file(flag, what)
        for flag, what in (
            (_SCORES, "or give --workdir"),
            (_VARIANTS, "a CSV: model, base, role, curation, n, seed"),
            (_LABELS, "a CSV: id, split and label columns"),
        )
    ]
    if _CONFIG.value is None:
        target = _required(_TARGET, "the column the models predict")
        group = _required(_GROUP, "the sensitive column")
        study = external.external_study(
            paths[1], paths[2], target, group, tuple(_GROUP_VALUES.value)
        )
    else:
        study = _study()
    dataset, scores = external.read_external(*paths, study)
    answer = make_answer(study, dataset, scores)
    page = report.write(answer, Path(_OUT.value or "report"))
    report.terminal(answer)
    print(f"Report: {page}")


def _curate() -> None:
    study = _study()
    out = Path(_required(_OUT, "a CSV file for the example ids"))
    table = curate(study, data.load(study.data))
    write_csv(out, table)
    sets = table["curated_set"].nunique()
    print(f"{out}: {len(table):,} rows, {sets:,} curated sets")


def _describe() -> None:
    study = _study()
    dataset = data.load(study.data)
    tasks = (*study.targets, *study.pairs)
    print(describe(dataset, study.group, tasks))
    out = Path(_OUT.value or f"{study.name}-contact-sheet.png")
    contact_sheet(dataset, study.group, tasks[0]).save(out)
    print(f"Contact sheet: {out}")


_COMMANDS: dict[str, Callable[[], None]] = {
    "run": _run,
    "report": _report,
    "curate": _curate,
    "data describe": _describe,
}


def _command(argv: list[str]) -> tuple[Callable[[], None], list[str]]:
    words = []
    for word in argv[1:]:
        if word.startswith("-"):
            break
        words.append(word)
    if not words:
        print(f"{textwrap.dedent(__doc__).strip()}\n\ncommands: {', '.join(_COMMANDS)}")
        sys.exit(0 if {"-h", "--help"} & set(argv) else 2)
    for count in (2, 1):
        name = " ".join(words[:count])
        if name in _COMMANDS:
            if words[count:]:
                raise InputError(f"'{words[count]}' is not understood after 'jaxbias {name}'")
            return _COMMANDS[name], argv[1 + len(name.split()) :]
    raise InputError(f"'{' '.join(words)}' is no command; {nearest(words[0], _COMMANDS)}")


def _parse(argv: list[str]) -> None:
    """Reads the flags; what is wrong with them or the config file becomes one line."""
    logging.use_absl_handler()
    config = next((a.split("=", 1)[1] for a in argv if a.startswith("--config=")), None)
    if config:
        # A config imports its neighbours as `from configs import base`.
        sys.path.insert(0, str(Path(config.split(":")[0]).resolve().parent.parent))
    try:
        left = flags.FLAGS(argv)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(f"--config: there is no file {config}") from error
    except (
        flags.Error,
        ImportError,
        SyntaxError,
        LookupError,
        AttributeError,
        TypeError,
        ValueError,
    ) as error:
        raise InputError(_one_line(error)) from error
    if left[1:]:
        raise InputError(f"'{left[1]}' is not understood; flags are written --name=value")


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) or repr(error)


def _study() -> Study:
    if _CONFIG.value is None:
        raise InputError("--config=FILE.py is missing, for example --config=configs/quickstart.py")
    return make_study(_CONFIG.value)


def _required(flag: flags.FlagHolder, what: str) -> str:
    if not flag.value:
        raise InputError(f"--{flag.name} is missing: {what}")
    return flag.value


def _file(flag: flags.FlagHolder, what: str) -> Path:
    path = Path(_required(flag, what))
    if not path.is_file():
        raise InputError(f"--{flag.name}: there is no file {path}")
    return path


def _set_up_devices(study: Study, workdir: Path) -> None:
    """One virtual CPU device per core, or as many as the plan has; before JAX starts."""
    set_already = "JAX_NUM_CPU_DEVICES" in os.environ or "xla_force_host" in os.environ.get(
        "XLA_FLAGS", ""
    )
    if set_already:
        return
    path = workdir / "plan.json"
    devices = Plan.read(path).devices if path.exists() else study.grid.devices
    jax.config.update("jax_num_cpu_devices", devices or min(os.cpu_count() or 1, 8))


def _write_report(workdir: Path) -> None:
    answer, page = workflow.write_report(workdir)
    report.terminal(answer)
    print(f"Report: {page}")
