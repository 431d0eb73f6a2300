"""`make up`: real scheduler, LocalExecutor, API server; nights pair; the site is behind login."""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import sync_playwright

from nachweis.airflow_bridge import processes
from nachweis.airflow_bridge.libraries import HEAVY
from nachweis.airflow_bridge.local import COMPONENTS, Local
from nachweis.settings import Settings
from nachweis.storage import embedded_keys
from tests.integration.airflow_support import MINUTES, bridge, environment, last_nights

pytestmark = [pytest.mark.airflow, pytest.mark.store, pytest.mark.timeout(30 * 60)]

SUBJECTS = {"data_set/reference", "data_set/scores", "data_set/training", "model/propensity"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NIGHTLY = ("training_data_quality", "deployed_model_monitoring")
SIGNED_WITHIN = 20 * MINUTES


@dataclass
class Airflow:
    """A running local Airflow."""

    local: Local
    url: str
    api: httpx.Client
    env: dict[str, str]
    dates: tuple[str, str]

    def get(self, path: str, **query: Any) -> Any:
        answer = self.api.get(f"/api/v2/{path}", params=query)
        answer.raise_for_status()
        return answer.json()

    def all_runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Oldest first."""
        found = self.get(f"dags/{dag_id}/dagRuns", limit=100)["dag_runs"]
        return sorted(found, key=lambda run: str(run["queued_at"]))

    def runs(self, dag_id: str) -> dict[str, dict[str, Any]]:
        """Night to its first run; the newest night is backfilled and scheduled."""
        return {run["partition_key"]: run for run in reversed(self.all_runs(dag_id))}

    def xcom(self, dag_id: str, run: dict[str, Any], task: str) -> Any:
        path = f"dags/{dag_id}/dagRuns/{run['dag_run_id']}/taskInstances/{task}/xcomEntries"
        return self.get(f"{path}/return_value")["value"]

    def tasks(self, dag_id: str, run: dict[str, Any]) -> list[dict[str, Any]]:
        found = self.get(f"dags/{dag_id}/dagRuns/{run['dag_run_id']}/taskInstances", limit=100)
        return list(found["task_instances"])


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    state = tmp_path_factory.mktemp("state")
    world, dates = last_nights(tmp_path_factory.mktemp("tiny"))
    env = environment(state, NACHWEIS_WORLD=str(world))
    started = bridge("local", "up", env=env)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        local = Local(Settings(state=state))
        url = re.findall(r"^Airflow +(\S+)$", started.stdout, re.MULTILINE)[0]
        name, password = re.findall(r"^Login +(\S+) / (\S+)$", started.stdout, re.MULTILINE)[0]
        login = {"username": name, "password": password}
        token = httpx.post(f"{url}/auth/token", json=login).raise_for_status().json()
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        with httpx.Client(base_url=url, headers=bearer, timeout=60) as api:
            yield Airflow(local, url, api, env, dates)
    finally:
        running, _ = processes.read(state / "airflow" / "processes.json")
        stopped = bridge("local", "down", env=env)
        assert stopped.returncode == 0, stopped.stdout + stopped.stderr
        assert not processes.read(state / "airflow" / "processes.json")[0]
        assert not left_of(running)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", httpx.URL(url).port or 0)) != 0


def left_of(ended: list[processes.Process]) -> list[str]:
    """Command lines of processes that belong to the sessions we started."""
    sessions = {process.pid for process in ended}
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) in sessions and fields[0] != "Z":
                found.append(stat.with_name("cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.fixture(scope="module")
def nights(airflow: Airflow) -> dict[str, dict[str, Any]]:
    """Two nights, backfilled newest first by one DAG and oldest first by the other."""
    for dag_id, backwards in zip(NIGHTLY, (True, False), strict=True):
        wanted = {
            "dag_id": dag_id,
            "from_date": f"{airflow.dates[0]}T00:00:00Z",
            "to_date": f"{airflow.dates[1]}T23:00:00Z",
            "run_backwards": backwards,
            "max_active_runs": 1,
        }
        airflow.api.post("/api/v2/backfills", json=wanted).raise_for_status()
    deadline = time.monotonic() + SIGNED_WITHIN
    while time.monotonic() < deadline:
        runs = airflow.runs("processing_records")
        states = {night: runs[night]["state"] for night in airflow.dates if night in runs}
        if len(states) == len(airflow.dates) and set(states.values()) <= {"success", "failed"}:
            return runs
        time.sleep(2)
    pytest.fail(f"the nights were not signed in time: {states}")


def test_the_four_components_run_and_only_this_user_can_read_their_secrets(
    airflow: Airflow,
) -> None:
    running, facts = processes.read(airflow.local.register)
    assert [process.name for process in running] == [component[0] for component in COMPONENTS]
    assert all(process.alive for process in running)
    assert airflow.local.home.folder.stat().st_mode & 0o077 == 0
    for secret in (airflow.local.passwords, airflow.local.home.folder / "airflow.cfg"):
        assert secret.stat().st_mode & 0o077 == 0
    assert facts["url"] == airflow.url
    password = json.loads(airflow.local.passwords.read_text())["admin"]
    for log in airflow.local.home.logs.glob("*.log"):
        assert password not in log.read_text(errors="replace")


def test_starting_twice_changes_nothing(airflow: Airflow) -> None:
    before, _ = processes.read(airflow.local.register)
    done = bridge("local", "up", env=airflow.env)
    assert (done.returncode, processes.read(airflow.local.register)[0]) == (0, before)


def test_each_night_is_signed_from_its_own_two_parts(
    airflow: Airflow, nights: dict[str, dict[str, Any]]
) -> None:
    for night in airflow.dates:
        assert nights[night]["state"] == "success"
        summary = airflow.xcom("processing_records", nights[night], "publish")
        assert summary["night"] == night
        assert summary["chain_ok"]
        prepared = airflow.xcom("processing_records", nights[night], "prepare")
        assert set(prepared["runs"]) == set(NIGHTLY)
        for dag_id in NIGHTLY:
            handed_over = {
                (result["night"], result.get("key"))
                for run in airflow.all_runs(dag_id)
                if run["partition_key"] == night and run["state"] == "success"
                for result in [airflow.xcom(dag_id, run, "finish")]
            }
            assert {date for date, _ in handed_over} == {night}
            assert (night, prepared["runs"][dag_id]) in handed_over


def test_every_subject_was_covered_and_the_task_list_shows_its_name(
    airflow: Airflow, nights: dict[str, dict[str, Any]]
) -> None:
    for night in airflow.dates:
        shown = {
            task["rendered_map_index"]: task["state"]
            for dag_id in NIGHTLY
            for task in airflow.tasks(dag_id, airflow.runs(dag_id)[night])
            if task["map_index"] >= 0
        }
        assert shown == dict.fromkeys(SUBJECTS, "success")


def test_tasks_hand_on_keys_and_counts_only(
    airflow: Airflow, nights: dict[str, dict[str, Any]]
) -> None:
    customers = re.compile(r"\bc\d{5}\b")
    for dag_id in (*NIGHTLY, "processing_records"):
        for night in airflow.dates:
            path = f"dags/{dag_id}/dagRuns/{airflow.runs(dag_id)[night]['dag_run_id']}"
            entries = airflow.get(f"{path}/taskInstances/~/xcomEntries", limit=100)["xcom_entries"]
            assert entries
            for entry in entries:
                key = f"{entry['task_id']}/xcomEntries/{entry['key']}"
                found = airflow.get(
                    f"{path}/taskInstances/{key}", map_index=entry["map_index"], stringify=True
                )
                text = json.dumps(found["value"])
                assert len(text) < 4000
                assert not customers.search(text)


def test_heavy_libraries_are_loaded_before_a_mapped_task_starts(
    airflow: Airflow, nights: dict[str, dict[str, Any]]
) -> None:
    said = re.compile(r"heavy libraries loaded before this task: (\d+) of (\d+)")
    logs = airflow.local.home.logs.rglob("*/task_id=*/**/*.log")
    found = [pair for log in logs for pair in said.findall(log.read_text(errors="replace"))]
    assert len(found) >= len(SUBJECTS) * len(airflow.dates)
    assert set(found) == {(str(len(HEAVY)), str(len(HEAVY)))}


def test_no_secret_is_in_logs_connections_xcom_or_the_site(
    airflow: Airflow, nights: dict[str, dict[str, Any]]
) -> None:
    """The metadata database holds connections, variables, XCom and rendered fields of tasks."""
    settings, home = airflow.local.settings, airflow.local.home
    keys = embedded_keys.load(settings.state / "store")
    secrets = {
        getattr(keys, role).secret.encode()
        for role in ("administrator", "writer", "reader", "anchor", "disposer")
        if getattr(keys, role) is not None
    }
    private = (settings.state / "keys" / "ledger.pem").read_bytes()
    secrets |= {line for line in private.splitlines() if not line.startswith(b"-")}
    secrets |= {one.encode() for one in json.loads(airflow.local.passwords.read_text()).values()}
    assert len(secrets) >= 7
    assert all(len(secret) >= 8 for secret in secrets)
    read = [path for path in home.logs.rglob("*") if path.is_file()]
    read += list(home.folder.glob("airflow.db*"))
    read += [path for path in settings.site.rglob("*") if path.is_file()]
    assert home.database in read and any("task_id=" in str(path) for path in read)
    found = {
        path.name for path in read for content in [path.read_bytes()] if holds(content, secrets)
    }
    assert found == set()
    told = [airflow.get(name) for name in ("connections", "variables", "plugins", "providers")]
    assert not holds(json.dumps(told).encode(), secrets)


def holds(content: bytes, secrets: set[bytes]) -> bool:
    """Whether one of the secrets stands in something, as it is or in base64."""
    return any(secret in content or base64.b64encode(secret) in content for secret in secrets)


@pytest.fixture
def page(airflow: Airflow) -> Iterator[str]:
    """A page of the site, put there by this test."""
    site = airflow.local.settings.site
    probe = site / "probe" / "page.html"
    probe.parent.mkdir(parents=True, exist_ok=True)
    probe.write_text("<p>Seite</p>", encoding="utf-8")
    (site / "probe" / "secret.sqlite").write_text("x")
    yield "/governance/probe/page.html"
    for file in probe.parent.iterdir():
        file.unlink()
    probe.parent.rmdir()


def test_the_site_is_closed_to_who_has_not_signed_in(airflow: Airflow, page: str) -> None:
    for path in (page, "/governance/", "/governance/no-such-page.html", "/governance/openapi.json"):
        answer = httpx.get(f"{airflow.url}{path}")
        assert answer.status_code == 401, path
        assert "Seite" not in answer.text
    forged = {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."}
    assert httpx.get(f"{airflow.url}{page}", headers=forged).status_code in (401, 403)


def test_the_site_is_open_to_a_viewer_with_strict_headers(airflow: Airflow, page: str) -> None:
    password = json.loads(airflow.local.passwords.read_text())["viewer"]
    login = {"username": "viewer", "password": password}
    token = httpx.post(f"{airflow.url}/auth/token", json=login).json()["access_token"]
    for access in (
        {"headers": {"Authorization": f"Bearer {token}"}},
        {"cookies": {"_token": token}},
    ):
        with httpx.Client(**access) as viewer:  # type: ignore[arg-type]
            answer = viewer.get(f"{airflow.url}{page}")
        assert (answer.status_code, answer.text) == (200, "<p>Seite</p>")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "private" in answer.headers["cache-control"]
    logs = [path.read_text("utf-8", "replace") for path in airflow.local.home.logs.glob("*.log")]
    read = [line for text in logs for line in text.splitlines() if "read by 'viewer'" in line]
    assert len(read) == 2
    assert all("probe/page.html" in line for line in read)
    assert not any(token in text or password in text for text in logs)


@pytest.mark.parametrize(
    "path",
    [
        "no-such-page.html",
        "probe",
        "probe/secret.sqlite",
        "../store/keys.json",
        "%2e%2e/store/keys.json",
        "..%2fstore%2fkeys.json",
        "probe/..%2f..%2f..%2fairflow/passwords.json",
        "%2fetc/passwd",
        "probe%00.html",
        ".hidden.html",
        "openapi.json",
        "docs",
    ],
)
def test_nothing_outside_the_site_is_served_and_no_path_is_told(
    airflow: Airflow, page: str, path: str
) -> None:
    address = httpx.URL(airflow.url)
    bearer = {"Authorization": airflow.api.headers["Authorization"]}
    with closing(HTTPConnection(address.host, address.port, timeout=60)) as connection:
        connection.request("GET", f"/governance/{path}", headers=bearer)  # sent as it stands
        answer = connection.getresponse()
        text = answer.read().decode()
    assert answer.status in (400, 404), path
    assert str(airflow.local.settings.state) not in text
    assert "Traceback" not in text


def test_the_site_is_in_airflows_menu(airflow: Airflow) -> None:
    plugins = airflow.get("plugins")["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "governance_site"]
    (view,) = ours["external_views"]
    assert view["destination"] == "nav"
    assert airflow.get("plugins/importErrors")["total_entries"] == 0
    assert airflow.get("importErrors")["total_entries"] == 0


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (apt: chromium)")
def test_a_person_reads_and_follows_the_site_inside_airflow(
    airflow: Airflow, nights: dict[str, dict[str, Any]]
) -> None:
    password = json.loads(airflow.local.passwords.read_text())["viewer"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(3 * MINUTES * 1000)
        page.goto(airflow.url)
        page.locator("input[name=username]").fill("viewer")
        page.locator("input[name=password]").fill(password)
        page.locator("button[type=submit]").click()
        page.get_by_text("Browse").first.wait_for()
        page.goto(f"{airflow.url}/plugin/governance")
        site = page.frame_locator("iframe[title='Governance records']")
        site.locator("h1").first.wait_for()
        # The session must hold for what is opened inside the frame, not only for its first page.
        site.locator("header a[href*='nights/index']").click()
        for night in airflow.dates:
            site.locator(f"main a[href*='{night}.html']").first.wait_for()
        browser.close()


def test_a_component_that_dies_is_noticed(tmp_path: Path) -> None:
    process = processes.start("sleeper", ["sleep", "60"], {"PATH": "/usr/bin:/bin"}, tmp_path / "x")
    processes.save(tmp_path / "processes.json", [process], {"url": "u"})
    (found,), facts = processes.read(tmp_path / "processes.json")
    assert found.alive
    assert facts == {"url": "u"}
    processes.stop([found])
    assert not found.alive
    assert (tmp_path / "processes.json").stat().st_mode & 0o077 == 0


def test_a_process_that_merely_got_the_same_number_is_left_alone(tmp_path: Path) -> None:
    process = processes.start("sleeper", ["sleep", "60"], {"PATH": "/usr/bin:/bin"}, tmp_path / "x")
    try:
        processes.stop([processes.Process("sleeper", process.pid, "another birth")])
        assert process.alive
    finally:
        processes.stop([process])
