"""What can go wrong between the product and its store, and what has to come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.fault_proxy import Fault

Rule = Callable[[int, str, str], Fault | None]


@dataclass(frozen=True)
class FaultCase:
    """One fault of the network, the server or the machine.

    Attributes:
        id: Name of the test.
        title: What goes wrong.
        outcome: What the product makes of it, as the table says it.
        rule: What the proxy does to a request; None where the fault is the server's own.
        told: What the error says; empty if the night is signed all the same.
    """

    id: str
    title: str
    outcome: str
    rule: Rule | None = None
    told: str = ""


SIGNED = "repeated; the night is signed, once"
TOLD = "an error that names it; nothing half-published, and running again signs the night"


def _each_third(fault: Fault) -> Rule:
    return lambda number, *_: fault if number % 3 == 0 else None


def _first_writes(fault: Fault) -> Rule:
    """The first request of each write that is not a repetition."""
    seen: set[str] = set()

    def rule(_: int, method: str, path: str) -> Fault | None:
        if method != "PUT" or path in seen or len(seen) >= 2:
            return None
        seen.add(path)
        return fault

    return rule


def _at(method: str, part: str, fault: Fault) -> Rule:
    return lambda _, asked, path: fault if asked == method and part in path else None


CASES = [
    FaultCase(
        "slow_down", "every third request is answered 503 SlowDown", SIGNED, _each_third("busy")
    ),
    FaultCase(
        "slow_down_for_good",
        "the ledger entry is answered 503 SlowDown for good",
        TOLD,
        _at("PUT", "/ledger/0000000003", "busy"),
        told="SlowDown, HTTP 503",
    ),
    FaultCase("reset", "every third connection is reset", SIGNED, _each_third("reset")),
    FaultCase(
        "lost_answer",
        "every third request is carried out and its answer lost",
        SIGNED,
        _each_third("lost_answer"),
    ),
    FaultCase(
        "no_answer",
        "writes are carried out and never answered (time-out)",
        SIGNED,
        _first_writes("no_answer"),
    ),
    FaultCase(
        "cut_body",
        "every third answer breaks off in the middle of its body",
        SIGNED,
        _each_third("cut"),
    ),
    FaultCase(
        "changed_on_the_way_up",
        "a bit of a statement is changed on its way to the server",
        TOLD,
        _at("PUT", "/statement.json", "changed_up"),
        told="received other bytes",
    ),
    FaultCase(
        "changed_on_the_way_down",
        "a bit of a ledger entry is changed on its way from the server",
        TOLD,
        _at("GET", "/ledger/0000000002", "changed_down"),
        told="does not match its stored checksum",
    ),
    FaultCase(
        "expired_credentials",
        "the credentials expire before the statement is written",
        TOLD,
        _at("PUT", "/statement.json", "expired"),
        told="does not accept the credentials",
    ),
]

SERVER_CASES = [
    FaultCase(
        "clock_skew",
        "this machine's clock is an hour ahead",
        TOLD,
        told="clock",
    ),
    FaultCase("wrong_secret", "the secret was replaced on the server", TOLD, told="credentials"),
    FaultCase("restart", "the server is killed and started again in the middle", SIGNED),
    FaultCase(
        "full_disk",
        "the server's disk is full",
        f"{TOLD}, once there is room and the server was started again",
        told="could not be written",
    ),
]
