"""The command line: ``nachweis``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from nachweis import __version__, cli_approvals, cli_backup, cli_erasure, cli_removal, registry
from nachweis.cli_correct import correct
from nachweis.cli_diff import diff
from nachweis.cli_evidence import doctor, iam, key_app, pack, self_check, verify
from nachweis.cli_export import export
from nachweis.cli_findings import digest, print_guidance, waive
from nachweis.domain.errors import NachweisError, SettingsError, suggestion
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.manifest import ModelKind
from nachweis.domain.manifest.common import LANGUAGES
from nachweis.settings import Settings

app = typer.Typer(
    name="nachweis",
    help="Evidence about machine-learning models: what was declared, what was observed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
check_app = typer.Typer(help="List, show, create and try checks.", no_args_is_help=True)
finding_app = typer.Typer(
    help="List, explain, acknowledge and waive findings.", no_args_is_help=True
)
site_app = typer.Typer(help="Render and serve the auditor's site.", no_args_is_help=True)
store_app = typer.Typer(
    help="Test the store; start and stop the embedded one of the demonstration.",
    no_args_is_help=True,
)
app.add_typer(check_app, name="check")
app.add_typer(finding_app, name="finding")
app.add_typer(site_app, name="site")
app.add_typer(store_app, name="store")
app.add_typer(key_app, name="key")
app.command()(correct)
app.command()(verify)
app.command()(doctor)
app.command("self-check")(self_check)
app.command()(iam)
app.command()(pack)
app.command()(export)
cli_approvals.register(app)
cli_removal.register(app)
cli_backup.register(app)
cli_erasure.register(app)
app.command()(diff)
finding_app.command("waive")(waive)
finding_app.command("digest")(digest)

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

NightOption = Annotated[
    str | None, typer.Option("--night", help="YYYY-MM-DD; default: the newest signed night.")
]


def _one_of(names: Iterable[str]) -> str:
    """The valid names, for a help text."""
    return f"one of {', '.join(names)}"


def main() -> None:
    """Run the command line; every expected error becomes a sentence and an exit code."""
    try:
        app(standalone_mode=True)
    except NachweisError as error:
        _fail(error)
    except ValidationError as error:
        if error.title != Settings.__name__:
            raise
        _fail(_malformed(error))


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Evidence about machine-learning models: what was declared, what was observed."""
    if show:
        out.print(f"nachweis {__version__}")
        raise typer.Exit


# ------------------------------------------------------------------------------ declare


@app.command()
def init(
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="Parquet, CSV or JSON-lines file, or a table: file.duckdb::schema.table.",
        ),
    ],
    folder: Annotated[Path, typer.Option(help="Where manifests/ shall be.")] = Path(),
    model: Annotated[str, typer.Option(help="Id of the model.")] = "my-model",
    kind: Annotated[str, typer.Option(help=f"Kind of the model: {_one_of(ModelKind)}.")] = "binary",
    languages: Annotated[
        str, typer.Option(help=f"Languages of {', '.join(LANGUAGES)}, comma-separated.")
    ] = "en,de,da",
    country: Annotated[str, typer.Option(help="Country of the establishment.")] = "DE",
) -> None:
    """Draft manifests from a data file or a table, for a person to correct."""
    from nachweis.domain.manifest import Column
    from nachweis.engines.tables import infer_columns
    from nachweis.pipeline.draft import draft_world, write_draft

    if kind not in {item.value for item in ModelKind}:
        raise NachweisError(
            "not a kind of model", where="--kind", valid=[item.value for item in ModelKind]
        )
    wanted = [part.strip() for part in languages.split(",") if part.strip()]
    if not wanted or set(wanted) - set(LANGUAGES):
        raise NachweisError("not a list of languages", where="--languages", valid=LANGUAGES)
    if not re.fullmatch("[A-Z]{2}", country):
        raise NachweisError(
            "not a country code", where="--country", remedy="write two capital letters, such as DK"
        )
    data, table = _file_and_table(source)
    if data.is_dir():
        raise NachweisError(
            "this is a folder", where=str(data), remedy="name one file of it with --from"
        )
    columns = [
        Column(name=found.name, type=found.type, nullable=found.nullable)
        for found in infer_columns(data, table)
    ]
    target = folder.resolve()
    path = data.resolve()
    location = str(path.relative_to(target)) if path.is_relative_to(target) else str(path)
    draft = draft_world(
        columns,
        location=location,
        model_id=model,
        kind=kind,
        languages=wanted,
        country=country,
        table=table,
    )
    written, kept = write_draft(draft, target)
    _write_schemas(target / "manifests" / "schema")
    if draft.guessed:
        out.print(f"Read {len(columns)} columns. Guessed from their names only, please correct:")
        for line in draft.guessed:
            out.print(f"  {line}", markup=False)
    else:
        out.print(f"Read {len(columns)} columns; their names tell nothing about their meaning.")
    for name in written:
        out.print(f"written  {name}", markup=False)
    for name in kept:
        out.print(f"kept     {name}", markup=False)
    out.print(
        f"Next:\n"
        f"  export NACHWEIS_WORLD={target}\n"
        f"  export NACHWEIS_STATE={target / '.nachweis'}\n"
        f"  nachweis lint\n"
        f"  nachweis run --night YYYY-MM-DD    # a date the file has rows of\n"
        f"  nachweis site serve",
        markup=False,
    )


