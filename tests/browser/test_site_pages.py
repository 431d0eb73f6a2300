"""The site in a real browser: silent, self-contained, narrow enough, and usable by keyboard."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from nachweis.pages.documents import render_documents
from nachweis.pages.policy import CONTENT_SECURITY_POLICY
from nachweis.pages.website import render_site
from nachweis.pipeline.site_build import serve
from tests.site_world import TEMPLATES, demo_world, site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (apt: chromium)"),
]

KINDS = (
    "index.html", "nights/2026-11-20.html", "de/index.html", "de/activities/direct-marketing.html",
    "de/models/index.html", "de/models/campaign-propensity.html", "de/nights/index.html",
    "de/nights/2026-11-20.html", "de/checks/index.html", "de/checks/retention_kept.html",
    "da/activities/customer-service.html", "en/models/support-chatbot.html",
)  # fmt: skip
"""One page of every kind, and the longest ones."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_site(site(demo_world()), tmp_path_factory.mktemp("site"), TEMPLATES).folder


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record as it is stored and handed out: one file per language."""
    data = site(demo_world())
    made = tmp_path_factory.mktemp("documents")
    (item,) = data.records["direct-marketing"]
    for name, text in render_documents(
        item.record, version=1, digest=item.digest, night="2026-11-20", templates=TEMPLATES,
        labels=data.catalogue.labels,
    ).items():  # fmt: skip
        (made / name).write_text(text, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The site as the product serves it."""
    found: list[str] = []
    servers: list[BaseServer] = []
    ready = threading.Event()

    def started(server: BaseServer) -> None:
        servers.append(server)
        ready.set()

    thread = threading.Thread(target=serve, args=(folder, 0, found.append, started), daemon=True)
    thread.start()
    assert ready.wait(30)
    yield found[0].split()[0]
    servers[0].shutdown()
    thread.join(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page that fails the test on console messages and on requests to anywhere else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    complaints: list[str] = []
    home = urlsplit(address).netloc

    def requested(request: Request) -> None:
        if urlsplit(request.url).netloc != home:
            complaints.append(f"asked {request.url}")

    opened.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", requested)
    yield opened
    context.close()
    assert complaints == []


@pytest.mark.parametrize("path", KINDS)
def test_pages_open_silently_under_the_policy(page: Page, address: str, path: str) -> None:
    answer = page.goto(address + path)
    assert answer is not None and answer.status == 200
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    styled = page.evaluate("getComputedStyle(document.body).margin")
    assert styled == "0px", "the style sheet did not load"


@pytest.mark.parametrize("path", KINDS)
@pytest.mark.parametrize("width", [320, 360, 1280])
def test_no_page_is_wider_than_its_window(page: Page, address: str, path: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(address + path)
    _assert_fits(page, width)


def _assert_fits(page: Page, width: int) -> None:
    for details in page.query_selector_all("details"):
        details.evaluate("element => element.setAttribute('open', '')")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 1280])
def test_a_signed_document_stands_alone(browser: Browser, documents: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    opened = context.new_page()
    noise: list[str] = []
    opened.on("console", lambda message: noise.append(message.text))
    requests: list[str] = []
    opened.on("request", lambda request: requests.append(request.url))
    address = (documents / "record.da.html").as_uri()
    opened.goto(address)
    assert opened.evaluate("getComputedStyle(document.body).margin") == "0px", "no style applied"
    _assert_fits(opened, width)
    assert noise == []
    assert requests == [address]
    context.close()


def test_the_skip_link_is_the_first_stop_and_leads_to_the_content(page: Page, address: str) -> None:
    page.goto(address + "de/index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Zum Inhalt springen"
    assert page.locator(".skip").bounding_box() is not None
    box = page.locator(".skip").bounding_box()
    assert box is not None and box["x"] >= 0, "the link is visible once it has the focus"
    page.keyboard.press("Enter")
    assert urlsplit(page.url).fragment == "main"
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("path", ["index.html", "activities/newsletter.html"])
def test_the_language_switch_stays_on_the_same_page(page: Page, address: str, path: str) -> None:
    page.goto(address + f"en/{path}")
    page.get_by_role("link", name="Dansk").click()
    assert page.url == address + f"da/{path}"
    assert page.evaluate("document.documentElement.lang") == "da"
    page.get_by_role("link", name="Deutsch").click()
    assert page.url == address + f"de/{path}"
    current = page.locator(".languages [aria-current]")
    assert current.text_content() == "Deutsch"


def test_a_reader_gets_from_the_register_to_a_finding_and_its_check(
    page: Page, address: str
) -> None:
    page.goto(address)
    page.get_by_role("link", name="Deutsch").click()
    page.get_by_role("link", name="Modelle", exact=True).click()
    page.locator("tbody th a").first.click()
    assert page.locator("article.open").count() > 0
    page.locator("article.open h3 a").first.click()
    assert "/checks/" in page.url
    assert page.locator("h1").text_content()


def test_measurements_open_without_a_script(page: Page, address: str) -> None:
    page.goto(address + "en/models/churn.html")
    details = page.locator("article.open details").first
    table = details.locator("table")
    assert not table.is_visible()
    details.locator("summary").click()
    assert table.is_visible()
    assert details.locator("span[title='0.027665975']").first.text_content() == "0.02767"


def test_the_dark_scheme_is_dark(browser: Browser, address: str) -> None:
    context = browser.new_context(color_scheme="dark")
    opened = context.new_page()
    opened.goto(address + "de/index.html")
    colour = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(int(part) for part in colour.strip("rgb()").split(",")) < 150
    context.close()
