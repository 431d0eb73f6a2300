"""Contacts of a night as a use of people's data that needs a permission."""

from __future__ import annotations

from typing import Any

from nachweis.checks.permission._register import Use, true_in
from nachweis.domain.check import Inputs
from nachweis.domain.manifest import DataSet, FieldRole
from nachweis.domain.observation import Expression, Source

_ELECTRONIC = ("app", "chat", "e-mail", "email", "mail", "messenger", "mms", "push", "sms")
_TELEPHONE = ("call", "phone", "telephone")
"""Channels as registers write them, in lower case; others need no basis of a certain kind."""


def contacted_in(log: DataSet) -> Expression | None:
    """Rows that are contacts, where the log says so."""
    column = log.field(FieldRole.CONTACTED)
    return true_in(column) if column else None


def contact_use(inputs: Inputs) -> Use:
    """The night's contacts, and the permission of the register that each needs."""
    log = inputs.data("scoring_log")
    rule = log.contact_permission if log else None
    if log is None or rule is None:
        raise LookupError("the need 'contact_permission' was not met")
    register = inputs.world.data_sets[rule.register_]
    fixed, matched, lacking = [], [], []
    if log.field(FieldRole.CHANNEL):
        matched.append(FieldRole.CHANNEL)
    elif rule.channel:
        fixed.append((FieldRole.CHANNEL, rule.channel))
    elif register.field(FieldRole.CHANNEL):
        lacking.append(f"'fields.channel' or 'contact_permission.channel' of {log.id}")
    if log.field(FieldRole.COUNTRY) and register.field(FieldRole.COUNTRY):
        matched.append(FieldRole.COUNTRY)
    if rule.purpose:
        fixed.append((FieldRole.PURPOSE, rule.purpose))
    elif register.field(FieldRole.PURPOSE):
        lacking.append(f"'contact_permission.purpose' of {log.id}")
    return Use(
        data_set=log,
        source=Source(log.id, "night"),
        register=register,
        night=inputs.night,
        fixed=tuple(fixed),
        matched=tuple(matched),
        at=None if log.time else inputs.night.end,
        where=contacted_in(log),
        max_age=rule.max_age,
        lacking=tuple(lacking),
    )


def basis_suffices(inputs: Inputs, register: DataSet) -> Expression | None:
    """Rows of the register whose basis permits advertising on their channel.

    Args:
        inputs: Inputs of a check with the parameters ``electronic_bases`` and ``telephone_bases``.
        register: The register.

    Returns:
        The filter; None where the register does not declare both basis and channel.
    """
    basis, channel = register.field(FieldRole.BASIS), register.field(FieldRole.CHANNEL)
    if basis is None or channel is None:
        return None
    rules = (
        (_ELECTRONIC, _names(inputs.param("electronic_bases"))),
        (_TELEPHONE, _names(inputs.param("telephone_bases"))),
    )

    def suffices(table: Any) -> Any:
        by, found = _written(table[channel]), _written(table[basis])
        (mail, by_mail), (phone, by_phone) = rules
        return (~by.isin(mail) | found.isin(by_mail)) & (~by.isin(phone) | found.isin(by_phone))

    return suffices


def _written(column: Any) -> Any:
    return column.cast("string").fill_null("").strip().lower()


def _names(listed: object) -> list[str]:
    return [name.strip().lower() for name in str(listed).split(",") if name.strip()]
