"""Ledgers of erased people that can themselves be forgotten: one secret per period, destroyable.

A ledger has to recognise a person who comes back, and must not become a list of the people who were
erased. So it holds keyed hashes only. Each period (a year by default) has a data set of its own and
a secret of its own, in a folder that is no part of the world or the store. Once the secret is
destroyed, nobody can tell from the entries who they were about, and that period can no longer be
searched: the check says so.
"""

from __future__ import annotations

import csv
import datetime as dt
import fcntl
import hmac
import io
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nachweis.domain.errors import NachweisError, suggestion
from nachweis.domain.manifest import DataSet, DataSetRole
from nachweis.pipeline.load import FOLDERS, Loaded, load_world
from nachweis.settings import Settings

_PERIOD = re.compile(r"[0-9]{4}(?:-(?:q[1-4]|[0-9]{2}))?")
_NAME = re.compile(r"NACHWEIS_ERASURE_[0-9]{4}(?:_(?:Q[1-4]|[0-9]{2}))?")
_SECRET = re.compile(r"[0-9a-f]{64}")
LONGEST_KEY = 1000


@dataclass(frozen=True, slots=True)
class Period:
    """One period's ledger.

    Attributes:
        period: Its name, for example ``2026`` or ``2026-q3``.
        entries: How many people it names.
        state: ``searchable``, ``shredded``, or ``secret missing``.
    """

    period: str
    entries: int
    state: str


def period_secrets(settings: Settings) -> dict[str, str]:
    """The secrets of all periods, under the names that manifests give them (``key_env``).

    A secret that cannot be read, or is none, is left out: it costs the search of its period, which
    says so, and nothing else.

    Args:
        settings: Names the folder.
    """
    found = {}
    try:
        paths = sorted(_folder(settings).iterdir())
    except OSError:
        return {}
    for path in paths:
        if _NAME.fullmatch(path.name):
            try:
                text = path.read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError):
                continue
            if _SECRET.fullmatch(text):
                found[path.name] = text
    return found


