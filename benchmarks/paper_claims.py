"""What the paper claims, held against what a study of its rows found, by intervals alone.

A claim is a function of a row's tables (the CSV files of its report): it agrees where the whole
interval says so, does not where the whole interval says the opposite, and else is undecided.
"""

from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from benchmarks.paper_verdicts import AGREES, DENIES, UNDECIDED, Finding, above, inside
from jaxbias.study import STUDIED, Study

Tables = Mapping[str, pd.DataFrame]
# Base of U5 -> the source that it has not seen.
LACKS = {"Catalogue": "home", "Home": "catalogue", "ImageNet": "Dollar Street", "GeoDE": "COCO"}


def salience(tables: Tables, study: Study) -> Iterator[Finding]:
    """S1: some attributes are surely more salient than the group, others surely less."""
    if tables["salience"].empty:
        return
    rows = tables["salience"].sort_values("salience")
    first, last = rows.iloc[0], rows.iloc[-1]
    under, over = (rows["high_family"] < 0.5).sum(), (rows["low_family"] > 0.5).sum()
    gap = last["salience"] - first["salience"]
    low, high = last["low_family"] - first["high_family"], last["high_family"] - first["low_family"]
    yield Finding(
        "attributes differ in salience: some are more salient than gender, others less",
        f"{len(rows)} attributes",
        f"surely more {under}, surely less {over}; from {first['task']} to {last['task']}",
        gap,
        low,
        high,
        AGREES if under and over else DENIES if max(under, over) == len(rows) else UNDECIDED,
    )


def within_pair(tables: Tables, study: Study) -> Iterator[Finding]:
    """U1: the two attributes of a pair differ in salience."""
    group = study.group.column
    for row in tables["salience"].itertuples():
        low, high = row.low_family - 0.5, row.high_family - 0.5
        alike = inside(low, high, study.answer.epsilon) == AGREES
        words = {"group": f"{group} is", "target": f"{row.task} is"}.get(row.more_salient)
        yield Finding(
            "the two attributes of a pair differ in salience",
            f"{row.task}|{group}",
            f"{words} the more salient" if words else "neither is surely the more salient",
            row.salience,
            row.low_family,
            row.high_family,
            AGREES if low > 0 or high < 0 else DENIES if alike else UNDECIDED,
        )


def inherited(tables: Tables, study: Study) -> Iterator[Finding]:
    """S3: the studied base leaves a larger gap than every control, on natural draws."""
    if tables["inherited"].empty:
        return
    verdicts = tables["inherited_verdicts"].set_index(["task", "base", "n"])["verdict"]
    said = {"yes": AGREES, "practically none": AGREES, "no": DENIES, "reversed": DENIES}
    for key, rows in tables["inherited"].groupby(["task", "base", "n"], sort=False):
        least = rows.loc[rows["low_family"].idxmin()]
        task, base, n = key
        yield Finding(
            "a finetuned model inherits the bias of its pretraining",
            f"{task}, {base}, n = {n:,}",
            f"{verdicts[key]}; its FPR gap beyond that of {least['against']}, the nearest",
            least["difference"],
            least["low_family"],
            least["high_family"],
            said.get(verdicts[key], UNDECIDED),
        )


def explained(tables: Tables, study: Study) -> Iterator[Finding]:
    """S4: the more salient the group, the more is inherited."""
    rows = tables["regression"]
    for row in rows[rows["term"] == "salience"].itertuples() if len(rows) else ():
        yield Finding(
            "S4: more is inherited where gender is the more salient",
            f"{row.base}, {row.model}",
            f"per unit of salience, {row.points} draws of {row.attributes} attributes",
            row.value,
            row.low,
            row.high,
            above(row.low, row.high, 0, 0),
        )


def meeting(tables: Tables, study: Study) -> Iterator[Finding]:
    """S5: with more finetuning images bases meet."""
    sizes = tables["sizes"]
    for row in tables["meeting"].itertuples():
        mine = (sizes["task"] == row.task) & (sizes["base"] == row.base)
        mine &= (sizes["against"] == row.against) & (sizes["metric"] == row.metric)
        last = sizes[mine & (sizes["n"] == row.largest)].iloc[0]
        met = row.met_from == row.met_from
        yield Finding(
            "with enough finetuning images the pretraining no longer matters",
            f"{row.task}, {row.base} and {row.against}, {row.metric}",
            f"surely met from n = {row.met_from:,.0f} on; at n = {row.largest:,}"
            if met
            else f"difference at n = {row.largest:,}",
            last["difference"],
            last["low_all"],
            last["high_all"],
            AGREES if met else inside(last["low_all"], last["high_all"], row.bound),
        )


def overwritten(tables: Tables, study: Study) -> Iterator[Finding]:
    """S6 and S8: a change of the finetuning data cuts the gap, at little cost in AUC."""
    table = tables["overwritten"]
    if table.empty:
        return
    studied = table[table["role"].isin(STUDIED) & (table["population"] == "natural")]
    for (task, base, n), rows in studied.groupby(["task", "base", "n"], sort=False):
        about = f"{task}, {base}, n = {n:,}"
        cut = "finetuning data overwrites the bias: some level cuts the gap"
        # Cuts are stated of sure gaps alone, and never of marked models.
        tried = rows[rows["gap_reduction"].notna() & (rows["marked"].fillna("") == "")]
        if tried.empty:
            (own,) = rows[rows["curation"] == "natural"].itertuples()
            gap = (own.gap, own.gap_low, own.gap_high)
            yield Finding(cut, about, "the natural draw has no sure gap to cut", *gap, UNDECIDED)
            continue
        best = tried.loc[tried["gap_reduction_low"].idxmax()]
        most = -study.answer.delta
        least = tried["gap_reduction_high"].max()
        yield Finding(
            cut,
            about,
            f"at {best['curation']} the |FPR gap| falls from the natural draw's by",
            best["gap_reduction"],
            best["gap_reduction_low"],
            best["gap_reduction_high"],
            above(best["gap_reduction_low"], least, 0, study.answer.epsilon),
        )
        yield Finding(
            "and at little loss of performance",
            about,
            f"AUC at {best['curation']} less that of the natural draw",
            best["auc_change"],
            best["auc_change_low"],
            best["auc_change_high"],
            above(best["auc_change_low"], best["auc_change_high"], most, most),
        )


