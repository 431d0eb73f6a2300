"""The production form: real Compose accepts it, it is hardened, and all it names exists."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from nachweis.airflow_bridge.home import shared_configuration
from nachweis.settings import PACKAGE_ROOT, Settings

COMPOSE = PACKAGE_ROOT / "docker-compose.yml"
DOCKERFILE = PACKAGE_ROOT / "Dockerfile"
TOOLS = Path(sys.executable).parent
REQUIRED = sorted(set(re.findall(r"\$\{([A-Z0-9_]+):\?", COMPOSE.read_text())))
SECRET = re.compile(r"PASSWORD$|SECRET|KEY$|KEK$|CONN$|_URL$|BACKEND$")
NO_SECRET = {
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "NACHWEIS_SIGNER_PUBLIC_KEY",
    "NACHWEIS_SITE_URL",
}
AIRFLOW_SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
OTHER_SERVICES = ("postgres", "redis", "object-store", "bootstrap")
STORE_USERS = {"bootstrap", "worker"}
"""Services that speak to the store, read data and sign."""
_DATABASE = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}
_QUEUE = {"AIRFLOW__CELERY__RESULT_BACKEND", "AIRFLOW__CELERY__BROKER_URL"}
_CONNECTIONS = {"AIRFLOW__CORE__FERNET_KEY"}
_TOKENS = {"AIRFLOW__API_AUTH__JWT_SECRET"}
_LOGS = {"AIRFLOW__API__SECRET_KEY"}


def _pair(identity: str) -> set[str]:
    return {f"{identity}_ACCESS_KEY", f"{identity}_SECRET_KEY"}


_WRITERS = _pair("NACHWEIS_S3") | _pair("NACHWEIS_ANCHOR")
HELD = {
    "postgres": {"POSTGRES_PASSWORD"},
    "redis": {"REDIS_PASSWORD"},
    "object-store": {
        "WEED_S3_SSE_KEK",
        "WEED_JWT_FILER_SIGNING_KEY",
        "WEED_JWT_FILER_SIGNING_READ_KEY",
        "WEED_JWT_SIGNING_KEY",
        "s3.json",
    },
    "bootstrap": _DATABASE | _WRITERS | _pair("STORE_ADMIN"),
    "api-server": _DATABASE | _CONNECTIONS | _TOKENS | _LOGS,
    "scheduler": _DATABASE | _CONNECTIONS | _TOKENS | _QUEUE,
    "dag-processor": _DATABASE,
    "triggerer": _DATABASE | _CONNECTIONS | _LOGS,
    "worker": _DATABASE | _LOGS | _QUEUE | _WRITERS | _pair("NACHWEIS_DATA"),
}
"""What each service decrypts, signs or connects with: tasks get connections and tokens from the
API server, and only workers read data and write records."""
NOT_AIRFLOWS_OWN = {"celery", "fab"}
"""Configuration sections of providers that only the production lock installs."""
CELERY_PROVIDER = "3.26.0"
CELERY_COMMANDS = {"worker", "flower", "stop", "list-workers", "shutdown-worker"}
CELERY_APP = "airflow.providers.celery.executors.celery_executor.app"
"""What that version of the provider has; it is not installed for the tests."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("production")
    values = {name: f"value-of-{name.lower().replace('_', '-')}" for name in REQUIRED}
    values |= {name: f"sha256:{'a' * 64}" for name in REQUIRED if name.endswith("_DIGEST")}
    values |= {name: str(folder / name) for name in REQUIRED if name.endswith("_FOLDER")}
    values |= {
        "NACHWEIS_IMAGE": f"nachweis@sha256:{'b' * 64}",
        "AIRFLOW_BASE_URL": "https://governance.example",
    }
    return {"PATH": os.environ["PATH"], "HOME": str(folder), **values}


