"""What is planted: a table of defects, each at three strengths, and the check that must see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nachweis import registry
from nachweis.domain.check import Check
from nachweis.domain.finding import Subject
from tests.detection.power import plant
from tests.detection.power.base import CHATBOT, MODEL, data_set

LOG = data_set("propensity-scores")
INCREMENT = data_set("propensity-training-increment")
TRAINING = data_set("propensity-training")
REFERENCE = data_set("propensity-reference")
TURNS = data_set("chatbot-turns")


@dataclass(frozen=True)
class Defect:
    """A defect that a check must see.

    Attributes:
        check: Id of the check.
        subject: Whom its finding is about.
        what: What is wrong; ``{}`` stands for the strength.
        strengths: Three strengths, weakest first.
        plant: Changes the clean rows of a night.
        nights: On how many nights in a row the defect is there, the judged one included.
        before: Clean nights that are judged before, for checks that compare nights.
        promised: Whether at least 95 % must be seen at the strongest strength.
    """

    check: str
    subject: Subject
    what: str
    strengths: tuple[float, float, float]
    plant: Callable[[Any, float, np.random.Generator], None]
    nights: int = 1
    before: int = 0
    promised: bool = False

    @property
    def kind(self) -> type[Check]:
        """The check."""
        return registry.checks()[self.check]

    def words(self, strength: float) -> str:
        """The defect in words at a strength; shares as percent."""
        return self.what.format(f"{strength:g}", percent=f"{strength * 100:g} %")


_HIDDEN = "texts with an identifier: {} of 100,000"

DEFECTS: tuple[Defect, ...] = (
    Defect(
        "feature_distribution_stable",
        MODEL,
        "basket values shifted by {} standard deviations, two nights",
        (0.1, 0.25, 1.0),
        plant.shifted("basket_mean"),
        nights=2,
        promised=True,
    ),
    Defect(
        "training_triggers_absent",
        TRAINING,
        "{percent} of the rows hold one rare value and the wanted label",
        (0.005, 0.02, 0.05),
        plant.trigger,
        promised=True,
    ),
    Defect(
        "training_labels_free_of_flips",
        TRAINING,
        "{percent} of the labels flipped at random",
        (0.02, 0.05, 0.1),
        plant.flipped_labels,
        promised=True,
    ),
    Defect(
        "dialogues_free_of_identifiers",
        TURNS,
        _HIDDEN + ", written by customers",
        (1, 10, 100),
        plant.identifiers("customer"),
        promised=True,
    ),
    Defect(
        "outputs_free_of_identifiers",
        CHATBOT,
        _HIDDEN + ", written by the chatbot",
        (1, 10, 100),
        plant.identifiers("assistant"),
    ),
    Defect(
        "chunk_distances_in_reference_range",
        MODEL,
        "days since the last order shifted by {} standard deviations, two nights",
        (0.25, 0.5, 1.0),
        plant.shifted("recency_days"),
        nights=2,
    ),
    Defect(
        "missing_share_stable",
        MODEL,
        "{percent} of opened newsletters lost, two nights",
        (0.03, 0.1, 0.3),
        plant.lose_values,
        nights=2,
    ),
    Defect(
        "missing_share_stable",
        MODEL,
        "{percent} of the devices are of a kind never seen, two nights",
        (0.03, 0.1, 0.3),
        plant.unseen_device,
        nights=2,
    ),
    Defect(
        "prediction_distribution_stable",
        MODEL,
        "scores lowered by {percent}, two nights",
        (0.02, 0.05, 0.4),
        plant.scale_scores,
        nights=2,
    ),
    Defect(
        "features_jointly_stable",
        MODEL,
        "yearly spend of {percent} of the rows belongs to others, two nights",
        (0.1, 0.3, 1.0),
        plant.mix_up_spend,
        nights=2,
    ),
    Defect(
        "outcome_distribution_stable",
        MODEL,
        "{percent} of those who did not buy are recorded as buyers, two nights",
        (0.1, 0.25, 0.5),
        plant.more_outcomes,
        nights=2,
    ),
    Defect(
        "estimated_quality_held",
        MODEL,
        "scores drawn to their middle by {percent}",
        (0.2, 0.5, 0.9),
        plant.unsure_scores,
    ),
    Defect(
        "realised_quality_held",
        MODEL,
        "{percent} of the outcomes reversed",
        (0.05, 0.15, 0.4),
        plant.wrong_outcomes(),
    ),
    Defect(
        "scores_calibrated",
        MODEL,
        "log-odds of the scores too high by {}",
        (0.2, 0.5, 1.0),
        plant.overstated(),
    ),
    Defect(
        "worst_slices_bearable",
        MODEL,
        "{percent} of the outcomes of people on tablets reversed",
        (0.2, 0.5, 1.0),
        plant.wrong_outcomes(plant.on_tablets),
    ),
    Defect(
        "error_rate_parity_held",
        MODEL,
        "{percent} of the Danish outcomes reversed",
        (0.05, 0.2, 0.6),
        plant.wrong_outcomes(plant.danish),
    ),
    Defect(
        "predictive_parity_held",
        MODEL,
        "{percent} of the Danish outcomes reversed",
        (0.05, 0.2, 0.6),
        plant.wrong_outcomes(plant.danish),
    ),
    Defect(
        "calibration_parity_held",
        MODEL,
        "log-odds of Danish scores too high by {}",
        (0.2, 0.5, 1.0),
        plant.overstated(plant.danish),
    ),
    Defect(
        "selection_rate_parity_held",
        MODEL,
        "{percent} of the selected women are not selected",
        (0.1, 0.25, 0.5),
        plant.deselected(plant.women),
    ),
    Defect(
        "subgroup_gaps_bearable",
        MODEL,
        "{percent} of the selected women on a phone are not selected",
        (0.1, 0.3, 0.6),
        plant.deselected(plant.women_on_phones),
    ),
    Defect(
        "exposure_parity_held",
        MODEL,
        "{percent} of those from 60 on who were to be contacted are not",
        (0.1, 0.3, 0.6),
        plant.never_contacted,
    ),
    Defect(
        "groups_large_enough",
        MODEL,
        "Danish rows that are left: {} (100 are needed)",
        (99, 50, 10),
        plant.few_danes,
    ),
    Defect(
        "protected_attribute_proxies_absent",
        MODEL,
        "payment methods of {percent} of the rows tell the country",
        (0.3, 0.6, 0.9),
        plant.tell_country,
    ),
    Defect(
        "contact_permission_held_for_audience",
        MODEL,
        "people contacted who objected: {}",
        (1, 3, 10),
        plant.contact_objectors,
    ),
    Defect(
        "suppression_respected_in_time",
        MODEL,
        "people contacted who objected: {}",
        (1, 3, 10),
        plant.contact_objectors,
    ),
    Defect(
        "legal_basis_held_for_rows_used",
        LOG,
        "people scored whose basis had ended: {}",
        (1, 3, 10),
        plant.contact_objectors,
    ),
    Defect(
        "erased_subjects_absent", LOG, "erased people scored: {}", (1, 3, 10), plant.erased_people
    ),
    Defect(
        "retention_kept",
        INCREMENT,
        "rows beyond their period: {}",
        (1, 3, 10),
        plant.kept_too_long,
    ),
    Defect(
        "direct_identifiers_absent",
        LOG,
        "e-mail addresses among 3,000 customer numbers: {}",
        (1, 30, 300),
        plant.addresses,
    ),
    Defect(
        "scoring_ran", MODEL, "rows of a retired version: {}", (1, 10, 100), plant.retired_version
    ),
    Defect(
        "inventory_complete",
        MODEL,
        "rows of an undeclared version: {}",
        (1, 10, 100),
        plant.undeclared_version,
    ),
    Defect(
        "row_volume_in_expected_band",
        LOG,
        "{percent} of the rows are missing",
        (0.3, 0.5, 0.7),
        plant.fewer_rows,
        before=13,
    ),
    Defect("duplicates_absent", LOG, "rows delivered twice: {}", (1, 10, 100), plant.twice),
    Defect(
        "data_fresh_enough",
        REFERENCE,
        "newest row {} days old (6 months are declared)",
        (190, 250, 400),
        plant.old_reference,
    ),
    Defect("schema_as_declared", LOG, "columns renamed: {}", (1, 2, 5), plant.other_columns),
    Defect(
        "training_data_meets_suite",
        INCREMENT,
        "rows of negative spend: {}",
        (1, 3, 10),
        plant.impossible,
    ),
    Defect(
        "label_distribution_plausible",
        MODEL,
        "{percent} of the negative training labels turned positive",
        (0.1, 0.25, 0.5),
        plant.more_positive,
    ),
    Defect(
        "target_leakage_absent",
        MODEL,
        "an input is the label with noise of {} standard deviations",
        (0.6, 0.3, 0.1),
        plant.leaking,
    ),
    Defect(
        "train_test_overlap_absent",
        MODEL,
        "{percent} of the reference's rows are in the training set",
        (0.005, 0.02, 0.1),
        plant.known_rows,
    ),
    Defect(
        "near_duplicate_floods_absent",
        TRAINING,
        "{percent} of the rows are nearly the same row",
        (0.01, 0.03, 0.1),
        plant.flood,
    ),
    Defect(
        "contributions_not_concentrated",
        TRAINING,
        "{percent} of the rows are from one day",
        (0.02, 0.05, 0.1),
        plant.one_day,
    ),
    Defect(
        "scoring_not_probed",
        MODEL,
        "one person scored {} times with one input changed at a time",
        (60, 120, 300),
        plant.probing,
    ),
    Defect(
        "ai_disclosed_in_first_turn",
        CHATBOT,
        "dialogues without disclosure: {} of 2,000",
        (1, 5, 20),
        plant.no_disclosure,
    ),
    Defect(
        "prompt_injection_resisted",
        CHATBOT,
        "answers that show the prompt's marker, in 2,000 dialogues: {}",
        (1, 3, 10),
        plant.leaked_prompt,
    ),
)
