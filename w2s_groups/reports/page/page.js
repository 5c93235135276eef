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

  // What was chosen stands in the address, so that a link to the page shows the same.
  const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const put = (key, value) => {
    if (value) state.set(key, value); else state.delete(key);
    try { history.replaceState(null, "", `#${state}`); } catch { /* an odd address */ }
  };

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
  const turn = (k, focus) => {
    choose(tabs[k], focus);
    put("tab", k ? String(k) : "");
  };
  tabs.forEach((tab, k) => {
    tab.addEventListener("click", () => turn(k, false));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: k + 1, ArrowLeft: k - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      turn((to + tabs.length) % tabs.length, true);
    });
  });
  if (tabs.length) choose(tabs[Number(state.get("tab"))] || tabs[0], false);

  // A link to a heading opens all that it lies in.
  const reveal = () => {
    const target = location.hash.includes("=") ? null
      : document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const panel = target.closest('[role="tabpanel"]');
    if (panel) choose(document.getElementById(panel.getAttribute("aria-labelledby")), false);
    for (let at = target; at; at = at.parentElement) if (at.matches("details")) at.open = true;
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);

  // Sorting: by number where both cells have one, by text otherwise; blanks last either way. Rows
  // that head a part stay where they are.
  const order = new Intl.Collator("en", { numeric: true });
  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return text === "" || text === "–" ? null : text;
  };
  const compare = ([, a], [, b], sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * order.compare(String(a), String(b));
  };
  all("table.sortable").forEach((table, t) => {
    const heads = [...table.tHead.rows[0].cells];
    const by = (column, direction) => {
      for (const other of heads) other.removeAttribute("aria-sort");
      heads[column].setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => !row.matches(".point"));
        const valued = rows.map((row) => [row, value(row, column)]);
        valued.sort((one, two) => compare(one, two, sign));
        body.append(...valued.map(([row]) => row));
      }
    };
    heads.forEach((head, column) => {
      const sort = head.querySelector(".sort");
      if (!sort) return;
      sort.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const next = { ascending: "descending", descending: "ascending" }[now] || sort.dataset.first;
        by(column, next);
        put(`sort${t}`, `${column},${next}`);
      });
    });
    const [column, direction] = (state.get(`sort${t}`) || "").split(",");
    if (heads[column] && ["ascending", "descending"].includes(direction)) by(column, direction);
  });

  for (const box of all(".filterable")) {
    const rows = all("tbody tr:not(.point)", box);
    const search = box.querySelector('input[type="search"]');
    const selects = all("select", box);
    const fields = search ? [search, ...selects] : selects;
    const shown = box.querySelector(".shown");
    const apply = () => {
      const words = search ? search.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
      let count = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        const fits = words.every((word) => text.includes(word)) && selects.every((select) =>
          !select.value || row.cells[Number(select.dataset.column)].textContent === select.value);
        row.hidden = !fits;
        count += fits;
      }
      if (shown) shown.textContent = `${count} of ${rows.length} rows`;
    };
    for (const field of fields) {
      field.value = state.get(field.id) || "";
      field.addEventListener("input", () => { apply(); put(field.id, field.value); });
    }
    const reset = box.querySelector(".reset");
    if (reset) {
      reset.addEventListener("click", () => {
        for (const field of fields) { field.value = ""; put(field.id, ""); }
        apply();
      });
    }
    if (fields.some((field) => field.value)) {
      apply();
      const folded = box.closest("details");
      if (folded) folded.open = true;
    }
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

  reveal();
})();
