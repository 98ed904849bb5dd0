"""Flags: all there are, and how a command says which it takes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxbias.study.config_file import Settings


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag, as help lists it.

    Attributes:
      value: what stands after the "="; empty: it is a switch.
      help: one line.
      default: where it is not given; a list's values are separated by commas.
      path: whether its value is a file or directory, in which "~" is somebody's home.
      several: whether it takes all words that follow it, up to the next flag.
    """

    value: str
    help: str
    default: Any = None
    path: bool = False
    several: bool = False


@dataclasses.dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
      do: "module:function" of the program's room; imported when the command runs, called with the
        flags.
      summary: what it does, in one line.
      usage: how it is called, one form a line; its flags alone.
      flags: those it looks at -> what they mean here, where that is not `FLAGS[name].help`.
      word: the flag that a word after the command's name stands for.
    """

    do: str
    summary: str
    usage: tuple[str, ...]
    flags: Mapping[str, str]
    word: str = ""


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """A program as it is called from a shell.

    Attributes:
      name: its own word, or words.
      summary: what it does, in one line.
      example: how it may be called.
      room: the package that has the modules of its commands.
      commands: name, of one word or two -> command.
      flags: all that its commands take.
      configs: those of the flags that name a config file.
    """

    name: str
    summary: str
    example: str
    room: str
    commands: Mapping[str, Command]
    flags: Mapping[str, Flag]
    configs: Mapping[str, Settings]


FLAGS = {
    "config": Flag("FILE.py[:ARG]", "The study: a Python file with get_config(arg)."),
    "workdir": Flag("DIR", "The result directory, or its gs:// or s3:// URL.", path=True),
    "stage": Flag("STAGE", "This stage alone: plan, pretrain, search, finetune or report."),
    "packs": Flag("PACKS", "Of a stage, these packs of the plan: places from 0, ranges, ids."),
    "dry_run": Flag("", "Say what a run would cost; write nothing."),
    "price": Flag("NUMBER", "Of a target's chip, an hour.", 0.0),
    "calibrate": Flag("", "Time the modes of a grid; train nothing."),
    "distributed": Flag("", "Train together with the other processes of a job."),
    "compare": Flag(
        "A B", "Two result directories, put side by side on one page.", [], path=True, several=True
    ),
    "scores": Flag("FILE", "Scores: a column per model, a row per example.", path=True),
    "variants": Flag(
        "FILE", "Settings of the models: model, base, role, curation, n, seed.", path=True
    ),
    "labels": Flag("FILE", "Labels of the scored examples: id, split, columns.", path=True),
    "target": Flag("NAME", "What the models predict: a column."),
    "group": Flag("COLUMN", "The sensitive column."),
    "group_values": Flag("A,B", "The group's two values, first − second.", []),
    "groups": Flag("COLUMNS", "Columns of groups.", []),
    "intersections": Flag("A:B", "Columns whose combinations are groups too.", []),
    "metrics": Flag("NAMES", "What to compute; see docs/metrics.md.", []),
    "threshold": Flag(
        "RULE",
        "base_rate, group_base_rate, youden, fpr:RATE, tpr:RATE or a number.",
        "base_rate",
    ),
    "population": Flag("POPULATION", "Evaluate on one such as level=2,prevalence=0.5."),
    "weights": Flag("COLUMN", "Weights of the examples."),
    "link": Flag("LINK", "identity: scores are probabilities; sigmoid: logits.", "identity"),
    "against": Flag("MODEL", "The model every other is compared with."),
    "bootstrap": Flag("COUNT", "Bootstrap replicates; 0: no intervals.", 1000),
    "interval": Flag("KIND", "standard, percentile or bca.", "standard"),
    "confidence": Flag("SHARE", "Of the intervals.", 0.95),
    "base": Flag("NAME", "One of config.bases."),
    "arch": Flag("NAME", "The architecture, such as resnet50."),
    "source": Flag("NAME", "Who saved the weights, such as torchvision."),
    "file": Flag("FILE", "A checkpoint.", path=True),
    "out": Flag("FILE", "Where to write.", path=True),
}
