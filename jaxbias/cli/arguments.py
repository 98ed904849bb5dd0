"""Words and flags of the command: which there are, what each command takes, and its help."""

import dataclasses
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags

from jaxbias.errors import InputError, nearest
from jaxbias.files.paths import expanded
from jaxbias.study import config_file


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag, as help lists it.

    Attributes:
      value: what stands after the "="; empty: it is a switch.
      help: one line.
      default: where it is not given; a list's values are separated by commas.
      path: whether its value is a file or directory, in which "~" is somebody's home.
    """

    value: str
    help: str
    default: Any = None
    path: bool = False


@dataclasses.dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
      do: is called with the flags.
      summary: what it does, in one line.
      usage: how it is called, one form a line; its flags alone.
      flags: those it looks at -> what they mean here, where that is not `FLAGS[name].help`.
      word: the flag that a word after the command's name stands for.
    """

    do: Callable[[flags.FlagValues], None]
    summary: str
    usage: tuple[str, ...]
    flags: Mapping[str, str]
    word: str = ""


FLAGS = {
    "config": Flag("FILE.py[:ARG]", "The study: a Python file with get_config(arg)."),
    "workdir": Flag("DIR", "The result directory.", path=True),
    "stage": Flag("STAGE", "This stage alone: plan, pretrain, search, finetune or report."),
    "packs": Flag("PACKS", "Of a stage, these packs of the plan: places from 0, ranges, ids."),
    "dry_run": Flag("", "Say what a run would cost; write nothing."),
    "calibrate": Flag("", "Time the modes of a grid; train nothing."),
    "distributed": Flag("", "Pretrain together with the other processes of a job."),
    "scores": Flag("FILE", "Scores: a column per model, a row per example.", path=True),
    "variants": Flag(
        "FILE", "Settings of the models: model, base, role, curation, n, seed.", path=True
    ),
    "labels": Flag("FILE", "Labels of the scored examples: id, split, columns.", path=True),
    "target": Flag("COLUMN", "What the models predict."),
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
    "arch": Flag("NAME", "The architecture, such as resnet50."),
    "source": Flag("NAME", "Who saved the weights, such as torchvision."),
    "file": Flag("FILE", "A checkpoint.", path=True),
    "out": Flag("FILE", "Where to write.", path=True),
}
# Read by every command, from absl; no flag of any of them.
_FLAGFILE = ("flagfile", "FILE", "Flags, one a line; those after it on the command line win.")
_HELP = {"-h", "-help", "--help", "--helpshort", "--helpfull"}


def find(argv: Sequence[str], commands: Mapping[str, Command]) -> tuple[str, list[str]]:
    """Returns the command's name and the words that follow it.

    Args:
      argv: as the shell gave it, the program's name first.
      commands: name -> command; a name may be two words.

    Raises:
      InputError: there is no such command.
      SystemExit: help was asked for and printed, or nothing was asked for.
    """
    for word in argv:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{word!a} on the command line is not UTF-8") from error
    rest = list(argv[1:])
    words = []
    for word in rest:
        if word.startswith("-"):
            break
        words.append(word)
    if "--version" in rest or _HELP & set(rest) or words[:1] == ["help"]:
        about = words[1:] if words[:1] == ["help"] else words
        print(_version() if "--version" in rest else help_text(about, commands))
        sys.exit(0)
    if not rest:
        print(help_text([], commands), file=sys.stderr)
        sys.exit(2)
    if not words:
        raise InputError(
            f"name the command first, then its flags, as in 'jaxbias run {rest[0]} ...'; "
            f"commands: {', '.join(commands)}"
        )
    for count in (2, 1):
        name = " ".join(words[:count])
        if name in commands:
            flag = commands[name].word
            if flag and len(words) == count + 1:
                return name, [f"--{flag}={words[count]}", *rest[count + 1 :]]
            if words[count:]:
                raise InputError(
                    f"'{words[count]}' is not understood after 'jaxbias {name}'; flags are written "
                    "--name=value"
                )
            return name, rest[len(name.split()) :]
    raise InputError(_no_command(words, commands))