def _file_and_table(source: str) -> tuple[Path, str | None]:
    """What ``--from`` names: a file, and its table if it is a database."""
    from nachweis.engines.sources import is_database

    scheme = re.match(r"([a-z0-9+]+)://", source, re.IGNORECASE)
    if scheme:
        # The rest of an address may hold a password.
        raise NachweisError(
            f"{scheme[1]}:// cannot be read here",
            where="--from",
            remedy="name a local file; export a table of another database to Parquet, or to a "
            "DuckDB database",
            valid=["FILE.parquet", "FILE.csv", "FILE.jsonl", "FILE.duckdb::SCHEMA.TABLE"],
        )
    name, mark, table = source.partition("::")
    if mark and not is_database(name):
        raise NachweisError(
            "the file before '::' is not a database",
            where="--from",
            remedy="name a .duckdb file, or leave '::' and what follows out",
        )
    return Path(name), table if mark else None


@app.command()
def lint(
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not load Great Expectations to check suites.")
    ] = False,
    write_schemas: Annotated[
        Path | None, typer.Option("--write-schemas", help="Write JSON Schemas to a folder.")
    ] = None,
) -> None:
    """Validate every manifest and cross reference. 0: in order; 1: problems; 2: cannot run."""
    from nachweis.pipeline.lint import lint as run_lint
    from nachweis.pipeline.lint_history import not_compared

    if write_schemas is not None:
        out.print(f"written  {_write_schemas(write_schemas)} schemas")
        return
    suite_problems = None
    if not quick:
        from nachweis.engines.expectations import check_suite

        suite_problems = check_suite
    from nachweis.pipeline.summary import number_of

    settings = Settings()
    problems = run_lint(settings, registry.checks(), suite_problems)
    for problem in problems:
        out.print(f"{'warning' if problem.warning else 'error'}: {problem}", markup=False)
    for folder in not_compared(settings):
        out.print(
            f"note: {folder}: git knows no complete history of the activities here, so that one "
            "that vanished before its end may go unnoticed until a night is signed",
            markup=False,
        )
    errors = sum(not problem.warning for problem in problems)
    warnings = len(problems) - errors
    out.print(f"{number_of(errors, 'error')}, {number_of(warnings, 'warning')}")
    raise typer.Exit(1 if errors else 0)


