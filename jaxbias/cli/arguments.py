"""Words and flags as they were typed: read, or refused in one line before any work."""

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from jaxbias.cli.flags import Command, CommandLine, Flag
from jaxbias.cli.help import help_text, no_command, version
from jaxbias.data import readers
from jaxbias.errors import InputError, nearest
from jaxbias.files.objects import is_url
from jaxbias.files.paths import expanded
from jaxbias.models import architectures
from jaxbias.study import Study, config_file

_HELP = {"-h", "-help", "--help", "--helpshort", "--helpfull"}


def find(argv: Sequence[str], line: CommandLine) -> tuple[str, list[str]]:
    """Returns the command's name and the words that follow it.

    Args:
      argv: as the shell gave it, the program's name first.
      line: the program's commands.

    Raises:
      InputError: there is no such command.
      SystemExit: help was asked for and printed, or nothing was asked for.
    """
    commands = line.commands
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
        print(version() if "--version" in rest else help_text(about, line))
        sys.exit(0)
    if not rest:
        print(help_text([], line), file=sys.stderr)
        sys.exit(2)
    if not words:
        raise InputError(
            f"name the command first, then its flags, as in '{line.name} {next(iter(commands))} "
            f"{rest[0]} ...'; commands: {', '.join(commands)}"
        )
    for count in (2, 1):
        name = " ".join(words[:count])
        if name in commands:
            flag = commands[name].word
            if flag and len(words) == count + 1:
                return name, [f"--{flag}={words[count]}", *rest[count + 1 :]]
            if words[count:]:
                raise InputError(
                    f"'{words[count]}' is not understood after '{line.name} {name}'; flags are "
                    "written --name=value"
                )
            return name, rest[len(name.split()) :]
    raise InputError(no_command(words, commands))


def parse(argv: Sequence[str], name: str, line: CommandLine) -> flags.FlagValues:
    """Reads the flags of a command, and its config files.

    Args:
      argv: the words after the command's name.
      name: the command's.
      line: the program, which tells what flags there are and which the command takes.

    Returns:
      The flags; `config` is the config file's, with what the command line overrides.

    Raises:
      InputError: anything is wrong with them, in one line.
    """
    given, command, what = flags.FlagValues(), line.commands[name], f"{line.name} {name}"
    for flag, spec in line.flags.items():
        if flag not in line.configs:
            _define(flag, spec, given)
    try:
        # Before anything looks at them: a flagfile may hold overrides of the config too.
        argv = _repeated(given.read_flags_from_files(list(argv)), line)
    except UnicodeDecodeError as error:
        raise InputError(f"--flagfile: a file of flags is not UTF-8: {error}") from error
    except flags.Error as error:
        raise InputError(" ".join(str(error).split()).removeprefix("ERROR:: ")) from error
    for flag in (word.split("=")[0].lstrip("-") for word in argv):
        file = flag.split(".")[0]
        if file in line.configs and file not in command.flags:
            listed = ", ".join(f"--{use}" for use in command.flags)
            raise InputError(f"--{flag} changes nothing in '{what}', which uses {listed}")
    configs = {flag: about for flag, about in line.configs.items() if flag in command.flags}
    left = config_file.parse(argv, given, lambda flag: _unknown(flag, what, command), configs)
    if left:
        raise InputError(f"'{left[0]}' is not understood; flags are written --name=value")
    refuse_unused(given, command.flags, what)
    for flag, spec in line.flags.items():
        if flag not in given:
            continue
        if given[flag].present and spec.value and given[flag].value in ("", [], [""]):
            raise InputError(f"--{flag}= is empty; give {spec.value}, or leave it out")
        if spec.path and given[flag].value:
            paths = given[flag].value if spec.several else [given[flag].value]
            paths = [path if is_url(path) else str(expanded(path, f"--{flag}")) for path in paths]
            given[flag].value = paths if spec.several else paths[0]
    return given


def study_of(given: flags.FlagValues) -> Study:
    """Returns the study of --config, which is required.

    Raises:
      InputError: it is missing, or has a value that is told to be wrong without its data.
    """
    study = config_file.study(given)
    readers.module_of(study.data.name)
    architectures.check(study.model, study.data.image_size)
    return study


def refuse_unused(given: flags.FlagValues, used: Sequence[str], what: str) -> None:
    """Refuses a flag that would change nothing: it is a mistake.

    Args:
      given: the flags.
      used: names of those that are looked at.
      what: the command, for the message.
    """
    for name in given:
        # What overrides a config is a flag too.
        if "." not in name and given[name].present and name not in used:
            listed = ", ".join(f"--{use}" for use in used)
            raise InputError(f"--{name} changes nothing in '{what}', which uses {listed}")


def required(given: flags.FlagValues, name: str, what: str) -> str:
    """Returns the value of a flag that a command cannot do without.

    Args:
      given: the flags.
      name: of the flag.
      what: it is to hold, for the message.

    Raises:
      InputError: it is missing.
    """
    if not given[name].value:
        raise InputError(f"--{name} is missing: {what}")
    return given[name].value


def required_file(given: flags.FlagValues, name: str, what: str) -> Path:
    """Returns the file that a flag names; likewise.

    Raises:
      InputError: the flag is missing, or there is no such file.
    """
    path = Path(required(given, name, what))
    if not path.is_file():
        raise InputError(f"--{name}: there is no file {path}")
    return path


def _repeated(argv: Sequence[str], line: CommandLine) -> list[str]:
    """Gives each of several words the flag that they follow: --compare=A --compare=B."""
    found, flag = [], ""
    for word, following in itertools.pairwise([*argv, "-"]):
        if word.startswith("-"):
            name, equals, _ = word.lstrip("-").partition("=")
            flag = name if name in line.flags and line.flags[name].several else ""
            if not flag or equals:
                found.append(word)
            elif following.startswith("-"):
                found.append(f"--{flag}=")  # Of none; refused as empty.
        else:
            found.append(f"--{flag}={word}" if flag else word)
    return found


def _define(name: str, spec: Flag, given: flags.FlagValues) -> None:
    if spec.several:
        flags.DEFINE_multi_string(name, spec.default, spec.help, flag_values=given)
        return
    define = {list: flags.DEFINE_list, int: flags.DEFINE_integer, float: flags.DEFINE_float}.get(
        type(spec.default), flags.DEFINE_string if spec.value else flags.DEFINE_bool
    )
    define(name, spec.default if spec.value else False, spec.help, flag_values=given)


def _unknown(flag: str, what: str, command: Command) -> str:
    """Says what is wrong with a flag that nobody has."""
    if flag.startswith("config."):
        return f"--{flag} overrides a config; --config=FILE.py is missing"
    return f"'{what}' has no flag --{flag}; {nearest(flag, command.flags)}"
