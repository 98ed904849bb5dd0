"""What every figure of the report shows, in words."""

from collections.abc import Callable

from jaxbias.report import numbers
from jaxbias.report.select import gap_name


def caption(name: str, study: dict) -> str:
    """Returns the caption of a figure.

    Args:
      name: of the figure.
      study: the settings of the study, of `Answer.study`.
    """
    return _CAPTIONS[name](study)


def _inherited(study: dict) -> str:
    return (
        f"Paired difference of the signed FPR gap ({gap_name(study)}): finetuned from the studied "
        "base minus finetuned from the other base, on the same natural draws and the same test "
        "examples, signed so that above zero the studied base leaves more of the bias. "
        f"Thick lines are {_intervals(study)}; thin lines hold for all questions of the study "
        "together. A filled mark means that the thick line excludes zero; "
        f"{_band(study)}."
    )


def _dose_response(study: dict) -> str:
    return (
        f"Signed FPR gap ({gap_name(study)}) on test examples after finetuning on data of each "
        f"correlation level, by base. Stars are natural draws. Bars are {_intervals(study)}; "
        f"{_band(study)}. Points are set side by side so that their bars can be told apart."
    )


def _auc_gap(study: dict) -> str:
    return (
        f"Every curation of the finetuning data as a point: signed FPR gap ({gap_name(study)}) "
        "across, AUC on all test examples up; lines join correlation levels in order. Numbers are "
        "the levels at the ends; the ring is the smallest fix or, where nothing qualifies, the "
        "curation nearest to no gap; stars are natural "
        f"draws. Light bars are {_intervals(study)}; {_band(study)}. Up and towards the middle "
        "is better."
    )


def _rates(study: dict) -> str:
    return (
        "Both groups' false-positive and true-positive rates, finetuned from the studied base on "
        "the natural draw and on the smallest fix (where nothing qualifies, on the curation "
        "nearest to no gap, marked “not a fix”). The grey bar is the gap; both marks moving to "
        f"the left would be levelling down. Lines are {_intervals(study)}."
    )


def _underrepresentation(study: dict) -> str:
    return (
        "AUC of each subgroup's positives against the shared negatives, along the share of the "
        f"second attribute among the finetuning positives, by base. Bands are {_intervals(study)}."
    )


def _several(study: dict) -> str:
    return (
        "Metrics over all classes or labels on test examples, on all of them and in each group, by "
        f"base and curation. Lines are {_intervals(study)}."
    )


def _sources(study: dict) -> str:
    second = study["group"]["names"][1]
    return (
        f"The first metric of the table along the share of {second} among the finetuning images, "
        f"on the test examples of each source, and of {second} by every grouping, by base. Bands "
        f"are {_intervals(study)}."
    )


def _screen(study: dict) -> str:
    return (
        f"Signed FPR gap ({gap_name(study)}) on test examples along the correlation levels: of "
        "heads on the frozen studied base (open marks, dashed) and, where it was confirmed, of "
        f"finetuned models (filled). The marks left of level 0 are natural draws. Bars are "
        f"{_intervals(study)} that hold for all curations together; "
        f"{_band(study)}."
    )


def _salience(study: dict) -> str:
    column = study["group"]["column"]
    return (
        f"Salience of {column} beside each attribute: of fresh networks trained where the two "
        f"always agree and where they always disagree, AUC for {column} minus AUC for the "
        "attribute plus 0.5, on test examples weighted to four equal cells. Below 0.5 the "
        f"attribute is the more salient. Thick lines are {_intervals(study)}; thin lines hold for "
        "all attributes together. A filled mark means that the thin line excludes 0.5."
    )


def _residuals(study: dict) -> str:
    return (
        "What the regressions leave unexplained, a point per attribute and draw, against what they "
        "explain (with each attribute's own intercept) and against salience. Hollow points: the "
        "two gaps have opposite signs, so that the ratio was set to 0 or 5."
    )


def _sizes(study: dict) -> str:
    return (
        f"FPR gap ({gap_name(study)}) and AUC on test examples along the number of finetuning "
        f"images, natural draws, by base. Bars are {_intervals(study)}; {_band(study)}."
    )


def _reduction(study: dict) -> str:
    return (
        f"FPR gap ({gap_name(study)}) and AUC on test examples at correlation levels, with all "
        "images (filled, solid) and where the level was reached by removing images alone (open, "
        f"dashed; the images left stand under the level). Bars are {numbers.confidence(study)} "
        "intervals of the difference between the two, for all levels of a base together; "
        f"{_band(study)}."
    )


def _comparison(study: dict) -> str:
    return (
        f"Signed FPR gap ({gap_name(study)}) and AUC on test examples after finetuning on natural "
        "draws, by base, the smallest |gap| at the top, with the ranks that each base may have by "
        f"|gap| and by AUC (see above). Lines are {_intervals(study)}; {_band(study)}."
    )


def _ranks(study: dict) -> str:
    return (
        "The ranks that each base may have by |FPR gap| (the smallest is 1) and by AUC (the "
        "largest is 1), at every curation of the finetuning data: where a bar is a single mark, "
        f"the rank is sure. By {numbers.confidence(study)} intervals for all pairs of bases at a "
        "curation together."
    )


def _intervals(study: dict) -> str:
    return f"{numbers.confidence(study)} intervals over checkpoints and examples"


def _band(study: dict) -> str:
    return f"the shaded band is ±ε = ±{study['answer']['epsilon']:g}, a gap that counts as none"


_CAPTIONS: dict[str, Callable[[dict], str]] = {
    "inherited": _inherited,
    "dose_response": _dose_response,
    "auc_gap": _auc_gap,
    "rates": _rates,
    "underrepresentation": _underrepresentation,
    "several": _several,
    "sources": _sources,
    "screen": _screen,
    "salience": _salience,
    "residuals": _residuals,
    "sizes": _sizes,
    "reduction": _reduction,
    "comparison": _comparison,
    "ranks": _ranks,
}
