"""The portal's pages in a real browser, as far as the portal's double has pages."""

import base64
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

from sandbox.cluster import Sandbox
from tests.e2e.settings import MODELS
from tests.e2e.stack import Deployed
from tests.engine.driver import DOMAIN


def fingerprint(certificate: Path) -> str:
    """By this Chromium knows a certificate's key; it trusts no other that its own list lacks."""
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], capture_output=True, check=True)
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "der"], input=key.stdout, capture_output=True, check=True
    )
    return base64.b64encode(hashlib.sha256(der.stdout).digest()).decode()


def ours(said: ConsoleMessage) -> list[str]:
    """An error that the portal's pages caused; the login page's are not the program's."""
    where = said.location["url"]
    return [f"{where}: {said.text}"] if said.type == "error" and "//oauth-openshift." not in where else []


@pytest.fixture
def page(sandbox: Sandbox, stack: Deployed, tmp_path: Path) -> Iterator[Page]:
    """A new browser; what it complains about while a test works in it fails the test."""
    program = shutil.which("chromium")
    assert program, "the browser is missing: apt-get install chromium"
    options = [
        f"--host-resolver-rules=MAP *.{DOMAIN} {sandbox.host}",
        f"--ignore-certificate-errors-spki-list={fingerprint(sandbox.state / 'pki' / 'router.crt')}",
        # Its own sandbox cannot be had by root.
        "--no-sandbox",
    ]
    complaints: list[str] = []
    with sync_playwright() as play:
        context = play.chromium.launch_persistent_context(tmp_path / "profile", executable_path=program, args=options)
        context.set_default_timeout(20_000)
        opened = context.new_page()
        opened.on("console", lambda said: complaints.extend(ours(said)))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        yield opened
        context.close()
    assert complaints == []


def test_somebody_logs_in_subscribes_makes_a_key_and_asks_a_model_in_the_browser(stack: Deployed, page: Page) -> None:
    page.goto(stack.portal)
    # Set by the script that stands in the page itself; the policy for scripts lets it run.
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.click("#login")
    page.wait_for_url(f"https://oauth-openshift.{DOMAIN}/login**")
    page.fill("#inputUsername", "bob")
    page.fill("#inputPassword", "anything")
    page.click("button[type=submit]")
    page.wait_for_url(f"{stack.portal}/")
    expect(page.locator("h1")).to_have_text("Welcome, bob")

    page.goto(f"{stack.portal}/models")
    for model in MODELS:
        expect(page.locator("#models")).to_contain_text(model)
    subscribed = {each["modelId"] for each in stack.user("bob").api("GET", "/api/v1/subscriptions").ok().json()["data"]}
    for model in set(MODELS) - subscribed:
        page.goto(f"{stack.portal}/models")
        page.click(f"button[data-model='{model}']")
        page.wait_for_url(f"{stack.portal}/subscriptions")
    page.goto(f"{stack.portal}/subscriptions")
    for model in MODELS:
        expect(page.locator("#subscriptions")).to_contain_text(model)

    page.goto(f"{stack.portal}/api-keys")
    page.fill("#key-name", "browser")
    page.click("#create-key")
    key = page.locator("#new-key").inner_text()
    assert stack.gateway.url in page.locator("#example").inner_text()

    page.goto(f"{stack.portal}/playground")
    page.select_option("#model", MODELS[0])
    page.fill("#key", key)
    page.fill("#prompt", "Who are you?")
    page.click("#send")
    expect(page.locator("#answer")).to_have_text("double answers: Who are you?")

    page.goto(stack.portal)
    page.click("#logout")
    expect(page.locator("#login")).to_be_visible()
