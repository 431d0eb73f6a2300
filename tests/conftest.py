"""Keep every test away from this machine's own Airflow, settings and telemetry."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

for name in [key for key in os.environ if key.startswith(("AIRFLOW__", "NACHWEIS_"))]:
    del os.environ[name]

# Airflow reads its configuration when it is first imported, so this cannot wait for a fixture.
_home = tempfile.mkdtemp(prefix="nachweis-tests-airflow-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] = "False"
os.environ["GX_ANALYTICS_ENABLED"] = "False"
os.environ["DO_NOT_TRACK"] = "1"