@app.command()
def plan(
    subject: Annotated[str, typer.Argument(help="model/ID, data_set/ID or the id of a model.")],
    night: NightOption = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Also columns, statements and what is kept."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Print what would be read for a subject, and by which checks; reads no data."""
    from nachweis.pipeline.explain_plan import explain_plan

    planned = explain_plan(_context(night), _subject(subject))
    if as_json:
        out.print(json.dumps(planned.document(), indent=2, sort_keys=True), markup=False)
    else:
        out.print(planned.text(full=explain), markup=False)


# ---------------------------------------------------------------------------------- run


@app.command()
def run(
    night: Annotated[str, typer.Option("--night", help="YYYY-MM-DD.")],
    fail_on: Annotated[
        str | None,
        typer.Option(
            help=f"Exit with 1 from this severity of open findings on: {_one_of(Severity)}."
        ),
    ] = None,
) -> None:
    """Run a night in this process, without Airflow. 0: signed; 1: --fail-on; 2: not signed."""
    from nachweis.pipeline.night import run_night
    from nachweis.pipeline.summary import summary_text

    threshold = _severity(fail_on) if fail_on else None
    _resolved()
    summary = run_night(night, progress=lambda text: err.print(text, markup=False))
    out.print(summary_text(summary), markup=False)
    if threshold is not None and summary.reaches(threshold):
        raise typer.Exit(1)


# --------------------------------------------------------------------------------- site


@site_app.command("render")
def site_render() -> None:
    """Render the site from the signed documents of the store."""
    from nachweis.pipeline.site_build import render_site

    report = render_site(_resolved())
    out.print(f"{report.written} pages written, {report.unchanged} unchanged: {report.folder}")


@site_app.command("serve")
def site_serve(
    port: Annotated[int, typer.Option(help="Port on loopback; 0 takes a free one.")] = 8088,
) -> None:
    """Serve the rendered site on loopback, for one person at this machine."""
    from nachweis.pipeline.site_build import serve

    serve(Settings().site, port, announce=lambda text: out.print(text, markup=False))


# -------------------------------------------------------------------------------- check


@check_app.command("list")
def check_list(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the catalogue page of the repository.")
    ] = False,
) -> None:
    """List all checks."""
    if markdown:
        from nachweis.pages.catalogue import render_checks_markdown

        typer.echo(render_checks_markdown(registry.checks()), nl=False)
        return
    _print_rows(
        ("check", "about", "severity", "question"),
        (
            (check.id, check.subject.value.replace("_", " "), check.severity.value, check.question)
            for check in registry.checks().values()
        ),
    )


@check_app.command("show")
def check_show(check_id: str) -> None:
    """Print what a check asks, why, how, and its parameters."""
    check = registry.check(check_id)
    out.print(check.question, markup=False, style="bold")
    for title, text in (
        ("Why", check.why),
        ("Method", check.method),
        ("Leaves out", check.leaves_out),
        ("If it fails", check.remediation),
        ("Severity", check.severity.value),
        ("Controls", ", ".join(check.controls)),
        ("Needs", "; ".join(need.declare for need in check.needs) or "nothing"),
        ("Can be waived", "yes" if check.waivable else "no"),
    ):
        out.print(f"\n{title}: {text}", markup=False)
    for param in check.params:
        out.print(
            f"\nParameter {param.name} = {param.default} {param.unit} ({param.source}): "
            f"{param.description}",
            markup=False,
        )


@check_app.command("new")
def check_new(
    name: Annotated[str, typer.Argument(help="family/statement, e.g. drift/foo_stays_bar.")],
    folder: Annotated[Path | None, typer.Option(help="Folder of the families.")] = None,
) -> None:
    """Write a check file that has the form of the contract, to be filled in."""
    from nachweis.pipeline.skeleton import SUBJECT, new_check_source

    family, _, statement = name.partition("/")
    source = new_check_source(family, statement)
    path = (folder or registry.FAMILIES) / family / f"{statement}.py"
    if path.exists():
        raise NachweisError("this check exists already", where=str(path), remedy="edit that file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    except OSError as error:
        raise NachweisError(
            f"the check cannot be written ({error.strerror})",
            where=str(path),
            remedy="check the folder",
        ) from error
    out.print(f"written  {path}", markup=False)
    out.print(
        f"Next:\n"
        f"  fill it in, then see what it finds:\n"
        f"    nachweis check try {statement} --on {SUBJECT.value}/ID\n"
        f"  bring the catalogue of checks and the messages up to date:\n"
        f"    make docs\n"
        f"  translate its question and sentences in templates/locales/de and da, then:\n"
        f"    make test",
        markup=False,
    )


@check_app.command("try")
def check_try(
    check_id: str,
    on: Annotated[str, typer.Option("--on", help="model/ID or data_set/ID.")],
    night: NightOption = None,
) -> None:
    """Run one check on one subject and print its findings; nothing is stored."""
    from nachweis.pipeline.night import observe_subject

    check = registry.check(check_id)
    subject = _subject(on, check.subject)
    if subject.kind is not check.subject:
        raise NachweisError(
            f"{check.id} is about a {check.subject.value.replace('_', ' ')}",
            where=on,
            remedy=f"name one with --on {check.subject.value}/ID",
        )
    context = _context(night)
    for finding in observe_subject(context, subject, checks=[check]).findings:
        _print_finding(finding)


# ------------------------------------------------------------------------------ finding


@finding_app.command("list")
def finding_list(
    night: NightOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what passed, did not apply or could not run.")
    ] = False,
) -> None:
    """List a night's findings, worst first."""
    from nachweis.pipeline.findings import findings_of
    from nachweis.pipeline.states import stays_open

    views = findings_of(_resolved(), night)
    shown = [item for item in views if everything or stays_open(item)]
    if not shown:
        out.print(_none_open([item.finding for item in views]))
        return
    _print_rows(
        ("severity", "outcome", "state", "finding"),
        (
            (
                item.finding.severity.value,
                _outcome(item.finding, item.waiver),
                item.state or "-",
                item.finding.key,
            )
            for item in shown
        ),
    )


