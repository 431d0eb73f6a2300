"""Persistence over nights, as the checks of this family use it."""

from nachweis.domain.persistence import DIFFERS, Persistence, history_request, persistence

__all__ = ["DIFFERS", "Persistence", "history_request", "persistence"]
