"""Turn a night into records: assemble, decide, sign, publish, render, tell.

Runs once `training_data_quality` and `deployed_model_monitoring` have both handed over the same
night, in whatever order nights finish.
"""

from typing import Any

from airflow.sdk import dag, get_current_context, task

from nachweis.airflow_bridge import tasks
from nachweis.airflow_bridge.schedule import CHANNELS, RETRIES, after_both


@dag(
    schedule=after_both(),
    catchup=False,
    max_active_runs=1,  # one writer of the ledger
    default_args=RETRIES,
    doc_md=__doc__,
    tags=["nachweis", "nightly"],
)
def processing_records() -> None:
    """Assemble and decide, sign and publish, render, notify."""

    @task
    def prepare() -> dict[str, Any]:
        return tasks.prepare(get_current_context())

    @task
    def publish(prepared: dict[str, Any]) -> dict[str, Any]:
        return tasks.publish(get_current_context(), prepared)

    @task
    def render(summary: dict[str, Any]) -> None:
        tasks.render(get_current_context(), summary)

    @task(map_index_template="{{ task.op_kwargs['channel'] }}")
    def notify(summary: dict[str, Any], channel: str) -> None:
        tasks.notify(get_current_context(), summary, channel)

    summary = publish(prepare())
    render(summary)
    notify.partial(summary=summary).expand(channel=list(CHANNELS))


processing_records()