@finding_app.command("why")
def finding_why(
    key: Annotated[str, typer.Argument(help="Key as printed by `finding list`.")],
    night: NightOption = None,
) -> None:
    """Explain a finding: numbers, limits, evidence, what it means, what to try, whom to ask."""
    from nachweis.pipeline.archive import newest_night
    from nachweis.pipeline.findings import findings_of

    settings = _resolved()
    views = {item.finding.key: item for item in findings_of(settings, night)}
    if key not in views:
        raise NachweisError(
            "there is no such finding in this night",
            where=key,
            remedy=suggestion(key, views) or "see `nachweis finding list --all`",
        )
    item = views[key]
    _print_finding(item.finding, remedy=False)
    if item.since:
        out.print(f"Open since the night of {item.since}; state: {item.state}", markup=False)
    out.print(f"Evidence: {item.evidence.digest}{item.evidence.pointer}", markup=False)
    print_guidance(item.finding, night or newest_night(settings))


@finding_app.command("ack")
def finding_ack(
    key: Annotated[str, typer.Argument(help="Key as printed by `finding list`.")],
    role: Annotated[str, typer.Option(help="Role that takes the decision.")],
    night: NightOption = None,
    false_alarm: Annotated[
        bool, typer.Option("--false-alarm", help="Say that it is a false alarm.")
    ] = False,
) -> None:
    """Sign that somebody has seen an open finding; the outcome stays what it is."""
    from nachweis.pipeline.findings import acknowledge

    sequence = acknowledge(_resolved(), key, role=role, night=night, false_alarm=false_alarm)
    out.print(f"signed as ledger entry {sequence}; shown from the next night on")


# -------------------------------------------------------------------------------- store


@app.command()
def bootstrap() -> None:
    """Create and set up the buckets, and test the store.

    Needs credentials that may create buckets.
    """
    from nachweis.storage.bootstrap import bootstrap as set_up

    out.print(json.dumps(set_up(_resolved()).model_dump(mode="json"), indent=2), markup=False)


@store_app.command("start")
def store_start() -> None:
    """Start the embedded store, set its buckets up and wait until it is ready."""
    from nachweis.storage.bootstrap import bootstrap
    from nachweis.storage.embedded import resolve, wanted

    settings = Settings()
    if not wanted(settings):
        raise SettingsError(
            "the settings lead to another store than the embedded one",
            where="NACHWEIS_S3_ENDPOINT",
            remedy="unset it, or write embedded; `nachweis bootstrap` sets another store up",
        )
    resolved = resolve(settings)
    bootstrap(resolved)
    out.print(f"ready  {resolved.s3_endpoint}", markup=False)


@store_app.command("stop")
def store_stop() -> None:
    """Stop the embedded store."""
    from nachweis.storage.embedded import stop

    out.print("stopped" if stop(Settings()) else "was not running")


@store_app.command("status")
def store_status() -> None:
    """Say whether the embedded store runs."""
    from nachweis.storage.embedded import status

    out.print(str(status(Settings()) or "not running"), markup=False)


@store_app.command("test")
def store_test() -> None:
    """Test what the store of the settings really guarantees and print the result."""
    from nachweis.storage.bootstrap import self_test

    out.print(json.dumps(self_test(_resolved()).model_dump(mode="json"), indent=2), markup=False)


# ------------------------------------------------------------------------------ helpers


def _fail(error: NachweisError) -> None:
    err.print(f"error: {error}", markup=False)
    sys.exit(error.exit_code)