def compose(environment: dict[str, str], *arguments: str) -> CompletedProcess[str]:
    """The Go program itself: the script that PyPI installs beside it swallows its exit code."""
    package = importlib.util.find_spec("compose")
    assert package is not None
    assert package.origin is not None
    program = Path(package.origin).with_name("docker-compose")
    return subprocess.run(
        [program, "--file", COMPOSE, *arguments],
        env=environment,
        cwd=PACKAGE_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def resolved(environment: dict[str, str]) -> dict[str, Any]:
    done = compose(environment, "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_compose_accepts_the_file(environment: dict[str, str]) -> None:
    done = compose(environment, "config", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_file_follows_the_compose_specification() -> None:
    done = subprocess.run(
        [TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_security_linter_has_nothing_to_say(
    environment: dict[str, str], tmp_path: Path
) -> None:
    rendered = tmp_path / "docker-compose.yml"
    rendered.write_text(compose(environment, "config", "--no-path-resolution").stdout)
    done = subprocess.run(
        [TOOLS / "compose-lint", "check", "--fail-on", "low", "--quiet", rendered],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", REQUIRED)
def test_nothing_starts_while_a_required_variable_is_missing(
    environment: dict[str, str], name: str
) -> None:
    done = compose({k: v for k, v in environment.items() if k != name}, "config", "--quiet")
    assert done.returncode != 0
    assert name in done.stderr


def test_no_secret_is_in_the_environment_and_none_has_a_default(resolved: dict[str, Any]) -> None:
    for name, service in resolved["services"].items():
        exposed = {
            variable
            for variable in service.get("environment") or {}
            if SECRET.search(variable) and variable not in NO_SECRET
        }
        assert not exposed, f"{name}: {exposed}"
    assert re.findall(r"\$\{([A-Z0-9_]+):?-", COMPOSE.read_text()) == [
        "NACHWEIS_S3_ENDPOINT",
        "NACHWEIS_SIGNER_PUBLIC_KEY",
        "NACHWEIS_CA_BUNDLE",
        "AIRFLOW_PORT",
    ]


@pytest.mark.parametrize(
    ("given", "bundle"),
    [
        ({}, "/etc/nachweis/tls/ca.crt"),
        ({"NACHWEIS_CA_BUNDLE": ""}, "/etc/nachweis/tls/ca.crt"),
        (
            {"NACHWEIS_S3_ENDPOINT": "", "NACHWEIS_CA_BUNDLE": "/etc/ssl/certs/public.crt"},
            "/etc/ssl/certs/public.crt",
        ),
    ],
    ids=["own store", "empty", "AWS"],
)
def test_the_trusted_authorities_follow_a_variable(
    environment: dict[str, str], given: dict[str, str], bundle: str
) -> None:
    done = compose({**environment, **given}, "config", "--format", "json")
    variables = json.loads(done.stdout)["services"]["worker"]["environment"]
    assert variables["AWS_CA_BUNDLE"] == bundle
    if "NACHWEIS_S3_ENDPOINT" in given:
        assert variables["NACHWEIS_S3_ENDPOINT"] == ""


@pytest.fixture(scope="module")
def secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parent") / "secrets"
    done = generate_secrets(folder)
    assert done.returncode == 0, done.stderr
    return folder


def generate_secrets(folder: Path | str, cwd: Path | None = None) -> CompletedProcess[str]:
    script = PACKAGE_ROOT / "tools" / "production_secrets.py"
    return subprocess.run(
        [sys.executable, script, folder], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", ["", " "])
def test_secrets_are_not_written_to_wherever_one_stands(tmp_path: Path, name: str) -> None:
    done = generate_secrets(name, cwd=tmp_path)
    assert done.returncode == 1
    assert "name the folder" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_secret_file_it_requires_is_generated(
    resolved: dict[str, Any], environment: dict[str, str], secrets_folder: Path
) -> None:
    wanted = {Path(secret["file"]).name for secret in resolved["secrets"].values()}
    assert {file.name for file in secrets_folder.iterdir()} == wanted
    assert all(
        secret["file"].startswith(environment["NACHWEIS_SECRETS_FOLDER"])
        for secret in resolved["secrets"].values()
    )
    used = {
        secret["source"]
        for service in resolved["services"].values()
        for secret in service.get("secrets") or []
    }
    assert used == set(resolved["secrets"])


def test_secret_files_are_closed_to_other_users_and_never_overwritten(secrets_folder: Path) -> None:
    assert secrets_folder.stat().st_mode & 0o777 == 0o700
    before = {file.name: file.read_text() for file in secrets_folder.iterdir()}
    assert all(value.strip() for value in before.values())
    assert generate_secrets(secrets_folder).returncode == 1
    assert {file.name: file.read_text() for file in secrets_folder.iterdir()} == before


def test_secrets_become_variables_of_the_process_alone(secrets_folder: Path) -> None:
    done = subprocess.run(
        [PACKAGE_ROOT / "docker" / "with-secrets", "sh", "-c", 'printf "%s" "$REDIS_PASSWORD"'],
        env={"PATH": os.environ["PATH"], "SECRETS_FOLDER": str(secrets_folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    expected = (secrets_folder / "REDIS_PASSWORD").read_text()
    assert (done.stdout, done.returncode) == (expected, 0), done.stderr


def test_the_services_of_the_production_form_exist(resolved: dict[str, Any]) -> None:
    assert set(resolved["services"]) == {*AIRFLOW_SERVICES, *OTHER_SERVICES}


@pytest.mark.parametrize("name", [*AIRFLOW_SERVICES, *OTHER_SERVICES])
def test_a_service_is_hardened(resolved: dict[str, Any], name: str) -> None:
    service = resolved["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    user, _, group = service["user"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert int(service["mem_limit"]) > 0
    assert float(service["cpus"]) > 0
    assert int(service["pids_limit"]) > 0
    assert not service.get("privileged")
    if name == "bootstrap":
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("name", [*AIRFLOW_SERVICES, *OTHER_SERVICES])
def test_folders_of_the_host_are_mounted_read_only(resolved: dict[str, Any], name: str) -> None:
    for mount in resolved["services"][name].get("volumes") or []:
        if mount["type"] == "bind":
            assert mount["read_only"] is True, mount["source"]


def test_only_the_api_server_listens_and_only_on_loopback(resolved: dict[str, Any]) -> None:
    published = {
        name: [port["host_ip"] for port in service["ports"]]
        for name, service in resolved["services"].items()
        if service.get("ports")
    }
    assert published == {"api-server": ["127.0.0.1"]}


def test_the_object_store_has_a_network_of_its_own(resolved: dict[str, Any]) -> None:
    services, networks = resolved["services"], resolved["networks"]
    assert list(services["object-store"]["networks"]) == ["store"]
    assert networks["store"]["internal"] is True
    assert networks["airflow"]["internal"] is True
    on_it = {name for name, service in services.items() if "store" in service["networks"]}
    assert on_it == {"object-store", *STORE_USERS}
    outward = {name for name, service in services.items() if "outside" in service["networks"]}
    assert outward == {"api-server", *STORE_USERS}


@pytest.mark.parametrize("name", [*AIRFLOW_SERVICES, *OTHER_SERVICES])
def test_a_service_holds_the_secrets_that_it_uses_and_no_others(
    resolved: dict[str, Any], name: str
) -> None:
    held = {secret["source"] for secret in resolved["services"][name].get("secrets") or []}
    assert held == HELD[name]


def test_the_key_of_the_stores_certificate_is_the_stores_alone(
    resolved: dict[str, Any], environment: dict[str, str]
) -> None:
    folder = Path(environment["NACHWEIS_TLS_FOLDER"])
    for name, service in resolved["services"].items():
        mounted = {
            Path(mount["source"]): mount["target"]
            for mount in service.get("volumes") or []
            if mount["type"] == "bind"
        }
        reaches_key = any(
            source == folder / "tls.key" or source in (folder, *folder.parents)
            for source in mounted
        )
        assert reaches_key is (name == "object-store"), name
        if name in STORE_USERS:
            assert mounted[folder / "ca.crt"] == service["environment"]["AWS_CA_BUNDLE"]


def test_only_what_signs_knows_the_signer_and_may_change_the_state(
    resolved: dict[str, Any], environment: dict[str, str]
) -> None:
    for name in (*AIRFLOW_SERVICES, "bootstrap"):
        service = resolved["services"][name]
        signs = name in STORE_USERS
        assert ("NACHWEIS_SIGNER" in service["environment"]) is signs, name
        assert ("NACHWEIS_S3_ENDPOINT" in service["environment"]) is signs, name
        writable = {
            mount["source"]
            for mount in service["volumes"]
            if mount["type"] == "volume" and not mount.get("read_only")
        }
        assert ("state" in writable) is signs, name
    given = {**environment, "NACHWEIS_SIGNER_PUBLIC_KEY": "/world/signer.pem"}
    worker = json.loads(compose(given, "config", "--format", "json").stdout)["services"]["worker"]
    assert worker["environment"]["NACHWEIS_SIGNER_PUBLIC_KEY"] == "/world/signer.pem"


def test_the_site_is_shown_from_where_it_is_rendered(resolved: dict[str, Any]) -> None:
    def place(name: str) -> str:
        mounts = resolved["services"][name]["volumes"]
        return next(str(mount["target"]) for mount in mounts if mount.get("source") == "state")

    assert place("api-server") == place("worker")


def test_only_the_bootstrap_holds_the_administrators_credentials(resolved: dict[str, Any]) -> None:
    holders = {
        name
        for name, service in resolved["services"].items()
        for secret in service.get("secrets") or []
        if secret["source"].startswith("STORE_ADMIN")
    }
    assert holders == {"bootstrap"}


def test_the_stores_writer_is_no_administrator(secrets_folder: Path) -> None:
    content = json.loads((secrets_folder / "s3.json").read_text())
    keys = {i["credentials"][0]["accessKey"]: i for i in content["identities"]}
    writer = keys[(secrets_folder / "NACHWEIS_S3_ACCESS_KEY").read_text()]
    assert "actions" not in writer
    admin = keys[(secrets_folder / "STORE_ADMIN_ACCESS_KEY").read_text()]
    assert admin["actions"] == ["Admin"]


def test_every_path_it_names_exists(resolved: dict[str, Any], environment: dict[str, str]) -> None:
    given = {environment[name] for name in REQUIRED if name.endswith("_FOLDER")}
    for name, service in resolved["services"].items():
        for mount in service.get("volumes") or []:
            if mount["type"] == "bind" and given.isdisjoint(
                {mount["source"], str(Path(mount["source"]).parent)}
            ):
                source = Path(mount["source"])
                assert source.is_relative_to(PACKAGE_ROOT)
                assert source.exists(), f"{name} mounts {source}"
        if "build" in service:
            assert (Path(service["build"]["context"]) / "Dockerfile") == DOCKERFILE
    for line in yaml.safe_load(COMPOSE.read_text())["x-airflow"]["env_file"]:
        assert (PACKAGE_ROOT / line).is_file()


def test_every_variable_it_sets_is_known(resolved: dict[str, Any]) -> None:
    import airflow.configuration as airflow_configuration

    known = airflow_configuration.retrieve_configuration_description(include_providers=False)
    options = {
        f"AIRFLOW__{section}__{option}".upper()
        for section, content in known.items()
        for option in (*content["options"], "mp_start_method", "mp_forkserver_preload")
    }
    settings = {f"NACHWEIS_{field}".upper() for field in Settings.model_fields}
    for name in AIRFLOW_SERVICES:
        service = resolved["services"][name]
        for variable in (*service["environment"], *(s["source"] for s in service["secrets"])):
            section = variable.split("__")[1].lower() if "__" in variable else ""
            if variable.startswith("AIRFLOW__") and section not in NOT_AIRFLOWS_OWN:
                assert variable in options, variable
            if variable.startswith("NACHWEIS_"):
                assert variable in settings, variable


def test_it_shares_airflows_configuration_with_the_one_command_path(
    resolved: dict[str, Any],
) -> None:
    for name in AIRFLOW_SERVICES:
        variables = resolved["services"][name]["environment"]
        for variable, value in shared_configuration().items():
            assert variable in variables
            if variable != "AIRFLOW__CORE__PARALLELISM":
                assert variables[variable] == value


@pytest.mark.parametrize("name", [*AIRFLOW_SERVICES, "bootstrap"])
def test_every_command_it_runs_exists(resolved: dict[str, Any], name: str) -> None:
    service = resolved["services"][name]
    commands = [service["command"]]
    probe = service["healthcheck"].get("test")
    if probe:
        commands.append(probe[1:] if probe[0] == "CMD" else shlex.split(probe[1]))
    for command in commands:
        demand_command(command[1:] if command[0].endswith("/with-secrets") else command)


@pytest.mark.parametrize(
    "command",
    [
        "airflow celery wrker",
        "airflow schedular",
        "airflow jobs check --job-kind SchedulerJob",
        "celery --app nowhere.app inspect ping",
        "celery --app airflow.providers.celery.executors.celery_executor.app inspekt ping",
        "python -m nachweis.airflow_bridge.bootstrapp",
        "something else",
    ],
)
def test_a_command_that_does_not_exist_would_be_noticed(command: str) -> None:
    with pytest.raises((AssertionError, SystemExit)):
        demand_command(command.split())


def demand_command(command: list[str]) -> None:
    match command:
        case ["airflow", "celery", name]:
            assert name in CELERY_COMMANDS
        case ["airflow", *arguments]:
            from airflow.cli.cli_parser import get_parser

            get_parser().parse_args(arguments)
        case ["celery", "--app", app, "inspect", "ping", *_]:
            assert app == CELERY_APP
        case ["python", "-m", module]:
            assert importlib.util.find_spec(module) is not None
        case ["python", "-c", source]:
            compile(source, "healthcheck", "exec")
        case _:
            raise AssertionError(f"nobody knows whether this exists: {command}")


def test_what_is_known_of_the_celery_provider_is_known_of_the_locked_version() -> None:
    lock = (PACKAGE_ROOT / "requirements-production.lock").read_text()
    locked = re.findall(r"^apache-airflow-providers-celery==(\S+)", lock, re.MULTILINE)
    assert locked == [CELERY_PROVIDER], "look its commands and its app up again"


def test_the_images_command_line_reads_the_secret_files(tmp_path: Path) -> None:
    (tmp_path / "NACHWEIS_DUCKDB_THREADS").write_text("no number")
    link = tmp_path / "nachweis"
    link.symlink_to(PACKAGE_ROOT / "docker" / "nachweis")
    assert (
        f"ln -s /opt/nachweis/docker/nachweis /usr/local/bin/{link.name}" in DOCKERFILE.read_text()
    )
    for arguments, code in ((["--version"], 0), (["store", "status"], 2)):
        done = subprocess.run(
            [link, *arguments],
            env={
                "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(PACKAGE_ROOT / "plugins"),
                "SECRETS_FOLDER": str(tmp_path),
                "NACHWEIS_STATE": str(tmp_path / "state"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
    assert "NACHWEIS_DUCKDB_THREADS" in done.stderr


def test_the_containers_user_can_write_to_every_named_volume(resolved: dict[str, Any]) -> None:
    made = re.search(r"install -d -o nachweis -g nachweis ([^\n\\&]+)", DOCKERFILE.read_text())
    assert made is not None
    for name in (*AIRFLOW_SERVICES, "bootstrap"):
        mounts = resolved["services"][name]["volumes"]
        named = {mount["target"] for mount in mounts if mount["type"] == "volume"}
        assert named, name
        # A new volume takes owner and rights from the folder of the image that it covers.
        assert named <= set(made[1].split()), name


def test_the_object_store_understands_every_flag(resolved: dict[str, Any]) -> None:
    done = subprocess.run(
        [TOOLS / "weed", "mini", "-h"], capture_output=True, text=True, check=False
    )
    known = set(re.findall(r"^\s+-([a-zA-Z0-9.]+)", done.stdout + done.stderr, re.MULTILINE))
    service = resolved["services"]["object-store"]
    given = {argument.split("=")[0].lstrip("-") for argument in service["command"][2:]}
    assert given
    assert given <= known, given - known


def test_the_image_is_built_from_the_lock_and_does_not_run_as_root() -> None:
    lines = DOCKERFILE.read_text().splitlines()
    assert "USER 50000:50000" in lines
    assert "--require-hashes" in DOCKERFILE.read_text()
    kept = (PACKAGE_ROOT / ".dockerignore").read_text().splitlines()
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            source = line.split()[1]
            assert (PACKAGE_ROOT / source).exists(), source
            assert f"!{source}" in kept, f"{source} is not sent to the builder"
    assert "pip install nachweis" not in DOCKERFILE.read_text()
    assert "-e ." not in DOCKERFILE.read_text()
