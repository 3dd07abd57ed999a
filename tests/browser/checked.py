"""A page in Chromium that is checked at every step: for access, for its form, and for what it gives away."""

import hashlib
import re
from pathlib import Path

PASSWORD = "demonstration only"
# Desktop, phone, and a desktop at 400 % (1280 px of page in 320 px).
WIDTHS = (1280, 390, 320)
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], "resultTypes": ["violations"]}
# Headers of every page, and what must be in each.
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
WAIT_MS = 20_000


class Wrong(Exception):
    """A page is not as it must be."""


class Findings:
    """What is wrong with pages, each fault once, and the pages' sources for a validator of HTML."""

    def __init__(self, folder: Path):
        self.folder, self.faults, self.pages, self.looked = folder, [], {}, 0
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, where: str, fault: str) -> None:
        if (line := f"{where}: {fault}") not in self.faults:
            self.faults.append(line)

    def keep(self, where: str, source: str) -> None:
        # What differs from one draft or moment to the next is one page to a validator.
        name = hashlib.sha256(re.sub(r"[0-9]+", "", source).encode()).hexdigest()[:16]
        if name not in self.pages:
            self.pages[name] = where
            (self.folder / f"{name}.html").write_text(source)


class Person:
    """Somebody at a screen: does what they do by the words on it, and each page they come to is checked."""

    def __init__(self, browser, base: str, axe: str, findings: Findings, script: bool = True, width: int = 1280):
        self.base, self.axe, self.findings, self.width = base, axe, findings, width
        self.shots: Path | None = None
        self.context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=script)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: findings.add(self.where(), f"script: {error}"))
        self.page.on("response", self._response)
        self.script, self.document = script, None

    def where(self) -> str:
        """The page's path without what is different each time."""
        path = self.page.url.removeprefix(self.base)
        return re.sub(r"[0-9a-f-]{8,}|[0-9]{4,}", "…", path)

    def _console(self, message) -> None:
        # A page that refuses is an error to the console, and meant.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.findings.add(self.where(), f"console: {message.text}")

    def _response(self, response) -> None:
        if response.request.resource_type != "document" or 300 <= response.status < 400:
            return
        self.document = response
        headers = response.headers
        for name, part in HEADERS.items():
            if part not in headers.get(name, ""):
                self.findings.add(self.where(), f"{name} is {headers.get(name)!r}, without {part!r}")
        if response.status >= 500:
            self.findings.add(self.where(), f"answered {response.status}")

    def check(self) -> None:
        """Holds the page to what every page is held to."""
        page, where, findings = self.page, self.where(), self.findings
        findings.looked += 1
        findings.keep(where, self.document.text())
        if re.search(r"999[ %0-9]{6,}|[A-Z]{3,}%20|EXAMPLE|name=", page.url):
            findings.add(where, "the address gives a patient away")
        if page.locator("h1").count() != 1:
            findings.add(where, f"{page.locator('h1').count()} headings of the first level")
        for width in WIDTHS if self.script else (self.width,):
            page.set_viewport_size({"width": width, "height": 900})
            if (over := page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")) > 0:
                findings.add(where, f"{over} px too wide at {width} px")
            if width != 390:
                self._accessible(where, width)
        page.set_viewport_size({"width": self.width, "height": 900})

    def _accessible(self, where: str, width: int) -> None:
        self.page.evaluate(self.axe)
        result = self.page.evaluate("rules => axe.run(document, rules)", RULES)
        for violation in result["violations"]:
            nodes = "; ".join(node["html"][:160] for node in violation["nodes"][:2])
            self.findings.add(where, f"{violation['id']} ({violation['help']}) at {width} px: {nodes}")

    def go(self, path: str) -> None:
        self.page.goto(self.base + path)
        self.check()

    def press(self, words: str, within=None) -> None:
        """Presses the first button with these words, and waits for the page it leads to."""
        self._leave((within or self.page.locator("body")).get_by_role("button", name=re.compile(words)).first)

    def follow(self, words: str, within=None) -> None:
        self._leave((within or self.page.locator("body")).get_by_role("link", name=re.compile(words)).first)

    def choose(self, selector: str, number: int = 0) -> None:
        """Presses what the selector finds, such as one of many offers."""
        self._leave(self.page.locator(selector).nth(number))

    def _leave(self, control) -> None:
        with self.page.expect_navigation():
            control.click()
        self.check()

    def fill(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=True).first.fill(text)

    def select(self, label: str, word: str) -> None:
        field = self.page.get_by_label(label, exact=True).first
        option = next((text for text in field.locator("option").all_inner_texts() if word in text), None)
        if option is None:
            raise Wrong(f"{self.where()}: {label} offers no {word}")
        field.select_option(label=option)

    def tick(self, label: str) -> None:
        self.page.get_by_label(label, exact=True).first.check()

    def sees(self, words: str) -> None:
        """Waits for words on the page."""
        try:
            self.page.get_by_text(re.compile(words)).first.wait_for(state="attached")
        except Exception as error:
            raise Wrong(f"{self.where()}: does not say {words!r}, but: {self.text()[:600]}") from error

    def sees_nothing_of(self, words: str) -> None:
        if re.search(words, self.page.content()):
            raise Wrong(f"{self.where()}: says {words!r}")

    def text(self) -> str:
        return re.sub(r"\s+", " ", self.page.inner_text("main"))

    def sign_in(self, user: str, password: str = PASSWORD) -> None:
        self.go("/sign-in")
        self.fill("User name", user)
        self.fill("Password", password)
        self.press("^Sign in$")

    def shoot(self, name: str) -> None:
        """Keeps a picture for the documents, if pictures are asked for."""
        if self.shots:
            self.page.screenshot(path=str(self.shots / f"{name}.png"), full_page=False)

    def leave(self) -> None:
        self.context.close()
