"""Accounting: where the time of a run went."""

from collections.abc import Mapping

from jaxbias.engine.runner import Runner
from jaxbias.workdir.telemetry import Clock

# Sections inside those of the training stages. Training and scoring are one program.
_PARTS = ("compile", "train_and_score", "write", "wait")


def accounting(clock: Clock, runner: Runner, images: int, variants: int) -> dict[str, float]:
    """Returns seconds by section, and rates.

    Args:
      clock: of the run.
      runner: what it trained with.
      images: that were rendered or decoded.
      variants: that were trained.
    """
    seconds = clock.seconds
    rates = {"images_per_second": images / max(seconds["data"], 1e-9)} if images else {}
    if runner.train_seconds:
        rates["training_steps_per_second"] = runner.train_steps / runner.train_seconds
    if variants:
        rates["variants_per_second"] = variants / seconds["finetune"]
    named = {f"{name}_seconds": value for name, value in seconds.items()}
    return {
        **named,
        "compile_seconds": runner.executor.compile_seconds,
        "train_and_score_seconds": runner.run_seconds,
        "images": images,
        "variants": variants,
        **rates,
    }


def accounting_text(timings: Mapping[str, float]) -> str:
    """Returns where the time of a run went, in lines for a terminal."""
    seconds = {k.removesuffix("_seconds"): v for k, v in timings.items() if k.endswith("_seconds")}
    parts = {name: seconds.pop(name) for name in _PARTS if name in seconds}
    spent = _listed(seconds) + (f"; of it {_listed(parts)}" if parts else "")
    rates = ["images were ready"]
    if "images_per_second" in timings:
        rates = [f"{timings['images_per_second']:,.0f} images/s rendered or read, and decoded"]
    if "training_steps_per_second" in timings:
        rates.append(f"{timings['training_steps_per_second']:,.0f} training steps/s")
    if "variants_per_second" in timings:
        rates.append(f"{timings['variants_per_second']:.2f} variants/s")
    return f"Time: {spent}\nRates: {', '.join(rates)}"


def _listed(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{k.replace('_', ' ')} {v:.1f} s" for k, v in seconds.items())
