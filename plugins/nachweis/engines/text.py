"""Identifiers in a column of texts: DuckDB filters every row, the proof happens in the worker.

Only texts that hold the form of an identifier are fetched, equal ones once, in batches that are
forgotten as soon as they are counted.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from nachweis.domain.observation import KindCount, TextCounts, TextScan
from nachweis.engines.duck import Session, literal, quote
from nachweis.engines.text_patterns import Own, candidate_filter, find

_BATCH = 20_000
_SHORT = 64
"""Characters below which equal texts are looked at once."""


def scan_texts(
    session: Session, view: str, request: TextScan, label: str, where: str
) -> TextCounts:
    """Count identifiers in the texts of a view.

    Args:
        session: The task's session.
        view: The window.
        request: Column, split, and what the organisation declared about its texts.
        label: Source label for the query log.
        where: Data set, for errors.

    Returns:
        Counts only.

    Raises:
        DataError: If the engine refuses.
    """
    text = f"CAST({quote(request.column)} AS VARCHAR)"
    group = quote(request.by) if request.by is not None else "NULL"
    matches = f"regexp_matches({text}, {literal(candidate_filter(request.own))})"
    # Words of few kinds are looked at once each; telling long texts apart would cost more than
    # looking at all of them.
    short = f"SELECT {group} AS g, {text} AS t FROM {view}"
    each = (
        f"SELECT g, t, count(*) AS n FROM ({short}) WHERE t IS NULL OR length(t) < {_SHORT} "
        f"GROUP BY 1, 2 UNION ALL SELECT g, t, 1 FROM ({short}) WHERE length(t) >= {_SHORT}"
    )
    found = f"regexp_matches(t, {literal(candidate_filter(request.own))})"
    totals = session.query(
        "SELECT g, coalesce(sum(n) FILTER (WHERE t IS NOT NULL), 0), "
        "coalesce(sum(n) FILTER (WHERE t IS NULL), 0), "
        f"coalesce(sum(n) FILTER (WHERE {found}), 0) FROM ({each}) GROUP BY 1",
        label,
        "text",
        where=where,
    )
    counted = _Counted(Own.of(request.own, request.harmless, request.allowed))
    if any(row[3] for row in totals):
        # Which texts are left over where there are too many depends on the texts alone.
        sql = (
            f"SELECT {group} AS g, {text} AS t, count(*) AS n FROM {view} WHERE {matches} "
            f"GROUP BY 1, 2 ORDER BY hash(t), t LIMIT {int(request.most)}"
        )
        for batch in session.batches(sql, label, "text", where=where, rows=_BATCH):
            counted.add(batch)
    rows: Counter[Any] = Counter()
    for value, present, _, _ in totals:
        rows[_key(value)] += int(present)
    return TextCounts(
        rows=dict(rows),
        empty=sum(int(row[2]) for row in totals),
        unproved=sum(int(row[3]) for row in totals) - counted.looked_at,
        found={key: KindCount(*numbers) for key, numbers in counted.found.items()},
        rows_with=dict(counted.rows_with),
    )


class _Counted:
    """Running counts; holds no text."""

    def __init__(self, own: Own) -> None:
        self._own = own
        self.looked_at = 0
        self.found: dict[tuple[Any, str], list[int]] = {}
        self.rows_with: Counter[Any] = Counter()

    def add(self, batch: Any) -> None:
        """Count a batch of texts with the number of rows that hold each."""
        groups, texts, rows = (batch.column(place).to_pylist() for place in range(3))
        for group, text, n in zip(groups, texts, rows, strict=True):
            key = _key(group)
            self.looked_at += n
            any_sure = False
            for kind, one in find(text, self._own).items():
                numbers = self.found.setdefault((key, kind), [0, 0, 0, 0])
                any_sure = any_sure or one.sure > 0
                numbers[0] += n if one.sure else 0
                numbers[1] += n * one.sure
                numbers[2] += n * one.possible
                numbers[3] += n * one.forms
            if any_sure:
                self.rows_with[key] += n


def _key(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
