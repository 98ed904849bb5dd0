"""Costs as tables and sentences, for a terminal."""

from jaxbias import words
from jaxbias.capacity import gib
from jaxbias.costs.estimate import Cost, PlanCost
from jaxbias.costs.prediction import TOLD, peak_flops
from jaxbias.engine.layout import Layout
from jaxbias.engine.programs import Training
from jaxbias.models import Network
from jaxbias.models.architectures import ARCHITECTURES
from jaxbias.targets import Unattached, target

# Of what a plan takes, as much may be of empty places before it is told.
_IDLE = 0.25


def estimate_text(found: PlanCost) -> str:
    """Returns an estimate as a table and what it rests on, for a terminal."""
    wide = max(len(name) for name in (*found.experiments, "experiment", "all variants"))
    heads = ("variants", "done", "packs", "programs", "FLOPs", "scores", "time")
    rows = [
        (name, cost.trainings, cost.done, cost.packs, cost.programs, f"{cost.flops:.1e}",
         _amount(cost.score_bytes), _duration(cost.seconds))
        for name, cost in (
            *found.experiments.items(),
            *([("all variants", found.finetunes)] if len(found.experiments) > 1 else []),
            ("all bases", found.bases),
            *([("search", found.trials)] if found.trials.trainings else []),
        )
    ]  # fmt: skip
    lines = [
        f"{name:<{wide}} " + " ".join(f"{value:>9}" for value in values)
        for name, *values in (("experiment", *heads), *rows)
    ]
    if found.trials.trainings > found.trials.done:
        lines.append(
            "Finetunes are counted at config.search.max_epochs: the search will choose no more. "
            "Its trials count once per rung, and keep no scores."
        )
    if found.feature_seconds:
        lines.append(f"Features of frozen bases: {_duration(found.feature_seconds)} to extract")
    lines += [
        f"Bytes: images {_amount(found.image_bytes)}, bases {_amount(found.parameter_bytes)}, "
        f"features {_amount(found.feature_bytes)}, "
        f"scores {_amount(found.finetunes.score_bytes + found.bases.score_bytes)}; "
        f"largest small program {_amount(found.memory)} on a device",
        f"Time: {_duration(found.seconds)} of training, scoring and compiling on {found.devices} × "
        f"{target().device}",
        f"It rests on {found.timed} of {words.count(found.kinds, 'kind')} of program, timed in "
        f"{found.timing_seconds:.0f} s over a few steps and scores, and goes by proportion; "
        "FLOPs are XLA's count of one step and one score.",
    ]
    if found.timed < found.kinds:
        lines.append("The kinds that were not timed are taken at the FLOP/s of the commonest.")
    if found.kinds and not (found.bases.flops + found.trials.flops + found.finetunes.flops):
        lines.append("FLOPs could not be counted: JAX_PLATFORMS names no cpu, whose compiler does.")
    if found.fits:
        lines.append(
            "Fits to convergence are timed on noise and may take another number of iterations; "
            "their FLOPs are left out."
        )
    lines.append(
        "Left out: preparing images, reading and writing, the report. Programs that the "
        "compilation cache holds already take no time to compile."
    )
    return "\n".join(lines)


def prediction_text(found: PlanCost, at: Unattached, layout: Layout, price: float) -> str:
    """Returns what a target would need, and what that rests on.

    Args:
      found: costs on it.
      at: the target.
      layout: of packs there.
      price: of a chip, an hour; 0: not known.
    """
    rows = [
        *found.experiments.items(),
        *([("all variants", found.finetunes)] if len(found.experiments) > 1 else []),
        ("all bases", found.bases),
        *([("search", found.trials)] if found.trials.trainings else []),
    ]
    heads = ("variants", "done", "packs", "width", "HBM a chip", "a step", "images/s", "of peak")
    heads += ("chip-hours", "cost")
    table = [heads, *(_predicted_row(cost, found, at, price) for _, cost in rows)]
    wide = [max(len(row[i]) for row in table) for i in range(len(heads))]
    first = max(len(name) for name, _ in (*rows, ("experiment", None)))
    names = ("experiment", *(name for name, _ in rows))
    lines = [
        f"{at.name}: {words.count(found.devices, 'chip')} ({at.device}) with {gib(at.limit)} each, "
        f"mode '{layout.mode}', images on the {layout.store}; predicted, nothing was run"
    ]
    lines += [
        f"{name:<{first}}  " + "  ".join(f"{v:>{w}}" for v, w in zip(row, wide, strict=True))
        for name, row in zip(names, table, strict=True)
    ]
    if found.feature_seconds:
        hours = _hours(found.feature_seconds, found, price)
        lines.append(f"Features of frozen bases: {hours} to extract")
    lines.append(f"All that is to be done: {_hours(found.seconds, found, price)}")
    idle = found.finetunes.idle_seconds + found.trials.idle_seconds
    if idle > _IDLE * found.seconds:
        lines.append(
            f"Of that {idle / found.seconds:.0%} is of chips that have nothing to train: packs are "
            f"narrower than {words.count(found.devices, 'chip')}. config.grid.pack_width="
            f"{found.devices} or more fills them, where there are as many variants; or ask for "
            "fewer chips."
        )
    return "\n".join([*lines, *_basis(found, at, layout)])


