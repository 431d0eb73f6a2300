"""What the tasks of the nightly DAGs do: find the night, call the pipeline, report progress.

Tasks exchange object keys and counts, never data. The night is the run's partition key, or the
``night`` of its configuration; ``logical_date`` is never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nachweis.airflow_bridge import progress
from nachweis.airflow_bridge.libraries import HEAVY, loaded
from nachweis.domain.errors import NachweisError
from nachweis.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Asset, Context

    from nachweis.airflow_bridge.notify import Channel

Producer = Literal["training_data_quality", "deployed_model_monitoring"]

PLAN_KEY = "plan"
"""XCom key of the plan's facts, beside the list that the next task is mapped over."""


def night_of(context: Context) -> str:
    """The night of a run.

    Args:
        context: Airflow's task context.

    Returns:
        ISO date.

    Raises:
        NachweisError: If the run was started by hand without naming one.
    """
    run: Any = context["dag_run"]
    night = run.partition_key or (run.conf or {}).get("night")
    if not night:
        raise NachweisError(
            "this run names no night",
            where=str(run.run_id),
            remedy='start it with a partition key or the configuration {"night": "YYYY-MM-DD"}',
        )
    return str(night)


def plan(context: Context, dag: Producer) -> list[dict[str, Any]]:
    """Plan a night and list what to map over; nothing if the night is already signed.

    Args:
        context: Airflow's task context.
        dag: The DAG that plans.

    Returns:
        Arguments of `run_subject`, one dict a subject.
    """
    from nachweis.pipeline import night as pipeline

    with progress.step("planning"):
        found = pipeline.plan(night_of(context), dag=dag)
    subjects = [] if found["signed"] else list(found["subjects"])
    context["ti"].xcom_push(PLAN_KEY, {**found, "subjects": subjects})
    if found["signed"]:
        progress.tell("signed before from the same inputs: nothing to run")
    else:
        progress.tell(f"{len(subjects)} to run{_blind(found['blind'])}")
    progress.expect(subjects)
    shared = {"night": found["night"], "attempt": found["attempt"], "blind": found["blind"]}
    return [{"subject": subject, **shared} for subject in subjects]


def run_subject(subject: str, night: str, attempt: str, blind: Sequence[str]) -> dict[str, Any]:
    """Observe and judge one data set or model.

    Args:
        subject: For example ``model/churn``.
        night: ISO date.
        attempt: The night's attempt.
        blind: Checks whose failing example does not fail tonight.

    Returns:
        Subject, evidence key, counts by outcome, failure and seconds.
    """
    progress.log(f"heavy libraries loaded before this task: {len(loaded())} of {len(HEAVY)}")
    from nachweis.pipeline import night as pipeline

    shown = f"{progress.position(subject)}{subject}"
    with progress.step(shown):
        result = pipeline.run_subject(night, attempt, subject, blind)
    progress.tell(f"{shown:<48} {_outcomes(result)} in {result['seconds']:.1f} s")
    return result


def finish(
    context: Context, results: Iterable[Mapping[str, Any] | None] | None, asset: Asset
) -> dict[str, Any]:
    """Write the run's document, list what did not run, and mark the night for the next DAG.

    Args:
        context: Airflow's task context.
        results: What the mapped tasks returned; those that failed are missing.
        asset: The DAG's only outlet.

    Returns:
        Key of the run's document and counts.

    Raises:
        NachweisError: If the night was never planned.
    """
    from nachweis.pipeline import night as pipeline

    planned = context["ti"].xcom_pull(task_ids="plan", key=PLAN_KEY)
    if not planned:
        raise NachweisError(
            "the night was not planned, so it is not handed on",
            where=night_of(context),
            remedy="see the log of the plan task",
        )
    if context["dag_run"].partition_key is None:
        context["outlet_events"][asset].add_partitions(planned["night"])
    if planned["signed"]:
        return {key: planned[key] for key in ("night", "attempt", "signed")}
    with progress.step("handing over"):
        done = pipeline.finish(
            planned["night"],
            planned["attempt"],
            context["dag"].dag_id,
            [item for item in results or () if item],
            planned["subjects"],
            planned["blind"],
        )
    if done["failed"]:
        progress.tell(f"{done['failed']} of {len(planned['subjects'])} did not run")
    return done


def prepare(context: Context) -> dict[str, Any]:
    """Assemble the night's documents and decide what changed.

    Args:
        context: Airflow's task context.

    Returns:
        Keys of what was prepared.
    """
    from nachweis.pipeline import night as pipeline

    with progress.step("preparing"):
        return pipeline.prepare_records(night_of(context))


