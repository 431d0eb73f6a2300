"""What OSCAL assessment results and plans of action share: ids, texts, observations, risks.

Findings are about controls, observations about measurements. A control is ``satisfied`` only if
every check of it that applies passed. One that could not look at its subject leaves the control
not satisfied, which then says how much was not tested.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from nachweis.domain.control import Control
from nachweis.domain.finding import FindingState, Outcome
from nachweis.pages.exports._model import SHOWS_NIGHT, Source, Version
from nachweis.pages.render import harmless
from nachweis.storage import layout

OSCAL_VERSION = "1.2.1"
NAMESPACE = "urn:nachweis:oscal"
_IDS = uuid.UUID("5b0f3c0e-8f0d-5d0c-9d43-6e1f6f7a2c11")
_MARKUP = re.compile(r"([\\`*\[\]<>#|])")
_SPACE = re.compile(r"\s+")
_LONGEST_VALUE = 1000
_OPEN = frozenset({Outcome.FAIL.value, Outcome.ERROR.value})
_UNTESTED = FindingState.UNTESTED.value
_TESTED = _OPEN | {Outcome.PASS.value}
_VALID_NIGHTS = 2
"""An observation is out of date after twice the interval of the nightly checks."""

Node = dict[str, Any]


def uid(*parts: str) -> str:
    """A version 5 UUID that depends on nothing but its parts."""
    return str(uuid.uuid5(_IDS, "\x1f".join(parts)))


def markup(text: str) -> str:
    """Text for a field that readers take for Markdown, so that it stays the text it is."""
    said = _MARKUP.sub(r"\\\1", harmless(text)).strip()
    return said or "–"


def line(text: str) -> str:
    """As :func:`markup`, on one line."""
    return _SPACE.sub(" ", markup(text))


def plain(text: Any) -> str:
    """The value of a property: one line, neither empty nor padded."""
    said = _SPACE.sub(" ", harmless(str(text))).strip()
    return said[:_LONGEST_VALUE].strip() or "–"


def prop(name: str, value: Any, *, group: str = "") -> Node:
    """A property in the product's namespace."""
    found = {"name": name, "ns": NAMESPACE, "value": plain(value)}
    return {**found, "group": group} if group else found


def moment(night: str, days: int = 0) -> str:
    """Midnight UTC of a night's date; the time of day is in the signed statement."""
    return f"{dt.date.fromisoformat(night) + dt.timedelta(days=days)}T00:00:00Z"


def metadata(source: Source, title: str, night: str) -> Node:
    """Metadata of a document about a night."""
    party = uid("party", "nachweis")
    return {
        "title": line(title),
        "last-modified": moment(night),
        "version": night,
        "oscal-version": OSCAL_VERSION,
        "roles": [{"id": "assessor", "title": "Nachweis, automated checks"}],
        "parties": [{"uuid": party, "type": "organization", "name": "Nachweis"}],
        "responsible-parties": [{"role-id": "assessor", "party-uuids": [party]}],
        "remarks": SHOWS_NIGHT,
    }