def _predicted_row(cost: Cost, found: PlanCost, at: Unattached, price: float) -> tuple[str, ...]:
    rates = [(kind, found.rates[kind]) for kind in cost.kinds]
    widths, memory = {rate.width for _, rate in rates}, max((r.memory for _, r in rates), default=0)
    chips = found.devices
    step = images = share = "-"
    if cost.steps and cost.step_seconds:
        told = all(rate.basis in TOLD for kind, rate in rates if kind.batch)
        step = f"{'' if told else '≥ '}{_short(cost.step_seconds / cost.steps * chips)}"
        images = f"{'' if told else '≤ '}{cost.images / cost.step_seconds:,.0f}"
        most = max(peak_flops(at.kind, kind) for kind in cost.kinds)
        share = f"{cost.step_flops / cost.step_seconds / most / chips:.1%}" if told else "-"
    held = f"{memory / 2**30:.2f} of {at.limit / 2**30:.2f} GiB" if memory else "not compiled"
    hours = cost.seconds * chips / 3600
    return (
        *map(str, (cost.trainings, cost.done, cost.packs)),
        "–".join(map(str, sorted({min(widths), max(widths)}))) if widths else "-",
        "does not fit" if any(r.misfit for _, r in rates) else held if rates else "-",
        step,
        images,
        share,
        _number(hours),
        _number(hours * price) if price else "-",
    )


def _basis(found: PlanCost, at: Unattached, layout: Layout) -> list[str]:
    """What predictions rest on, and what they leave out."""
    kinds = found.rates.values()
    bounded = [rate for rate in kinds if rate.basis not in TOLD]
    lines = [
        "A step is of one training on its chip; images a second are of all chips; the peak is that "
        "of what is computed in."
    ]
    if at.compiled and at.kind.clock and len(bounded) < len(kinds):
        lines.append(
            f"Time: the compiler's cycles of the instructions of a step and of a score at "
            f"{at.kind.clock / 1e9:g} GHz; gathers, sorts and scatters, which have none, by bytes "
            f"over {at.kind.bandwidth / 1e9:,.0f} GB/s."
        )
        if any(map(_attends, found.rates)):
            lines.append(
                "Of vision transformers, kernels of attention, which have none either, by a count "
                "of their schedules on a v5e; none was run."
            )
    if bounded:
        some = "Time" if len(bounded) == len(kinds) else f"Time of {len(bounded)} of {len(kinds)}"
        lines.append(
            f"{some}: FLOPs and bytes over the peaks, which is a lower bound: runs take longer, "
            "often several times."
        )
    known = {rate.correction.of.subject: rate.correction for rate in kinds if rate.correction}
    lines += [
        f"Of {each.of.model} times are {each.factor:.3g} times those of "
        f"{'cycles' if at.kind.clock else 'the roofline'}, as {each.of.model} at "
        f"{each.of.image_size}² in batches of {each.of.batch} took on {each.of.hardware}."
        for each in known.values()
    ]
    if not at.compiled:
        lines.append(
            "Memory and width: not compiled; pip install 'jax[cuda12-local]' brings the compiler, "
            "which tells them."
        )
    else:
        lines.append(
            "Memory and width: by the compiler, of the largest program of every kind, compiled "
            "briefly (within 2 % of what a run compiles)."
        )
    lines += _looped(found, at)
    if layout.store == "host":
        lines.append(
            "Images do not fit beside the programs and come from the host: how fast is not"
            " predicted."
        )
    if found.fits:
        lines.append("Fits to convergence take nobody knows how many iterations: left out.")
    lines.append("Left out: preparing images, compiling, reading and writing, the report.")
    return lines


def _attends(kind: Training) -> bool:
    return isinstance(kind.model, Network) and bool(ARCHITECTURES[kind.model.spec.name].heads)


def _looped(found: PlanCost, at: Unattached) -> list[str]:
    """What predictions of bases that are trained step by step rest on."""
    rates = [rate for rate in found.rates.values() if rate.pieces]
    if not rates:
        return []
    pieces = "–".join(str(n) for n in sorted({rate.pieces for rate in rates}))
    line = (
        "Bases trained step by step: a step is of all chips, whose times are added up; a batch is "
        f"computed in {pieces} {'piece' if pieces == '1' else 'pieces'}"
    )
    crossed = max(rate.exchanged for rate in rates)
    if crossed:
        line += (
            f"; {_amount(crossed)} of each chip are summed over all, at the "
            f"{at.kind.link / 1e9:g} GB/s that a chip sends, the latency of each sum left "
            "out; a score by the roofline"
        )
    return [f"{line}."]


def misfits(found: PlanCost) -> str:
    """Returns what fits no chip, and the ways out; "": all fits."""
    return "; ".join(dict.fromkeys(r.misfit for r in found.rates.values() if r.misfit))


def _hours(seconds: float, found: PlanCost, price: float) -> str:
    hours = seconds * found.devices / 3600
    cost = f", {_number(hours * price)} at {price:g} a chip and hour" if price else ""
    chips = words.count(found.devices, "chip")
    return f"{_number(hours)} chip-hours ({_duration(seconds)} on {chips}{cost})"


def _number(count: float) -> str:
    """Returns hours, or money, for people.

    >>> _number(1234.567), _number(0.00123), _number(0)
    ('1,234.57', '0.0012', '0.00')
    """
    return f"{count:,.2f}" if count >= 0.1 or not count else f"{count:.2g}"


def _short(seconds: float) -> str:
    """Returns the seconds of a step for people.

    >>> _short(8e-8), _short(0.00018), _short(0.063), _short(3.2)
    ('80 ns', '180 µs', '63 ms', '3.2 s')
    """
    for scale, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if seconds * scale < 1000:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds:.3g} s"


def _amount(count: float) -> str:
    """Returns bytes for people.

    >>> _amount(999), _amount(12_345_678)
    ('999 B', '12.3 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def _duration(seconds: float) -> str:
    """Returns seconds for people.

    >>> _duration(4.2), _duration(600), _duration(100_000)
    ('4.2 s', '10.0 min', '27.8 h')
    """
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
