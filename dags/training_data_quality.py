"""Test every declared data set, every night: suite, schema, permissions, retention, erasure.

One mapped task a data set; one that fails never stops the others. The last task lists what failed
and is the only one that hands the night on to `processing_records`.
"""

from typing import Any

from airflow.sdk import dag, get_current_context, task

from nachweis.airflow_bridge import tasks
from nachweis.airflow_bridge.schedule import DATA_SETS_TESTED, RETRIES, nightly


@dag(
    schedule=nightly(),
    catchup=False,  # the first run is the next morning; older nights: airflow backfill
    max_active_runs=1,
    max_active_tasks=2,
    default_args=RETRIES,
    doc_md=__doc__,
    tags=["nachweis", "nightly"],
)
def training_data_quality() -> None:
    """Plan, test each data set, finish."""

    @task
    def plan() -> list[dict[str, Any]]:
        return tasks.plan(get_current_context(), "training_data_quality")

    @task(map_index_template="{{ task.op_kwargs['subject'] }}")
    def test(subject: str, night: str, attempt: str, blind: list[str]) -> dict[str, Any]:
        return tasks.run_subject(subject, night, attempt, blind)

    @task(trigger_rule="all_done", outlets=[DATA_SETS_TESTED])
    def finish(results: list[dict[str, Any] | None]) -> dict[str, Any]:
        return tasks.finish(get_current_context(), results, DATA_SETS_TESTED)

    finish(test.expand_kwargs(plan()))


training_data_quality()
