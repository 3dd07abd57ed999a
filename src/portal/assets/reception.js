// Makes the desk's pages quicker: live counts, keys on the board, printing, the waiting room's display. All pages
// work without it.
"use strict";

(() => {
  counts();
  keys();
  printing();
  display();

  // How many characters are left, or too many; said aloud only when typing rests.
  function counts() {
    for (const field of document.querySelectorAll("[data-count]")) {
      const shown = document.querySelector('[data-count-of="' + CSS.escape(field.id) + '"]');
      if (!shown) {
        continue;
      }
      const most = Number(field.dataset.count);
      const aloud = document.createElement("p");
      aloud.className = "hidden";
      aloud.setAttribute("role", "status");
      shown.after(aloud);
      let rest;
      const show = () => {
        // As the hub counts: characters, not units of UTF-16, and none at the ends.
        const left = most - Array.from(field.value.trim()).length;
        const count = Math.abs(left) === 1 ? "1 character" : Math.abs(left) + " characters";
        shown.textContent = left < 0 ? "Too long by " + count : count + " left";
        shown.classList.toggle("field__count--over", left < 0);
        clearTimeout(rest);
        rest = setTimeout(() => { aloud.textContent = shown.textContent; }, 1000);
      };
      field.addEventListener("input", show);
      shown.textContent = "";
      show();
      clearTimeout(rest);
    }
  }

  // A, C and D press the buttons of the row in which the focus is, and of no other; arrows go from row to row.
  function keys() {
    const rows = () => Array.from(document.querySelectorAll("[data-row]"));
    if (rows().length === 0) {
      return;
    }
    document.querySelector("[data-keys]").hidden = false;
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.matches("[data-row]")) {
      target.focus();
    }
    document.addEventListener("keydown", (event) => {
      const row = event.target.closest("[data-row]");
      if (!row || event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, select, textarea")) {
        return;
      }
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        const all = rows();
        const next = all[all.indexOf(row) + (event.key === "ArrowDown" ? 1 : -1)];
        if (next) {
          event.preventDefault();
          next.focus();
        }
        return;
      }
      const button = row.querySelector('[data-key="' + CSS.escape(event.key.toLowerCase()) + '"]');
      if (button && !event.repeat) {
        event.preventDefault();
        button.click();
      }
    });
  }

  function printing() {
    for (const button of document.querySelectorAll("[data-print]")) {
      button.hidden = false;
      button.addEventListener("click", () => window.print());
    }
  }

  // The waiting room's display asks again every few seconds, and sounds at a call if somebody has switched that on.
  function display() {
    const INTERVAL_MS = 5000;
    const address = document.body.dataset.display;
    if (!address) {
      return;
    }
    const state = document.querySelector("[data-display-state]");
    const button = document.querySelector("[data-display-sound]");
    let sound = null;
    button.hidden = false;
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      button.textContent = on ? "Sound is on: press for silence" : "Sound is off: press for a tone at each call";
      sound = on ? sound || new AudioContext() : sound;
      if (on) {
        tone();
      }
    });
    setTimeout(tick, INTERVAL_MS);

    async function tick() {
      try {
        const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(INTERVAL_MS) });
        if (!answer.ok) {
          throw new Error("status " + answer.status);
        }
        swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
        state.textContent = "";
      } catch {
        state.textContent = "This display is not up to date. Please ask at the desk.";
      }
      setTimeout(tick, INTERVAL_MS);
    }

    function swap(fresh) {
      for (const part of document.querySelectorAll("[data-display-part]")) {
        const next = fresh.querySelector('[data-display-part="' + part.dataset.displayPart + '"]');
        if (!next || next.isEqualNode(part)) {
          continue;
        }
        if (next.dataset.call && next.dataset.call !== part.dataset.call) {
          tone();
        }
        // The element stays, so that what is new in it is read out.
        part.innerHTML = next.innerHTML;
        if (next.dataset.call !== undefined) {
          part.dataset.call = next.dataset.call;
        }
      }
    }

    function tone() {
      if (!sound || button.getAttribute("aria-pressed") !== "true") {
        return;
      }
      for (const [start, pitch] of [[0, 660], [0.35, 523]]) {
        const oscillator = sound.createOscillator();
        const volume = sound.createGain();
        oscillator.frequency.value = pitch;
        volume.gain.setValueAtTime(0.2, sound.currentTime + start);
        volume.gain.exponentialRampToValueAtTime(0.001, sound.currentTime + start + 0.6);
        oscillator.connect(volume).connect(sound.destination);
        oscillator.start(sound.currentTime + start);
        oscillator.stop(sound.currentTime + start + 0.6);
      }
    }
  }
})();
