// Refreshes a page's parts each second, or as often as the page says. Pages work without it.
"use strict";

(() => {
  // An answer that takes longer than this is no use to someone watching.
  const TIMEOUT_MS = 5000;
  // Nobody's hand is behind these requests: the hub does not count them as use of the session.
  const REFRESH = { "X-Polygate-Refresh": "1" };

  const panel = document.querySelector("[data-refresh]");
  if (!panel) {
    return;
  }
  const address = panel.dataset.refresh;
  const seconds = Number(panel.dataset.refreshSeconds || 1);
  const often = seconds === 1 ? "Updating each second" : "Updating every " + seconds + " seconds";
  const state = panel.querySelector("[data-refresh-state]");
  const button = panel.querySelector("[data-refresh-button]");
  const announce = document.querySelector("[data-announce]");
  let paused = false;
  let announced = summary(document);
  let lastAnswer = new Date();

  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Resume updates" : "Pause updates";
    say(paused ? "Paused at " + clock(lastAnswer) : often, false);
    if (!paused) {
      refresh();
    }
  });
  say(often, false);
  setTimeout(tick, seconds * 1000);

  async function tick() {
    if (!paused && !document.hidden) {
      await refresh();
    }
    setTimeout(tick, seconds * 1000);
  }

  async function refresh() {
    try {
      const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS), headers: REFRESH });
      if (answer.redirected) {
        // The screen is locked, or the session is over: show that instead of what was here.
        location.reload();
        return;
      }
      if (!answer.ok) {
        throw new Error("status " + answer.status);
      }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (paused) {
        return;
      }
      lastAnswer = new Date();
      swap(fresh);
      say(often, false);
    } catch {
      if (!paused) {
        say("No answer from the hub since " + clock(lastAnswer) + ": what you see is old", true);
      }
    }
  }

  // Only parts that differ are touched, and never one that holds the focus or a form that somebody has opened, so
  // nobody loses their place or their words.
  function swap(fresh) {
    for (const part of document.querySelectorAll("[data-part]")) {
      const next = fresh.querySelector('[data-part="' + CSS.escape(part.dataset.part) + '"]');
      const inUse = part.contains(document.activeElement) || part.querySelector("details[open]");
      if (next && !inUse && !next.isEqualNode(part)) {
        part.replaceWith(next);
      }
    }
    const now = summary(fresh);
    if (now !== announced) {
      announced = now;
      announce.textContent = now;
    }
  }

  function summary(page) {
    return Array.from(page.querySelectorAll("[data-summary]"), (part) => part.dataset.summary).join(" ");
  }

  function say(text, isOld) {
    const wasOld = document.body.classList.contains("is-old");
    state.textContent = text;
    document.body.classList.toggle("is-old", isOld);
    // Losing the hub and having it back are worth saying aloud; that all goes on is not.
    if (isOld !== wasOld) {
      announce.textContent = isOld ? text : "The hub answers again. " + announced;
    }
  }

  function clock(moment) {
    return moment.toLocaleTimeString("en-GB");
  }
})();
