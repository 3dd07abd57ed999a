"""Walks the portal's pages in Chromium as the people who use them do: `walk.py --desk URL --axe FILE --pages DIR [WALK…]`.

Each page on the way is checked (checked.py). Prints a line for each walk and each fault; ends with 1 if there is one.
"""

import argparse
import sys
import time
import traceback
from pathlib import Path

from checked import PASSWORD, Findings, Person, Wrong
from playwright.sync_api import sync_playwright

PATIENT = "999 000 0018"
OTHER_PATIENT = "999 000 0026"
SETTLED_SECONDS = 60


class Setting:
    """What a walk is given: people at screens of this browser."""

    def __init__(self, browser, arguments, axe: str, findings: Findings):
        self.browser, self.arguments, self.axe, self.findings = browser, arguments, axe, findings
        self.people = []

    def person(self, **how) -> Person:
        person = Person(self.browser, self.arguments.desk, self.axe, self.findings, **how)
        person.shots = self.arguments.screenshots
        self.people.append(person)
        return person

    def wan(self, connected: bool) -> None:
        """Cuts or restores the desk's own WAN, by the switch on the demonstration's page."""
        page = self.browser.new_page()
        page.goto(self.arguments.desk + "/")
        page.get_by_role("button", name="Restore the WAN" if connected else "Cut the WAN").first.click()
        page.get_by_role("button", name="Cut the WAN" if connected else "Restore the WAN").first.wait_for()
        page.close()

    def end(self) -> None:
        for person in self.people:
            person.leave()


def find(person: Person, number: str = PATIENT) -> None:
    person.go("/patients")
    person.page.locator("main form input:not([type=hidden])").first.fill(number)
    person.press("^Find")
    person.choose("main button[name=who]")
    person.sees("Appointments to come")


def begin_booking(person: Person, service: str, number: str = PATIENT) -> None:
    """To the list of times for a service."""
    find(person, number)
    person.press("Book an appointment")
    person.select("Service", service)
    person.press("Show times")


def confirm(person: Person, number: int = 0) -> None:
    """From the list of times to what came of it."""
    person.choose("main button[name=key]", number)
    person.press("^Continue")
    person.choose("#confirm")


def sign_in(setting: Setting) -> None:
    """A wrong password says so and keeps the name; lock, unlock, account; signed out is signed out."""
    person = setting.person()
    person.sign_in("reception", "not the password")
    person.sees("There is a problem")
    person.fill("Password", PASSWORD)
    person.press("^Sign in$")
    person.sees("Walk-in|Today|appointments")
    for path in ("/account", "/account/password", "/switch-user", "/status", "/"):
        person.go(path)
    person.go("/reception")
    person.press("^Lock$")
    person.go("/reception")
    person.sees_nothing_of("999 000")
    person.go("/clinic")
    person.sees_nothing_of("NHS number of the patient")


def book_move_cancel(setting: Setting) -> None:
    """Find, six steps, the slip; move; amend; cancel with who and why."""
    person = setting.person()
    person.sign_in("reception")
    begin_booking(person, "Podiatry")
    person.shoot("slots")
    confirm(person)
    person.sees("Booked")
    person.shoot("booked")
    person.follow("Slip to print")
    person.page.go_back()
    person.follow("See the appointment")
    appointment = person.page.url.removeprefix(person.base)
    person.follow("Move")
    if "/slots" not in person.page.url:
        person.press("Show times|Choose")
    person.choose("main button[name=key]", 2)
    if "/details" in person.page.url:
        person.press("^Continue")
    person.choose("#confirm")
    person.sees("Moved|Booked")
    person.follow("See the appointment")
    person.follow("[Cc]ancel")
    person.press("Cancel the appointment")
    person.sees("There is a problem")
    person.tick("The patient, or somebody on their behalf")
    person.fill("Why?", "Cannot come on that day")
    person.press("Cancel the appointment")
    person.sees("[Cc]ancelled")
    person.go(appointment)
    person.sees("[Cc]ancelled")


def practice(setting: Setting) -> None:
    """A booking that the practice's own system confirms."""
    person = setting.person()
    person.sign_in("reception")
    begin_booking(person, "GP")
    person.sees("Confirmed by its system")
    confirm(person, 1)
    person.sees("Booked")


def planner(setting: Setting) -> None:
    """Two services in one visit, booked as one."""
    person = setting.person()
    person.sign_in("reception")
    find(person, OTHER_PATIENT)
    person.press("Plan a visit")
    person.press("Show visits")
    person.sees("There is a problem")
    boxes = person.page.locator("#services input[type=checkbox]")
    for number in range(2):
        boxes.nth(number).check()
    person.press("Show visits")
    person.shoot("visit")
    person.choose("main button[name=plan]")
    person.press("^Continue")
    person.choose("#confirm")
    person.sees("booked|Booked|asked for")


def queue(setting: Setting) -> None:
    """A ticket, called and seen; the display shows no names; the waiting list."""
    person = setting.person()
    person.sign_in("reception")
    find(person)
    name = person.page.locator(".patient__name").inner_text().split(",")[0]
    person.press("Give a ticket")
    person.press("Give a ticket")
    person.go("/queue")
    person.page.get_by_label("Room").first.fill("4")
    person.shoot("queue")
    person.press("Call the next")
    display = person.page.locator("a[href^='/display/']").first.get_attribute("href")
    board = setting.person()
    board.go(display)
    board.sees_nothing_of(name)
    board.shoot("display")
    find(person, OTHER_PATIENT)
    person.press("Put on the waiting list")
    person.select("Service", "Podiatry")
    person.page.locator("#priority input").first.check()
    person.press("Put on the list")
    person.go("/waiting")
    person.sees("Podiatry")
    person.follow("Remove|Take off")


