"""Help: of the command and of its commands, and which version this is."""

import sys
import textwrap
from collections.abc import Collection, Sequence
from importlib import metadata

from jaxbias import __version__
from jaxbias.cli.flags import CommandLine
from jaxbias.errors import InputError, nearest

# Read by every command, from absl; no flag of any of them.
_FLAGFILE = ("flagfile", "FILE", "Flags, one a line; those after it on the command line win.")


def help_text(words: Sequence[str], line: CommandLine) -> str:
    """Returns the help of a command, or of all that begin with the same word.

    Args:
      words: those before the first flag.
      line: the program's commands and flags.

    Raises:
      InputError: there is no such command.
    """
    commands = line.commands
    if not words:
        return _overview(line)
    for count in (2, 1):
        name = " ".join(words[:count])
        if name in commands:
            return _help(name, line)
    family = [name for name in commands if name.split()[0] == words[0]]
    if family and len(words) == 1:
        return "\n\n\n".join(_help(name, line) for name in family)
    raise InputError(no_command(words, commands))


def no_command(words: Sequence[str], commands: Collection[str]) -> str:
    """Returns why words name no command, with the nearest that there is."""
    name = " ".join(words[:2])
    families = {known.split()[0] for known in commands if " " in known}
    if words[0] not in families:
        name = words[0]
    found = nearest(name, commands)
    if words[0] in families and "did you mean" not in found:
        found = nearest("", [known for known in commands if known.startswith(f"{words[0]} ")])
    return f"'{' '.join(words)}' is no command; {found}"


def version() -> str:
    """Returns the versions of the package, of JAX, which is not imported for it, and of Python."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"jaxbias {__version__} (JAX {metadata.version('jax')}, Python {python})"


def _overview(line: CommandLine) -> str:
    width = max(map(len, line.commands))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in line.commands.items()]
    return "\n".join(
        [
            f"{line.name}: {line.summary}",
            "",
            *lines,
            "",
            f"'{line.name} COMMAND --help' lists the flags of a command; '{line.name} --version' "
            "says which this is.",
            f"For example: {line.name} {line.example}",
        ]
    )


def _help(name: str, line: CommandLine) -> str:
    rows, command = [], line.commands[name]
    for flag, here in command.flags.items():
        spec = line.flags[flag]
        said = here or spec.help
        if spec.default not in (None, []):
            said += f" Default: {spec.default}."
        written = (
            f"--{flag}{' ' if spec.several else '='}{spec.value}" if spec.value else f"--{flag}"
        )
        rows.append((written, said))
        if flag in line.configs:
            field = f"{flag}.{line.configs[flag].example}"
            rows.append((f"--{flag}.FIELD=VALUE", f"Overrides a setting, as in {field}."))
    flagfile, value, said = _FLAGFILE
    rows.append((f"--{flagfile}={value}", said))
    width = max(len(left) for left, _ in rows)
    lines = [f"{line.name} {name}: {command.summary}", ""]
    lines += [f"  {line.name} {name} {form}" for form in command.usage]
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