def parse(argv: Sequence[str], name: str, command: Command) -> flags.FlagValues:
    """Reads the flags of a command, and its config file.

    Args:
      argv: the words after the command's name.
      name: the command's.
      command: which flags it takes.

    Returns:
      The flags; `config` is the config file's, with what the command line overrides.

    Raises:
      InputError: anything is wrong with them, in one line.
    """
    given = flags.FlagValues()
    for flag, spec in FLAGS.items():
        if flag != "config":
            _define(flag, spec, given)
    try:
        # Before anything looks at them: a flagfile may hold overrides of the config too.
        argv = given.read_flags_from_files(list(argv))
    except UnicodeDecodeError as error:
        raise InputError(f"--flagfile: a file of flags is not UTF-8: {error}") from error
    except flags.Error as error:
        raise InputError(" ".join(str(error).split()).removeprefix("ERROR:: ")) from error
    for flag in (word.split("=")[0].lstrip("-") for word in argv):
        if flag.split(".")[0] == "config" and "config" not in command.flags:
            listed = ", ".join(f"--{use}" for use in command.flags)
            raise InputError(f"--{flag} changes nothing in 'jaxbias {name}', which uses {listed}")
    left = config_file.parse(argv, given, lambda flag: _unknown(flag, name, command))
    if left:
        raise InputError(f"'{left[0]}' is not understood; flags are written --name=value")
    refuse_unused(given, command.flags, f"jaxbias {name}")
    for flag, spec in FLAGS.items():
        if given[flag].present and spec.value and given[flag].value in ("", []):
            raise InputError(f"--{flag}= is empty; give {spec.value}, or leave it out")
        if spec.path and given[flag].value:
            given[flag].value = str(expanded(given[flag].value, f"--{flag}"))
    return given


def refuse_unused(given: flags.FlagValues, used: Sequence[str], what: str) -> None:
    """Refuses a flag that would change nothing: it is a mistake.

    Args:
      given: the flags.
      used: names of those that are looked at.
      what: the command, for the message.
    """
    for name in FLAGS:
        if given[name].present and name not in used:
            listed = ", ".join(f"--{use}" for use in used)
            raise InputError(f"--{name} changes nothing in '{what}', which uses {listed}")


def help_text(words: Sequence[str], commands: Mapping[str, Command]) -> str:
    """Returns the help of a command, or of all that begin with the same word.

    Args:
      words: those before the first flag.
      commands: name -> command.

    Raises:
      InputError: there is no such command.
    """
    if not words:
        return _overview(commands)
    for count in (2, 1):
        name = " ".join(words[:count])
        if name in commands:
            return _help(name, commands[name])
    family = [name for name in commands if name.split()[0] == words[0]]
    if family and len(words) == 1:
        return "\n\n\n".join(_help(name, commands[name]) for name in family)
    raise InputError(_no_command(words, commands))


def _define(name: str, spec: Flag, given: flags.FlagValues) -> None:
    define = {list: flags.DEFINE_list, int: flags.DEFINE_integer, float: flags.DEFINE_float}.get(
        type(spec.default), flags.DEFINE_string if spec.value else flags.DEFINE_bool
    )
    define(name, spec.default if spec.value else False, spec.help, flag_values=given)


def _unknown(flag: str, name: str, command: Command) -> str:
    """Says what is wrong with a flag that nobody has."""
    if flag.startswith("config."):
        return f"--{flag} overrides a config; --config=FILE.py is missing"
    return f"'jaxbias {name}' has no flag --{flag}; {nearest(flag, command.flags)}"


def _no_command(words: Sequence[str], commands: Mapping[str, Command]) -> str:
    name = " ".join(words[:2])
    families = {known.split()[0] for known in commands if " " in known}
    if words[0] not in families:
        name = words[0]
    found = nearest(name, commands)
    if words[0] in families and "did you mean" not in found:
        found = nearest("", [known for known in commands if known.startswith(f"{words[0]} ")])
    return f"'{' '.join(words)}' is no command; {found}"


def _version() -> str:
    import jax

    from jaxbias import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    return f"jaxbias {__version__} (JAX {jax.__version__}, Python {python})"


def _overview(commands: Mapping[str, Command]) -> str:
    width = max(map(len, commands))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in commands.items()]
    return "\n".join(
        [
            "jaxbias: is pretrained bias inherited, and what smallest change of the finetuning "
            "data removes it?",
            "",
            *lines,
            "",
            "'jaxbias COMMAND --help' lists the flags of a command; 'jaxbias --version' says which "
            "this is.",
            "For example: jaxbias run --config=configs/quickstart.py --workdir=DIR",
        ]
    )


def _help(name: str, command: Command) -> str:
    rows = []
    for flag, here in command.flags.items():
        spec = FLAGS[flag]
        said = here or spec.help
        if spec.default not in (None, []):
            said += f" Default: {spec.default}."
        rows.append((f"--{flag}={spec.value}" if spec.value else f"--{flag}", said))
        if flag == "config":
            rows.append(("--config.FIELD=VALUE", "Overrides a setting, as in config.finetune.n."))
    flagfile, value, said = _FLAGFILE
    rows.append((f"--{flagfile}={value}", said))
    width = max(len(left) for left, _ in rows)
    lines = [f"jaxbias {name}: {command.summary}", ""]
    lines += [f"  jaxbias {name} {form}" for form in command.usage]
    lines += ["", "flags:"]
    for left, right in rows:
        lines += textwrap.wrap(
            f"{left:{width}}  {right}",
            100,
            initial_indent="  ",
            subsequent_indent=" " * (width + 4),
            break_on_hyphens=False,
        )
    return "\n".join(lines)
