"""Does the evidence still verify, and was any night missed?

Apart from the nightly DAGs, so that it also notices that none of them ran. New entries every
morning, everything once a week.
"""

from typing import Any

from airflow.sdk import dag, get_current_context, task

from nachweis.airflow_bridge import tasks
from nachweis.airflow_bridge.schedule import CHANNELS, RETRIES, each_morning


@dag(
    schedule=each_morning(),
    catchup=False,
    max_active_runs=1,
    default_args=RETRIES,
    doc_md=__doc__,
    tags=["nachweis", "nightly"],
)
def evidence_self_check() -> None:
    """Verify, look for missing nights, tell people."""

    @task
    def check() -> dict[str, Any]:
        return tasks.self_check(get_current_context())

    @task(map_index_template="{{ task.op_kwargs['channel'] }}")
    def notify(found: dict[str, Any], channel: str) -> None:
        tasks.notify_self_check(get_current_context(), found, channel)

    notify.partial(found=check()).expand(channel=list(CHANNELS))


evidence_self_check()
