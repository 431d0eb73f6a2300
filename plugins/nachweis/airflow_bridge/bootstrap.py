"""The one-shot service of docker-compose.yml: metadata database and buckets, then it ends.

It alone holds the store administrator's credentials, every other service the writer's. Doing it
again changes nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys

from nachweis.domain.errors import NachweisError, SettingsError
from nachweis.settings import Settings

ACCESS_KEY, SECRET_KEY = "STORE_ADMIN_ACCESS_KEY", "STORE_ADMIN_SECRET_KEY"
"""Variables with the administrator's credentials."""


def main() -> int:
    """Migrate Airflow's database, create and test the buckets.

    Returns:
        Exit code; 2 if the database or the store is not fit for use.
    """
    from nachweis.storage.bootstrap import bootstrap
    from nachweis.storage.s3_client import StoreAccess

    migrated = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=False)
    if migrated.returncode:
        return 2
    settings = Settings()
    try:
        administrator = StoreAccess(
            settings.s3_endpoint, settings.s3_region, _required(ACCESS_KEY), _required(SECRET_KEY)
        )
        found = bootstrap(settings, administrator=administrator)
    except NachweisError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{found.model_dump_json(indent=1)}\n")
    return 0


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingsError("the store administrator's credentials are missing", where=name)
    return value


if __name__ == "__main__":
    sys.exit(main())
