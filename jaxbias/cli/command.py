"""The command `jaxbias`: its commands, what each does in a module of its own, errors as one line.

Help and refusals answer at once: a command's module is imported when the command runs, and that
imports JAX, pandas and what else takes seconds inside its functions, after what flags alone tell.
"""

import importlib
import io
import sys
from collections.abc import Sequence

from jaxbias.cli import arguments
from jaxbias.cli.flags import FLAGS, Command, CommandLine
from jaxbias.errors import InputError
from jaxbias.study.config_file import STUDY

_CONFIG = "--config=FILE.py [--config.FIELD=VALUE ...]"
COMMANDS = {
    "run": Command(
        "runs:run",
        "train what a study lacks, answer its questions, write the report.",
        (
            f"{_CONFIG} --workdir=DIR [--distributed]",
            "--config=... --workdir=DIR --stage=STAGE [--packs=0,3-5]",
            "--config=... --workdir=DIR --dry_run",
            "--config=... --dry_run --target=NAME [--price=NUMBER] [--workdir=DIR]",
            "--config=... --calibrate",
        ),
        dict.fromkeys(
            ("config", "workdir", "stage", "packs", "distributed", "dry_run", "calibrate"), ""
        )
        | {
            "target": "Of a dry run: devices that need not be attached, such as v5e:4x4 or h100:8.",
            "price": "",
        },
    ),
    "pretrain": Command(
        "runs:pretrain",
        "pretrain the bases of a study, step by step with checkpoints.",
        (f"{_CONFIG} --workdir=DIR [--distributed]",),
        dict.fromkeys(("config", "workdir", "distributed"), ""),
    ),
    "report": Command(
        "reports:report",
        "answer again from stored scores, or from those of models trained elsewhere.",
        (
            "--workdir=DIR [--config=FILE.py]",
            "--compare A B [--out=DIR]",
            "--scores=FILE --variants=FILE --labels=FILE --target=COLUMN --group=COLUMN",
            "--scores=FILE --variants=FILE --labels=FILE --config=FILE.py [--out=DIR]",
        ),
        {
            "workdir": "The result directory of a run; its report is drawn again.",
            "compare": "",
            "scores": "",
            "variants": "",
            "labels": "",
            "target": "What the models predict, or 'A|B' for a pair.",
            "group": "",
            "group_values": "",
            "config": "The study, instead of --target and --group, or of a result directory with"
            " groupings, evaluations or rules of the answer that it was not run with.",
            "out": "The report's directory. Default: report, or comparison.",
        },
    ),
    "evaluate": Command(
        "reports:evaluate",
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
        "datasets:curate",
        "the example ids of every curated set of a study, to train on elsewhere.",
        (f"{_CONFIG} --out=FILE.csv",),
        {"config": "", "out": "A CSV file for the example ids."},
    ),
    "attribute": Command(
        "datasets:attribute",
        "how much each finetuning example adds to the gap, as a table that 'drop' reads.",
        ("--config=FILE.py --workdir=DIR --base=NAME --target=COLUMN --out=FILE.csv",),
        {
            "config": "",
            "workdir": "",
            "base": "",
            "target": "One of config.targets.",
            "out": "A CSV file for the scores.",
        },
    ),
    "data describe": Command(
        "datasets:describe",
        "splits, cells, correlations and copies of a dataset, and a contact sheet.",
        (f"{_CONFIG} [--out=FILE.png]",),
        {"config": "", "out": "The contact sheet. Default: NAME-contact-sheet.png."},
    ),
    "data prepare": Command(
        "datasets:prepare",
        "decode a dataset's images ahead of a run.",
        (_CONFIG,),
        {"config": ""},
    ),
    "weights import": Command(
        "weights:take_over",
        "take over a checkpoint of another framework as a base.",
        ("--arch=NAME --source=NAME --file=FILE --out=DIR",),
        {"arch": "", "source": "", "file": "", "out": "A new directory for the weights."},
    ),
    "weights describe": Command(
        "weights:describe",
        "what a checkpoint, or a directory of imported weights, holds.",
        ("FILE",),
        {"file": "A checkpoint, or imported weights."},
        word="file",
    ),
}


JAXBIAS = CommandLine(
    "jaxbias",
    "is pretrained bias inherited, and what smallest change of the finetuning data removes it?",
    "run --config=configs/quickstart.py --workdir=DIR",
    "jaxbias.cli",
    COMMANDS,
    FLAGS,
    STUDY,
)


def main(argv: Sequence[str] | None = None, line: CommandLine = JAXBIAS) -> None:
    """Runs the command and exits: 0 done, 2 wrong input, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A minus sign must not end a long run.
            stream.reconfigure(errors="backslashreplace")
    try:
        name, rest = arguments.find(list(sys.argv if argv is None else argv), line)
        given = arguments.parse(rest, name, line)
        module, _, function = line.commands[name].do.partition(":")
        getattr(importlib.import_module(f"{line.room}.{module}"), function)(given)
    except InputError as error:
        print(f"{line.name}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        said = "interrupted; the same command keeps what is finished"  # A report starts over.
        print(f"\n{line.name}: {said}", file=sys.stderr)
        sys.exit(130)
