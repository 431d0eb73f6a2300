"""Comparisons that rest on no check: contracts by the calendar, stores, published notices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nachweis.domain.control import ControlCatalogue
from nachweis.domain.manifest import Activity, Verdict, World
from nachweis.domain.manifest.activity import Recipient
from nachweis.domain.place import EVIDENCE_STORE, PlaceFacts
from nachweis.domain.published import PublishedNotice
from nachweis.domain.record import Comparison, Pair, RecordField
from nachweis.pipeline.subjects import data_sets_of, part_and_key

Places = Mapping[str, Sequence[PlaceFacts]]

_NEED_CONTRACT = frozenset({"processor", "sub_processor", "joint_controller"})
_NOT_LOOKED_AT = PlaceFacts(problem="in no object store")
"""Stands for data of the activity that lie where no store can be asked."""
_STORE_MEASURES = frozenset({"ENC-REST", "ENC-TRANSIT", "ACCESS"})


def outside(
    field: RecordField,
    activity: Activity,
    world: World,
    night: dt.date,
    places: Places,
    notices: Sequence[PublishedNotice],
    *,
    later: bool = False,
) -> list[Comparison]:
    """Comparisons of a record's field that no check makes.

    Args:
        field: The field.
        activity: Its activity.
        world: All manifests.
        night: The night.
        places: Data-set id to the facts of its buckets.
        notices: Comparisons of the activity's published notice.
        later: Whether a later night is signed, so that what buckets and pages say today is not
            what they said in this one.

    Returns:
        The comparisons; empty where nothing outside the checks speaks about the field.
    """
    part, key = part_and_key(field)
    if part == "recipients":
        recipient = next((item for item in activity.recipients if item.id == key), None)
        return [_contract(recipient, night)] if recipient is not None else []
    if part == "clients":
        client = next((item for item in world.organisation.clients if item.id == key), None)
        why = "contract_is_declared" if client and client.contract else "no_contract"
        return [Comparison(rule="EV-CONTRACT", verdict=Verdict.NOT_TESTED, reason=why)]
    if later:
        return _observed_later(part, key, activity, world)
    own = _own_places(activity, world, places)
    if part == "transfers" and own:
        return [_transfers(activity, own, world.controls)]
    if part == "sovereignty" and own:
        return _host(activity, own, world.controls)
    if part == "toms" and own:
        return list(_measures(field, activity, own))
    if part in {"notice", "parties"}:
        return [_published(item, parties=part == "parties") for item in notices]
    return []


def _own_places(activity: Activity, world: World, places: Places) -> list[tuple[str, PlaceFacts]]:
    """Buckets of the activity's data sets, and the evidence store where it is declared.

    Data sets that lie elsewhere, wholly or in part, stand among them as not looked at; without
    any bucket there is nothing to compare.
    """
    data_sets = sorted(data_sets_of(activity, world))
    names = [name for name in data_sets if name in places]
    if EVIDENCE_STORE in activity.links.locations and EVIDENCE_STORE in places:
        names.append(EVIDENCE_STORE)
    found = [(name, facts) for name in names for facts in places[name]]
    if not found:
        return []
    return found + [
        (name, _NOT_LOOKED_AT)
        for name in data_sets
        if name not in places or not all(map(_in_a_bucket, world.data_sets[name].locations))
    ]


def _in_a_bucket(location: str) -> bool:
    return location.startswith("s3://")


def _observed_later(part: str, key: str, activity: Activity, world: World) -> list[Comparison]:
    """Say of what would have been looked at that today's look does not speak about the night."""
    stored = EVIDENCE_STORE in activity.links.locations or any(
        _in_a_bucket(location)
        for name in data_sets_of(activity, world)
        for location in world.data_sets[name].locations
    )
    rule = ""
    if part in {"transfers", "sovereignty"} and stored:
        rule = "EV-REGION"
    elif part == "toms" and key in _STORE_MEASURES and stored:
        rule = "EV-STORE"
    elif part in {"notice", "parties"} and activity.notice.copies:
        rule = "EV-NOTICE"
    if not rule:
        return []
    return [Comparison(rule=rule, verdict=Verdict.NOT_TESTED, reason="observed_later")]


# ------------------------------------------------------------------------------ contracts


def _contract(recipient: Recipient, night: dt.date) -> Comparison:
    """A contract's end by the calendar; that it is in date is declared, not observed."""
    if recipient.contract_until is not None:
        pair = Pair(
            what="contract until",
            declared=f"{recipient.contract_until:%Y-%m}",
            observed=f"{night:%Y-%m}",
            agrees=recipient.contract_until >= night,
        )
        expired = recipient.contract_until < night
        return Comparison(
            rule="EV-CONTRACT",
            verdict=Verdict.EXPIRED if expired else Verdict.NOT_TESTED,
            reason="contract_ended" if expired else "contract_is_declared",
            pairs=(pair,),
        )
    if recipient.kind not in _NEED_CONTRACT:
        return Comparison(
            rule="EV-CONTRACT", verdict=Verdict.NOT_APPLICABLE, reason="no_contract_needed"
        )
    why = "contract_without_end" if recipient.contract else "no_contract"
    return Comparison(rule="EV-CONTRACT", verdict=Verdict.NOT_TESTED, reason=why)


# -------------------------------------------------------------------------------- regions


def _country(region: str | None, controls: ControlCatalogue) -> str | None:
    known = controls.regions.get(region or "")
    return str(known["country"]) if known else None


