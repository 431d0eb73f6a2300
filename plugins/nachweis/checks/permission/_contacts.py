"""Contacts of a night as a use of people's data that needs a permission."""

from __future__ import annotations

from typing import Any

from nachweis.checks.permission._register import Use, true_in
from nachweis.domain.check import Inputs, Param
from nachweis.domain.manifest import DataSet, FieldRole
from nachweis.domain.observation import Expression, Source

_NEVER_BY_TELEPHONE = frozenset({"none", "soft_opt_in"})
"""Advertising to customers is a ground for electronic mail only (UWG § 7(3), MFL § 10(2))."""

CHANNELS = (
    Param(
        "electronic_channels",
        "email,e-mail,e_mail,mail,e-post,epost,newsletter,nyhedsbrev,sms,mms,rcs,text message,"
        "textnachricht,sms-besked,whatsapp,messenger,telegram,signal,viber,chat,app,in-app,push,"
        "push notification,push-nachricht,pushbesked",
        "values of fields.channel, separated by commas",
        "UWG § 7(2) no. 2 and § 7(3), MFL § 10(1)-(2)",
        "Channels that are electronic mail; case and blanks around a name do not count.",
    ),
    Param(
        "telephone_channels",
        "phone,telephone,phone call,telephone call,call,voice,mobile,mobile phone,cell,cellphone,"
        "cellular,landline,telefon,telefonisch,telefonanruf,anruf,mobil,handy,festnetz,"
        "mobiltelefon,opkald,telefonopkald,fastnet,fax,telefax",
        "values of fields.channel, separated by commas",
        "UWG § 7(2) no. 1 and 2, FAL § 4(1), MFL § 10(1)",
        "Channels that are calls, and fax, for which being a customer does not suffice either.",
    ),
    Param(
        "free_channels",
        "post,postal,postal mail,mail-by-post,direct mail,letter,postcard,catalogue,brief,"
        "briefpost,postkarte,katalog,brev,postkort",
        "values of fields.channel, separated by commas",
        "UWG § 7(1)",
        "Channels that need no basis of a certain kind.",
    ),
)
"""Words for channels in English, German and Danish; a channel on no list is judged by nobody."""


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
        inputs: Inputs of a check with the parameters of :data:`CHANNELS`, ``electronic_bases``
            and ``telephone_bases``.
        register: The register.

    Returns:
        The filter, which lets channels on no list pass (see :func:`on_unlisted_channel`); None
        where the register does not declare both basis and channel.
    """
    basis, channel = register.field(FieldRole.BASIS), register.field(FieldRole.CHANNEL)
    if basis is None or channel is None:
        return None
    mail, phone = (_names(inputs, f"{kind}_channels") for kind in ("electronic", "telephone"))
    by_mail = _names(inputs, "electronic_bases")
    by_phone = [
        name for name in _names(inputs, "telephone_bases") if name not in _NEVER_BY_TELEPHONE
    ]

    def suffices(table: Any) -> Any:
        by, found = _written(table[channel]), _written(table[basis])
        return (~by.isin(mail) | found.isin(by_mail)) & (~by.isin(phone) | found.isin(by_phone))

    return suffices


def on_unlisted_channel(inputs: Inputs, use: Use) -> Expression | None:
    """How many contacts went through a channel on no list, so that no basis was asked for.

    Args:
        inputs: Inputs of a check with the parameters of :data:`CHANNELS`.
        use: The contacts.

    Returns:
        The count; None where the basis is not compared at all.
    """
    if basis_suffices(inputs, use.register) is None:
        return None
    listed = [name for one in CHANNELS for name in _names(inputs, one.name)]
    own, contacted = use.data_set.field(FieldRole.CHANNEL), use.where
    fixed = dict(use.fixed).get(FieldRole.CHANNEL, "").strip().lower()

    def unlisted(table: Any) -> Any:
        if own is None:
            return table.count(where=contacted(table) if contacted else None) * int(
                fixed not in listed
            )
        strange = ~_written(table[own]).isin(listed)
        return table.count(where=contacted(table) & strange if contacted else strange)

    return unlisted


def _written(column: Any) -> Any:
    return column.cast("string").fill_null("").strip().lower()


def _names(inputs: Inputs, param: str) -> list[str]:
    listed = str(inputs.param(param))
    return [name.strip().lower() for name in listed.split(",") if name.strip()]
