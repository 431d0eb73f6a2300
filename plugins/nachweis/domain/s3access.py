"""How to reach data sets in S3."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class S3Access:
    """Endpoint and credentials for reading; the secret is left out of every text form.

    Attributes:
        endpoint: Host and port or URL; None is AWS itself.
        region: Region of the buckets.
        key: Access key id.
        secret: Secret access key.
        use_ssl: Whether the endpoint speaks TLS.
    """

    endpoint: str | None
    region: str
    key: str
    secret: str = field(repr=False)
    use_ssl: bool = True
