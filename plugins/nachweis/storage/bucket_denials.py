"""What a bucket's policy denies to everybody, on the whole bucket.

A statement counts only as far as it surely reaches: to every principal, without a condition but the
one asked about. What cannot be judged, such as ``NotAction``, counts for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ALL_ACTIONS = frozenset({"*", "s3:*"})
_OBJECT_KEYS = ("x", "0/any key\x01whatever its length.and-suffix")
"""Keys that have nothing in common, so that only a pattern of all keys fits both."""


def transport_denied(policy: Mapping[str, Any], bucket: str) -> bool:
    """Whether everybody is denied everything over plain HTTP.

    Args:
        policy: The bucket's policy document.
        bucket: Its name.

    Returns:
        True only if bucket and objects are covered.
    """
    resources: list[str] = []
    for one in _denials(policy):
        if _demands_transport(one.get("Condition")) and any(
            action.lower() in _ALL_ACTIONS for action in _listed(one.get("Action"))
        ):
            resources += _listed(one.get("Resource"))
    return _covers_bucket(resources, bucket) and _covers_objects(resources, bucket)


def exemption(principal: str) -> dict[str, Any]:
    """The condition under which a denial reaches everybody but one.

    Args:
        principal: ARN of a role, or name of a user.

    Returns:
        The condition; it also reaches callers about whom the store knows neither.
    """
    name = "aws:PrincipalArn" if principal.startswith("arn:") else "aws:username"
    return {"StringNotEquals": {name: principal}}


def removals_not_denied(
    policy: Mapping[str, Any], bucket: str, exempt: str | None = None
) -> list[str]:
    """Actions that remove what is kept and that some may do, as far as the policy says.

    Args:
        policy: The bucket's policy document.
        bucket: Its name.
        exempt: The disposer, to whom alone the removal of versions may be left.

    Returns:
        ``s3:DeleteBucket`` and ``s3:DeleteObjectVersion``, if they are not denied to everybody.
    """
    resources: dict[str, list[str]] = {"s3:DeleteBucket": [], "s3:DeleteObjectVersion": []}
    for one in _denials(policy):
        condition = one.get("Condition")
        exempting = exempt is not None and condition == exemption(exempt)
        if condition and not exempting:
            continue
        for name, many in resources.items():
            if exempting and name == "s3:DeleteBucket":
                continue
            if any(_fits(action.lower(), name.lower()) for action in _listed(one.get("Action"))):
                many += _listed(one.get("Resource"))
    covered = {
        "s3:DeleteBucket": _covers_bucket(resources["s3:DeleteBucket"], bucket),
        "s3:DeleteObjectVersion": _covers_objects(resources["s3:DeleteObjectVersion"], bucket),
    }
    return [name for name, is_covered in covered.items() if not is_covered]


def _denials(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Statements that deny something to everybody."""
    statements = policy.get("Statement", [])
    return [
        one
        for one in (statements if isinstance(statements, list) else [statements])
        if isinstance(one, Mapping)
        and one.get("Effect") == "Deny"
        and _is_everybody(one.get("Principal"))
    ]


def _is_everybody(principal: Any) -> bool:
    if isinstance(principal, Mapping):
        return "*" in _listed(principal.get("AWS"))
    return "*" in _listed(principal)


def _demands_transport(condition: Any) -> bool:
    """Whether a condition is that the transport is not secure, and nothing more."""
    if not isinstance(condition, Mapping) or set(condition) != {"Bool"}:
        return False
    asked = condition["Bool"]
    if not isinstance(asked, Mapping) or [str(key).lower() for key in asked] != [
        "aws:securetransport"
    ]:
        return False
    (value,) = asked.values()
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(str(one).lower() == "false" for one in values)


def _covers_bucket(resources: list[str], bucket: str) -> bool:
    return any(_fits(_pattern(one), bucket) for one in resources)


def _covers_objects(resources: list[str], bucket: str) -> bool:
    return any(
        all(_fits(_pattern(one), f"{bucket}/{key}") for key in _OBJECT_KEYS) for one in resources
    )


def _pattern(resource: str) -> str:
    """What stands behind the service in a resource's name, whatever the partition."""
    return re.sub(r"^arn:[a-z*-]+:s3:::", "", resource)


def _fits(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern of the policy language: ``*`` and ``?``, nothing else."""
    parts = {"*": ".*", "?": "."}
    expression = "".join(parts.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _listed(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, list) else []