def _malformed(error: ValidationError) -> SettingsError:
    """A malformed setting as a sentence; its value may be a secret and is left out."""
    first = error.errors(include_input=False, include_url=False)[0]
    return SettingsError(
        str(first["msg"]).removeprefix("Value error, "),
        where="_".join(("NACHWEIS", *(str(part) for part in first["loc"]))).upper(),
        remedy="correct or unset this environment variable",
    )


def _write_schemas(folder: Path) -> int:
    from nachweis.pipeline.load import schemas

    found = schemas()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in found.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise NachweisError(
            f"the schemas cannot be written ({error.strerror})",
            where=str(folder),
            remedy="check the folder",
        ) from error
    return len(found)


def _print_rows(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns; lines are never broken, so that keys can be copied."""
    lines = [tuple(titles), *(tuple(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles) - 1)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        out.print("  ".join([*cells, line[-1]]), markup=False)


def _resolved() -> Settings:
    """Settings with the store's address; an embedded one is started, and set up when it starts."""
    from nachweis.pipeline.access_log import keep_access_log
    from nachweis.storage.bootstrap import bootstrap as set_up
    from nachweis.storage.embedded import resolve, status, wanted

    settings = Settings()
    keep_access_log(settings)
    fresh = wanted(settings) and status(settings) is None
    resolved = resolve(settings)
    if fresh:
        set_up(resolved)
    return resolved


def _context(night: str | None) -> Any:
    from nachweis.pipeline.archive import newest_night
    from nachweis.pipeline.context import open_context

    resolved = _resolved()
    return open_context(night or newest_night(resolved))


def _subject(text: str, default: SubjectKind = SubjectKind.MODEL) -> Subject:
    kind, slash, key = text.partition("/")
    if not slash:
        return Subject(kind=default, id=text)
    if kind not in {item.value for item in SubjectKind}:
        raise NachweisError(
            "not a kind of subject", where=text, valid=[item.value for item in SubjectKind]
        )
    return Subject(kind=SubjectKind(kind), id=key)


def _severity(text: str) -> Severity:
    try:
        return Severity(text)
    except ValueError as error:
        raise NachweisError("not a severity", where="--fail-on", valid=list(Severity)) from error


def _outcome(finding: Finding, waiver: str | None) -> str:
    return "fail (waived)" if waiver and finding.outcome is Outcome.FAIL else finding.outcome.value


def _none_open(findings: Sequence[Finding]) -> str:
    """What to say of a night without open findings; what could not run is no good news."""
    unseen = sum(finding.outcome is Outcome.NOT_AVAILABLE for finding in findings)
    could = f"{unseen} could not run" if unseen else "all could run"
    return f"No check failed; {could}, see --all."


def _print_finding(finding: Finding, *, remedy: bool = True) -> None:
    out.print(f"{finding.outcome.value} ({finding.severity.value})  {finding.key}", markup=False)
    out.print(f"  {finding.explanation}", markup=False)
    if finding.carried_from:
        out.print(
            f"  Observed in the night of {finding.carried_from}; nothing it was made from has "
            "changed since.",
            markup=False,
        )
    for item in finding.measurements:
        limit = (
            f", in order if {item.threshold.operator} {_plain(item.threshold.value)} "
            f"({item.threshold.source})"
            if item.threshold
            else ""
        )
        group = f" [{item.group}]" if item.group else ""
        size = f", n = {item.n}" if item.n is not None else ""
        value = _plain(item.value) if item.value is not None else f"undefined ({item.reason})"
        unit = f" {item.unit}" if item.unit else ""
        drifted = ", drifted by the library's own rule" if item.drifted else ""
        out.print(
            f"  {item.name}{group} = {value}{unit}{_interval(item)}{size}{limit}{drifted}",
            markup=False,
        )
    if finding.declare:
        out.print(f"  To declare: {finding.declare}", markup=False)
    if finding.is_open and remedy:
        out.print(f"  What to do: {finding.remediation}", markup=False)


def _interval(item: Measurement) -> str:
    """An interval and its level, in brackets; nothing where there is none."""
    if item.interval is None:
        return ""
    low, high = item.interval
    level = f"{100 * item.interval_level:.4g} % interval: " if item.interval_level else ""
    return f" ({level}{_plain(low)} to {_plain(high)})"


def _plain(value: object) -> str:
    """A number without a decimal point that says nothing, yes or no for a truth value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


if __name__ == "__main__":
    main()
