"""The errors a person can meet: what happened, where, what to do, and the valid names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NachweisError(Exception):
    """Base of all errors of this package; picklable, without data values in its message.

    Args:
        what: What is wrong, in one sentence, without any value read from a data set.
        where: File, field, line, object key or data set the error belongs to.
        remedy: What a person can do about it.
        valid: The valid names, where the error is about an unknown one.
    """

    exit_code = 2

    def __init__(
        self, what: str, *, where: str = "", remedy: str = "", valid: Iterable[str] = ()
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy
        self.valid = tuple(valid)

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.remedy:
            parts.append(f"What to do: {self.remedy}")
        if self.valid:
            parts.append(f"Valid names: {', '.join(self.valid)}")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.remedy, self.valid))


def _rebuild(
    kind: type[NachweisError], what: str, where: str, remedy: str, valid: tuple[str, ...]
) -> NachweisError:
    return kind(what, where=where, remedy=remedy, valid=valid)


class ManifestError(NachweisError):
    """A manifest, suite or control file is malformed or refers to something unknown."""


class CheckDefinitionError(NachweisError):
    """A check file breaks the check contract; raised when the class is defined or discovered."""


class DataError(NachweisError):
    """A data set is missing, unreadable or not of its declared form."""


class UndefinedError(NachweisError):
    """A statistic is not defined for these data; a check reports it as ``not_available``."""


class DataUnavailableError(DataError):
    """A data set could not be reached; trying again may help."""


class NotDeliveredError(DataError):
    """There is no file where a data set, or the night's part of it, should lie."""


class BudgetExceededError(NachweisError):
    """A task sent more queries to a data set's window than the plan allows."""


class StoreError(NachweisError):
    """The object store refused, lied or could not be reached."""


class StoreUnavailableError(StoreError):
    """The object store could not be reached or is not ready; trying again may help."""


class StoreConflictError(StoreError):
    """An immutable key already holds other bytes."""


class IntegrityError(NachweisError):
    """A digest, signature or chain does not verify."""


class RemovedError(IntegrityError):
    """A signed document was withdrawn or disposed of, as an entry of the ledger says."""


class LeakError(NachweisError):
    """The leak gate found what looks like personal data in a document."""


class SettingsError(NachweisError):
    """A setting is missing or malformed."""


def suggestion(name: str, valid: Iterable[str]) -> str:
    """Give the closest valid name as a sentence, or an empty string.

    Args:
        name: The unknown name.
        valid: All valid names.

    Returns:
        ``'did you mean "x"?'`` or ``''``.
    """
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else ""
