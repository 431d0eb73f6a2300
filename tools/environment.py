"""Create .venv from a hashed lock file; needs nothing but the system's python3.

Usage: python3 tools/environment.py runtime|dev|production

A digest of the lock, of the project table of pyproject.toml and of the interpreter is kept beside
the environment; while it is unchanged nothing is installed. On Debian, root may install what the
system lacks: python3-venv, and chromium for the browser tests.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = {
    "runtime": "requirements.lock",
    "dev": "requirements-dev.lock",
    "production": "requirements-production.lock",
}
WIDER = {"runtime": ("dev", "production"), "dev": (), "production": ()}
OLDEST = (3, 11)
REPORT_EVERY_SECONDS = 10.0


def say(text: str) -> None:
    """Write one line of progress to standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def stamp_file(kind: str) -> Path:
    """File that remembers what was installed last."""
    return VENV / f".installed-{kind}"


def wanted(kind: str) -> str:
    """Digest of everything that decides what the environment holds."""
    digest = hashlib.sha256(f"{sys.version}{sys.prefix}{ROOT}".encode())
    digest.update((ROOT / LOCKS[kind]).read_bytes())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    digest.update(json.dumps(project, sort_keys=True).encode())
    return digest.hexdigest()


def is_current(kind: str) -> bool:
    """Tell whether the environment, or a wider one, is already installed and runs."""
    if not PYTHON.exists() or subprocess.run([PYTHON, "-c", ""], check=False).returncode:
        return False
    return any(
        stamp_file(name).exists() and stamp_file(name).read_text() == wanted(name)
        for name in (kind, *WIDER[kind])
    )


def apt_install(package: str) -> bool:
    """Install a Debian package if this user may; tell whether it worked."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    say(f"  installing the system package {package}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    for attempt in range(2):
        done = subprocess.run(install, env=quiet, check=False, capture_output=True, text=True)
        if done.returncode == 0:
            return True
        if attempt == 0:
            subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)
    say(done.stderr.strip()[-500:])
    return False


def create() -> None:
    """Create an empty environment, with pip."""
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing and not apt_install("python3-venv"):
        sys.exit("This python3 has no venv module. What to do: apt-get install python3-venv")
    if VENV.exists():
        shutil.rmtree(VENV)
    say(f"  creating .venv with Python {sys.version.split()[0]}")
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)


def install(kind: str) -> None:
    """Install the lock with hashes, then this package in place, showing progress."""
    lock = ROOT / LOCKS[kind]
    total = sum(line[:1].isalnum() and "==" in line for line in lock.read_text().splitlines())
    say(f"  installing up to {total} locked packages")
    run_pip(["install", "--require-hashes", "--no-deps", "-r", str(lock)], total)
    run_pip(["install", "--no-deps", "--no-build-isolation", "-e", str(ROOT)], 1)


def run_pip(arguments: list[str], total: int) -> None:
    """Run pip, print how far it is every few seconds, and its last lines if it fails."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    command += [*arguments, "--progress-bar", "off"]
    started = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as pip:
        assert pip.stdout is not None
        reader = threading.Thread(target=lines.extend, args=(pip.stdout,))
        reader.start()
        while reader.is_alive():
            reader.join(REPORT_EVERY_SECONDS)
            if reader.is_alive():
                say(f"  [{time.monotonic() - started:4.0f} s] {how_far(list(lines), total)}")
    if pip.returncode:
        say("".join(lines[-15:]))
        sys.exit(f"pip failed with exit code {pip.returncode}")


def how_far(lines: list[str], total: int) -> str:
    """Say what pip is at, from what it has printed so far."""
    if any(line.startswith("Installing collected") for line in lines):
        return "unpacking"
    seen = sum(line.startswith(("Collecting ", "Requirement already")) for line in lines)
    return f"{min(seen, total)} of {total} fetched"


def offer_browser() -> None:
    """Install Chromium for the browser tests, or say why they will be skipped."""
    if any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        return
    if not apt_install("chromium"):
        say("  no Chromium and no way to install it: browser tests will be skipped")


def main(arguments: list[str]) -> None:
    """Bring the environment up to date."""
    if len(arguments) != 1 or arguments[0] not in LOCKS:
        sys.exit(f"usage: environment.py {'|'.join(LOCKS)}")
    if sys.version_info < OLDEST:
        sys.exit(f"Python {'.'.join(map(str, OLDEST))} or newer is needed")
    kind = arguments[0]
    if not is_current(kind):
        say(f"Environment ({LOCKS[kind]})")
        if not PYTHON.exists() or subprocess.run([PYTHON, "-c", ""], check=False).returncode:
            create()
        install(kind)
        stamp_file(kind).write_text(wanted(kind))
    if kind == "dev":
        offer_browser()


if __name__ == "__main__":
    main(sys.argv[1:])
