"""How to reach data sets in S3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class S3Access:
    """Endpoint and credentials for reading; secret and token are left out of every text form.

    Attributes:
        endpoint: Host and port or URL; None is AWS itself.
        region: Region of the buckets.
        key: Access key id.
        secret: Secret access key.
        use_ssl: Whether the endpoint speaks TLS.
        token: Session token of temporary credentials, those of a role for one.
        ca_file: Authorities that the endpoint's certificate is checked against; None leaves them
            to the engine.
        renew: Asks for the credentials that hold now; None where they do not expire.
    """

    endpoint: str | None
    region: str
    key: str
    secret: str = field(repr=False)
    use_ssl: bool = True
    token: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    renew: Callable[[], S3Access] | None = field(default=None, repr=False, compare=False)

    def current(self) -> S3Access:
        """The same access with the credentials that hold now."""
        return self if self.renew is None else self.renew()