def _regions(own: Iterable[tuple[str, PlaceFacts]]) -> Iterator[tuple[str, str | None]]:
    """Place and region, of the buckets themselves and of their replicas."""
    for name, facts in own:
        yield f"region of {name}", facts.region
        if facts.replicas is None:
            yield f"replication of {name}", None
        for region in facts.replicas or ():
            yield f"replication of {name}", None if region == "unknown" else region


def _transfers(
    activity: Activity, own: Sequence[tuple[str, PlaceFacts]], controls: ControlCatalogue
) -> Comparison:
    inside = {str(code) for code in controls.eea.get("countries", ())}
    declared = {item.country for item in activity.transfers if item.country}
    allowed = inside | declared
    said = "EEA" + (f", {', '.join(sorted(declared))}" if declared else "")
    return _compared_regions(own, controls, said, allowed)


def _host(
    activity: Activity, own: Sequence[tuple[str, PlaceFacts]], controls: ControlCatalogue
) -> list[Comparison]:
    if activity.sovereignty is None:
        return []
    country = activity.sovereignty.host_country
    return [_compared_regions(own, controls, country, {country})]


def _compared_regions(
    own: Sequence[tuple[str, PlaceFacts]],
    controls: ControlCatalogue,
    declared: str,
    allowed: set[str],
) -> Comparison:
    pairs = []
    for what, region in _regions(own):
        country = _country(region, controls)
        observed = f"{region} ({country})" if country else region
        agrees = country in allowed if country else None
        pairs.append(Pair(what=what, declared=declared, observed=observed, agrees=agrees))
    return _settled("EV-REGION", pairs, "region_unknown", own)


def _settled(
    rule: str, pairs: Sequence[Pair], why: str, own: Sequence[tuple[str, PlaceFacts]]
) -> Comparison:
    """A verdict that only full agreement confirms."""
    if any(pair.agrees is False for pair in pairs):
        verdict, reason = Verdict.CONTRADICTED, ""
    elif pairs and all(pair.agrees for pair in pairs):
        verdict, reason = Verdict.CONFIRMED, ""
    else:
        in_part = any(facts is _NOT_LOOKED_AT for _, facts in own)
        verdict, reason = Verdict.NOT_TESTED, "in_part" if in_part else why
    scope = ", ".join(sorted({name for name, facts in own if facts is not _NOT_LOOKED_AT}))
    return Comparison(rule=rule, verdict=verdict, reason=reason, scope=scope, pairs=tuple(pairs))


# ------------------------------------------------------------------------------- measures


def _measures(
    field: RecordField, activity: Activity, own: Sequence[tuple[str, PlaceFacts]]
) -> Iterator[Comparison]:
    """Settings of the buckets against declared measures."""
    _, control = part_and_key(field)
    declared = [item for item in activity.toms if item.control == control]
    pairs: list[Pair] = []
    for name, facts in own:
        if control == "ENC-REST":
            wanted = next(
                (item.expected["algorithm"] for item in declared if "algorithm" in item.expected),
                None,
            )
            found = facts.encryption
            agrees = None if found is None else found != "none" and wanted in {None, found}
            pairs.append(
                Pair(
                    what=f"encryption of {name}",
                    declared=str(wanted) if wanted else "encrypted",
                    observed=found,
                    agrees=agrees,
                )
            )
        elif control == "ENC-TRANSIT":
            pairs.append(_switch(f"requests without TLS refused by {name}", facts.tls_only))
        elif control == "ACCESS":
            pairs.append(_switch(f"public access blocked by {name}", facts.public_access_blocked))
    if pairs:
        yield _settled("EV-STORE", pairs, "store_does_not_say", own)


def _switch(what: str, found: bool | None) -> Pair:
    return Pair(what=what, declared=True, observed=found, agrees=found)


# --------------------------------------------------------------------------------- notices


def _published(item: PublishedNotice, *, parties: bool) -> Comparison:
    scope = f"notice.{item.language}"
    if item.problem:
        return Comparison(
            rule="EV-NOTICE", verdict=Verdict.NOT_TESTED, reason=item.problem, scope=scope
        )
    wanted, found = (item.parties, item.parties_found) if parties else (item.paragraphs, item.found)
    if wanted == 0:
        return Comparison(
            rule="EV-NOTICE",
            verdict=Verdict.NOT_TESTED,
            reason="notice_names_none",
            scope=scope,
        )
    pairs = [
        Pair(
            what="parties named in the published notice"
            if parties
            else "paragraphs of the published notice",
            declared=wanted,
            observed=found,
            agrees=wanted == found,
        )
    ]
    if not parties:
        pairs.append(
            Pair(
                what="SHA-256 of the generated text",
                declared=item.generated_digest,
                observed=item.generated_digest if wanted == found else None,
                agrees=wanted == found or None,
            )
        )
    return Comparison(
        rule="EV-NOTICE",
        verdict=Verdict.CONFIRMED if wanted == found else Verdict.CONTRADICTED,
        scope=scope,
        pairs=tuple(pairs),
    )


def located(own: Places) -> list[Pair]:
    """What the stores said about themselves, for a row of what was observed."""
    pairs = []
    for name, many in sorted(own.items()):
        for facts in many:
            for what, value in (
                ("region", facts.region),
                ("replicated to", ", ".join(facts.replicas) if facts.replicas else None),
                ("encryption", facts.encryption),
                ("versions kept", facts.versioning),
                ("public access blocked", facts.public_access_blocked),
            ):
                pairs.append(Pair(what=f"{what}: {name}", declared=None, observed=value))
    return pairs
