"""`jaxbias run` and `jaxbias pretrain`: a study from its config to what is done of it."""

import dataclasses
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from absl.flags import FlagValues

from jaxbias.cli.arguments import refuse_unused, required, study_of
from jaxbias.errors import InputError, nearest
from jaxbias.files.atomic import check_directory
from jaxbias.files.claims import Claims
from jaxbias.files.objects import is_url
from jaxbias.plan.selection import PACKED, STAGES, check_words
from jaxbias.stages import supervisor
from jaxbias.study import Study, described
from jaxbias.words import count
from jaxbias.workdir.places import place_of
from jaxbias.workdir.stopping import give_back_and_end, on_sigterm

_WORKDIR = "a directory for the results"


def run(given: FlagValues) -> None:
    """Trains what a study lacks and writes its report, or does what other flags ask for."""
    study = study_of(given)
    if given.calibrate:
        _time_modes(given, study)
        return
    if given.target or given["price"].present:
        _predict(given, study)
        return
    workdir, stage, packs = _asked(given, study)
    if stage == "report":
        show_report(workdir, study)
        return
    # JAX, Flax and pandas, which take seconds: after everything that flags alone can tell.
    if given.dry_run:
        from jaxbias.stages import outlook

        set_up_devices(study)
        print(outlook.dry_run(study, workdir))
        return
    timings = _trained(given, study, workdir, stage, packs)
    if timings is None:
        return
    from jaxbias.stages.accounting import accounting_text

    if stage:
        print(accounting_text(timings) if timings else "Done already")
        return
    claim = Claims(place_of(workdir).objects("claims")).take("report")
    if claim is None:  # A hundred workers may end at once.
        print(f"The report, {workdir}/report, is being drawn by another process")
        return
    began = time.perf_counter()
    with claim:
        show_report(workdir)
    print(accounting_text({**timings, "report_seconds": time.perf_counter() - began}))


def _trained(
    given: FlagValues, study: Study, workdir: str, stage: str, packs: str
) -> dict[str, float] | None:
    """Trains; returns where the time went, or None in a gang but for its first process."""
    if given.distributed and is_url(workdir):
        raise InputError(f"--distributed needs a disk that all processes see, not {workdir}")
    if given.distributed and not supervisor.is_child():
        sys.exit(supervisor.supervise("jaxbias"))
    set_up_devices(study)
    if not given.distributed:
        from jaxbias.stages import train

        with on_sigterm(give_back_and_end):
            return train.train(study, workdir, stage, packs)
    supervisor.take_place()
    from jaxbias.stages import gang, train

    with gang.joined() as leads:
        timings = train.train(study, workdir, stage, packs)
    return timings if leads else None


def show_report(workdir: str, study: Study | None = None) -> None:
    """Answers the study of a result directory, draws its report and prints the answer.

    Args:
      workdir: the result directory.
      study: what is asked of its scores instead of what it recorded; see `train.write_report`.
    """
    from jaxbias.report import show_answer
    from jaxbias.stages import train

    answer, page = train.write_report(workdir, study)
    show_answer(answer)
    print(f"Report: {page}")


def pretrain(given: FlagValues) -> None:
    """Pretrains the bases of a study step by step."""
    study = study_of(given)
    study = dataclasses.replace(study, pretrain=dataclasses.replace(study.pretrain, engine="loop"))
    workdir = required(given, "workdir", _WORKDIR)
    if not any(base.target for base in study.bases.values()):
        raise InputError("config.bases has none that is pretrained here; give one a target")
    if not is_url(workdir):
        check_directory(Path(workdir))
    if _trained(given, study, workdir, "pretrain", "") is None:
        return
    from jaxbias.workdir.results import ResultDirectory

    directory = ResultDirectory(workdir)
    plan = directory.plan()
    rows = {row.id: row for row in directory.base_rows(plan).itertuples()}
    for base in [base for pack in plan.bases for base in pack.members]:
        how = _learnt(rows[base.id]) if base.id in rows else ""
        print(f"{base.name}, seed {base.seed} ({described(base)}{how}):")
        print(f"  {directory.place}/bases/{base.id}")


def _learnt(row: Any) -> str:
    """How the training of a base went: its failure, or how well it predicts what it learnt."""
    if row.status != "ok":
        return f"; {row.status}"
    told = json.loads(getattr(row, "learnt", "{}"))  # Earlier versions did not tell.
    if not told:
        return ""
    seen = count(told["examples"], "validation image")
    right = f"right on {100 * told['accuracy']:.1f} % of the labels"
    return f"; {right} of {seen}, mean loss {told['loss']:.3g}"


def _asked(given: FlagValues, study: Study) -> tuple[str, str, str]:
    """The result directory, the stage and its packs; "" for all."""
    workdir = required(given, "workdir", _WORKDIR)
    stage, packs = given.stage or "", given.packs or ""
    if stage and stage not in STAGES:
        raise InputError(f"--stage={stage} is no stage; {nearest(stage, STAGES)}")
    if packs and stage not in PACKED:
        raise InputError("--packs needs --stage=pretrain, search or finetune: whose packs?")
    check_words(packs, stage)
    if stage == "search" and not study.search.on:
        raise InputError(
            "--stage=search: config.search has nothing to try; set config.search.learning_rates"
        )
    if stage and given.dry_run:
        raise InputError("--dry_run estimates whole runs; leave out --stage")
    if given.distributed and given.dry_run:
        raise InputError("--dry_run estimates what this machine would do; leave out --distributed")
    return workdir, stage, packs


def _time_modes(given: FlagValues, study: Study) -> None:
    refuse_unused(given, ("config", "calibrate"), "jaxbias run --calibrate")
    from jaxbias.stages import outlook

    set_up_devices(study)
    print(outlook.time_modes(study))


def _predict(given: FlagValues, study: Study) -> None:
    """Says what the study would need of devices that are not attached."""
    if not (given.target and given.dry_run):
        flag = "target" if given.target else "price"
        raise InputError(f"--{flag} is of plans: --dry_run --target=NAME [--price=NUMBER]")
    used = ("config", "workdir", "dry_run", "target", "price")
    refuse_unused(given, used, "jaxbias run --dry_run --target")
    if not 0 <= given.price < math.inf:
        raise InputError(f"--price={given.price}: what a chip costs in an hour")
    from jaxbias.stages import apart

    text, misfits = apart.predicted(study, given.workdir or "", given.target, given.price)
    print(text)
    if misfits:
        raise InputError(misfits)


def set_up_devices(study: Study) -> None:
    """One virtual CPU device per core, or as many as the config says; before JAX starts."""
    import jax

    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if forced or jax.config.jax_num_cpu_devices != -1:
        return  # Somebody has chosen already: JAX_NUM_CPU_DEVICES, or the caller of `main`.
    devices = study.grid.devices or min(os.cpu_count() or 1, 8)
    jax.config.update("jax_num_cpu_devices", devices)
