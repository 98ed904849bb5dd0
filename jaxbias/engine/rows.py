"""Rows: what is kept of a trained member, its settings, counts, status, layouts and scores."""

import dataclasses
import json
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxbias.curation import Draw
from jaxbias.plan.variants import Base, Variant
from jaxbias.training.objectives import example_losses

Row = dict[str, Any]
# What a failed training is called, before the number of its step.
DIVERGED = "diverged at step"


def base_row(base: Base, draw: Draw, out: Row, i: int, labels: np.ndarray) -> Row:
    """Returns the row of a base.

    Args:
      base: it.
      draw: what it was pretrained on.
      out: of its pack, with the scores [M, C] of validation examples; none where it learnt no
        labels.
      i: its place there.
      labels: [M, K] of these examples, as of `objectives.example_losses`.
    """
    return {
        "base": base.name,
        "role": base.role,
        "target": base.target,
        "curation": base.curation,
        "seed": base.seed,
        "id": base.id,
        **outcome(draw, out, i),
        # Not the scores themselves: of a thousand classes they are larger than the network.
        "learnt": json.dumps(learnt(np.asarray(out["scores"][i], np.float32), labels)),
    }


def learnt(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns how well labels are predicted that a network was trained for.

    Args:
      scores: float32[M, C], logits; of no example where nothing was learnt that could be scored.
      labels: [M, K], as of `objectives.example_losses`.

    Returns:
      examples that have a label; loss, the mean of theirs; accuracy, the share of their labels
      that are predicted, of probabilities on which side of a half they are. {} without examples.
    """
    if not len(scores):
        return {}
    known = labels >= 0
    some = known.any(axis=1)
    if not some.any():
        return {}
    losses = np.asarray(example_losses(jnp.asarray(scores[some]), jnp.asarray(labels[some])))
    if labels.shape[1] == scores.shape[1]:
        right = (scores > 0) == (labels >= 0.5)
    else:
        right = scores.argmax(axis=1)[:, None] == labels
    return {
        "examples": int(some.sum()),
        "loss": float(losses.mean(dtype=np.float64)),
        "accuracy": float(right[known].mean()),
    }


def variant_row(variant: Variant, draw: Draw, out: Row, i: int, validation: int) -> Row:
    """Returns the row of a variant.

    Args:
      variant: it.
      draw: what it was finetuned on.
      out: of its pack, with the scores of validation and then test examples.
      i: its place there.
      validation: how many validation examples there are.
    """
    scores = np.asarray(out["scores"][i], np.float32)
    return {
        **variant_settings(variant),
        **outcome(draw, out, i),
        "redraws": draw.redraws,
        "ids": draw.ids,
        "validation_scores": scores[:validation].reshape(-1),  # Example by example.
        "test_scores": scores[validation:].reshape(-1),
    }


def variant_settings(variant: Variant) -> Row:
    """Returns the columns of a variant that are known before it is trained."""
    return {
        "variant": variant.id,
        "task": variant.task,
        "base": variant.base.name,
        "role": variant.base.role,
        "base_id": variant.base.id,
        "pretrain_seed": variant.base.seed,
        "curation": variant.curation.name,
        "kind": variant.curation.kind,
        "level": _or_nan(variant.curation.level),
        "prevalence": _or_nan(variant.curation.prevalence),
        "k": _or_nan(variant.curation.k),
        "n": variant.n,
        **dataclasses.asdict(variant.recipe),
        "seed": variant.seed,
    }


def outcome(draw: Draw, out: Row, i: int) -> Row:
    """Returns how the training of a member went; see `base_row`."""
    failed_at = int(out["diverged_at"][i])
    return {
        "realised_n": len(draw.ids),
        "quotas": json.dumps(dict(zip(draw.names, draw.counts.tolist(), strict=True))),
        "status": "ok" if failed_at < 0 else f"{out['failure']} {failed_at}",
        "loss": float(out["loss"][i]),
        "train_seconds": out["seconds"],
        "layouts": json.dumps(out["layouts"]),  # In turn: a base's steps may have several.
    }


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