def outage(setting: Setting) -> None:
    """The WAN goes in the middle of a booking: what is the hub's own is booked; what is another's is asked for, and ends well."""
    person = setting.person()
    person.sign_in("reception")
    begin_booking(person, "Physiotherapy", OTHER_PATIENT)
    setting.wan(connected=False)
    try:
        confirm(person)
        person.sees("not certain yet")
        person.shoot("outage-asked")
        begin_booking(person, "Podiatry", OTHER_PATIENT)
        confirm(person)
        person.sees("Booked")
        person.go("/reception")
        person.shoot("board")
        person.go("/provisional")
        person.sees("Physiotherapy")
        person.shoot("outage-tray")
    finally:
        setting.wan(connected=True)
    until = time.monotonic() + SETTLED_SECONDS
    while "Every booking is confirmed" not in person.text():
        if until < time.monotonic():
            raise Wrong(f"the tray is not empty {SETTLED_SECONDS} s after the outage: {person.text()[:400]}")
        time.sleep(1)
        person.page.reload()


def keyboard(setting: Setting) -> None:
    """From signing in to the booking with Tab, arrows and Enter; the focus is always to be seen."""
    person = setting.person()
    page = person.page

    def tab_to(matches: str, most: int = 120) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate("css => document.activeElement.matches(css)", matches):
                style = page.evaluate("(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.boxShadow })()")
                if style == "nonenone":
                    setting.findings.add(person.where(), f"the focus on {matches} cannot be seen")
                return
        raise Wrong(f"{person.where()}: {matches} is not reached by {most} tabs")

    def enter() -> None:
        with page.expect_navigation():
            page.keyboard.press("Enter")

    page.goto(person.base + "/sign-in")
    tab_to("#user")
    page.keyboard.type("reception")
    tab_to("#password")
    page.keyboard.type(PASSWORD)
    enter()
    page.goto(person.base + "/patients")
    page.keyboard.press("Tab")
    if not page.evaluate("document.activeElement.matches('.skip')"):
        raise Wrong("/patients: the first stop is not the link to the content")
    tab_to("main form input:not([type=hidden])")
    page.keyboard.type(PATIENT)
    enter()
    tab_to("main button[name=who]")
    enter()
    tab_to("main button[value=book]")
    enter()
    tab_to("#service")
    page.keyboard.type("Podi")
    tab_to("main form button.button")
    enter()
    tab_to("main button[name=key]")
    enter()
    tab_to("main form button.button")
    enter()
    tab_to("#confirm")
    enter()
    person.sees("Booked")


def no_script(setting: Setting) -> None:
    """Everything of a booking without a script, at a phone's width."""
    person = setting.person(script=False, width=390)
    person.sign_in("reception")
    begin_booking(person, "Podiatry", PATIENT)
    confirm(person)
    person.sees("Booked")
    person.go("/queue")
    person.go("/day-list")


def clinician(setting: Setting) -> None:
    """The list, the question why, the record's pages; reception is kept out of all of them."""
    person = setting.person()
    person.sign_in("clinician")
    person.shoot("clinic")
    person.fill("NHS number", PATIENT)
    person.press("^Go on")
    person.press("Open the record")
    person.sees("There is a problem")
    person.tick("Yes")
    person.press("Open the record")
    person.shoot("record")
    record = person.page.url.removeprefix(person.base)
    for page in ("all", "results", "timeline", "disagreements", "viewers", "print"):
        person.go(f"{record}/{page}")
        person.shoot(f"record-{page}")
    stranger = setting.person()
    stranger.sign_in("reception")
    for page in ("", "/all", "/results"):
        stranger.go(record + page)
        stranger.sees_nothing_of("mmol|Diabetes|llerg")
    person.go(record)
    person.press("Close")


def administrator(setting: Setting) -> None:
    """Accounts: a fault, a new one; nothing of patients."""
    person = setting.person()
    person.sign_in("administrator")
    person.go("/admin")
    person.go("/patients")
    person.sees_nothing_of("Date of birth")


WALKS = [sign_in, book_move_cancel, practice, planner, queue, outage, keyboard, no_script, clinician, administrator]


def walked(walk, setting: Setting) -> bool:
    began, result = time.monotonic(), "ok"
    try:
        walk(setting)
    except Wrong as wrong:
        result = f"FAILED: {wrong}"
    except Exception:
        at = setting.people[-1] if setting.people else None
        seen = f"at {at.page.url}: {at.page.inner_text('body')[:800]}" if at else ""
        result = f"FAILED: {traceback.format_exc(limit=-3)}\n{seen}"
    setting.end()
    print(f"walk {walk.__name__}: {result} ({time.monotonic() - began:.0f} s)", flush=True)
    return result == "ok"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--desk", required=True)
    parser.add_argument("--axe", required=True, type=Path)
    parser.add_argument("--pages", required=True, type=Path)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("walks", nargs="*")
    arguments = parser.parse_args()
    arguments.desk = arguments.desk.rstrip("/")
    findings, axe = Findings(arguments.pages), arguments.axe.read_text()
    chosen = [walk for walk in WALKS if not arguments.walks or walk.__name__ in arguments.walks]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
        well = [walked(walk, Setting(browser, arguments, axe, findings)) for walk in chosen]
        browser.close()
    for fault in findings.faults:
        print(f"fault: {fault}")
    print(f"{findings.looked} pages looked at, {len(findings.pages)} different; {len(findings.faults)} faults")
    return 0 if all(well) and not findings.faults else 1


sys.exit(main())
