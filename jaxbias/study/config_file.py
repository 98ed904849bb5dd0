"""Settings as a Python file: loaded, with what the command line overrides, or one line."""

import dataclasses
import re
import sys
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from jaxbias.errors import InputError, nearest
from jaxbias.files.paths import expanded
from jaxbias.study import Study, default_config, make_study

# What Python's parsers say of a value, and what it means to who typed it.
_PLAIN = (
    (r"\('Non-boolean argument to boolean flag', .*\)", "must be true or false"),
    (r"invalid literal for int\(\) with base 10: '.*'", "must be a whole number"),
    (r"could not convert string to float: '.*'", "must be a number"),
    (r"Failed to parse .* as a ConfigDict: .*", "must be a mapping, as in \"{'name': value}\""),
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a flag is about that names a config file, such as --config=FILE.py.

    Attributes:
      defaults: returns every field with its default.
      example: a field, for help.
      needs_file: whether there are no settings without a file; otherwise they are the defaults.
    """

    defaults: Callable[[], ConfigDict]
    example: str
    needs_file: bool = True


STUDY = {"config": Settings(default_config, "finetune.n")}


def parse(
    argv: Sequence[str],
    given: flags.FlagValues,
    unknown: Callable[[str], str],
    configs: Mapping[str, Settings] = STUDY,
) -> list[str]:
    """Parses the flags, config files such as --config=FILE.py and overrides of them among them.

    Args:
      argv: the words.
      given: the flags defined so far; gets those of config files too, None or the settings, and
        every value.
      unknown: says what is wrong with the name of a flag that nobody has.
      configs: of each flag that names a config file, what it is about.

    Returns:
      The words that are no flags.

    Raises:
      InputError: what is wrong with the flags, or what a config file does, as one line.
    """
    words, loaded = list(argv), {}
    for name, settings in configs.items():
        file, words = _config_flag(words, name)
        _check_overrides(words, name, settings.defaults)
        if file is not None:
            loaded[name] = load(file, name)
        elif not settings.needs_file:
            loaded[name] = settings.defaults()
    try:
        for name in configs:
            if name not in loaded:
                flags.DEFINE_string(name, None, "", flag_values=given)
                continue
            config_flags.DEFINE_config_dict(
                name,
                loaded[name],
                flag_values=given,
                sys_argv=words,
                lock_config=False,
                accept_new_attributes=True,  # In mappings with names of one's own.
            )
            given[name].present = 1
        return given(["jaxbias", *words])[1:]
    except flags.UnrecognizedFlagError as error:
        raise InputError(unknown(error.flagname)) from error
    except (flags.Error, ValueError, TypeError, KeyError, AttributeError, SyntaxError) as error:
        raise InputError(_message(error)) from error


def load(text: str, flag: str = "config") -> ConfigDict:
    """Runs a config file and returns its settings.

    Args:
      text: FILE.py, or FILE.py:ARG for get_config("ARG").
      flag: that names it.

    Raises:
      InputError: there is no such file, or it does not return settings; with its line.
    """
    name, colon, arg = text.partition(":")
    file = expanded(name, f"--{flag}")
    if file.is_dir() and name:
        raise InputError(f"--{flag}={name} is a directory; name a file in it, such as folder.py")
    if not file.is_file():
        raise InputError(f"--{flag}: there is no file {name or '(empty)'}")
    # A config imports the files beside it, as a script does; they shadow nothing installed.
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    # Its name among the modules: dataclasses and pickle look there.
    alias = f"jaxbias_{flag}"
    module = sys.modules[alias] = types.ModuleType(alias)
    module.__file__ = str(file)
    try:
        # Compiled here: nothing is written beside a user's file.
        exec(compile(file.read_bytes(), str(file), "exec"), vars(module))
        get_config = getattr(module, "get_config", None)
        if callable(get_config):
            settings = get_config(arg) if colon else get_config()
            if isinstance(settings, Mapping):
                settings = ConfigDict(settings)
            if isinstance(settings, ConfigDict):
                settings.to_dict()  # Raises where a required placeholder is empty.
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # A config file is a user's program: it may raise anything.
        raise InputError(_where(error, file)) from error
    if not callable(get_config):
        raise InputError(
            f"{file} has no function get_config(arg=''); a config returns its settings from one"
        )
    if settings is None:
        raise InputError(f"{file}: get_config() returns nothing; end it with `return config`")
    if not isinstance(settings, ConfigDict):
        kind = type(settings).__name__
        raise InputError(f"{file}: get_config() must return a group of settings, not {kind}")
    return settings


def study(given: flags.FlagValues) -> Study:
    """Returns the checked study of --config.

    Raises:
      InputError: there is none, or a setting is wrong.
    """
    if given.config is None:
        raise InputError("--config=FILE.py is missing, for example --config=configs/quickstart.py")
    return make_study(given.config)


def _config_flag(argv: Sequence[str], flag: str) -> tuple[str | None, list[str]]:
    """Returns the value of the last flag of that name, and the words without any."""
    value, words, rest = None, [], list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, after = word.partition("=")
        if name not in (f"--{flag}", f"-{flag}"):
            words.append(word)
        elif equals:
            value = after
        else:
            value = rest.pop(0) if rest else ""
    return value, words


def _check_overrides(words: Sequence[str], flag: str, defaults: Callable[[], ConfigDict]) -> None:
    """Names the nearest field for a `--config.a.b=` that no settings have."""
    for word in words:
        if not word.startswith((f"--{flag}.", f"-{flag}.")):
            continue
        path = word.lstrip("-").removeprefix(f"{flag}.").split("=")[0]
        node: Any = defaults()
        for field in path.split("."):
            if not isinstance(node, ConfigDict):
                raise InputError(f"--{flag}.{path}: no such field; '{field}' is below a value")
            if not node.is_locked:
                break  # Names of the config file's own.
            if field not in node:
                raise InputError(f"--{flag}.{path}: no such field; {nearest(field, node)}")
            node = node[field]


def _where(error: BaseException, file: Path) -> str:
    """What a config file raised, with the line of it that did."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(file)
    ]
    place = f"{file} line {lines[-1]}" if lines else str(file)
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f"{file} line {error.lineno}: {error.msg}"
    if isinstance(error, SystemExit):
        return f"{place}: the config ends the program; end get_config() with `return config`"
    message = _message(error)
    return f"{place}: {type(error).__name__}" + (f": {message}" if message else "")


def _message(error: BaseException) -> str:
    """The message on one line; that of a KeyError, and of what repeats it, is a repr."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = text.replace("\\n", "\n").replace("\\'", "'")
    for pattern, plain in _PLAIN:
        text = re.sub(pattern, plain, text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if isinstance(error, KeyError) and lines[:1] == [repr(text.strip("'"))]:
        return (
            f"--config has no field {lines[0]}; give a new name all its settings at once, "
            "as in --config.bases.Mine=\"{'role': 'scratch'}\""
        )
    return " ".join(lines[:2])
