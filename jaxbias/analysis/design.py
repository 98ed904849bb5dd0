"""The design of a study: what was planned of each task, and what became of it."""

import dataclasses
import functools
from collections import Counter

import numpy as np
import pandas as pd

from jaxbias.analysis.evaluation import ARM, Evaluation
from jaxbias.study import STUDIED, parse_curation
from jaxbias.words import count

_NOT_TRAINED = "not trained"
_KEYS = ["base", "curation", "n"]
SETTINGS = ["variant", "task", *ARM, "seed", "pretrain_seed"]


@dataclasses.dataclass(frozen=True)
class Arm:
    """The models of one base, curation and n.

    Attributes:
      planned: how many.
      finished: how many have scores that count.
      lost: the checkpoints all of whose models diverged.
      waiting: how many are not trained yet.
      marked: why the arm is degenerate: over half of its checkpoints are; "" where it is not.
      realised_n: mean number of finetuning images; differs from n where a shortage shrank it.
    """

    planned: int
    finished: int
    lost: tuple[int, ...]
    waiting: int
    marked: str
    realised_n: float

    @property
    def absent(self) -> str:
        """Why it is not there, or not whole yet; "" where it is."""
        if self.waiting:
            return f"{self.waiting:,} of {count(self.planned, 'model')} not trained yet"
        return "" if self.finished else "every model diverged"

    @property
    def unusable(self) -> str:
        """Why no verdict rests on it, now or ever; "" where it can be used."""
        return self.absent or self.marked


_NOTHING = Arm(0, 0, (), 0, "", float("nan"))


@dataclasses.dataclass(frozen=True)
class Design:
    """What was planned of one task.

    Attributes:
      task: the task.
      planned: one row per model planned: its settings, and `status`: "ok", how it failed, or
        "not trained".
      questions: how many (target, studied base, n) the study asks about together; every verdict
        answers for all of them.
      screened: (base, n) -> how many curations a screen chose from; of a study without one, none.
      evaluation: of the finished, for the marks of degenerate models.
    """

    task: str
    planned: pd.DataFrame
    questions: int
    screened: dict[tuple[str, int], int]
    evaluation: Evaluation

    @functools.cached_property
    def _arms(self) -> dict[tuple[str, str, int], Arm]:
        marks = dict(zip(self.evaluation.variants["variant"], self.evaluation.marks, strict=True))
        mark = np.array([marks.get(v, "") for v in self.planned["variant"]], dtype=object)
        status, units, realised_n = (
            self.planned[name].to_numpy() for name in ("status", "pretrain_seed", "realised_n")
        )
        return {
            (base, curation, int(n)): _arm(status[at], units[at], mark[at], realised_n[at])
            for (base, curation, n), at in self.planned.groupby(_KEYS, sort=False).indices.items()
        }

    def arm(self, base: str, curation: str, n: int) -> Arm:
        """Returns how an arm stands; nothing planned of one that is unknown."""
        return self._arms.get((base, curation, int(n)), _NOTHING)

    def bases(self, n: int) -> dict[str, str]:
        """Returns base -> role of all whose natural draw is planned at n."""
        return self._bases.get(int(n), {})

    @functools.cached_property
    def _bases(self) -> dict[int, dict[str, str]]:
        natural = self.planned[self.planned["curation"] == "natural"]
        return {
            int(n): dict(zip(rows["base"], rows["role"], strict=True))
            for n, rows in natural.groupby("n")
        }

    def studied(self) -> list[tuple[str, int]]:
        """Returns (base, n) of the studied bases."""
        return _studied(self.planned)

    def curations(self, base: str, n: int) -> pd.DataFrame:
        """Returns the planned arms of a base and n but the natural draw: columns of an arm."""
        return self._curations.get((base, int(n)), self.planned.iloc[:0][ARM])

    @functools.cached_property
    def _curations(self) -> dict[tuple[str, int], pd.DataFrame]:
        rows = self.planned.loc[self.planned["curation"] != "natural", ARM]
        return {
            (base, int(n)): own.drop_duplicates("curation").reset_index(drop=True)
            for (base, n), own in rows.groupby(["base", "n"], sort=False)
        }

    def waiting(self, base: str, n: int) -> int:
        """Returns how many models of a base's curations are not trained yet."""
        return self._waiting[base, int(n)]

    @functools.cached_property
    def _waiting(self) -> Counter[tuple[str, int]]:
        found: Counter[tuple[str, int]] = Counter()
        for (base, curation, n), arm in self._arms.items():
            found[base, n] += arm.waiting if curation != "natural" else 0
        return found

    def family(self, base: str, n: int) -> int:
        """Returns how many curations a choice among them answers for."""
        return max(len(self.curations(base, n)), self.screened.get((base, n), 0))


def questions(planned: pd.DataFrame, targets: tuple[str, ...]) -> int:
    """Counts (target, studied base, n): the family of every verdict."""
    rows = planned[planned["task"].isin(targets)]
    return max(sum(len(_studied(part)) for _, part in rows.groupby("task", sort=False)), 1)


def _studied(rows: pd.DataFrame) -> list[tuple[str, int]]:
    studied = rows[rows["role"].isin(STUDIED)]
    pairs = studied[["base", "n"]].drop_duplicates()
    return [(base, int(n)) for base, n in zip(pairs["base"], pairs["n"], strict=True)]


