"""What would change the answer: other values of epsilon and delta, tried in the page."""

from typing import Any

from jaxbias.analysis import Answer
from jaxbias.analysis.rules import UNDECIDED, Bounds, Evidence
from jaxbias.analysis.uncertainty import Interval
from jaxbias.report.embedded import data
from jaxbias.report.findings import inherited_words
from jaxbias.report.select import records, shown
from jaxbias.report.tables import Html
from jaxbias.study import STUDIED

SCRIPTS = ("rules.js", "what_if.js")
_RANGES = {"epsilon": 0.2, "delta": 0.1}  # The least that the sliders reach.


def section(answer: Answer) -> Html:
    """Returns the box, with the bounds that every verdict rests on; "" where there is none."""
    if answer.inherited_verdicts.empty and answer.overwritten.empty:
        return Html("")
    rule = answer.study["answer"]
    epsilon = _slider("epsilon", "ε, a gap that counts as none", rule["epsilon"])
    delta = _slider("delta", "δ, the AUC that a fix may cost", rule["delta"])
    return Html(
        f"<p>This study fixed ε = {rule['epsilon']:g} and δ = {rule['delta']:g} before it was run. "
        "Other values show which verdicts rest on them. Verdicts that would differ are marked, "
        "here and where they stand, and are hypothetical: the answer is that of the study's own "
        "values. Advice on repeats and examples is not computed anew.</p>"
        f'<form id="what-if-form" hidden>{epsilon}{delta}'
        '<button type="reset">Back to the study’s</button></form>'
        '<p id="what-if-said" role="status"></p><ul id="what-if-changes"></ul>'
        "<noscript><p>Trying other values needs JavaScript; every verdict on this page is of the "
        f"study’s own.</p></noscript>{data('what-if-data', bounds(answer))}"
    )


def bounds(answer: Answer) -> dict[str, Any]:
    """Returns the bounds of every verdict that the page shows, as `rules.js` reads them.

    Args:
      answer: the `Answer`.

    Returns:
      "epsilon" and "delta"; "inherited", "overwritten" and "fix": each a list with the question
      and the place of the verdict in the answer's frame of that kind. JSON-able.
    """
    rule = answer.study["answer"]
    return {
        "epsilon": rule["epsilon"],
        "delta": rule["delta"],
        "inherited": _inherited(answer),
        "overwritten": _overwritten(answer),
        "fix": [
            _question(row) | plain(answer.fix_evidence[row["place"]])
            for row in records(shown(answer.smallest_fix, answer.study))
        ],
    }


def _inherited(answer: Answer) -> list[dict[str, Any]]:
    compared: dict[str, list] = {}
    for row in records(answer.inherited):
        bounds = {name: [row[f"low_{name}"], row[f"high_{name}"]] for name in ("family", "no")}
        compared.setdefault(_question(row)["question"], []).append(bounds)
    return [
        _question(row)
        | {
            "about": inherited_words(row),
            "sure": bool(row["direction_sure"]),
            "reason": row["reason"],
            "compared": compared.get(_question(row)["question"], []),
        }
        for row in records(shown(answer.inherited_verdicts, answer.study))
    ]


def _overwritten(answer: Answer) -> list[dict[str, Any]]:
    """Per question the curations whose verdict is one of a gap."""
    rows = shown(answer.overwritten, answer.study)
    rows = rows[rows["verdict"].isin(["no gap", "gap", UNDECIDED])] if len(rows) else rows
    found: dict[str, dict[str, Any]] = {}
    for row in records(rows):
        known = found.setdefault(
            _question(row)["question"],
            _question(row) | {"studied": row["role"] in STUDIED, "curations": []},
        )
        known["curations"].append(
            [row["place"], row["curation"], [row["gap_low"], row["gap_high"]]]
        )
    return list(found.values())


def plain(known: Evidence) -> dict[str, Any]:
    """Evidence as `decide` of rules.js reads it."""
    return {
        "reason": known.reason,
        "waiting": known.waiting,
        "natural_gap": known.natural.value,
        "natural": _ends(known.natural),
        "natural_inside": _ends(known.natural_inside),
        "natural_on_validation": known.natural_on_validation,
        "nearest": known.nearest,
        "tried": [
            {
                "name": one.name,
                "cost": one.cost,
                "gap": one.gap,
                "validation": one.validation,
                "chosen": [_bounds(each) for each in one.chosen],
                "alone": [_bounds(each) for each in one.alone],
            }
            for one in known.tried
        ],
        "axes": known.axes,
        "cheapest": known.cheapest,
        "family": known.family,
    }


def _bounds(bounds: Bounds) -> dict[str, Any]:
    return {"gaps": [_ends(gap) for gap in bounds.gaps], "auc_change": _ends(bounds.auc_change)}


def _ends(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def _question(row: dict[str, Any]) -> dict[str, Any]:
    name = f"{row['task']}, base {row['base']}, n = {row['n']:,}"
    return {"question": name, "place": row["place"]}


def _slider(name: str, says: str, value: float) -> str:
    most = max(_RANGES[name], min(4 * value, 1.0))
    return (
        f'<p class="slider"><label for="what-if-{name}">{says}</label>'
        f'<input type="range" id="what-if-{name}-slider" aria-label="{says}, slider" min="0" '
        f'max="{most:g}" step="0.001" value="{value!r}">'
        f'<input type="number" id="what-if-{name}" min="0" max="1" step="0.005" value="{value!r}">'
        "</p>"
    )
