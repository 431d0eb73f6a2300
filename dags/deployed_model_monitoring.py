"""Observe every governed model, every night: drift, missing values, parity, permissions.

One mapped task a model; one that fails never stops the others. The last task lists what failed
and is the only one that hands the night on to `processing_records`.
"""

from typing import Any

from airflow.sdk import dag, get_current_context, task

from nachweis.airflow_bridge import tasks
from nachweis.airflow_bridge.schedule import MODELS_OBSERVED, RETRIES, nightly


@dag(
    schedule=nightly(),
    catchup=False,  # the first run is the next morning; older nights: airflow backfill
    max_active_runs=1,
    max_active_tasks=2,
    default_args=RETRIES,
    doc_md=__doc__,
    tags=["nachweis", "nightly"],
)
def deployed_model_monitoring() -> None:
    """Plan, observe each model, finish."""

    @task
    def plan() -> list[dict[str, Any]]:
        return tasks.plan(get_current_context(), "deployed_model_monitoring")

    @task(map_index_template="{{ task.op_kwargs['subject'] }}")
    def observe(subject: str, night: str, attempt: str, blind: list[str]) -> dict[str, Any]:
        return tasks.run_subject(subject, night, attempt, blind)

    @task(trigger_rule="all_done", outlets=[MODELS_OBSERVED])
    def finish(results: list[dict[str, Any] | None]) -> dict[str, Any]:
        return tasks.finish(get_current_context(), results, MODELS_OBSERVED)

    finish(observe.expand_kwargs(plan()))


deployed_model_monitoring()
