"""``nachweis init``: draft manifests from a data file, for a person to correct.

Guesses are made from column names only; no value is read into a manifest. Each guess is marked
with a comment, and everything that nobody can guess is left out, so that ``nachweis lint`` and
the draft documents name it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from nachweis.domain.errors import ManifestError, NachweisError
from nachweis.domain.manifest import Column, ColumnType


@dataclass(frozen=True, slots=True)
class Guess:
    """A guessed category of personal data."""

    category: str
    text: Mapping[str, str]
    dpv: str
    names: str
    """Regular expression over the parts of a column name."""
    direct_identifier: bool = False


GUESSES: tuple[Guess, ...] = (
    Guess("email", {"en": "E-mail address", "de": "E-Mail-Adresse", "da": "E-mailadresse"},
          "pd:EmailAddress", r"e?mail", direct_identifier=True),
    Guess("phone", {"en": "Telephone number", "de": "Telefonnummer", "da": "Telefonnummer"},
          "pd:TelephoneNumber", r"phone|tel|telefon|tlf|mobile?|handy|mobil|fax",
          direct_identifier=True),
    Guess("name", {"en": "Name", "de": "Name", "da": "Navn"}, "pd:Name",
          r"(first|last|sur|full|vor|nach|for|efter)?(name|navn)", direct_identifier=True),
    Guess("national-id",
          {"en": "National identification number", "de": "Nationale Kennnummer",
           "da": "Nationalt identifikationsnummer"},
          "pd:OfficialID", r"cpr|ssn|steuerid|steuer|passport|pas", direct_identifier=True),
    Guess("bank-account", {"en": "Bank account", "de": "Bankverbindung", "da": "Bankkonto"},
          "pd:BankAccount", r"iban|bic|konto|account", direct_identifier=True),
    Guess("online-identifier",
          {"en": "Online identifier", "de": "Online-Kennung", "da": "Onlineidentifikator"},
          "pd:IPAddress", r"ip|cookie|device|idfa|gaid", direct_identifier=True),
    Guess("address", {"en": "Postal address", "de": "Postanschrift", "da": "Postadresse"},
          "pd:PostalCode",
          r"street|strasse|straße|vej|gade|address|adresse|zip|plz|post(code|nr|leitzahl)?|city|ort|by"),
    Guess("age", {"en": "Age or date of birth", "de": "Alter oder Geburtsdatum",
                  "da": "Alder eller fødselsdato"},
          "pd:Age", r"age|alter|alder|birth|dob|geburt(sdatum)?|fødsel(sdato)?|foedsel"),
    Guess("gender", {"en": "Gender", "de": "Geschlecht", "da": "Køn"}, "pd:Gender",
          r"gender|sex|geschlecht|køn|koen"),
    Guess("purchases", {"en": "Purchases and orders", "de": "Käufe und Bestellungen",
                        "da": "Køb og ordrer"},
          "pd:PurchasesAndSpendingHabit",
          r"order|orders|purchase|basket|revenue|spend|spent|umsatz|bestell(ung|ungen)?|køb|ordre"),
    Guess("communication", {"en": "Communication content", "de": "Kommunikationsinhalte",
                            "da": "Kommunikationsindhold"},
          "pd:Communication", r"message|text|body|comment|ticket|chat|nachricht|besked|subject"),
    Guess("customer-id", {"en": "Customer number", "de": "Kundennummer", "da": "Kundenummer"},
          "pd:Identifying",
          r"(customer|client|user|person|member|kunde|kunden|subject)(id|nr|no|key|number)?"),
)  # fmt: skip

TO_DO: Mapping[str, str] = {"en": "TO DO", "de": "NOCH AUSZUFÜLLEN", "da": "MANGLER"}
"""Stands where a person has to write a text; ``nachweis lint`` warns as long as it does."""
TO_DO_EMAIL = "to-do@example.com"

_FIELDS: Mapping[str, str] = {
    "score": r"score|probability|proba|prob|p_hat",
    "prediction": r"prediction|predicted|decision|selected|yhat|y_pred",
    "label": r"label|target|outcome|y|churned|converted",
    "key": r"(decision|request|event|row|score)_?id|id|key",
    "contacted": r"contacted|sent|mailed",
    "eligible": r"eligible",
    "arm": r"arm|treatment|variant",
    "model_version": r"model_version|version",
}
_MODEL_ID = r"[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?"
"""Form of an id that leaves room for the endings of the other drafts' ids."""
_TIME = (
    r"(scored|created|event|updated|decided|time)(_?(at|on|time|date))?"
    r"|timestamp|ts|date|datum|dato"
)


