// Refreshes the live page's parts each second. The page works without it.
"use strict";

(() => {
  const INTERVAL_MS = 1000;
  // An answer that takes longer than this is no use to someone watching.
  const TIMEOUT_MS = 5000;

  const panel = document.querySelector("[data-refresh]");
  if (!panel) {
    return;
  }
  const address = panel.dataset.refresh;
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
    say(paused ? "Paused at " + clock(lastAnswer) : "Updating each second", false);
    if (!paused) {
      refresh();
    }
  });
  say("Updating each second", false);
  setTimeout(tick, INTERVAL_MS);

  async function tick() {
    if (!paused && !document.hidden) {
      await refresh();
    }
    setTimeout(tick, INTERVAL_MS);
  }

  async function refresh() {
    try {
      const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (!answer.ok) {
        throw new Error("status " + answer.status);
      }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (paused) {
        return;
      }
      lastAnswer = new Date();
      swap(fresh);
      say("Updating each second", false);
    } catch {
      if (!paused) {
        say("No answer from the hub since " + clock(lastAnswer) + ": what you see is old", true);
      }
    }
  }

  // Only parts that differ are touched, and never the one that holds the focus, so nobody loses their place.
  function swap(fresh) {
    for (const part of document.querySelectorAll("[data-part]")) {
      const next = fresh.querySelector('[data-part="' + CSS.escape(part.dataset.part) + '"]');
      if (next && !part.contains(document.activeElement) && !next.isEqualNode(part)) {
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
