"""What failed: models whose base did, and all of it in words."""

import dataclasses

import pandas as pd

from jaxbias.scores.scores import Scores


def marked(scores: Scores, bases: pd.DataFrame) -> Scores:
    """Says of variants whose base diverged that they failed with it."""
    failed = pd.Series() if bases.empty else bases.set_index("id")["status"]
    failed = failed[failed != "ok"]
    if failed.empty:
        return scores
    variants = scores.variants
    theirs = "its base " + variants["base_id"].map(failed)
    return dataclasses.replace(
        scores, variants=variants.assign(status=theirs.fillna(variants["status"]))
    )


def told(variants: pd.DataFrame, trials: pd.DataFrame) -> list[str]:
    """The variants, and the trials of the search, that diverged."""
    said = [
        f"variant {v.variant} ({v.base}, {v.task}, {v.curation}, n={v.n}, seed {v.seed}) {v.status}"
        for v in variants[variants["status"] != "ok"].itertuples()
    ]
    return said + [
        f"trial of the search ({t.base}, {t.task}, n={t.n}, learning rate {t.learning_rate:g}, "
        f"weight decay {t.weight_decay:g}, repeat {t.repeat}) {t.status}"
        for t in trials.itertuples()
        if "diverged" in t.status
    ]