class Assessed:
    """One version's assessment in OSCAL's parts."""

    def __init__(self, version: Version, controls: Mapping[str, Control]) -> None:
        self.version = version
        self.assessment: Mapping[str, Any] = version.assessment or {}
        self.night = str(self.assessment.get("night", version.night))
        self.controls = controls
        self.views: Sequence[Mapping[str, Any]] = self.assessment.get("findings") or ()

    def _uid(self, *parts: str) -> str:
        return uid(self.version.assessment_digest, *parts)

    def key(self, view: Mapping[str, Any]) -> str:
        """Identity of a finding across nights."""
        finding = view["finding"]
        subject = finding["subject"]
        column = f":{finding['column']}" if finding.get("column") else ""
        return f"{finding['check']}:{subject['kind']}/{subject['id']}{column}"

    def is_open(self, view: Mapping[str, Any]) -> bool:
        """Whether somebody has to look at a finding; only a test takes one off the plan."""
        return view["finding"]["outcome"] in _OPEN or view.get("state") == _UNTESTED

    # ------------------------------------------------------------------------------ parts

    def components(self) -> list[Node]:
        """What was looked at."""
        subjects = {
            (view["finding"]["subject"]["kind"], view["finding"]["subject"]["id"])
            for view in self.views
        }
        subjects.add((str(self.version.document["kind"]), self.version.id))
        return [
            {
                "uuid": self._uid("component", kind, key),
                "type": kind.replace("_", "-"),
                "title": line(key),
                "description": line(f"{kind}/{key}"),
                "status": {"state": "operational"},
            }
            for kind, key in sorted(subjects)
        ]

    def observations(self) -> list[Node]:
        """One per finding and one per field that was compared."""
        return [self._observed(view) for view in self.views] + [
            self._compared(verdict) for verdict in self.assessment.get("verdicts") or ()
        ]

    def _observed(self, view: Mapping[str, Any]) -> Node:
        finding = view["finding"]
        subject = finding["subject"]
        night = str(finding.get("carried_from") or self.night)
        props = [
            prop("check", finding["check"]),
            prop("outcome", finding["outcome"]),
            prop("severity", finding["severity"]),
            prop("state", view.get("state") or "none"),
        ]
        for name in ("waiver", "since"):
            if view.get(name):
                props.append(prop(name, view[name]))
        if finding.get("column"):
            props.append(prop("column", finding["column"]))
        for place, measurement in enumerate(finding.get("measurements") or ()):
            props += _measured(measurement, f"measurement-{place}")
        return {
            "uuid": self._uid("observation", self.key(view)),
            "title": line(self.key(view)),
            "description": markup(finding.get("explanation") or finding["outcome"]),
            "props": props,
            "methods": ["TEST"],
            "types": ["control-objective"],
            "subjects": [
                {
                    "subject-uuid": self._uid("component", subject["kind"], subject["id"]),
                    "type": "component",
                }
            ],
            "relevant-evidence": [self._evidence(view["evidence"], finding.get("scope") or "")],
            "collected": moment(night),
            # A carried finding was confirmed tonight: nothing it was made from has changed.
            "expires": moment(self.night, _VALID_NIGHTS),
        }

    def _evidence(self, reference: Mapping[str, Any], scope: str) -> Node:
        key = layout.evidence(str(reference["digest"]))
        return {
            "href": f"{key}#{reference['pointer']}",
            "description": markup(scope or "Evidence bundle of the night"),
            "props": [prop("sha256", reference["digest"])],
        }

    def _compared(self, verdict: Mapping[str, Any]) -> Node:
        said = str(verdict.get("explanation") or verdict["verdict"])
        tested = verdict.get("tested_on")
        return {
            "uuid": self._uid("field", str(verdict["field"])),
            "title": line(f"Declared field {verdict['field']}"),
            "description": markup(said),
            "props": [
                prop("field", verdict["field"]),
                prop("verdict", verdict["verdict"]),
                prop("origin", verdict["origin"]),
                *(
                    prop(name, verdict[name])
                    for name in ("declared", "observed", "scope")
                    if verdict.get(name)
                ),
            ],
            "methods": ["EXAMINE"],
            "types": ["control-objective"],
            "subjects": [
                {
                    "subject-uuid": self._uid(
                        "component", str(self.version.document["kind"]), self.version.id
                    ),
                    "type": "component",
                }
            ],
            "collected": moment(str(tested)[:10] if tested else self.night),
        }

    def risks(self) -> list[Node]:
        """One per open finding and per contradicted field."""
        found = [
            {
                "uuid": self._uid("risk", self.key(view)),
                "title": line(self.key(view)),
                "description": markup(view["finding"].get("explanation") or "Deviation"),
                "statement": markup(_statement(view)),
                "props": [prop("severity", view["finding"]["severity"])],
                "status": "deviation-approved" if view.get("waiver") else "open",
                "related-observations": [
                    {"observation-uuid": self._uid("observation", self.key(view))}
                ],
            }
            for view in self.views
            if self.is_open(view)
        ]
        return found + [
            {
                "uuid": self._uid("risk-field", str(verdict["field"])),
                "title": line(f"Declared field {verdict['field']} and what was observed differ"),
                "description": markup(verdict.get("explanation") or "Deviation"),
                "statement": "Correct the declaration or what it describes.",
                "status": "open",
                "related-observations": [
                    {"observation-uuid": self._uid("field", str(verdict["field"]))}
                ],
            }
            for verdict in self.assessment.get("verdicts") or ()
            if verdict["verdict"] == "contradicted"
        ]

    def findings(self) -> list[Node]:
        """One per control that a check answers to."""
        by_control: dict[str, list[Mapping[str, Any]]] = {}
        for view in self.views:
            for control in view["finding"].get("controls") or ():
                by_control.setdefault(str(control), []).append(view)
        return [self._finding(key, views) for key, views in sorted(by_control.items())]

    def _finding(self, key: str, views: Sequence[Mapping[str, Any]]) -> Node:
        outcomes = [view["finding"]["outcome"] for view in views]
        applicable = [one for one in outcomes if one != Outcome.NOT_APPLICABLE.value]
        untested = sum(one not in _TESTED for one in applicable)
        failed = bool(_OPEN & set(outcomes))
        passed = bool(applicable) and not failed and not untested
        status = {
            "state": "satisfied" if passed else "not-satisfied",
            "reason": "fail" if failed else "pass" if passed else "other",
        }
        if not applicable:
            status["remarks"] = "Not tested."
        elif untested:
            status["remarks"] = f"{untested} of {len(applicable)} not tested."
        known = self.controls.get(key)
        title = known.title.get("en", key) if known else key
        found: Node = {
            "uuid": self._uid("finding", key),
            "title": line(title),
            "description": line(f"{len(views)} observations of control {key}"),
            "target": {"type": "objective-id", "target-id": key, "status": status},
            "related-observations": [
                {"observation-uuid": self._uid("observation", self.key(view))} for view in views
            ],
        }
        risks = [
            {"risk-uuid": self._uid("risk", self.key(view))} for view in views if self.is_open(view)
        ]
        return {**found, "related-risks": risks} if risks else found

    def resource(self) -> Node:
        """The signed document the assessment is about."""
        kind = str(self.version.document["kind"])
        return {
            "uuid": uid("resource", self.version.urn, self.version.digest),
            "title": line(self.version.urn),
            "rlinks": [
                {
                    "href": layout.versioned(kind, self.version.id, self.version.version),
                    "media-type": "application/json",
                    "hashes": [{"algorithm": "SHA-256", "value": self.version.digest}],
                }
            ],
        }


def _measured(measurement: Mapping[str, Any], group: str) -> list[Node]:
    value = measurement.get("value")
    if value is None:
        value = "undefined"
    elif isinstance(value, bool):
        value = str(value).lower()
    found = [
        prop("measurement", measurement["name"], group=group),
        prop("value", value, group=group),
    ]
    for name in ("unit", "n", "group", "reason"):
        if measurement.get(name) not in (None, ""):
            found.append(prop(name, measurement[name], group=group))
    threshold = measurement.get("threshold")
    if threshold:
        limit = f"{threshold['operator']} {threshold['value']} ({threshold['source']})"
        found.append(prop("threshold", limit, group=group))
    interval = measurement.get("interval")
    if interval:
        found.append(prop("interval", f"{interval[0]} to {interval[1]}", group=group))
    return found


def _statement(view: Mapping[str, Any]) -> str:
    """What to do about an open finding, or since when one is open that could not be tested."""
    if view.get("state") == _UNTESTED:
        return f"Open since the night of {view.get('since')}; it could not be tested in this night."
    return str(view["finding"].get("remediation") or "To be looked at.")
