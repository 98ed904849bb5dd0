"""`jaxbias curate`, `attribute`, `data describe` and `data prepare`: a study's data.

What takes seconds to import, pandas and JAX, is imported after what flags alone can tell.
"""

import functools
import io
from pathlib import Path

from absl.flags import FlagValues

from jaxbias.cli.arguments import required, study_of
from jaxbias.cli.runs import set_up_devices
from jaxbias.errors import InputError, nearest
from jaxbias.files.atomic import check_file, write_bytes, write_csv
from jaxbias.words import count


def curate(given: FlagValues) -> None:
    """Writes the example ids of every curated set of a study."""
    study = study_of(given)
    out = check_file(Path(required(given, "out", "a CSV file for the example ids")))
    from jaxbias import data
    from jaxbias.engine.curator import curate
    from jaxbias.engine.limits import check_limits

    check = functools.partial(check_limits, study, trained=False)
    table = curate(study, data.load(study.data, check))
    write_csv(out, table)
    sets = count(table["curated_set"].nunique(), "curated set")
    print(f"{out}: {count(len(table), 'row')}, {sets}")


def attribute(given: FlagValues) -> None:
    """Writes how much each finetuning example adds to the gap of a target on a base."""
    study = study_of(given)
    workdir = required(given, "workdir", "a directory for the results")
    base = required(given, "base", "one of config.bases, whose features the heads see")
    target = required(given, "target", "one of config.targets")
    for flag, name, known in (("base", base, study.bases), ("target", target, study.targets)):
        if name not in known:
            raise InputError(f"--{flag}={name} is not in config.{flag}s; {nearest(name, known)}")
    out = check_file(Path(required(given, "out", "a CSV file for the scores")))
    set_up_devices(study)
    from jaxbias.stages.attribute import attribute

    table = attribute(study, workdir, base, target)
    write_csv(out, table)
    hurt = int((table["score"] > 0).sum())
    print(
        f"{out}: {count(len(table), 'example')}, {hurt:,} of which add to the gap. To drop the K "
        f"worst of a draw: config.curations.drop = dict(k=(K,), tables={{'NAME': '{out}'}})"
    )


def describe(given: FlagValues) -> None:
    """Prints what a dataset holds, and draws a contact sheet of it."""
    study = study_of(given)
    out = check_file(Path(given.out or f"{study.name}-contact-sheet.png"))
    from jaxbias.data import load
    from jaxbias.data.describe import contact_sheet, describe
    from jaxbias.data.duplicates import duplicates_text, near_duplicates

    dataset = load(study.data)
    together = (column for columns in study.labels.values() for column in columns)
    tasks = (*dict.fromkeys((*study.targets, *study.pairs, *study.classes, *together)),)
    print(describe(dataset, study.group, tasks))
    print(f"\n{duplicates_text(near_duplicates(dataset))}\n")
    png = io.BytesIO()
    contact_sheet(dataset, study.group, tasks[0]).save(png, "PNG")
    write_bytes(out, png.getvalue())
    print(f"Contact sheet: {out}")


def prepare(given: FlagValues) -> None:
    """Decodes the images of a study."""
    study = study_of(given)
    from jaxbias import data

    dataset = data.load(study.data, verify=True)
    images, size = dataset.images.shape[:2]
    done = "decoded" if dataset.built else "decoded before and whole"
    print(
        f"{dataset.name}: {count(images, 'image')} of {size} × {size}, {done}, in "
        f"{data.home()}/stores"
    )
    for note in dataset.notes:
        print(note)
