"""The answer: every analysis of a study, in frames and in words."""

import dataclasses
from typing import Any

import pandas as pd

from jaxbias.analysis.rules import Evidence


@dataclasses.dataclass(frozen=True)
class Answer:
    """Everything the report shows; plain frames, so that it can be used without it.

    Attributes:
      study: the settings.
      dataset: name, fingerprint, counts per split and cell, notes.
      excess: the studied base's gap beyond each control's at every curation.
      inherited: the same at the natural draw, with intervals for all questions together.
      inherited_verdicts: one row per target, base and n.
      curves: every arm's metrics with intervals.
      overwritten: one verdict per arm.
      smallest_fix: one row per target, studied base and n.
      fix_evidence: what each of these rows was decided on.
      screen: heads of a screened study beside what was confirmed, one row per curation.
      screen_verdicts: what heads and finetuning chose, one row per target, studied base and n.
      underrepresentation: AUC per subgroup along the mix of a pair.
      matching_share: the share at which the other base catches up.
      unfinished: how much of the plan is trained, and what failed too often; "" where all is.
      sentences: the answer in words, in reading order.
      metrics: tidy, one row per variant, population, metric and group.
      variants: settings, realised counts and status of every variant.
      bases: the same of every base pretrained here.
      timings: where the time went.
      deviations: from the authors' protocol.
      methods: a paragraph for a paper.
      failures: variants and trials that diverged.
      search: every trial of the hyperparameter search, with its learning curves.
      choices: what the search chose, one row per base, task and n.
      salience: of the group beside each target, where fresh networks were trained on both as one.
      sizes: the studied bases beside the others along the sizes of the natural draw.
      meeting: from which size on they have met.
      reduction: correlation levels reached by removal alone beside the same with all images.
      grouping_rates: rates of every group of further groupings in every arm.
      grouping_gaps: between every two of its groups.
      grouping_ranges: over all of them.
      grouping_fixes: the range at a smallest fix beside the natural draw.
      grouping_changes: each group's rate likewise.
      comparison: the bases' ranks at every curation, where the bias of several is studied.
      comparison_pairs: the differences that the ranks rest on.
      regression: coefficients of what makes a gap larger than the controls', model by model.
      macro: of tasks of several outputs, every arm's metrics over all outputs, per group.
      outputs: the same of each output.
      source_curves: of them, where two sources are mixed, the metrics in each, and by grouping.
      catching_up: the share of a source at which a base catches up with another.
      regression_points: what was regressed, with what the models make of it.
    """

    study: dict[str, Any]
    dataset: dict[str, Any]
    excess: pd.DataFrame
    inherited: pd.DataFrame
    inherited_verdicts: pd.DataFrame
    curves: pd.DataFrame
    overwritten: pd.DataFrame
    smallest_fix: pd.DataFrame
    fix_evidence: list[Evidence]
    screen: pd.DataFrame
    screen_verdicts: pd.DataFrame
    underrepresentation: pd.DataFrame
    matching_share: pd.DataFrame
    unfinished: str
    sentences: list[str]
    metrics: pd.DataFrame
    variants: pd.DataFrame
    bases: pd.DataFrame
    timings: dict[str, float]
    deviations: list[str]
    methods: str
    failures: list[str]
    search: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    choices: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    salience: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    regression: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    regression_points: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    sizes: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    meeting: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    macro: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    outputs: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    source_curves: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    catching_up: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    reduction: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    grouping_rates: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    grouping_gaps: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    grouping_ranges: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    grouping_fixes: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    grouping_changes: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    comparison: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    comparison_pairs: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
