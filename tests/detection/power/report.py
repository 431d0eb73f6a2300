"""The page that says what was seen: docs/detection.md."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nachweis import registry
from nachweis.domain.finding import Outcome
from nachweis.engines.intervals import wilson_interval
from tests.detection.power.base import INCREMENT_ROWS, LOG_ROWS, REFERENCE_ROWS, TRAINING_ROWS
from tests.detection.power.defect import Defect
from tests.detection.power.defects import DEFECTS
from tests.detection.power.measure import NIGHTS_PER_SEED, CleanNights, without_defect
from tests.detection.power.real import CALLS_OF_A_NIGHT, NOTHING, REAL_DEFECTS
from tests.detection.power.texts import CHAT_TURNS, DIALOGUES

PROMISED_SEEDS, PROMISED_NIGHTS, PROMISED_ALARMS = 20, 2_000, 1 / 200
PROMISED_POWER = 0.95


@dataclass
class Results:
    """What a run came to.

    Attributes:
        seen: Defect and strength to the outcome of its check per seed.
        real: The same for defects planted in real data.
        clean: What clean nights came to.
        fresh: Of them, those of draws that no rule was mended on.
        commits: ``planted`` and ``clean`` to the commits at which they were measured.
    """

    seen: dict[tuple[Defect, float], list[Outcome | None]] = field(default_factory=dict)
    real: dict[tuple[Defect, float], list[Outcome | None]] = field(default_factory=dict)
    clean: CleanNights = field(default_factory=CleanNights)
    fresh: CleanNights = field(default_factory=CleanNights)
    commits: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def outcomes(self, defect: Defect, strength: float) -> list[Outcome | None]:
        """Outcomes of the check per seed."""
        return self.seen.get((defect, strength)) or self.real.get((defect, strength), [])

    def detected(self, defect: Defect, strength: float) -> tuple[int, int]:
        """Seeds in which the check failed, and all seeds that were run."""
        outcomes = self.outcomes(defect, strength)
        return sum(one is Outcome.FAIL for one in outcomes), len(outcomes)


def page(results: Results) -> str:
    """The whole page.

    Args:
        results: What was counted.

    Returns:
        Markdown.
    """
    parts = (
        _head(results),
        _promises(results),
        _defects(results),
        _real(results),
        _alarms(results.clean, results.fresh),
        _uncovered(results.clean),
        _limits(),
    )
    return "\n\n".join(parts) + "\n"


def _head(results: Results) -> str:
    run = [len(outcomes) for outcomes in (*results.seen.values(), *results.real.values())]
    seeds, most = min(run, default=0), max(run, default=0)
    many = f"{seeds}" if seeds == most else f"{seeds} to {most}"
    parts = [
        "# What the checks see, and how often they raise a false alarm",
        _text(
            "This page is written by `make detection`; nobody edits it. Defects are planted in a "
            "small copy of the demo world, and the check that must see each of them is asked. "
            "Detected means: the outcome of that check about that model or data set was `fail` in "
            "the night. An interval is Wilson's at 95 %: what the true share may be after so few "
            "tries."
        ),
        _text(
            f"Each defect was planted with {many} seeds at three strengths. A night has "
            f"{LOG_ROWS:,} scored rows and {INCREMENT_ROWS} new training rows; the reference has "
            f"{REFERENCE_ROWS:,} rows, the training set {TRAINING_ROWS:,}. Limits are the defaults "
            "of the checks and the demo's policy."
        ),
        *_measured_at(results),
    ]
    short = []
    if seeds < PROMISED_SEEDS:
        short.append(f"{many} seeds instead of the intended {PROMISED_SEEDS}")
    if results.clean.nights < PROMISED_NIGHTS:
        short.append(
            f"{results.clean.nights:,} clean model-nights instead of the intended "
            f"{PROMISED_NIGHTS:,}"
        )
    if short:
        parts.append(f"**This run was smaller than intended: {' and '.join(short)}.**")
    return "\n\n".join(parts)


def _measured_at(results: Results) -> list[str]:
    """Which code was measured; parts of a page may be of several runs."""
    names = {"planted": "planted defects", "clean": "clean nights"}
    told = [
        f"{names[part]} at {_commits(commits)}"
        for part, commits in results.commits.items()
        if commits
    ]
    return [_text(f"Measured: {'; '.join(told)}.")] if told else []


def _commits(found: list[str]) -> str:
    """Names of commits; ``earlier`` stands for runs from before they were kept."""
    known = [f"`{commit}`" for commit in found if commit != "earlier"]
    words = f"commit{'s' if len(known) > 1 else ''} {', '.join(known)}"
    return f"{words}, their first seeds at earlier ones" if "earlier" in found else words


def _promises(results: Results) -> str:
    rows = []
    for defect in (one for one in (*DEFECTS, *REAL_DEFECTS) if one.promised):
        strongest = defect.strengths[-1]
        hits, n = results.detected(defect, strongest)
        reached = "not run" if not n else "yes" if hits >= PROMISED_POWER * n else "**no**"
        words = defect.words(strongest) + (", real data" if defect in REAL_DEFECTS else "")
        rows.append(f"| `{defect.check}` | {words} | {_rate(hits, n)} | {reached} |")
    return "\n".join(
        [
            "## Intended power",
            "",
            _text(
                f"At least {PROMISED_POWER * 100:.0f} % of these are to be detected. With so few "
                "seeds, even all of them leave an interval that reaches below that."
            ),
            "",
            "| Check | Defect | Detected | Share reached |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def _defects(results: Results) -> str:
    rows = []
    for defect in sorted(DEFECTS, key=lambda one: one.check):
        for strength in defect.strengths:
            hits, n = results.detected(defect, strength)
            outcomes = results.outcomes(defect, strength)
            rows.append(
                f"| `{defect.check}` | {defect.words(strength)} | "
                f"{_rate(hits, n)}{_otherwise(outcomes)} |"
            )
    return "\n".join(
        [
            "## All planted defects",
            "",
            _text(
                "The weaker strengths are reported as they are. Many of them lie below the limit "
                "of the check, which tolerates small differences by design: seldom or never "
                "seeing them is what the limit means. `policy.yaml` can set another limit where "
                "the check has one."
            ),
            "",
            "| Check | Defect | Detected |",
            "|---|---|---|",
            *rows,
        ]
    )


def _real(results: Results) -> str:
    head = "## Planted in real data"
    if not results.real:
        return f"{head}\n\nThe real data were not at hand in this run."
    rows = []
    for defect in sorted(REAL_DEFECTS, key=lambda one: one.check):
        for strength in (NOTHING, *defect.strengths):
            words = "nothing planted" if strength == NOTHING else defect.words(strength)
            hits, n = results.detected(defect, strength)
            told = _otherwise(results.outcomes(defect, strength))
            rows.append(f"| `{defect.check}` | {words} | {_rate(hits, n)}{told} |")
    return "\n".join(
        [
            head,
            "",
            _text(
                "Telemarketing calls of a Portuguese bank (UCI Bank Marketing, 2008). A night is "
                f"{CALLS_OF_A_NIGHT:,} of the 27,690 calls, drawn at random; the reference is all "
                "of them, as is the training set. The same checks were asked where nothing was "
                "planted; there, a failure is a false alarm."
            ),
            "",
            "| Check | Defect | Detected |",
            "|---|---|---|",
            *rows,
            "",
            _text(
                "Without the stored model that the labels were once right for, flips cannot be "
                "told from classes that overlap as these do: the check says so, and does not guess."
            ),
        ]
    )


def _otherwise(outcomes: Sequence[Outcome | None]) -> str:
    """Where a check said nothing or crashed, which is no detection."""
    others = {
        name: sum(one is outcome for one in outcomes)
        for name, outcome in (
            ("without a verdict", Outcome.NOT_AVAILABLE),
            ("crashed", Outcome.ERROR),
        )
    }
    told = [f"{n} {name}" for name, n in others.items() if n]
    return f"; {', '.join(told)}" if told else ""


def _alarms(clean: CleanNights, fresh: CleanNights) -> str:
    if not clean.nights:
        return "## False alarms\n\nNo clean nights were run."
    low, high = wilson_interval(clean.alarms, clean.nights)
    allowed = PROMISED_ALARMS * clean.nights
    verdict = "within" if clean.alarms <= allowed else "**beyond**"
    upper = (
        "The whole interval lies within that limit."
        if high <= PROMISED_ALARMS
        else "The interval reaches beyond that limit: this run alone does not show that it is kept."
    )
    lines = [
        "## False alarms",
        "",
        _text(
            "Nights without any defect, judged with all checks that apply to the campaign model "
            f"and to its own data sets, in draws of {NIGHTS_PER_SEED} nights in a row so that "
            "checks can look back. A model-night is a false alarm if at least one check fails or "
            "crashes. What a draw's nights share is judged in its first night: training set and "
            "reference as data sets, and checks that only sample them. Their findings about the "
            "model are counted in the later nights again."
        ),
        "",
        f"- {clean.nights:,} model-nights, {clean.alarms} with a failure or a crash: "
        f"{clean.alarms / clean.nights:.2%}, 95 % interval {low:.2%} to {high:.2%}.",
        f"- They belong to {clean.draws:,} draws; false alarms fell into {clean.draws_with_alarms} "
        "of them.",
        f"- Intended is at most 1 in 200 (0.50 %). The share is {verdict} that limit. {upper}",
        _mended(clean, fresh),
        f"- Model-nights in which a check crashed: {_listed(clean.errors)}.",
        f"- Failures by check: {_listed(clean.by_check)}.",
    ]
    if clean.alarms:
        lines += [
            "",
            _text(
                "Nights of one draw share a reference and a training set, and a difference that "
                "is there by chance stays for several nights: failures come in clusters, and the "
                "true interval is wider than the printed one."
            ),
        ]
    return "\n".join(lines)


def _mended(clean: CleanNights, fresh: CleanNights) -> str:
    """How much of it was looked at before, when rules were chosen."""
    before = clean.nights - fresh.nights
    words = (
        f"- {before:,} of these model-nights belong to draws on which rules of checks were mended, "
        "which makes them look better than new ones."
    )
    if not fresh.nights:
        return f"{words} No others were run."
    low, high = wilson_interval(fresh.alarms, fresh.nights)
    return (
        f"{words} Without them: {fresh.nights:,} model-nights, {fresh.alarms} with a failure or a "
        f"crash, 95 % interval {low:.2%} to {high:.2%}."
    )


def _uncovered(clean: CleanNights) -> str:
    missing = without_defect()
    families = {check: kind.family for check, kind in registry.checks().items()}
    quiet = sorted(check for check, n in clean.silent.items() if n and not clean.verdicts[check])
    return "\n".join(
        [
            "## What is not measured here",
            "",
            _text(
                f"{len(missing)} of {len(families)} checks have no planted defect on this page. "
                "They are covered by the passing, failing and unavailable examples in each "
                "check's file alone, which run in `make test` and in every night:"
            ),
            "",
            *[f"- `{check}` ({families[check]})" for check in missing],
            "",
            _text(
                "In the clean nights these checks never reached a verdict, because the campaign "
                "model declares nothing for them or the copy holds no such data. Nothing is known "
                f"here about their false alarms: {_names(quiet)}."
                if clean.nights
                else "Nothing is known here about any check's false alarms."
            ),
            *(
                [
                    "",
                    _text(
                        "Nor is anything known about the false alarms of checks that apply to "
                        "other kinds of models or data sets than those of the campaign model."
                    ),
                ]
                if clean.nights
                else []
            ),
        ]
    )


def _limits() -> str:
    return "\n".join(
        [
            "## How far these numbers carry",
            "",
            "- Rows of a night are drawn independently from one population. Real data have",
            "  weekdays, seasons and campaigns, which raise more alarms; events and persistence in",
            "  `policy.yaml` are meant for them.",
            "- A defect is one thing going wrong in a plain way. Somebody who wants to stay unseen",
            "  plants it below the limits that are printed here.",
            f"- Texts are built from the demo's sentences: {CHAT_TURNS:,} for identifiers, "
            f"{DIALOGUES:,} dialogues elsewhere.",
            "- A night has the files of the night alone, and those of the night whose outcomes",
            "  arrive. A longer history of rows only helps the checks that pool nights.",
            "- Real data are also looked at as they are, without rates, in",
            "  `tests/detection/test_bank_months.py` and",
            "  `tests/detection/test_support_messages.py`.",
        ]
    )


def _text(words: str) -> str:
    """A paragraph in lines that an editor shows whole."""
    return textwrap.fill(words, 100, break_long_words=False, break_on_hyphens=False)


def _rate(hits: int, n: int) -> str:
    if not n:
        return "not run"
    low, high = wilson_interval(hits, n)
    return f"{hits} of {n}, 95 % interval {low * 100:.0f}-{high * 100:.0f} %"


def _listed(counts: Mapping[str, int]) -> str:
    found = [f"`{name}` {n}" for name, n in sorted(counts.items()) if n]
    return ", ".join(found) or "none"


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
