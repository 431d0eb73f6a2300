"""Contacts of a night as a use of people's data that needs a permission."""

from __future__ import annotations

from nachweis.checks.permission._register import Use, true_in
from nachweis.domain.check import Inputs
from nachweis.domain.manifest import DataSet, FieldRole
from nachweis.domain.observation import Expression, Source


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