def with_status(planned: pd.DataFrame | None, variants: pd.DataFrame) -> pd.DataFrame:
    """Returns the planned variants with what became of them.

    Args:
      planned: settings of every variant planned; None: those there are, as of models trained
        elsewhere.
      variants: the finished, with their status.
    """
    realised = variants.get("realised_n", pd.Series(np.nan, index=variants.index))
    # Of those that are missing it is not known.
    found = variants[[*SETTINGS, "status"]].assign(realised_n=realised.astype(np.float64))
    if planned is None:
        return found
    missing = planned[~planned["variant"].isin(found["variant"])]
    if missing.empty:
        return found
    missing = missing[SETTINGS].assign(status=_NOT_TRAINED, realised_n=np.nan)
    # Whole numbers of the finished, such as how many images they had, may be unknown of the rest.
    unknown = missing.isna().any()
    kinds = {
        name: np.float64 if unknown[name] and pd.api.types.is_integer_dtype(kind) else kind
        for name, kind in found.dtypes.items()
    }
    return pd.concat([found, missing.astype(kinds)], ignore_index=True)


def progress_sentence(planned: pd.DataFrame) -> str:
    """Says how much is trained; "" where everything is."""
    trained = int((planned["status"] != _NOT_TRAINED).sum())
    if trained == len(planned):
        return ""
    return (
        f"{trained:,} of {count(len(planned), 'planned model')} "
        f"{'is' if trained == 1 else 'are'} trained. Corrections are for all that are planned, "
        "and nothing is concluded that the missing ones could change."
    )


def shrunk_sentence(planned: pd.DataFrame) -> str:
    """Says which arms were trained on fewer images than n; "" where none was."""
    rows = planned.dropna(subset=["realised_n"])
    rows = rows[rows["realised_n"] < sizes_of(rows)]
    if rows.empty:
        return ""
    sizes = rows.groupby(["task", "n", "curation"], sort=False)["realised_n"].mean()
    parts = [
        f"{task}, {curation}: {size:,.0f} of n = {n:,}"
        for (task, n, curation), size in sizes.items()
    ]
    more = f" and {len(parts) - 6:,} more" if len(parts) > 6 else ""
    return (
        f"Trained on fewer images than n, for want of examples: {'; '.join(parts[:6])}{more}. "
        "Where curations are compared, their sizes differ too, so a difference between them may "
        "be one of size."
    )


def redrawn_sentence(variants: pd.DataFrame) -> str:
    """Says which small sets were drawn again until both classes were present; "" where none was."""
    if "redraws" not in variants:  # Of models trained elsewhere.
        return ""
    sets = variants.drop_duplicates(["task", "curation", "n", "seed"])
    again = sets[sets["redraws"] > 0]
    parts = [
        f"{task}, {curation}, n = {n:,}: {count(len(own), 'set')}, "
        f"{count(int(own['redraws'].sum()), 'redraw')}"
        for (task, curation, n), own in again.groupby(["task", "curation", "n"], sort=False)
    ]
    if not parts:
        return ""
    more = f" and {len(parts) - 6:,} more" if len(parts) > 6 else ""
    return (
        "Of so few images quotas have one class alone, so they were drawn again, by the same "
        f"shares, until both classes were present: {'; '.join(parts[:6])}{more}."
    )


def sizes_of(rows: pd.DataFrame) -> np.ndarray:
    """Returns int64[V], how many images curations make of n where none is short."""
    parsed = {name: parse_curation(name, "variants") for name in rows["curation"].unique()}
    pairs = zip(rows["curation"], rows["n"], strict=True)
    return np.array([parsed[name].size(int(n)) for name, n in pairs], np.int64)


def _short(reason: str) -> str:
    """The first of a model's reasons, without its numbers."""
    first = reason.split(";")[0]
    return first.split(": ")[-1] if "chance" in first else first.split(":")[0]


def _arm(status: np.ndarray, units: np.ndarray, mark: np.ndarray, realised_n: np.ndarray) -> Arm:
    """How one arm stands, from what is known of each of its models."""
    waiting, ok = status == _NOT_TRAINED, status == "ok"
    lost = set(units[~waiting]) - set(units[ok])
    degenerate = np.array([reason != "" for reason in mark[ok]], dtype=bool)
    found = [degenerate[units[ok] == unit].mean() > 0.5 for unit in np.unique(units[ok])]
    marked = ""
    if sum(found) > len(found) / 2:
        # The table of models has the whole reasons, with their numbers.
        reasons = [_short(reason) for reason in mark[ok] if reason]
        reason = Counter(reasons).most_common(1)[0][0]
        checkpoints = count(len(found), "checkpoint")
        marked = f"{sum(found)} of {checkpoints} degenerate, {reason}"
    known = realised_n[ok & ~np.isnan(realised_n)]
    return Arm(
        planned=len(status),
        finished=int(ok.sum()),
        lost=tuple(sorted(int(seed) for seed in lost)),
        waiting=int(waiting.sum()),
        marked=marked,
        realised_n=float(known.mean()) if len(known) else float("nan"),
    )
