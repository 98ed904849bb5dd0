"""Frames that are made part by part."""

from collections.abc import Iterable

import pandas as pd


def together(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Puts frames under one another; the empty ones leave no trace."""
    kept = [frame for frame in frames if len(frame)]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()
