"""Consents of children against the age from which people consent themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nachweis.checks.permission._examples import JANUARY, register_table
from nachweis.checks.permission._register import must_be_zero, open_at
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSetRole, FieldRole
from nachweis.domain.observation import Expression, Observations, Request, Scalar, Source
from nachweis.engines.moments import zone_of

_PREFIX = "own-consent-age-"
"""Catalogue of legal limits: one entry per country."""


def _tables(
    born: Sequence[dt.date | None], country: str | None = "DE", **columns: list[Any]
) -> dict[str, ExampleTable]:
    n = len(born)
    rows: dict[str, list[Any]] = {
        "person": [f"p{i}" for i in range(n)],
        "basis": ["consent"] * n,
        "country": [country] * n,
        "born_on": list(born),
        "given_at": [JANUARY] * n,
        "withdrawn_at": [None] * n,
        **columns,
    }
    table = register_table(rows)
    declared = [
        {**one, **({"type": "date"} if one["name"] == "born_on" else {})}
        for one in table.declare["columns"]
    ]
    return {"register": register_table(rows, columns=declared)}


_SIXTEEN, _FIFTEEN = dt.date(2010, 1, 10), dt.date(2010, 1, 11)


class ChildConsentAuthorised(Check):
    """Did a parent or guardian authorise consents of people too young to consent themselves?

    Why: Where a service of the information society is offered directly to a child, its consent
        alone is no legal basis below an age that each country sets (Art. 8(1) GDPR).
    Method: Consents of the register that are in force at the end of the night, of people who on the
        day of consent had not reached the age in their country (catalogue of legal limits,
        ``own-consent-age``) and for whom ``guardian`` is not true. Age in completed years by the
        calendar. Numbers: such consents, 0 or more, must be 0; consents that cannot be judged
        because the date of birth is missing or the country has no entry. Undefined where no consent
        in force can be judged. Source: Art. 8(1) GDPR and national law, as in controls/dates.yaml.
    Leaves out: Whether the service is offered to children at all, whether the date of birth is
        true, and whether the holder of parental responsibility really authorised the consent
        (Art. 8(2) GDPR). Countries without an entry.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.DATA_SET
    controls = ("CONSENT",)
    needs = (Needs.CHILD_CONSENT,)
    data_set_roles = frozenset({DataSetRole.PERMISSION_REGISTER})
    waivable = False
    params = (
        Param(
            "consent",
            "consent",
            "value of fields.basis",
            "design default of this project",
            "How the register names consent.",
        ),
    )
    remediation = (
        "Stop using these consents. Ask the holder of parental responsibility, or delete what was "
        "collected on them; repair the form that let them through."
    )
    examples = (
        Example("sixteen on that day, in Germany", Outcome.PASS, _tables([_SIXTEEN])),
        Example("one day younger", Outcome.FAIL, _tables([_FIFTEEN])),
        Example("the same in Denmark", Outcome.PASS, _tables([_FIFTEEN], "DK")),
        Example("a parent agreed", Outcome.PASS, _tables([_FIFTEEN], guardian=[True])),
        Example(
            "it is unknown whether a parent agreed",
            Outcome.FAIL,
            _tables([_FIFTEEN], guardian=[None]),
        ),
        Example(
            "withdrawn since, a grown-up's holds",
            Outcome.PASS,
            _tables([_FIFTEEN, dt.date(1980, 5, 5)], withdrawn_at=[dt.datetime(2026, 2, 1), None]),
        ),
        Example(
            "a contract, not consent",
            Outcome.NOT_AVAILABLE,
            _tables([_FIFTEEN], basis=["contract"]),
        ),
        Example("no date of birth", Outcome.NOT_AVAILABLE, _tables([None])),
        Example("a country without an entry", Outcome.NOT_AVAILABLE, _tables([_FIFTEEN], "ZZ")),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Aggregates per country, in one scan."""
        source = Source(inputs.data_set.id)
        in_force = _in_force(inputs)
        ages = _ages(inputs)
        country = inputs.data_set.fields[FieldRole.COUNTRY]
        born = inputs.data_set.fields[FieldRole.BORN_ON]
        yield Scalar("consents", source, lambda table: table.count(where=in_force(table)))
        yield Scalar("judged", source, _judged(in_force, country, born, sorted(ages)))
        for code, age in ages.items():
            yield Scalar(f"young:{code}", source, _young(inputs, in_force, code, age))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding over all countries."""
        consents, judged = int(observations["consents"]), int(observations["judged"])
        ages = _ages(inputs)
        young = {code: int(observations[f"young:{code}"]) for code in ages}
        if any(young.values()):
            outcome = Outcome.FAIL
            explanation = "Consents in force were given by people too young to give them alone."
        elif consents == 0:
            outcome, explanation = Outcome.NOT_AVAILABLE, "The register holds no consent in force."
        elif judged == 0:
            outcome = Outcome.NOT_AVAILABLE
            explanation = "No consent in force has a date of birth and a country with a known age."
        else:
            outcome = Outcome.PASS
            explanation = "Every consent that can be judged was given at that age, or authorised."
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=[
                *must_be_zero(
                    [("consents_too_young", n, "rows", code) for code, n in young.items()],
                    "Art. 8(1) GDPR",
                    "age in completed years on the day of consent",
                ),
                *_limits(ages),
                Measurement(name="consents_not_judged", value=consents - judged, unit="rows"),
            ],
            scope="consents in force at the end of the night",
        )