def publish(context: Context, prepared: Mapping[str, Any]) -> dict[str, Any]:
    """Sign the night and append it to the ledger.

    Args:
        context: Airflow's task context.
        prepared: What `prepare` returned.

    Returns:
        The night's summary.
    """
    from nachweis.pipeline import night as pipeline

    with progress.step("signing"):
        summary = pipeline.publish(night_of(context), prepared)
    if summary["repeated"]:
        progress.tell("nothing changed: this night was signed before from the same inputs")
    else:
        progress.tell(f"signed: ledger sequence {summary['sequence']}")
    return summary


def render(context: Context, summary: Mapping[str, Any]) -> None:
    """Bring the site up to date.

    Args:
        context: Airflow's task context.
        summary: The night's summary.
    """
    from nachweis.pipeline import night as pipeline

    with progress.step("rendering the site"):
        pipeline.render(night_of(context), summary)
    progress.tell("site rendered")


def notify(context: Context, summary: Mapping[str, Any], channel: Channel) -> None:
    """Send the night's message over one channel, if there is something new to tell.

    Args:
        context: Airflow's task context.
        summary: The night's summary.
        channel: ``email`` or ``webhook``.

    Raises:
        AirflowSkipException: If there is nothing to tell, nobody to tell it to or, in the
            demonstration, no server to tell it through.
        NachweisError: If the Airflow connection is missing in production.
    """
    from nachweis.pipeline import night as pipeline

    night = night_of(context)
    _send(context, night, pipeline.notify(night, summary, channel), channel)
    pipeline.told(night, summary, channel)


def self_check(context: Context) -> dict[str, Any]:
    """Verify the evidence and look for missed nights.

    Args:
        context: Airflow's task context; its configuration may name the newest night to expect.

    Returns:
        What was found.
    """
    from nachweis.pipeline import self_check as pipeline

    run: Any = context["dag_run"]
    with progress.step("checking the evidence"):
        found = pipeline.self_check((run.conf or {}).get("night"))
    progress.tell(
        "the evidence verifies, no night is missing"
        if found.ok
        else f"{len(found.problems)} problems, {len(found.missing)} nights missing"
    )
    return found.document()


def notify_self_check(context: Context, found: Mapping[str, Any], channel: Channel) -> None:
    """Tell people over one channel what the check of the evidence found; see :func:`notify`."""
    from nachweis.pipeline import self_check as pipeline

    _send(context, str(found["night"]), pipeline.notify(found, channel), channel)
    pipeline.told(found, channel)


def _send(
    context: Context, night: str, content: Mapping[str, Any] | None, channel: Channel
) -> None:
    """Send what the pipeline wants to tell, or skip the task with the reason."""
    from airflow.sdk.exceptions import AirflowSkipException

    from nachweis.airflow_bridge.notify import Message, deliver

    if content is None:
        raise AirflowSkipException("nothing new to tell")
    messages = [Message.read(night, one) for one in (content, *content.get("owners", ()))]
    messages = [one for one in messages if one.connection(channel) is not None]
    connection = messages[0].connection(channel) if messages else None
    if connection is None:
        raise AirflowSkipException(f"policy.yaml names nobody for {channel}")
    if not _has_connection(connection):
        if Settings().mode == "demonstration":
            progress.tell(f"{channel} not sent: the Airflow connection {connection} is not set up")
            raise AirflowSkipException(f"no connection {connection} in the demonstration")
        raise NachweisError(
            "the Airflow connection for the nightly message is missing",
            where=connection,
            remedy=f"airflow connections add {connection}, or AIRFLOW_CONN_{connection.upper()}",
        )
    with progress.step(f"sending by {channel}"):
        for message in messages:
            deliver(message, channel, context)
    progress.tell(f"{len(messages)} message(s) sent by {channel}")


def _has_connection(connection: str) -> bool:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        Connection.get(connection)
    except AirflowNotFoundException:
        return False
    return True


def _outcomes(result: Mapping[str, Any]) -> str:
    if result.get("failed"):
        return "did not run"
    counts: Mapping[str, int] = result["counts"]
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no checks"
    carried = result.get("carried")
    return f"{said} ({carried} carried over: nothing changed)" if carried else said


def _blind(blind: Iterable[str]) -> str:
    checks = list(blind)
    return f"; blind: {', '.join(checks)}" if checks else ""