def _parts(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-zæøåäöü])(?=[A-Z])", "_", name)
    return [part for part in re.split(r"[^0-9a-zæøåäöüß]+", spaced.lower()) if part]


def guess_category(name: str) -> Guess | None:
    """Guess a column's category of personal data from its name.

    Args:
        name: Column name in any usual style.

    Returns:
        The first category one of whose words is a part of the name, or None.
    """
    parts = _parts(name)
    candidates = {
        *parts,
        "".join(parts),
        *("".join(pair) for pair in pairwise(parts)),
    }
    for guess in GUESSES:
        if any(re.fullmatch(guess.names, part) for part in candidates):
            return guess
    return None


def guess_field(role: str, columns: Sequence[Column]) -> str | None:
    """Column that looks like a meaning, for example ``score``; None if none or several do."""
    found = [c.name for c in columns if re.fullmatch(_FIELDS[role], "_".join(_parts(c.name)))]
    return found[0] if len(found) == 1 else None


def guess_time(columns: Sequence[Column]) -> str | None:
    """The only date or timestamp column, or the one whose name says so."""
    timed = [c for c in columns if c.type in {ColumnType.DATE, ColumnType.TIMESTAMP}]
    named = [c for c in timed if re.fullmatch(_TIME, "_".join(_parts(c.name)))]
    choice = named if len(named) == 1 else timed
    return choice[0].name if len(choice) == 1 else None


@dataclass(frozen=True, slots=True)
class Draft:
    """Draft files: path relative to the target folder to content."""

    files: Mapping[str, str]
    guessed: tuple[str, ...]
    """What was guessed, in sentences."""


