"""Layouts: whether what is compared was trained on the same kind and number of devices, alike."""

import json
from collections import Counter

import pandas as pd

from jaxbias.words import count

_UNKNOWN = "in a layout that an earlier version did not record"


def mixed_layouts(variants: pd.DataFrame, bases: pd.DataFrame) -> str:
    """Returns a sentence on what was trained in which layout; "" where bases, or variants, agree.

    Args:
      variants: their column "layouts", where there is one.
      bases: the same of those pretrained here.
    """
    told = [
        f"{count(members, one)} {where}"
        for one, rows in (("base", bases), ("finetuning", variants))
        for where, members in _counted(rows).items()
    ]
    if not told:
        return ""
    return (
        f"Layouts were mixed: {', '.join(told)}; trained numbers are equal bit for bit within one "
        "alone, and between them up to rounding, which training amplifies."
    )


def _counted(rows: pd.DataFrame) -> dict[str, int]:
    """How many rows were trained where; empty where all were trained in the same one."""
    texts = rows["layouts"].tolist() if "layouts" in rows else []
    ran = Counter(tuple(dict.fromkeys(map(_text, json.loads(text)))) for text in texts)
    if len(ran) <= 1 and all(len(layouts) <= 1 for layouts in ran):
        return {}
    return {", then ".join(layouts) or _UNKNOWN: members for layouts, members in ran.items()}


def _text(layout: dict) -> str:
    """Names a layout, but for the width of its programs, in which packs differ anywhere."""
    images = "" if layout["store"] == "device" else " with images on the host"
    trunks = " on stored activations of trunks" if layout.get("trunks") else ""
    pieces = f", batches in {layout['pieces']} pieces" if "pieces" in layout else ""
    return (
        f"on {layout['devices']} × {layout['device']} by '{layout['mode']}'"
        f"{images}{trunks}{pieces} (JAX {layout['jax']})"
    )
