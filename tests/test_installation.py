"""What is installed, by which Python: pins for each, and all that the benchmarks import."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
NAMES = {"PIL": "pillow", "sklearn": "scikit-learn"}


def named(requirements):
    return {canonicalize_name(Requirement(each).name): Requirement(each) for each in requirements}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_pins_are_of_everything_that_is_asked_for(python):
    pins = named((ROOT / "constraints" / f"{python}.txt").read_text().split())
    extras = [
        each for name in ("dev", "bench", "engines", "weights", "parity") for each in EXTRAS[name]
    ]
    asked = named([*PROJECT["dependencies"], *extras])
    assert asked.keys() <= pins.keys()
    for name, requirement in asked.items():
        version = re.fullmatch(r"==([\w.]+)", str(pins[name].specifier))[1]
        assert requirement.specifier.contains(version), name
    assert pins["jax"].specifier == pins["jaxlib"].specifier


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_benchmarks_import_what_their_first_lines_install(path):
    tree = ast.parse(path.read_text())
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imports = [node.names for node in ast.walk(tree) if isinstance(node, ast.Import)]
    names += [alias.name for aliases in imports for alias in aliases]
    imported = {name.split(".")[0] for name in names}
    others = imported - sys.stdlib_module_names - {"jaxbias", "benchmarks", "configs"}
    extra = re.search(r'pip install -e "\.\[(\w+)\]"', ast.get_docstring(tree))
    installed = named([*PROJECT["dependencies"], *(EXTRAS[extra[1]] if extra else [])])
    assert {canonicalize_name(NAMES.get(name, name)) for name in others} <= installed.keys()


def make(*arguments):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "-n", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def program(path, version):
    """A Python of a version, as far as make asks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return f"PYTHON={path}"


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_make_takes_the_pins_of_the_python_it_is_given(version, tmp_path):
    code, out = make("test", program(tmp_path / "python", version), f"VENV={tmp_path}/venv")
    assert code == 0
    assert len(re.findall(rf"pip install .* -c constraints/{version}\.txt -e ", out)) == 2
    assert "no pins" not in out


def test_a_python_without_pins_installs_the_newest_and_says_so(tmp_path):
    _, out = make("test", program(tmp_path / "python", "3.99"), f"VENV={tmp_path}/venv")
    assert "no pins for Python 3.99 in constraints/" in out
    assert "pip install" in out and "-c constraints" not in out


def test_an_environment_of_another_python_is_made_anew(tmp_path):
    given = (program(tmp_path / "python", "3.13"), f"VENV={tmp_path}/venv")
    program(tmp_path / "venv" / "bin" / "python", "3.13")
    for stamp in ("installed", "installed-dev"):
        (tmp_path / "venv" / stamp).touch()
    assert "-m venv" not in make("test", *given)[1]
    program(tmp_path / "venv" / "bin" / "python", "3.12")
    out = make("test", *given)[1]
    assert "is not of Python 3.13: making it anew" in out
    assert f"{tmp_path}/python -m venv --clear {tmp_path}/venv" in out


def test_make_names_a_python_that_is_none(tmp_path):
    code, out = make("demo", f"PYTHON={tmp_path}/none", f"VENV={tmp_path}/venv")
    assert code == 2
    assert f"'{tmp_path}/none' is no Python >= 3.11; name one, as in: make test PYTHON=" in out


def test_make_bench_installs_the_extra(tmp_path):
    code, out = make("bench", program(tmp_path / "python", "3.11"), f"VENV={tmp_path}/venv")
    assert code == 0 and '-e ".[bench]"' in out


def test_make_test_parity_has_an_environment_of_its_own(tmp_path):
    given = (program(tmp_path / "python", "3.11"), f"VENV={tmp_path}/venv")
    code, out = make("test-parity", *given)
    assert code == 0
    assert f"{tmp_path}/python -m venv --clear {tmp_path}/venv-parity" in out
    installed = re.findall(r"pip install .* -c constraints/3\.11\.txt (.*)", out)
    assert installed == ["-e .", '-e ".[dev]"', "--no-deps torchvision", '-e ".[parity]"']
    assert f"{tmp_path}/venv-parity/bin/python -m pytest -m parity" in out


def test_ci_draws_the_same_examples_every_time_and_nobody_else():
    assert "--hypothesis-profile=ci" in (ROOT / ".ci" / "run").read_text()
    assert settings.get_profile("ci").derandomize
    assert not settings.get_profile("dev").derandomize