def draft_world(
    columns: Sequence[Column],
    *,
    location: str,
    model_id: str,
    kind: str,
    languages: Sequence[str],
    country: str,
    table: str | None = None,
) -> Draft:
    """Draft an organisation, an activity, a model and its scoring log.

    Args:
        columns: Columns of the data file with their types.
        location: Path of the data file as it shall stand in the manifest.
        model_id: Id of the model.
        kind: Kind of the model.
        languages: Languages of the organisation.
        country: Country of the main establishment.
        table: Table of the data file, where it is a database.

    Returns:
        The files and what was guessed.

    Raises:
        NachweisError: If the id cannot be one.
    """
    if not re.fullmatch(_MODEL_ID, model_id):
        raise NachweisError(
            f"{model_id!r} cannot be the id of a model",
            where="--model",
            remedy="use lower-case letters, digits and hyphens, for example newsletter-uplift",
        )
    data_set_id, activity_id = f"{model_id}-scoring", f"{model_id}-activity"
    fields = {role: name for role in _FIELDS if (name := guess_field(role, columns))}
    time = guess_time(columns)
    guesses = {column.name: guess for column in columns if (guess := guess_category(column.name))}
    special = {*fields.values(), *([time] if time else [])}
    key = next((n for n, g in guesses.items() if g.category == "customer-id"), None)

    def text(**values: str) -> dict[str, str]:
        return {language: values.get(language, values["en"]) for language in languages}

    todo = text(**TO_DO)
    data_set: dict[str, Any] = {
        "id": data_set_id,
        "title": text(en="Scoring log", de="Protokoll der Bewertungen", da="Scoringlog"),
        "role": "scoring_log",
        "location": location,
        **({"table": table} if table else {}),
        "columns": [_column(column, guesses, special) for column in columns],
        **({"fields": fields} if fields else {}),
        **({"time": {"column": time}} if time else {}),
        **({"subject_key": {"column": key}} if key else {}),
    }
    categories = [
        {
            "id": guess.category,
            "text": {language: guess.text[language] for language in languages},
            "dpv": guess.dpv,
            "columns": [
                f"{data_set_id}.{name}" for name, other in guesses.items() if other is guess
            ],
        }
        for guess in GUESSES
        if guess in guesses.values()
    ]
    model = {
        "id": model_id,
        "title": text(en=model_id, de=model_id, da=model_id),
        "kind": kind,
        "unit": "person",
        "stage": "draft",
        "owner": "model-owner",
        "activities": [activity_id],
        "data": {"scoring_log": data_set_id},
    }
    activity = {
        "id": activity_id,
        "title": todo,
        "status": "planned",
        "owner": "model-owner",
        "models": [model_id],
        "purposes": [{"id": f"{model_id}-purpose", "text": todo, "models": [model_id]}],
        **({"data_categories": categories} if categories else {}),
    }
    organisation = {
        "id": "organisation",
        "role": "controller",
        "controller": {
            "legal_name": todo[languages[0]],
            "address": todo[languages[0]],
            "country": country,
            "email": TO_DO_EMAIL,
        },
        "roles": [
            {
                "id": "model-owner",
                "title": text(en="Model owner", de="Modellverantwortung", da="Modelansvarlig"),
                "kind": "owner",
            }
        ],
        "countries": [country],
        "establishment": country,
        "languages": list(languages),
    }
    files = {
        "manifests/organisation.yaml": _dump(organisation, "organisation", ".."),
        f"manifests/activities/{activity_id}.yaml": _dump(activity, "activity"),
        f"manifests/models/{model_id}.yaml": _dump(model, "model"),
        f"manifests/datasets/{data_set_id}.yaml": _dump(data_set, "dataset"),
    }
    said = [f"{name}: {guess.text['en'].lower()}" for name, guess in guesses.items()]
    said += [f"{name}: {role.replace('_', ' ')}" for role, name in fields.items()]
    if time:
        said.append(f"{time}: time of the row")
    return Draft(files, tuple(said))


def _column(column: Column, guesses: Mapping[str, Guess], special: set[str]) -> dict[str, Any]:
    guess = guesses.get(column.name)
    identifying = guess is not None and (guess.direct_identifier or guess.category == "customer-id")
    return {
        "name": column.name,
        "type": column.type.value,
        **({"category": guess.category} if guess else {}),
        **({"direct_identifier": True} if guess and guess.direct_identifier else {}),
        **({"feature": True} if not identifying and column.name not in special else {}),
    }


def _dump(content: Mapping[str, Any], schema: str, up: str = "..") -> str:
    head = f"# yaml-language-server: $schema={up}/schema/{schema}.schema.json\n"
    if schema == "organisation":
        head = f"# yaml-language-server: $schema=schema/{schema}.schema.json\n"
    note = "# Drafted from a data file: every line is a guess for a person to correct.\n"
    body = yaml.dump(
        dict(content), Dumper=_NoAliases, sort_keys=False, allow_unicode=True, width=98
    )
    return head + note + body


class _NoAliases(yaml.SafeDumper):
    """Manifests are read without aliases, so that none are written."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_draft(draft: Draft, folder: Path) -> tuple[list[str], list[str]]:
    """Write draft files; existing ones are kept, except that nothing is half-written.

    Args:
        draft: The draft.
        folder: Target folder.

    Returns:
        Written files and kept files, as relative paths.

    Raises:
        NachweisError: If a model or data-set manifest of this id exists already.
    """
    taken = [
        name
        for name in draft.files
        if not name.endswith("organisation.yaml") and (folder / name).exists()
    ]
    if taken:
        raise ManifestError(
            "a manifest of this name exists already",
            where=", ".join(taken),
            remedy="choose another --model id, or delete the draft first",
        )
    written, kept = [], []
    for name, content in draft.files.items():
        path = folder / name
        if path.exists():
            kept.append(name)
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        except OSError as error:
            raise NachweisError(
                f"cannot be written ({error.strerror})", where=str(path), remedy="check the folder"
            ) from error
        written.append(name)
    return written, kept