def _ages(inputs: Inputs) -> Mapping[str, int]:
    """Country to the age from which people consent themselves."""
    dates = inputs.world.controls.dates
    return {
        key.removeprefix(_PREFIX).upper(): int(entry.value)
        for key, entry in sorted(dates.items())
        if key.startswith(_PREFIX)
    }


def _limits(ages: Mapping[str, int]) -> list[Measurement]:
    source = "controls/dates.yaml"
    return [
        Measurement(
            name="age_of_own_consent",
            value=age,
            unit="years",
            threshold=Threshold(value=age, operator=">=", source=source),
            group=code,
        )
        for code, age in ages.items()
    ]


def _in_force(inputs: Inputs) -> Expression:
    register, night = inputs.data_set, inputs.night
    basis, consent = register.fields[FieldRole.BASIS], inputs.param("consent")
    zone = zone_of(register, night)
    ends = [
        open_at(column, night.end, zone)
        for role in (FieldRole.WITHDRAWN_AT, FieldRole.EXPIRES_AT)
        if (column := register.field(role))
    ]

    def in_force(table: Any) -> Any:
        found = table[basis] == consent
        for still_open in ends:
            found = found & still_open(table)
        return found

    return in_force


def _judged(in_force: Expression, country: str, born: str, countries: list[str]) -> Expression:
    def judged(table: Any) -> Any:
        known = table[born].notnull() & table[country].isin(countries)
        return table.count(where=in_force(table) & known)

    return judged


def _young(inputs: Inputs, in_force: Expression, code: str, age: int) -> Expression:
    """Consents of people below the age, without a guardian."""
    fields = inputs.data_set.fields
    country, born, given = (
        fields[role] for role in (FieldRole.COUNTRY, FieldRole.BORN_ON, FieldRole.GIVEN_AT)
    )
    guardian = inputs.data_set.field(FieldRole.GUARDIAN)

    def young(table: Any) -> Any:
        birth, day = table[born], table[given]
        # One number per calendar day, so that the same day of another year compares as equal.
        birthday = birth.year() * 10_000 + birth.month() * 100 + birth.day()
        consented = day.year() * 10_000 + day.month() * 100 + day.day()
        found = in_force(table) & (table[country] == code)
        found = found & ((consented < birthday + age * 10_000) | day.isnull())
        found = found & birth.notnull()
        if guardian is not None:
            found = found & ~table[guardian].cast("boolean").fill_null(False)
        return table.count(where=found)

    return young
