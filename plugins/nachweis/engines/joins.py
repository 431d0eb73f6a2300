"""Partners of rows in another data set: overlap counts and columns laid beside, by (hashed) key."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

from nachweis.domain.errors import DataError, DataUnavailableError
from nachweis.domain.manifest import DataSet
from nachweis.domain.manifest.dataset import ColumnType, SubjectKey
from nachweis.domain.observation import Expression, Join, Missing, Overlap, OverlapCounts
from nachweis.engines.aggregates import bind
from nachweis.engines.column_types import logical
from nachweis.engines.duck import Session, quote
from nachweis.engines.join_values import comparable, equal, equal_texts
from nachweis.engines.windows import as_instant, as_local_date

_KEY = "nachweis_key__"
_KEYS_AT_ONCE = 100_000
"""Plain keys that are hashed together."""
_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Side:
    """One side of a join.

    Attributes:
        data_set: Its declaration.
        table: Its window as an Ibis table.
        types: Engine types of its columns.
        zone: Zone of its naive times.
        label: Source label for the query log.
    """

    data_set: DataSet
    table: Any
    types: Mapping[str, str]
    zone: ZoneInfo
    label: str

    @property
    def where(self) -> str:
        """Place of errors about it."""
        return f"data set {self.data_set.id}"

    def type_of(self, column: str) -> str:
        """Engine type of a column.

        Raises:
            DataError: If the data have no such column.
        """
        if column not in self.types:
            raise DataError(
                f"there is no column {column!r} in the data",
                where=self.where,
                remedy="compare the declared columns with the file's",
            )
        return self.types[column]

    def hashed(self, column: str) -> SubjectKey | None:
        """The declaration of a column as keyed hashes, if it is one."""
        key = self.data_set.subject_key
        return key if key and key.column == column and key.form == "hmac_sha256" else None


class Joiner:
    """Joins of one task; hashed keys are computed once per side and secret.

    Args:
        session: The task's session.
        local: The organisation's zone.
        environment: Where the secrets of keyed hashes are looked up.
    """

    def __init__(self, session: Session, local: ZoneInfo, environment: Mapping[str, str]) -> None:
        self._session = session
        self._local = local
        self._environment = environment
        self._hashes: dict[tuple[str, str], str] = {}
        self._found: dict[str, str] = {}

    def overlap(self, request: Overlap, left: Side, right: Side) -> OverlapCounts:
        """Count left rows and keys with a partner on the right, in one statement.

        Args:
            request: What counts as a partner.
            left: The left side.
            right: The right side.

        Returns:
            The counts.

        Raises:
            DataError: If a column is missing or of an unusable type, or a secret is not set.
        """
        rows = _filtered(self._session, left, request.where)
        others = _filtered(self._session, right, request.other_where)
        left_key, right_key = request.key
        rows, others = self._keyed(left, rows, left_key, right, others, right_key)
        conditions = [
            f"r.{_KEY} = l.{_KEY}",
            *(equal(left, a, right, b) for a, b in request.match),
            *self._validity(request, left, right),
        ]
        known = [equal_texts(left, a, right, b) for a, b in request.match_known]
        unless_missing = [f"COALESCE({one}, TRUE)" for one in known]
        parts = {
            "left": rows,
            "right": others,
            "key": _KEY,
            "conditions": " AND ".join([*conditions, *unless_missing]),
        }
        sure = _SURE.format(right=others, conditions=" AND ".join([*conditions, *known]))
        seconds = self._seconds(request, left, right)
        longest = _LONGEST.format(seconds=seconds, **parts) if seconds else "NULL"
        found = self._session.query(
            _OVERLAP.format(longest=longest, sure=sure if known else "TRUE", **parts),
            left.label,
            "overlap",
            where=left.where,
        )
        *counts, most = found[0]
        n, keys, matched, keys_matched, without, unmatched, assumed = (
            int(count or 0) for count in counts
        )
        return OverlapCounts(
            rows=n,
            keys=keys,
            rows_matched=matched,
            keys_matched=keys_matched,
            rows_without_key=without,
            keys_unmatched=unmatched,
            longest_days=None if most is None else float(most) / _SECONDS_PER_DAY,
            rows_assumed=assumed,
        )

    def joined(self, left: Side, where: Expression | None, join: Join, right: Side) -> Any:
        """Lay columns of the right beside the filtered rows of the left.

        Args:
            left: The left side.
            where: Filter on the left, applied before.
            join: Which columns, by which key.
            right: The right side.

        Returns:
            An Ibis table with as many rows as the filtered left.

        Raises:
            DataError: If a column is missing, or a new name exists already, or a secret is not set.
        """
        taken = {name.lower() for name in left.types}
        for new, column in join.columns:
            right.type_of(column)
            if new.lower() in taken:
                raise DataError(f"the joined column {new!r} exists already", where=left.where)
        rows = _filtered(self._session, left, where)
        others = _filtered(self._session, right, join.where)
        rows, others = self._keyed(left, rows, join.key[0], right, others, join.key[1])
        partners = self._partners(self._one_per_key(join, right, others), left)
        new_names = ", ".join(f"r.{quote(new)}" for new, _ in join.columns)
        view = self._session.name("joined")
        self._session.query(
            f"CREATE TEMP VIEW {view} AS SELECT l.* EXCLUDE ({_KEY}), {new_names} "
            f"FROM ({rows}) l LEFT JOIN {partners} r ON r.{_KEY} = l.{_KEY}",
            left.label,
            "schema",
            where=left.where,
        )
        return self._session.table(view, left.where)

    def _partners(self, sql: str, left: Side) -> str:
        """Temporary table of partners, found once for all statements that count beside them."""
        if sql not in self._found:
            name = self._session.name("partners")
            self._statement(left, f"CREATE TEMP TABLE {name} AS {sql}", "load")
            self._found[sql] = name
        return self._found[sql]

    def _one_per_key(self, join: Join, right: Side, others: str) -> str:
        columns = [(quote(new), quote(column)) for new, column in join.columns]
        if join.time is None:
            shown = ", ".join(f"max({column}) AS {new}" for new, column in columns)
            return (
                f"SELECT {_KEY}, {shown} FROM ({others}) WHERE {_KEY} IS NOT NULL GROUP BY {_KEY}"
            )
        time = as_instant(quote(join.time), right.type_of(join.time), right.zone, right.where)
        shown = ", ".join(f"{column} AS {new}" for new, column in columns)
        # Ties are broken by the values themselves, so that threads cannot decide.
        order = ", ".join(f"{column} DESC NULLS LAST" for _, column in columns)
        return (
            f"SELECT {_KEY}, {shown} FROM ({others}) WHERE {_KEY} IS NOT NULL "
            f"QUALIFY row_number() OVER "
            f"(PARTITION BY {_KEY} ORDER BY {time} DESC NULLS LAST, {order}) = 1"
        )

    def _validity(self, request: Overlap, left: Side, right: Side) -> list[str]:
        """Conditions on the times of a pair, as SQL."""
        if request.left_time is None:
            return []
        moment = self._moments(request, left, right)
        time = moment(left, "l", request.left_time)
        conditions = []
        if request.right_from is not None:
            start = moment(right, "r", request.right_from)
            if request.right_delay_days:
                start = f"{start} + INTERVAL {24 * request.right_delay_days} HOUR"
            conditions.append(f"{start} <= {time}")
        elif not request.unknown_counts:
            conditions.append(f"{time} IS NOT NULL")
        for column in request.right_until:
            until = moment(right, "r", column)
            conditions.append(f"({until} IS NULL OR {time} < {until})")
        if request.unknown_counts:
            return [f"COALESCE({condition}, TRUE)" for condition in conditions]
        return conditions

    def _moments(
        self, request: Overlap, left: Side, right: Side
    ) -> Callable[[Side, str, str], str]:
        """How times of both sides are written so that they can be compared."""
        by_date = request.left_time is not None and left.type_of(request.left_time) == "DATE"

        def moment(side: Side, alias: str, column: str) -> str:
            name, found = f"{alias}.{quote(column)}", side.type_of(column)
            if by_date:
                # A row that knows only its day is compared by days.
                return as_local_date(name, found, side.zone, self._local, side.where)
            return as_instant(name, found, side.zone, side.where)

        return moment

    def _seconds(self, request: Overlap, left: Side, right: Side) -> str:
        """Seconds from the right's start to the left's time, as SQL; empty if not wanted."""
        if not request.longest or request.left_time is None or request.right_from is None:
            return ""
        moment = self._moments(request, left, right)
        start, time = moment(right, "r", request.right_from), moment(left, "l", request.left_time)
        return f"epoch(CAST({time} AS TIMESTAMPTZ)) - epoch(CAST({start} AS TIMESTAMPTZ))"

    def _keyed(
        self, left: Side, rows: str, left_key: str, right: Side, others: str, right_key: str
    ) -> tuple[str, str]:
        """Both sides with a comparable key column."""
        left_hash, right_hash = left.hashed(left_key), right.hashed(right_key)
        types = left.type_of(left_key), right.type_of(right_key)
        if left_hash is None and right_hash is None:
            native = types[0] == types[1] or all(logical(t) is ColumnType.INTEGER for t in types)
            return tuple(  # type: ignore[return-value]
                f"SELECT *, {comparable(quote(key), type_, native=native)} AS {_KEY} FROM ({sql})"
                for sql, key, type_ in ((rows, left_key, types[0]), (others, right_key, types[1]))
            )
        if left_hash and right_hash and left_hash.key_env != right_hash.key_env:
            raise DataError(
                f"the keys of {left.data_set.id} and {right.data_set.id} are hashed with "
                "different secrets",
                where=left.where,
                remedy="hash both with one secret, or keep one of them plain",
            )
        secret = (left_hash or right_hash).key_env or ""  # type: ignore[union-attr]
        return (
            self._hashed(left, rows, left_key, types[0], secret, is_hash=left_hash is not None),
            self._hashed(
                right, others, right_key, types[1], secret, is_hash=right_hash is not None
            ),
        )

    def _hashed(
        self, side: Side, sql: str, key: str, type_: str, key_env: str, *, is_hash: bool
    ) -> str:
        if is_hash:
            text = f"hex({quote(key)})" if type_ == "BLOB" else f"CAST({quote(key)} AS VARCHAR)"
            return f"SELECT *, lower({text}) AS {_KEY} FROM ({sql})"
        text = comparable(quote(key), type_, native=False)
        table = self._hash_table(
            side, f"SELECT DISTINCT {text} AS k FROM ({sql}) WHERE {text} IS NOT NULL", key_env
        )
        return (
            f"SELECT s.*, h.hash AS {_KEY} FROM (SELECT *, {text} AS nachweis_text__ FROM ({sql})) "
            f"s LEFT JOIN {table} h ON h.plain = s.nachweis_text__"
        )

    def _hash_table(self, side: Side, keys_sql: str, key_env: str) -> str:
        """Temporary table of plain keys and their hashes; the secret never enters a statement.

        Keys pass through this process in batches, so that its memory does not grow with them; the
        engine can spill what it holds.
        """
        import pyarrow as pa

        if (keys_sql, key_env) in self._hashes:
            return self._hashes[keys_sql, key_env]
        secret = self._secret(key_env, side.where)
        keys, name = self._session.name("keys"), self._session.name("hashes")
        self._statement(side, f"CREATE TEMP TABLE {keys} AS {keys_sql}", "keys")
        self._statement(side, f"CREATE TEMP TABLE {name} (plain VARCHAR, hash VARCHAR)", "load")
        last = self._statement(side, f"SELECT coalesce(max(rowid), -1) FROM {keys}", "keys")[0][0]
        for first in range(0, last + 1, _KEYS_AT_ONCE):
            rows = f"rowid >= {first} AND rowid < {first + _KEYS_AT_ONCE}"
            # Fetched to its end before the next statement, which would end an open result.
            plain = [row[0] for row in self._statement(side, _KEYS.format(keys, rows), "keys")]
            hashes = [hmac.digest(secret, key.encode(), "sha256").hex() for key in plain]
            hashed = {"plain": pa.array(plain, pa.string()), "hash": pa.array(hashes, pa.string())}
            with self._session.registered(pa.table(hashed)) as arrow:
                insert = f"INSERT INTO {name} SELECT plain, hash FROM {arrow}"
                self._statement(side, insert, "load")
        self._statement(side, f"DROP TABLE {keys}", "load")
        self._hashes[keys_sql, key_env] = name
        return name

    def _statement(self, side: Side, sql: str, kind: Literal["keys", "load"]) -> list[Any]:
        return self._session.query(sql, side.label, kind, where=side.where)

    def _secret(self, key_env: str, where: str) -> bytes:
        text = self._environment.get(key_env, "")
        remedy = f"set the environment variable {key_env} to the secret in hexadecimal"
        if not text:
            raise DataUnavailableError(
                "the secret for keyed hashes is not set", where=where, remedy=remedy
            )
        secret = _from_hex(text)
        if secret is None:
            raise DataError(
                "the secret for keyed hashes is not hexadecimal", where=where, remedy=remedy
            )
        return secret


def _from_hex(text: str) -> bytes | None:
    """Bytes, or None; the codec's own error would stand in the chain of ours."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


