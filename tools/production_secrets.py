"""Generate the secret files that docker-compose.yml requires: all of them, or none.

Usage: python tools/production_secrets.py FOLDER

Each file is named after the variable it becomes. The folder is closed to other users; the files in
it are readable, because containers run as users of their own.
"""

from __future__ import annotations

import base64
import secrets
import sys
import tempfile
from pathlib import Path

from nachweis.settings import Settings
from nachweis.storage import embedded_keys

DATABASE = "postgres:5432/airflow"
BROKER = "redis:6379/0"


def generate() -> dict[str, str]:
    """A fresh value for every secret; those that belong together agree.

    The store's identities get the rights that the embedded store's have, by the same code.
    """
    postgres, redis = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        keys = embedded_keys.load(place, data_exists=False)
        embedded_keys.allow_buckets(place, keys, Settings())
        identities = embedded_keys.identities_file(place).read_text()
    return {
        "POSTGRES_PASSWORD": postgres,
        "REDIS_PASSWORD": redis,
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": (
            f"postgresql+psycopg2://airflow:{postgres}@{DATABASE}"
        ),
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://airflow:{postgres}@{DATABASE}",
        "AIRFLOW__CELERY__BROKER_URL": f"redis://:{redis}@{BROKER}",
        "NACHWEIS_S3_ACCESS_KEY": keys.writer.key,
        "NACHWEIS_S3_SECRET_KEY": keys.writer.secret,
        "NACHWEIS_ANCHOR_ACCESS_KEY": keys.anchor.key,
        "NACHWEIS_ANCHOR_SECRET_KEY": keys.anchor.secret,
        "NACHWEIS_DATA_ACCESS_KEY": keys.reader.key,
        "NACHWEIS_DATA_SECRET_KEY": keys.reader.secret,
        "STORE_ADMIN_ACCESS_KEY": keys.administrator.key,
        "STORE_ADMIN_SECRET_KEY": keys.administrator.secret,
        **keys.server_environment(),
        "s3.json": identities,
    }


def main(arguments: list[str]) -> None:
    """Write all files, or none if some are there: they belong together."""
    if len(arguments) != 1 or not arguments[0].strip():
        sys.exit("name the folder: make production-secrets FOLDER=/srv/nachweis/secrets")
    folder = Path(arguments[0])
    values = generate()
    present = sorted(name for name in values if (folder / name).exists())
    if present:
        sys.exit(f"{folder} holds {', '.join(present)} already; nothing was written")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name, value in values.items():
        (folder / name).write_text(value)
        (folder / name).chmod(0o444)
    sys.stderr.write(f"{len(values)} files written to {folder}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
