"""Small dialogues for the examples of this family."""

from __future__ import annotations

import datetime as dt
from typing import Any

from nachweis.domain.check import ExampleTable
from nachweis.domain.manifest import DataSetRole

TOLD = "Hello! You are chatting with an AI system. How can I help?"
QUESTION = "Where is my parcel?"
ANSWER = "It is on its way."
NOON = dt.datetime(2026, 3, 2, 12)

Turn = tuple[str, str] | tuple[str, str, bool]
"""Speaker, text and whether a person had taken over."""


def chats(*dialogues: list[Turn], at: dt.datetime = NOON, **more: Any) -> dict[str, ExampleTable]:
    """Dialogues of one night, one turn a minute.

    Args:
        *dialogues: Turns of each dialogue.
        at: When each dialogue begins.
        **more: Further fields of the manifest.

    Returns:
        The table of a model.
    """
    rows = [
        (f"d{number}", f"d{number}-{place}", at + dt.timedelta(minutes=place), *turn)
        for number, turns in enumerate(dialogues)
        for place, turn in enumerate(turns)
    ]
    return {
        "dialogues": ExampleTable(
            DataSetRole.DIALOGUES,
            {
                "dialogue": [row[0] for row in rows],
                "turn": [row[1] for row in rows],
                "at": [row[2] for row in rows],
                "speaker": [row[3] for row in rows],
                "text": [row[4] for row in rows],
                "language": ["en"] * len(rows),
                "person": [row[5] if len(row) > 5 else False for row in rows],
            },
            {
                "columns": [
                    {"name": "dialogue", "type": "string"},
                    {"name": "turn", "type": "string"},
                    {"name": "at", "type": "timestamp"},
                    {"name": "speaker", "type": "string"},
                    {"name": "text", "type": "string", "free_text": True},
                    {"name": "language", "type": "string"},
                    {"name": "person", "type": "boolean"},
                ],
                "time": {"column": "at"},
                "fields": {
                    "key": "turn",
                    "conversation": "dialogue",
                    "source": "speaker",
                    "text": "text",
                    "language": "language",
                    "handed_over": "person",
                },
                "turns": {"asks_for_person": {"en": ["a person", "a human"]}},
                **more,
            },
        )
    }