_OVERLAP = """
WITH flagged AS (
  SELECT l.{key} AS k, EXISTS (SELECT 1 FROM ({right}) r WHERE {conditions}) AS hit, {sure} AS sure
  FROM ({left}) l
), per_key AS (
  SELECT k, count(*) AS n, count(*) FILTER (WHERE hit) AS h,
    count(*) FILTER (WHERE hit AND NOT sure) AS assumed FROM flagged GROUP BY k
)
SELECT sum(n), count(k), sum(h), count(*) FILTER (WHERE k IS NOT NULL AND h > 0),
  sum(n) FILTER (WHERE k IS NULL), count(*) FILTER (WHERE k IS NOT NULL AND n > h),
  sum(assumed), {longest}
FROM per_key
""".strip()

_SURE = "EXISTS (SELECT 1 FROM ({right}) r WHERE {conditions})"
_KEYS = "SELECT k FROM {} WHERE {}"
_LONGEST = "(SELECT max({seconds}) FROM ({left}) l JOIN ({right}) r ON {conditions})"


def _filtered(session: Session, side: Side, where: Expression | None) -> str:
    rows = side.table
    if where is not None:
        condition = bind(where, rows)
        if isinstance(condition, Missing):
            raise DataError(condition.reason, where=side.where)
        rows = rows.filter(condition)
    sql: str = session.backend.compile(rows)
    return sql
