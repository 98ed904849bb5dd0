"""The paper's rows one after another, on built-in data, and a page of what became of its claims.

    python -m benchmarks.paper --workdir=runs/paper               # all, an hour or so of 2 cores
    python -m benchmarks.paper --workdir=runs/paper --rows s1 u3  # these alone
    python -m benchmarks.paper --workdir=runs/paper --only_page   # of what is there

Every row is `jaxbias run --config=configs/paper/ROW.py:faces --workdir=WORKDIR/ROW`. Killed and
started again, it goes on where it was. Rows that ran elsewhere, such as on the real data with
--workdir=WORKDIR/ROW, are taken by --only_page as they are. WORKDIR/claims.csv has what
WORKDIR/claims.html shows.
"""

import argparse
import collections
import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from benchmarks.paper_claims import CLAIMS
from benchmarks.paper_page import write_page
from jaxbias.errors import InputError
from jaxbias.files.atomic import write_csv
from jaxbias.study import Study, paper
from jaxbias.workdir.results import ResultDirectory

CONFIGS = Path(__file__).parents[1] / "configs" / "paper"
# Directory -> config and argument, in the paper's order. U1 has a study for every pair.
RUNS = {
    **{row: f"{row}.py:faces" for row in CLAIMS if row < "u1"},
    **{f"u1_{pair.replace('|', '_')}": f"u1.py:faces,{pair}" for pair in paper.SALIENT_PAIRS},
    **{row: f"{row}.py:faces" for row in CLAIMS if row > "u1"},
}


def row_of(name: str) -> str:
    """Returns the row that a directory is of.

    >>> row_of("u1_Bangs_Bags_Under_Eyes"), row_of("s3")
    ('u1', 's3')
    """
    return name.partition("_")[0]


def run(name: str, workdir: Path) -> float:
    """Trains and reports a row, and returns how many seconds that took.

    Raises:
      SystemExit: it failed, with its exit code.
    """
    began = time.perf_counter()
    command = [sys.executable, "-m", "jaxbias", "run", f"--config={CONFIGS / RUNS[name]}"]
    ended = subprocess.run([*command, f"--workdir={workdir / name}"], check=False)
    if ended.returncode:
        print(f"{name} ended with {ended.returncode}; the same command goes on", file=sys.stderr)
        sys.exit(ended.returncode)
    return time.perf_counter() - began


def findings(directory: Path) -> tuple[Study, pd.DataFrame]:
    """Returns the study of a row's directory, and what it found of the claims.

    Raises:
      InputError: the directory holds no study.
    """
    study = ResultDirectory(directory).stored_study()["study"]
    tables = collections.defaultdict(pd.DataFrame)
    for path in (directory / "report").glob("*.csv"):
        tables[path.stem] = pd.read_csv(path, low_memory=False)  # One type per column.
    row = row_of(directory.name)
    found = [found for claim in CLAIMS[row] for found in claim(tables, study)]
    about = {"row": row, "data": study.data.name, "network": study.model.name}
    return study, pd.DataFrame([about | dataclasses.asdict(one) for one in found])


def collect(workdir: Path) -> Path:
    """Writes claims.csv and the page of the rows that are there, and returns the page's path."""
    there = [name for name in RUNS if (workdir / name / "report" / "report.html").exists()]
    if not there:
        raise InputError(f"{workdir} has no row with a report; leave out --only_page")
    found = {name: findings(workdir / name) for name in there}
    table = pd.concat([rows for _, rows in found.values()], ignore_index=True)
    write_csv(workdir / "claims.csv", table)
    studies = {name: study for name, (study, _) in found.items()}
    return write_page(workdir / "claims.html", table, studies, [n for n in RUNS if n not in there])


def main() -> None:
    """Runs what is asked for, and writes the page after every row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", choices=sorted(CLAIMS), default=sorted(CLAIMS))
    parser.add_argument("--only_page", action="store_true")
    args = parser.parse_args()
    names = [name for name in RUNS if row_of(name) in args.rows]
    page = None
    for done, name in enumerate([] if args.only_page else names, start=1):
        print(f"{name}, {done} of {len(names)}", flush=True)
        print(f"{name}: {run(name, args.workdir):,.0f} s", flush=True)
        page = collect(args.workdir)
    print(f"Claims: {page or collect(args.workdir)}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"benchmarks.paper: {error}")
