"""Observation requests: the closed set of things a check may ask to be looked at.

A check returns requests from ``observe`` and receives their results in ``judge``. Engines execute
requests of all checks of a subject together, so that each data set is scanned once. Results hold
counts, profiles and verdicts; they never leave the worker.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Expression = Callable[[Any], Any]
"""A function from an Ibis table to an Ibis expression; checks never import Ibis themselves."""

WindowName = Literal["night", "current", "whole", "span"]


@dataclass(frozen=True, slots=True)
class Source:
    """A data set seen through a window.

    Attributes:
        data_set: Id of a declared data set.
        window: ``night`` = the rows of the night; ``current`` = the model's declared current
            window, extended as declared when it holds too few rows; ``whole`` = all rows;
            ``span`` = the rows of ``span`` (all rows, where the data set knows no times).
        span: First moment and first moment after it, aware, for the window ``span``.
    """

    data_set: str
    window: WindowName = "whole"
    span: tuple[dt.datetime, dt.datetime] | None = None

    @property
    def label(self) -> str:
        """Name in logs and evidence: ``data-set:window``, with the dates of a span."""
        if self.span is None:
            return f"{self.data_set}:{self.window}"
        start, end = self.span
        return f"{self.data_set}:{start.date()}/{end.date()}"


NO_DATA_SET = Source("")
"""Source of requests that are about a file or a store."""


@dataclass(frozen=True, slots=True)
class Request:
    """Base of all requests.

    Attributes:
        name: Name under which ``judge`` finds the result; unique within one check and subject.
        source: What to look at.
    """

    name: str
    source: Source


@dataclass(frozen=True, slots=True)
class Scalar(Request):
    """One aggregate of a table, fused with all other scalars of the same source.

    Result: an int, float, bool, string of the schema, datetime or None.
    """

    expression: Expression


@dataclass(frozen=True, slots=True)
class Join:
    """Columns of another data set laid beside the rows of a source, at most one partner per row.

    Every row of the source stays; columns of rows without a partner are null. Where the other
    side holds a key more than once, the row with the latest ``time`` counts, else the largest
    value of each column, so that a duplicated key never multiplies rows. Null keys never match.

    Attributes:
        other: The other side.
        key: Left and right key column, hashed as :class:`Overlap` does where one side is.
        columns: New column name to column of the other side; new names must not exist on the left.
        where: Filter on the other side.
        time: Column of the other side that decides between several partners.
    """

    other: Source
    key: tuple[str, str]
    columns: tuple[tuple[str, str], ...]
    where: Expression | None = None
    time: str | None = None


def joins_of(join: Join | tuple[Join, ...] | None) -> tuple[Join, ...]:
    """None, one join or several, as several."""
    if join is None:
        return ()
    return (join,) if isinstance(join, Join) else join


@dataclass(frozen=True, slots=True)
class GroupedCounts(Request):
    """Row counts per combination of keys; requests with the same keys and filter share a query.

    Attributes:
        by: Key name to column name or expression (of the joined table, where there is a join).
        where: Optional row filter on the source, applied before the join.
        sums: Optional further sums per group, by name.
        join: Optional columns of another data set, for outcomes that arrive by key; or several
            such joins, each by a key column of the source.
        at_least: Leave out combinations with fewer rows, in the engine: for keys with very many
            values, of which only frequent ones matter.

    Result: :class:`CountTable`.
    """

    by: Mapping[str, str | Expression]
    where: Expression | None = None
    sums: Mapping[str, Expression] = field(default_factory=dict)
    join: Join | tuple[Join, ...] | None = None
    at_least: int = 0

    @property
    def joins(self) -> tuple[Join, ...]:
        """The joins, in order."""
        return joins_of(self.join)


@dataclass(frozen=True, slots=True)
class Profile(Request):
    """The distribution of one column. Result: :class:`ColumnProfile`."""

    column: str
    kind: Literal["numeric", "categorical", "auto"] = "auto"


@dataclass(frozen=True, slots=True)
class SuiteResult(Request):
    """Validate an expectation suite. Result: :class:`SuiteOutcome`."""

    suite: str


@dataclass(frozen=True, slots=True)
class Overlap(Request):
    """How many rows and keys of a source have a partner in another data set; counts only.

    A left row matches if some right row has the same key, equal values in ``match`` columns and,
    where ``left_time`` is given, ``right_from <= left_time`` and ``left_time`` before each
    non-null ``right_until`` column.

    Attributes:
        other: The right side.
        key: Left and right key column. If the right data set declares keyed hashes as its subject
            key, the worker hashes the left keys; the secret never enters a query.
        match: Further pairs of columns that must be equal.
        match_known: Further pairs that must be equal as texts, without regard to case and to
            blanks around them; a pair of which a value is missing or empty counts as equal.
        where: Filter on the left.
        other_where: Filter on the right.
        left_time: Time column of the left.
        right_from: Start of validity on the right.
        right_until: Ends of validity on the right (null = open).
        right_delay_days: Days added to ``right_from`` before it counts.
        unknown_counts: Whether a pair of which a time is missing matches: yes for lists that
            forbid, no for registers that allow.
        longest: Whether the longest time from ``right_from`` to ``left_time`` is wanted.

    Result: :class:`OverlapCounts`.
    """

    other: Source
    key: tuple[str, str]
    match: tuple[tuple[str, str], ...] = ()
    match_known: tuple[tuple[str, str], ...] = ()
    where: Expression | None = None
    other_where: Expression | None = None
    left_time: str | None = None
    right_from: str | None = None
    right_until: tuple[str, ...] = ()
    right_delay_days: int = 0
    unknown_counts: bool = False
    longest: bool = False


@dataclass(frozen=True, slots=True)
class SchemaOf(Request):
    """Column names and types as the engine sees them. Result: mapping of name to type name."""


@dataclass(frozen=True, slots=True)
class Sample(Request):
    """Rows chosen by a seeded hash of the key; never leaves the worker.

    Attributes:
        columns: Columns wanted; with ``join`` also the new names of joined ones.
        n: Rows wanted at most.
        seed: Chooses among samples.
        join: Optional columns of other data sets, as in :class:`GroupedCounts`.

    Result: mapping of column name to a NumPy array.
    """

    columns: tuple[str, ...]
    n: int
    seed: int = 0
    join: Join | tuple[Join, ...] | None = None

    @property
    def joins(self) -> tuple[Join, ...]:
        """The joins, in order."""
        return joins_of(self.join)


@dataclass(frozen=True, slots=True)
class ModelScores(Request):
    """Scores of a stored model (skops only) on a sample of the source.

    The file is loaded only if its digest is the declared one and it holds no types but trusted
    ones; it is never unpickled. Result: :class:`ScoredSample`.

    Attributes:
        uri: The model file.
        digest: Its declared SHA-256.
        columns: The model's inputs, in the order in which it was trained.
        n: Rows wanted at most.
        seed: Chooses among samples.
        beside: Further columns of the same rows that the model does not read.
    """

    uri: str
    digest: str
    columns: tuple[str, ...]
    n: int
    seed: int = 0
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fit(Request):
    """A small estimator fitted on a sample, with cross-validated scores."""

    target: str
    columns: tuple[str, ...]
    n: int
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TextScan(Request):
    """Identifiers in every text of a column: the engine filters, check digits are proved here.

    Attributes:
        column: Column with the texts.
        by: Optional column whose values split the counts, for example the speaker of a turn.
        own: Name and expression of the organisation's own identifiers, such as order numbers.
        harmless: Expressions of numbers that are no identifiers.
        allowed: Contacts of the organisation itself, which may occur.
        most: Texts whose check digits are proved at most; more are counted as unproved.

    Result: :class:`TextCounts`.
    """

    column: str
    by: str | None = None
    own: tuple[tuple[str, str], ...] = ()
    harmless: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    most: int = 200_000


@dataclass(frozen=True, slots=True)
class Artefact(Request):
    """Digest, format and opcode listing of a model artefact, read without loading it.

    The request is about a file and no data set: its source is :data:`NO_DATA_SET`.
    Result: :class:`ArtefactFacts`.
    """

    uri: str


@dataclass(frozen=True, slots=True)
class ArtefactSignature(Request):
    """A signature in the format of OpenSSF Model Signing, verified without a network.

    The request is about files and no data set: its source is :data:`NO_DATA_SET`.
    Result: :class:`SignatureFacts`.

    Attributes:
        uri: The model file.
        signature: The bundle.
        public_key: PEM text of the signer's public key.
        certificates: PEM text of the certificates that are trusted; used without a public key.
    """

    uri: str
    signature: str
    public_key: str | None = None
    certificates: str | None = None


@dataclass(frozen=True, slots=True)
class LockAudit(Request):
    """Pinned packages of a lock file against a vulnerability feed in OSV format.

    The request is about files and no data set: its source is :data:`NO_DATA_SET`.
    Result: :class:`LockAuditFacts`.

    Attributes:
        lock: The lock file.
        feed: JSON, JSON lines, or a zip of JSON files with OSV entries.
    """

    lock: str
    feed: str


@dataclass(frozen=True, slots=True)
class DataVersion(Request):
    """Version of a data set as this night reads it.

    Result: SHA-256 over its files, or ``unpinned`` or ``unreadable``.
    """


@dataclass(frozen=True, slots=True)
class ArtefactFolder(Request):
    """Stored models in the folders of declared artefacts, found by listing, read for digests only.

    Attributes:
        folders: Folders or ``s3://`` prefixes; relative ones start where the source's data do.
        below: The same, with everything below them.
        known: URIs of declared artefacts; a file that one of them names is told by it.

    Result: tuple of :class:`ArtefactFile`.
    """

    folders: tuple[str, ...]
    below: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreProbe(Request):
    """Settings of a bucket as the store reports them."""

    bucket: str


@dataclass(frozen=True, slots=True)
class History(Request):
    """Signed measurements of earlier nights for this check and subject, newest first.

    Attributes:
        nights: How many signed nights to look back.
        of: Another check of the same subject whose measurements are wanted; default is the asking
            check itself.

    Result: list of :class:`PastFinding`.
    """

    nights: int = 30
    of: str = ""


# ------------------------------------------------------------------------------------- results


@dataclass(frozen=True, slots=True)
class CountTable:
    """Counts per combination of keys.

    Attributes:
        keys: Names of the keys, in order.
        rows: Key values to count.
        sums: Name to (key values to sum).
        left_out: Number of combinations with fewer rows than ``at_least``; None where it was not
            counted, which it is only where ``at_least`` is given and no sums are.
    """

    keys: tuple[str, ...]
    rows: Mapping[tuple[Any, ...], int]
    sums: Mapping[str, Mapping[tuple[Any, ...], float]] = field(default_factory=dict)
    left_out: int | None = None

    @property
    def n(self) -> int:
        """All counted rows."""
        return sum(self.rows.values())

    def total(self, **values: Any) -> int:
        """Rows whose keys have these values.

        Args:
            **values: Key name to required value.

        Returns:
            The sum of the matching counts.
        """
        index = {name: self.keys.index(name) for name in values}
        return sum(
            count
            for row, count in self.rows.items()
            if all(row[index[name]] == value for name, value in values.items())
        )

    def values(self, key: str) -> list[Any]:
        """Distinct values of one key, None last, otherwise sorted by their text."""
        position = self.keys.index(key)
        found = {row[position] for row in self.rows}
        return sorted(found, key=lambda value: (value is None, str(value)))


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """A weighted empirical distribution of one column.

    Attributes:
        kind: ``numeric`` (support is sorted float64) or ``categorical`` (support is an object
            array of strings in sorted order).
        support: Distinct finite values, or bin representatives where ``exact`` is false.
        counts: Rows per support point, int64, all positive.
        nulls: Rows without a value (null or NaN).
        infinite: Rows with an infinite value.
        n: All rows, nulls and infinities included.
        exact: Whether each distinct value has its own support point.
    """

    kind: Literal["numeric", "categorical"]
    support: NDArray[Any]
    counts: NDArray[np.int64]
    nulls: int
    infinite: int
    n: int
    exact: bool = True

    @property
    def valid(self) -> int:
        """Rows with a finite value."""
        return self.n - self.nulls - self.infinite


@dataclass(frozen=True, slots=True)
class OverlapCounts:
    """Result of :class:`Overlap`.

    Attributes:
        rows: Left rows after the filter.
        keys: Distinct non-null left keys.
        rows_matched: Left rows with a partner.
        keys_matched: Distinct left keys with a partner.
        rows_without_key: Left rows whose key is null (counted in ``rows``, never matched).
        keys_unmatched: Distinct left keys with at least one row without a partner.
        longest_days: Days from the right's start to the left's time, longest among partners,
            where it was asked for and the times are known.
        rows_assumed: Left rows that have a partner only because values of ``match_known`` are
            missing (counted in ``rows_matched``).
    """

    rows: int
    keys: int
    rows_matched: int
    keys_matched: int
    rows_without_key: int = 0
    keys_unmatched: int = 0
    longest_days: float | None = None
    rows_assumed: int = 0

    @property
    def rows_unmatched(self) -> int:
        """Left rows without a partner."""
        return self.rows - self.rows_matched


@dataclass(frozen=True, slots=True)
class ExpectationOutcome:
    """One expectation's allow-listed projection; never a value of the data set.

    Attributes:
        index: Position in the suite file.
        type: Expectation type in snake case.
        column: Column, columns joined by a comma, or empty for table expectations.
        kwargs_digest: SHA-256 of the canonical kwargs.
        success: Verdict, or None if it raised.
        severity: ``critical``, ``warning`` or ``info``.
        element_count: Rows looked at, where the expectation counts rows.
        unexpected_count: Rows that do not meet it, where it counts rows.
        missing_count: Null rows, where it counts them.
        observed: A number that is not a value of a person, e.g. a row count; else None.
        error_type: Class name of the exception if it raised.
        engine: ``duckdb`` or ``pandas``.
    """

    index: int
    type: str
    column: str
    kwargs_digest: str
    success: bool | None
    severity: str
    element_count: int | None = None
    unexpected_count: int | None = None
    missing_count: int | None = None
    observed: float | int | None = None
    error_type: str | None = None
    engine: str = "duckdb"


@dataclass(frozen=True, slots=True)
class SuiteOutcome:
    """All expectations of a suite on one data set.

    Attributes:
        suite: Id of the suite.
        suite_digest: SHA-256 of the canonical suite.
        rows: Rows of the data set, where a table expectation or count gave it.
        expectations: One outcome per expectation, in suite order.
    """

    suite: str
    suite_digest: str
    rows: int | None
    expectations: tuple[ExpectationOutcome, ...]


@dataclass(frozen=True, slots=True)
class KindCount:
    """Identifiers of one kind in the texts of one group.

    Attributes:
        rows: Rows with at least one sure identifier.
        sure: Sure identifiers.
        possible: Bare numbers whose check digit is right.
        forms: Bare numbers of that form, whatever their check digit.
    """

    rows: int = 0
    sure: int = 0
    possible: int = 0
    forms: int = 0


@dataclass(frozen=True, slots=True)
class TextCounts:
    """Result of :class:`TextScan`; counts only, never a text.

    Attributes:
        rows: Rows with a text, by group; the group is None without ``by``.
        empty: Rows without a text.
        unproved: Rows that passed the filter and were not looked at more closely.
        found: Group and kind to what was found.
        rows_with: Rows with a sure identifier of any kind, by group.
    """

    rows: Mapping[Any, int]
    empty: int
    unproved: int
    found: Mapping[tuple[Any, str], KindCount]
    rows_with: Mapping[Any, int]


@dataclass(frozen=True, slots=True)
class ArtefactFile:
    """A stored model that was found.

    Attributes:
        uri: Where it lies, in the form in which manifests name artefacts.
        digest: SHA-256 (in S3 the object's entity tag), or None if it is not known.
    """

    uri: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class PastFinding:
    """A finding of an earlier, signed night: outcome and measurements only.

    Attributes:
        night: The night.
        outcome: Its outcome.
        column: Column it was about, if any.
        drifted: Whether a library's rule called it drifted.
        values: Measurement name to value.
        units: Measurement name to unit.
        limits: Measurement name to the number it was held against, where there was one.
    """

    night: str
    outcome: str
    column: str | None
    drifted: bool | None
    values: Mapping[str, float | int | str | bool | None]
    units: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoredSample:
    """A stored model and rows it was applied to; never leaves the worker.

    Attributes:
        columns: Input name to values, in the model's order.
        beside: Further columns of the same rows.
        classes: Labels of the score columns; empty where the model puts out one number.
        scores: One row per sampled row, one column per class (or one column).
        score: Applies the model to other values of the same columns.
    """

    columns: Mapping[str, NDArray[Any]]
    beside: Mapping[str, NDArray[Any]]
    classes: tuple[Any, ...]
    scores: NDArray[np.float64]
    score: Callable[[Mapping[str, NDArray[Any]]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class ArtefactFacts:
    """What a model file is, read without loading it.

    Attributes:
        digest: SHA-256 of the file.
        size: Bytes.
        format: ``skops``, ``onnx``, ``pickle``, ``joblib``, ``zip``, ``native`` or ``unknown``.
        refused: What was found that is not on the allow-list, in words; names of modules,
            functions and opcodes only.
        imports: How many names the file imports, where it can import at all.
        signatures: Endings of signature files found beside it.
        dangerous: How many names a second scanner (picklescan) holds to be dangerous; None where
            the file holds no pickle or the scanner has no opinion.
    """

    digest: str
    size: int
    format: str
    refused: tuple[str, ...] = ()
    imports: int = 0
    signatures: tuple[str, ...] = ()
    dangerous: int | None = None


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """What came of verifying a model's signature.

    Attributes:
        valid: Whether everything held; None where the signature is of a kind that is not verified.
        reason: Why it is not valid, or not verified: the end of a sentence, without file names.
        files: How many files it names.
        other: How many of them are missing or hold something else.
    """

    valid: bool | None
    reason: str = ""
    files: int = 0
    other: int = 0


@dataclass(frozen=True, slots=True)
class LockAuditFacts:
    """A lock file held against a vulnerability feed.

    Attributes:
        packages: Pinned packages.
        unpinned: Entries without one exact version, which cannot be looked up.
        entries: Entries of the feed about Python packages.
        newest: ISO date on which the newest entry was changed, or empty.
        known: Package, version and ids of its known vulnerabilities.
    """

    packages: int
    unpinned: int
    entries: int
    newest: str
    known: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class WindowFacts:
    """What the engine found when it resolved a window.

    Attributes:
        start: ISO timestamp, or empty for the whole data set.
        end: ISO timestamp, or empty.
        rows: Rows in the window.
        extended: Whether the window had to be widened to reach the declared minimum of rows.
    """

    start: str
    end: str
    rows: int
    extended: bool = False


T = TypeVar("T")


class Missing:
    """A request that could not be executed, with the reason; falsy.

    Args:
        reason: Why, without values of the data.
        retriable: Whether the surroundings failed (network, memory, a secret), not the data.
        absent: Whether what was asked for does not exist.
        crashed: Whether the check's own expression failed, which is a fault of the check.
    """

    __slots__ = ("absent", "crashed", "reason", "retriable")

    def __init__(
        self,
        reason: str,
        *,
        retriable: bool = False,
        absent: bool = False,
        crashed: bool = False,
    ) -> None:
        self.crashed = crashed
        self.reason = reason
        self.retriable = retriable
        self.absent = absent

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"Missing({self.reason!r})"


class ObservationMissingError(Exception):
    """Raised inside ``judge`` on access to a request that could not be executed.

    The runner turns it into a ``not_available`` finding; a check need not catch it.
    """

    def __init__(self, name: str, reason: str, *, crashed: bool = False) -> None:
        super().__init__(f"{name}: {reason}")
        self.crashed = crashed
        self.name = name
        self.reason = reason


class Observations:
    """Results of one check's requests by name, plus the facts of the windows they looked at.

    Args:
        results: Request name to result or :class:`Missing`.
        windows: Source to the facts of its resolved window.
    """

    def __init__(
        self, results: Mapping[str, Any], windows: Mapping[Source, WindowFacts] | None = None
    ) -> None:
        self._results = dict(results)
        self._windows = dict(windows or {})

    def __getitem__(self, name: str) -> Any:
        result = self._results[name]
        if isinstance(result, Missing):
            raise ObservationMissingError(name, result.reason, crashed=result.crashed)
        return result

    def get(self, name: str) -> Any:
        """The result, or None if the request could not be executed.

        Raises:
            ObservationMissingError: If the check's own expression failed.
        """
        result = self._results.get(name)
        if isinstance(result, Missing) and result.crashed:
            raise ObservationMissingError(name, result.reason, crashed=True)
        return None if isinstance(result, Missing) else result

    def __contains__(self, name: str) -> bool:
        return name in self._results and not isinstance(self._results[name], Missing)

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def retriable(self) -> Sequence[str]:
        """Reasons of requests that failed on the surroundings, not on the data."""
        found = (v for v in self._results.values() if isinstance(v, Missing))
        return [missing.reason for missing in found if missing.retriable]

    def missing(self) -> Sequence[tuple[str, str]]:
        """Names and reasons of requests that could not be executed."""
        return [(k, v.reason) for k, v in self._results.items() if isinstance(v, Missing)]

    def not_delivered(self, name: str) -> bool:
        """Whether a request failed because there is no file at all, not because one is broken."""
        result = self._results.get(name)
        return isinstance(result, Missing) and result.absent

    @property
    def windows(self) -> Mapping[Source, WindowFacts]:
        """Facts of all windows that were looked at."""
        return self._windows

    def window(self, source: Source) -> WindowFacts | None:
        """What the window of a source turned out to be, if it was looked at."""
        return self._windows.get(source)
