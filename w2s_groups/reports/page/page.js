"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  root.classList.add("js");

  // Theme: a page on file:// may have no storage, then the choice lasts until it is closed.
  const themes = ["auto", "light", "dark"];
  const button = document.querySelector(".theme");
  const keep = (value) => { try { localStorage.setItem("theme", value); } catch { /* no storage */ } };
  const kept = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const setTheme = (name) => {
    if (name === "auto") delete root.dataset.theme; else root.dataset.theme = name;
    button.textContent = `Theme: ${name}`;
    button.dataset.now = name;
  };
  setTheme(themes.includes(kept()) ? kept() : "auto");
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(button.dataset.now) + 1) % themes.length];
    setTheme(next);
    keep(next);
  });

  // Tabs: arrows, Home and End move; only the chosen tab is in the tab order.
  const tabs = all('[role="tab"]');
  const choose = (tab, focus) => {
    for (const one of tabs) {
      const chosen = one === tab;
      one.setAttribute("aria-selected", String(chosen));
      one.tabIndex = chosen ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = !chosen;
    }
    if (focus) tab.focus();
  };
  tabs.forEach((tab, k) => {
    tab.addEventListener("click", () => choose(tab, false));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: k + 1, ArrowLeft: k - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(tabs[(to + tabs.length) % tabs.length], true);
    });
  });
  if (tabs.length) choose(tabs[0], false);

  // Sorting: by number where both cells have one, by text otherwise; blanks last either way.
  const order = new Intl.Collator("en", { numeric: true });
  const number = /^[+-]?\d+(?:\.\d+)?(?=$|[ ,:(\[-])/;
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.textContent.trim();
    const found = cell.classList.contains("words") ? null : text.match(number);
    if (found) return Number(found[0]);
    return text === "" || text === "–" ? null : text;
  };
  for (const table of all("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const sort = head.querySelector(".sort");
      sort.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const next = { ascending: "descending", descending: "ascending" }[now] || sort.dataset.first;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        const rows = [...table.tBodies[0].rows].map((row) => [row, value(row, column)]);
        rows.sort(([, a], [, b]) => {
          if (a === null || b === null) return (a === null) - (b === null);
          if (typeof a === "number" && typeof b === "number") return sign * (a - b);
          return sign * order.compare(String(a), String(b));
        });
        table.tBodies[0].append(...rows.map(([row]) => row));
      });
    });
  }

  for (const box of all(".filterable")) {
    const rows = [...box.querySelector("tbody").rows];
    const search = box.querySelector('input[type="search"]');
    const selects = all("select", box);
    const shown = box.querySelector(".shown");
    const apply = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        const fits = words.every((word) => text.includes(word)) && selects.every((select) =>
          !select.value || row.cells[Number(select.dataset.column)].textContent === select.value);
        row.hidden = !fits;
        count += fits;
      }
      shown.textContent = `${count} of ${rows.length} rows`;
    };
    search.addEventListener("input", apply);
    for (const select of selects) select.addEventListener("change", apply);
    box.querySelector(".reset").addEventListener("click", () => {
      search.value = "";
      for (const select of selects) select.value = "";
      apply();
    });
  }

  for (const box of all(".switch")) {
    const radios = all('input[type="radio"]', box);
    const apply = () => {
      const metric = radios.find((radio) => radio.checked).value;
      for (const block of all("[data-metric]", box)) block.hidden = block.dataset.metric !== metric;
    };
    for (const radio of radios) radio.addEventListener("change", apply);
    apply();
  }

  for (const box of all(".chooser")) {
    const select = box.querySelector("select");
    const apply = () => {
      for (const block of all("[data-choice]", box)) {
        block.hidden = block.dataset.choice !== select.value;
      }
    };
    select.addEventListener("change", apply);
    apply();
  }

  // A definition opens below its word, inside the window.
  for (const opener of all("[popovertarget]:not([popovertargetaction])")) {
    opener.addEventListener("click", () => {
      const box = document.getElementById(opener.getAttribute("popovertarget"));
      const at = opener.getBoundingClientRect();
      const place = () => {
        const most = root.clientWidth - box.offsetWidth - 16;
        const below = at.bottom + 6;
        const fits = below + box.offsetHeight < window.innerHeight;
        box.style.margin = "0";
        box.style.inset = "auto";
        box.style.left = `${Math.max(16, Math.min(at.left, most))}px`;
        box.style.top = `${Math.max(8, fits ? below : at.top - box.offsetHeight - 6)}px`;
      };
      requestAnimationFrame(place);
    });
  }

  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    for (const one of closed) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
  });
})();
