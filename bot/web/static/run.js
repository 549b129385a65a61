"use strict";
// Keeps a run's page true while the run goes on: live texts each second, the whole page when something else changed.
(function () {
  const EVERY = 1000;
  const SLOWEST = 15000;
  const LOG_EVERY = 10000;
  let wait = EVERY;
  let logAt = Date.now();

  function main() {
    return document.querySelector("main");
  }

  function offline(is) {
    main().querySelector("[data-offline]").hidden = !is;
  }

  function fill(live) {
    for (const [name, text] of Object.entries(live.texts)) {
      for (const place of main().querySelectorAll(`[data-live="${name}"]`)) {
        if (place.textContent !== text) place.textContent = text;
      }
    }
    const bar = main().querySelector("progress");
    if (bar && live.max) {
      bar.max = live.max;
      bar.value = live.value;
    }
    const box = main().querySelector("[data-scores-box]");
    if (!box) return;
    box.hidden = live.scores.length === 0;
    box.querySelector("[data-scores]").replaceChildren(
      ...live.scores.map((cells) => {
        const row = document.createElement("tr");
        row.className = "primary";
        cells.forEach((text, index) => {
          const cell = document.createElement(index ? "td" : "th");
          if (index) cell.className = "num";
          else cell.scope = "row";
          cell.textContent = text;
          row.append(cell);
        });
        return row;
      })
    );
  }

  // The server draws the page; we put its new <main> in place of the old one and keep what people opened.
  async function redraw() {
    const response = await fetch(location.href, { cache: "no-store" });
    if (!response.ok) return location.reload();
    const drawn = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = drawn.querySelector("main");
    for (const old of main().querySelectorAll("details[id]")) {
      const same = fresh.querySelector(`details[id="${old.id}"]`);
      if (same && old.open) same.open = true;
    }
    main().replaceWith(fresh);
    document.title = drawn.title;
    logAt = Date.now();
    dress();
  }

  async function tick() {
    if (main().dataset.again !== "yes") return;
    if (!document.hidden) {
      try {
        const response = await fetch(location.pathname.replace(/\/$/, "") + "/data" + location.search, { cache: "no-store" });
        if (response.status === 403 || response.status === 404 || response.status === 410) return location.reload();
        if (!response.ok) throw new Error(String(response.status));
        const data = await response.json();
        const log = document.getElementById("log");
        if (data.version !== main().dataset.version) await redraw();
        else if (!data.again) return offline(false);
        else if (log && log.open && Date.now() - logAt > LOG_EVERY) await redraw();
        else fill(data.live);
        offline(false);
        wait = EVERY;
      } catch {
        offline(true);
        wait = Math.min(SLOWEST, wait * 2);
      }
    }
    setTimeout(tick, wait);
  }

  function copied(button) {
    const label = button.textContent;
    button.textContent = button.dataset.done;
    button.disabled = true;
    setTimeout(() => {
      button.textContent = label;
      button.disabled = false;
    }, 1500);
  }

  async function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    if (navigator.clipboard) {
      try {
        await navigator.clipboard.writeText(source.textContent);
        return copied(button);
      } catch {
        // not allowed here: select it, as below
      }
    }
    getSelection().selectAllChildren(source); // plain HTTP has no clipboard
    if (document.execCommand("copy")) copied(button);
  }

  // What only a script can do: copy buttons, and times in the reader's own time zone.
  function dress() {
    for (const button of main().querySelectorAll("button.copy")) {
      button.hidden = false;
      button.addEventListener("click", () => copy(button));
    }
    for (const time of main().querySelectorAll("time")) {
      const moment = new Date(time.dateTime);
      time.title = time.textContent;
      time.textContent = moment.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    }
    const log = main().querySelector("pre.log");
    if (log) log.scrollTop = log.scrollHeight;
  }

  document.addEventListener("toggle", (event) => {
    const log = event.target.querySelector && event.target.querySelector("pre.log");
    if (log) log.scrollTop = log.scrollHeight;
  }, true);
  dress();
  setTimeout(tick, EVERY);
})();