def removal(tables: Tables, study: Study) -> Iterator[Finding]:
    """S7: a level reached by removing images alone is as good as the same with all of them."""
    table = tables["reduction"]
    if table.empty:
        return
    studied = table[table["role"].isin(STUDIED)]
    for (task, base), rows in studied.groupby(["task", "base"], sort=False):
        good, worse = (rows["verdict"] == "as good").sum(), (rows["verdict"] == "worse").sum()
        far = rows.loc[rows[["gap_change_low", "gap_change_high"]].abs().max(axis=1).idxmax()]
        yield Finding(
            "a level reached by removing images alone does as well as with all of them",
            f"{task}, {base}",
            f"as good at {good} of {len(rows)} levels, worse at {worse}; change of the FPR gap at "
            f"{far['curation']}, the least sure",
            far["gap_change"],
            far["gap_change_low"],
            far["gap_change_high"],
            AGREES if good == len(rows) else DENIES if worse else UNDECIDED,
        )


def matching(tables: Tables, study: Study) -> Iterator[Finding]:
    """U3: the wrong base is behind where its subgroup is rare, and catches up where it is less."""
    for row in tables["matching_share"].itertuples():
        about = f"{row.subgroup} of {row.task}, n = {row.n:,}"
        yield Finding(
            "a base that has not learnt a subgroup is behind on it where it is rare",
            about,
            f"AUC of the {row.base} base less the {row.against} base's, both at 10 %",
            row.difference,
            row.low,
            row.high,
            above(-row.high, -row.low, 0, 0),
        )
        yield _caught("more of the subgroup makes up for the wrong base", about, row)


def _caught(claim: str, about: str, row: tuple) -> Finding:
    """Whether some share is surely ahead; it is not where equality is compatible with none."""
    caught, equal = row.sure_share == row.sure_share, row.share_low == row.share_low
    return Finding(
        claim,
        about,
        f"surely ahead from {row.sure_share:.0%} on; shares compatible with equality"
        if caught
        else "surely ahead at no share; shares compatible with equality",
        row.sure_share,
        row.share_low,
        row.share_high,
        AGREES if caught else DENIES if row.high < 0 and not equal else UNDECIDED,
    )


def known(tables: Tables, study: Study) -> Iterator[Finding]:
    """U2: a base that was pretrained on an attribute knows it beyond a fresh network."""
    claim = "bases learn the attributes that a model has labelled"
    table = tables["curves"]
    if len(table):
        rows = table[(table["metric"] == "auc") & (table["group"] == "all")]
        yield from _beyond_fresh(rows[rows["curation"] == "natural"], claim, "AUC")


def known_objects(tables: Tables, study: Study) -> Iterator[Finding]:
    """U4: bases know the objects of either source beyond a fresh network."""
    table = tables["macro"]
    for group in study.group.names if len(table) else ():
        rows = table[(table["metric"] == "macro_auc") & (table["group"] == group)]
        rows = rows[rows["curation"] == "natural"]
        yield from _beyond_fresh(rows, f"bases know the objects of {group}", "macro AUC")


def _beyond_fresh(rows: pd.DataFrame, claim: str, metric: str) -> Iterator[Finding]:
    """Studied bases beside scratch, by the ends of two intervals: wider than a difference's."""
    for (task, n), arms in rows.groupby(["task", "n"], sort=False) if len(rows) else ():
        fresh = arms[arms["role"] == "scratch"].iloc[0]
        for own in arms[arms["role"].isin(STUDIED)].itertuples():
            low, high = own.low - fresh["high"], own.high - fresh["low"]
            yield Finding(
                claim,
                f"{task}, {own.base}, n = {n:,}",
                f"{metric} of a head on it less that of a head on a random network",
                own.value - fresh["value"],
                low,
                high,
                above(low, high, 0, 0),
            )


def geography(tables: Tables, study: Study) -> Iterator[Finding]:
    """U5: a base is behind on a source it has not seen, and more of the source makes up for it."""
    table = tables["catching_up"]
    for row in table[table["metric"] == table["metric"].iloc[0]].itertuples() if len(table) else ():
        first, second = study.group.names
        if LACKS[row.base] != (first if row.place == first else second):
            continue
        about = f"{row.place}, n = {row.n:,}"
        yield Finding(
            "a base is behind where it was not pretrained on such images",
            about,
            f"{row.metric.replace('_', ' ')} of {row.base} less {row.against}, both with 10 %",
            row.difference,
            row.low,
            row.high,
            above(-row.high, -row.low, 0, 0),
        )
        yield _caught("a larger share of such images makes up for the wrong base", about, row)


# Row -> its claims.
CLAIMS: dict[str, tuple[Callable[..., Iterator[Finding]], ...]] = {
    "s1": (salience,),
    "s3": (inherited, explained),
    "s5": (meeting,),
    "s6": (overwritten,),
    "s7": (removal,),
    "s8": (overwritten,),
    "u1": (within_pair,),
    "u2": (known,),
    "u3": (matching,),
    "u4": (known_objects,),
    "u5": (geography,),
}