def add(
    settings: Settings,
    keys: Iterable[str],
    *,
    period: str | None = None,
    owner: str | None = None,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> tuple[str, int]:
    """Enter people whose data were erased; who is in the period's ledger already stays as they are.

    Args:
        settings: Settings.
        keys: Subject keys, spelled as the data sets spell them.
        period: Period; default is the year of today.
        owner: Role that owns a new ledger; default is the organisation's first.
        now: Clock.

    Returns:
        The period and how many people were entered.

    Raises:
        NachweisError: If a key is no key, the period is none or was shredded, or its secret is
            missing; nothing is entered then.
    """
    people = _clean(keys)
    loaded = load_world(settings)
    name = _demand_period(period or f"{now():%Y}")
    roles = [role.id for role in loaded.world.organisation.roles]
    if owner is not None and owner not in roles:
        raise NachweisError("there is no such role", where=owner, valid=roles)
    world = _world(settings, loaded)
    manifest, ledger = _manifest(world, name), world / _location(name)
    with _alone(settings):
        known = ledger.exists() or manifest.exists()
        secret = _secret(settings, name, known=known, shredded=_is_shredded(manifest))
        rows = _rows(ledger)
        hashes = {hmac.digest(secret, one.encode(), "sha256").hex() for one in people}
        fresh = sorted(hashes - {row[0] for row in rows})
        if fresh or not ledger.exists():
            at = f"{now():%Y-%m-%d %H:%M:%S}"
            _replace(ledger, _text([*rows, *([one, at] for one in fresh)]))
        if not manifest.exists():  # last, since it needs what it names
            _write_manifest(manifest, loaded, name, owner)
    return name, len(fresh)


def shred(
    settings: Settings,
    period: str,
    *,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> Period:
    """Destroy the secret of a period; it cannot be undone.

    The manifest says so first: whoever is interrupted shreds again.

    Args:
        settings: Settings.
        period: The period.
        now: Clock.

    Returns:
        The period as it is afterwards.

    Raises:
        NachweisError: If there is no such period.
    """
    loaded = load_world(settings)
    name = _demand_period(period)
    known = {item.period: item for item in periods(settings)}
    if name not in known:
        raise NachweisError(
            "no ledger of this period was made here",
            where=period,
            remedy=suggestion(name, known),
            valid=sorted(known),
        )
    path = _manifest(_world(settings, loaded), name)
    with _alone(settings):
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        content["subject_key"].setdefault("shredded_on", now().date())
        _replace(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))
        _destroy(_folder(settings) / _variable(name))
    return Period(name, known[name].entries, "shredded")


def _destroy(key: Path) -> None:
    """Overwrite a secret and delete it; whoever was interrupted does so again."""
    if key.exists():
        try:
            with key.open("r+b") as stream:  # most disks write in place; none promises to
                stream.write(secrets.token_bytes(max(1, key.stat().st_size)))
                stream.flush()
                os.fsync(stream.fileno())
            key.unlink()
        except OSError as error:
            raise NachweisError(
                f"the secret cannot be destroyed ({error.strerror})", where=str(key)
            ) from error


def periods(settings: Settings) -> list[Period]:
    """All periods that have a ledger here, oldest first.

    Args:
        settings: Settings.
    """
    loaded = load_world(settings)
    world, held = _world(settings, loaded), period_secrets(settings)
    found = []
    for data_set in loaded.world.data_sets.values():
        name = data_set.id.removeprefix("erasures-")
        if data_set.role is not DataSetRole.ERASURE_LEDGER or not _PERIOD.fullmatch(name):
            continue
        entries = len(_rows(world / _location(name)))
        found.append(Period(name, entries, _state(data_set, held)))
    return sorted(found, key=lambda one: one.period)


# ------------------------------------------------------------------------------- inside


def _state(data_set: DataSet, held: Mapping[str, str]) -> str:
    key = data_set.subject_key
    if key is not None and key.shredded_on is not None:
        return "shredded"
    return "searchable" if key is not None and key.key_env in held else "secret missing"


def _clean(keys: Iterable[str]) -> list[str]:
    people = [one.strip() for one in keys]
    for number, one in enumerate(people, 1):
        if len(one) > LONGEST_KEY or not one.isprintable():
            # Never the key itself: it is a person's.
            raise NachweisError(
                "not a subject key",
                where=f"line {number}",
                remedy="write one key per line, spelled as the data sets spell it",
            )
    return [one for one in people if one]


def _demand_period(text: str) -> str:
    name = text.strip().lower()
    if not _PERIOD.fullmatch(name):
        raise NachweisError(
            "not a period", where=text, remedy="write a year, quarter or month: 2026, 2026-q3, "
            "2026-09",
        )  # fmt: skip
    return name


def _variable(period: str) -> str:
    return f"NACHWEIS_ERASURE_{period.replace('-', '_').upper()}"


def _folder(settings: Settings) -> Path:
    return settings.erasure_keys or settings.state / "keys" / "erasure"


def _location(period: str) -> str:
    return f"data/erasures-{period}.csv"


def _world(settings: Settings, loaded: Loaded) -> Path:
    origin = loaded.origins.get(("organisation", ""))
    return origin.folder if origin else settings.world_folders[0]


def _manifest(world: Path, period: str) -> Path:
    return world / FOLDERS["data_sets"][0] / f"erasures-{period}.yaml"


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Let one process at a time change ledgers and secrets."""
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _is_shredded(manifest: Path) -> bool:
    if not manifest.exists():
        return False
    content = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    return "shredded_on" in content.get("subject_key", {})


def _secret(settings: Settings, period: str, *, known: bool, shredded: bool) -> bytes:
    """The period's secret, made for a new period; one that is gone is not made anew."""
    path = _folder(settings) / _variable(period)
    held = period_secrets(settings).get(path.name)
    if held is not None and not shredded:
        return bytes.fromhex(held)
    if known or path.exists():
        raise NachweisError(
            "the secret of this period was destroyed, is not on this machine or cannot be read",
            where=str(path),
            remedy="enter people into another period, for example a quarter; or set "
            "NACHWEIS_ERASURE_KEYS to the folder that holds it",
        )
    made = secrets.token_bytes(32)
    draft = path.with_name(f".{path.name}.new")  # complete, or not there at all
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(made.hex())
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    return made


def _write_manifest(path: Path, loaded: Loaded, period: str, owner: str | None) -> None:
    organisation = loaded.world.organisation
    titles = {
        "en": f"People erased in {period}, keyed hashes only",
        "de": f"Gelöschte Personen {period}, nur Hashwerte mit geheimem Schlüssel",
        "da": f"Slettede personer {period}, kun nøglebaserede hashværdier",
    }
    content = {
        "id": f"erasures-{period}",
        "title": {language: titles[language] for language in organisation.languages},
        "role": DataSetRole.ERASURE_LEDGER.value,
        "owner": owner or organisation.roles[0].id,
        "location": _location(period),
        "columns": [
            {"name": "subject_key", "type": "string", "nullable": False},
            {"name": "erased_at", "type": "timestamp", "nullable": False},
        ],
        "subject_key": {
            "column": "subject_key",
            "form": "hmac_sha256",
            "key_env": _variable(period),
        },
        "fields": {"erased_at": "erased_at"},
        "time": {"column": "erased_at", "zone": "UTC"},
    }
    _replace(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))


def _rows(ledger: Path) -> list[list[str]]:
    if not ledger.exists():
        return []
    try:
        with ledger.open(encoding="utf-8", newline="") as stream:
            _, *rows = csv.reader(stream)
    except (OSError, ValueError, csv.Error) as error:
        raise NachweisError(
            f"the ledger cannot be read ({type(error).__name__})", where=str(ledger)
        ) from None
    return rows


def _text(rows: Iterable[Iterable[str]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["subject_key", "erased_at"])
    writer.writerows(rows)
    return stream.getvalue()


def _replace(path: Path, text: str) -> None:
    """Write a file completely or not at all."""
    draft = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise NachweisError(
            f"the file cannot be written ({error.strerror})", where=str(path)
        ) from error
