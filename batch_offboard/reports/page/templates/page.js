"use strict";
// The table of all rows: search, filters, sorting; only visible rows are drawn. Values are set only as text.
(() => {
  const ROW = 0, ID = 1, NAME = 2, OUTCOME = 3, ACTION = 4, STATUS = 5, CODE = 6, MESSAGE = 7, HTTP = 8, ATTEMPTS = 9,
    SUBMITTED = 10, FINISHED = 11, ADVICE = 12, CELLS = 13, PLATFORM = 14, GROUP = 15, TAGS = 16, SEEN = 17, REMARK = 18;
  const TALLEST = 15e6; // pixels, close to the maximum that browsers support
  const SLICE = 30; // milliseconds of work before yielding to the browser
  const OVERSCAN = 8; // rows drawn beyond the visible edges
  const byId = (id) => document.getElementById(id);
  const known = JSON.parse(byId("words").textContent);
  const view = byId("view"), table = byId("table"), body = table.tBodies[0], found = byId("found"), detail = byId("detail");
  const query = byId("query"), reason = byId("reason"), order = byId("order");
  const chips = [...document.querySelectorAll("#controls [data-outcome]")];
  const rows = [];

  // A number in place of a text is the index of the text in the list of words.
  const word = (value) => (typeof value === "number" ? known.words[value] : value ?? "");
  const why = (row) => word(row[CODE]) || word(row[STATUS]);
  const outcomeOf = (row) => known.outcomes[row[OUTCOME]];
  const moment = (second) => (second === null || second === undefined ? "" : new Date(second * 1000).toISOString().slice(0, 19).replace("T", " ") + "Z");
  const counted = (count) => count.toLocaleString("en");

  function made(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // ── columns and orders ──
  const smaller = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
  const lower = (text) => text.toLowerCase();
  const COLUMNS = [
    ["row", "Row", (row) => row[ROW]],
    ["device", "Device", (row) => lower(row[NAME] || row[ID])],
    ["outcome", "Outcome", (row) => row[OUTCOME]],
    // A plan has no actions yet, so the column describes the devices.
    ...(known.is_plan
      ? [["status", "Platform", (row) => lower(word(row[PLATFORM]))], ["submitted", "Last seen", (row) => row[SEEN] ?? Infinity]]
      : [["status", "Action status", (row) => lower(word(row[STATUS]))], ["submitted", "Submitted", (row) => row[SUBMITTED] ?? Infinity]]),
    ["said", "Message, or advice", (row) => lower(word(row[MESSAGE]) || word(row[ADVICE]))],
  ];
  const ORDERS = [...COLUMNS, ["code", "Reason", (row) => lower(word(row[CODE]))], ["id", "Device ID", (row) => lower(row[ID])], ["attempts", "Calls", (row) => row[ATTEMPTS]]];
  const ranks = new Map(); // the position of each row in an order, computed on first use

  function rankOf(name) {
    if (!ranks.has(name)) {
      const key = ORDERS.find((each) => each[0] === name)[2];
      const keys = rows.map(key);
      const sorted = Uint32Array.from(keys, (_, at) => at).sort((one, other) => smaller(keys[one], keys[other]) || one - other);
      const rank = new Uint32Array(rows.length);
      sorted.forEach((at, place) => { rank[at] = place; });
      ranks.set(name, rank);
    }
    return ranks.get(name);
  }

  // ── which rows, in which order ──
  let shown = new Uint32Array(0);
  let sorting = { name: "row", down: false };
  const haystacks = [];

  function haystack(at) {
    if (haystacks[at] === undefined) {
      const row = rows[at];
      haystacks[at] = [row[ROW], row[ID], row[NAME], outcomeOf(row)[1], row[ACTION], word(row[STATUS]), word(row[CODE]),
        word(row[MESSAGE]), row[HTTP] ?? "", word(row[PLATFORM]), word(row[GROUP]), word(row[TAGS]), ...row[CELLS]].join("\n").toLowerCase();
    }
    return haystacks[at];
  }

  function matching() {
    const needles = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const pressed = new Set(chips.filter(isPressed).map((chip) => chip.dataset.outcome));
    const wanted = reason.value;
    const out = [];
    for (let at = 0; at < rows.length; at += 1) {
      const row = rows[at];
      if (pressed.size && !pressed.has(outcomeOf(row)[0])) continue;
      if (wanted && why(row) !== wanted) continue;
      if (needles.length) {
        const text = haystack(at);
        if (!needles.every((needle) => text.includes(needle))) continue;
      }
      out.push(at);
    }
    return Uint32Array.from(out);
  }

  function update() {
    shown = matching();
    if (sorting.name !== "row" || sorting.down) {
      const rank = rankOf(sorting.name);
      shown.sort(sorting.down ? (one, other) => rank[other] - rank[one] : (one, other) => rank[one] - rank[other]);
    }
    active = 0;
    view.scrollTop = 0;
    clear();
    draw();
    tell();
  }

  function tell() {
    const most = Math.floor(TALLEST / height);
    const all = shown.length === rows.length ? `All ${counted(rows.length)} rows` : `${counted(shown.length)} of ${counted(rows.length)} rows`;
    found.textContent = shown.length > most ? `${all}; the table shows the first ${counted(most)}: search or filter for the others.` : `${all}.`;
    view.setAttribute("aria-busy", "false");
  }

  // ── drawing ──
  let height = 52;
  let active = 0; // the position of the row with keyboard focus
  const drawn = new Map();
  const above = space(), below = space();

  function space() {
    const line = made("tr", "space");
    line.setAttribute("aria-hidden", "true");
    const cell = made("td");
    cell.colSpan = COLUMNS.length;
    line.append(cell);
    return line;
  }

  // Whole pixels, like the rows of a table in browsers.
  function measure() {
    const styles = getComputedStyle(document.documentElement);
    height = Math.round(parseFloat(styles.fontSize) * parseFloat(styles.getPropertyValue("--row")));
    view.style.setProperty("--tall", `${height}px`);
  }

  function clear() {
    drawn.clear();
    body.replaceChildren(above, below);
  }

  function draw() {
    const count = Math.min(shown.length, Math.floor(TALLEST / height));
    const first = Math.max(0, Math.floor(view.scrollTop / height) - OVERSCAN);
    const last = Math.min(count, Math.ceil((view.scrollTop + innerHeight) / height) + OVERSCAN); // never taller than the screen
    const focused = document.activeElement.closest("tr.line");
    if (focused && (focused.dataset.place < first || focused.dataset.place >= last)) view.focus({ preventScroll: true });
    // Before any row is removed: a table that is briefly too short loses its scroll position.
    above.firstChild.style.height = `${first * height}px`;
    below.firstChild.style.height = `${(count - last) * height}px`;
    for (const [place, line] of drawn) {
      if (place < first || place >= last) {
        line.remove();
        drawn.delete(place);
      }
    }
    let before = above;
    for (let place = first; place < last; place += 1) {
      let line = drawn.get(place);
      if (!line) {
        line = lineOf(place);
        drawn.set(place, line);
        before.after(line);
      }
      before = line;
    }
    table.setAttribute("aria-rowcount", String(shown.length + 1));
  }

  function lineOf(place) {
    const row = rows[shown[place]];
    const [outcome, spoken, sign] = outcomeOf(row);
    const line = made("tr", "line");
    line.setAttribute("role", "row");
    line.setAttribute("aria-rowindex", String(place + 2));
    line.dataset.place = String(place);
    const head = cell("th", "row");
    head.setAttribute("role", "rowheader");
    head.scope = "row";
    const button = made("button", "", String(row[ROW]));
    button.type = "button";
    button.tabIndex = place === active ? 0 : -1;
    button.setAttribute("aria-label", `Row ${row[ROW]}, all of it`);
    head.append(button);
    const device = cell("td", "device");
    if (row[NAME]) device.append(made("span", "", row[NAME]));
    device.append(made("code", "", row[ID]));
    const ended = cell("td", "outcome", `outcome-${outcome}`);
    const chip = made("span", "chip"), mark = made("span", "", sign);
    mark.setAttribute("aria-hidden", "true");
    chip.append(mark, ` ${spoken}`);
    ended.append(chip);
    if (word(row[CODE])) ended.append(made("small", "", word(row[CODE])));
    const said = cell("td", "said", "said");
    said.append(made("span", "", word(row[MESSAGE]) || word(row[REMARK]) || word(row[ADVICE])));
    line.append(head, device, ended, texted("status", word(row[known.is_plan ? PLATFORM : STATUS])),
      texted("submitted", moment(row[known.is_plan ? SEEN : SUBMITTED])), said);
    return line;
  }

  function cell(tag, column, more) {
    const element = made(tag, more ? `c-${column} ${more}` : `c-${column}`);
    element.setAttribute("role", "cell");
    return element;
  }

  function texted(column, text) {
    const element = cell("td", column);
    element.textContent = text;
    if (text) element.title = text;
    return element;
  }

  let asked = false;
  function drawSoon() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  }

  // ── the keyboard ──
  function goTo(place) {
    const last = shown.length - 1;
    if (last < 0) return;
    const old = drawn.get(active);
    if (old) old.querySelector("button").tabIndex = -1;
    active = Math.max(0, Math.min(last, place));
    const top = active * height, head = table.tHead.offsetHeight;
    if (top < view.scrollTop) view.scrollTop = top;
    if (top + height > view.scrollTop + view.clientHeight - head) view.scrollTop = top + height - view.clientHeight + head;
    draw();
    const button = drawn.get(active).querySelector("button");
    button.tabIndex = 0;
    button.focus({ preventScroll: true });
  }

  function onKey(event) {
    const page = Math.max(1, Math.floor(view.clientHeight / height) - 1);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -shown.length, End: shown.length };
    if (!(event.key in moves) || !event.target.closest("tbody") || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    goTo(active + moves[event.key]);
  }

  // ── one row in full ──
  function open(place) {
    if (place < 0 || place >= shown.length) return;
    active = place;
    const row = rows[shown[place]];
    byId("detail-title").textContent = `Row ${row[ROW]}${row[NAME] ? `: ${row[NAME]}` : ""}`;
    const facts = [["Outcome", outcomeOf(row)[1]], ["Device ID", row[ID]], ["Device name", row[NAME]], ["Advice", word(row[ADVICE])],
      ["Reason", word(row[CODE])], ["Message", word(row[MESSAGE])], ["HTTP status", row[HTTP] ?? ""], ["Calls", row[ATTEMPTS]],
      ["Machine action", row[ACTION]], ["Action status", word(row[STATUS])], ["Submitted", moment(row[SUBMITTED])],
      ["Finished", moment(row[FINISHED])], ["Full history", `batch-offboard explain ${known.batch} ${row[ROW]}`],
      ["Platform", word(row[PLATFORM])], ["Device group", word(row[GROUP])], ["Tags", word(row[TAGS])],
      ["Last seen before the run", moment(row[SEEN])], ["Remark", word(row[REMARK])],
      ...known.columns.map((column, at) => [`Sheet: ${column || `column ${at + 1}`}`, row[CELLS][at] ?? ""])];
    byId("detail-facts").replaceChildren(...facts.filter(([, text]) => text !== "").map(([name, text]) => {
      const line = made("div");
      line.append(made("dt", "", name), made("dd", "", String(text)));
      return line;
    }));
    byId("earlier").disabled = place === 0;
    byId("later").disabled = place === shown.length - 1;
    if (!detail.open) detail.showModal();
    detail.scrollTop = 0;
  }

  function step(by) {
    open(active + by);
  }

  // ── the controls ──
  function sortBy(name, down) {
    sorting = { name, down };
    order.value = name;
    for (const th of table.tHead.rows[0].cells) {
      th.setAttribute("aria-sort", th.dataset.column === name ? (down ? "descending" : "ascending") : "none");
    }
    update();
  }

  function isPressed(chip) {
    return chip.getAttribute("aria-pressed") === "true";
  }

  function press(chip, on) {
    chip.setAttribute("aria-pressed", String(on));
  }

  function reset() {
    query.value = reason.value = "";
    chips.forEach((chip) => press(chip, false));
    sortBy("row", false);
  }

  function showOnly(outcome, code) {
    query.value = "";
    chips.forEach((chip) => press(chip, chip.dataset.outcome === outcome));
    reason.value = [...reason.options].some((option) => option.value === code) ? code : "";
    update();
    byId("rows").scrollIntoView();
    view.focus({ preventScroll: true });
  }

  function later(wait, work) {
    let timer = 0;
    return () => { clearTimeout(timer); timer = setTimeout(work, wait); };
  }

  function headers() {
    for (const [name, title] of COLUMNS) {
      const th = made("th", `c-${name}`), button = made("button", "", title);
      th.scope = "col";
      th.dataset.column = name;
      th.setAttribute("role", "columnheader");
      button.type = "button";
      button.addEventListener("click", () => sortBy(name, sorting.name === name && !sorting.down));
      th.append(button);
      table.tHead.rows[0].append(th);
    }
    for (const [name, title] of ORDERS) order.append(new Option(name === "row" ? "Row of the sheet" : title, name));
  }

  function reasons() {
    const counts = new Map();
    for (const row of rows) {
      const text = why(row);
      if (text) counts.set(text, (counts.get(text) || 0) + 1);
    }
    for (const [text, count] of [...counts].sort((one, other) => other[1] - one[1]).slice(0, 200)) {
      reason.append(new Option(`${text} (${counted(count)})`, text));
    }
  }

  function listen() {
    query.addEventListener("input", later(60, update));
    reason.addEventListener("change", update);
    order.addEventListener("change", () => sortBy(order.value, false));
    chips.forEach((chip) => chip.addEventListener("click", () => { press(chip, !isPressed(chip)); update(); }));
    byId("reset").addEventListener("click", reset);
    for (const button of document.querySelectorAll(".to-rows")) {
      button.hidden = false;
      button.addEventListener("click", () => showOnly(button.dataset.outcome, button.dataset.code));
    }
    view.addEventListener("scroll", drawSoon, { passive: true });
    view.addEventListener("keydown", onKey);
    body.addEventListener("click", (event) => {
      const line = event.target.closest("tr.line");
      if (line && (event.target.closest("button") || String(getSelection()) === "")) open(Number(line.dataset.place));
    });
    addEventListener("resize", () => { measure(); drawSoon(); });
    byId("close").addEventListener("click", () => detail.close());
    byId("earlier").addEventListener("click", () => step(-1));
    byId("later").addEventListener("click", () => step(1));
    detail.addEventListener("close", () => goTo(active));
  }

  // ── start: the blocks are parsed in slices, so that the page stays responsive ──
  async function load() {
    let since = performance.now();
    for (const block of document.querySelectorAll("script.rows")) {
      for (const row of JSON.parse(block.textContent)) rows.push(row);
      block.remove();
      if (performance.now() - since > SLICE) {
        found.textContent = `Reading ${counted(rows.length)} of ${counted(known.rows)} rows …`;
        await new Promise((resume) => { setTimeout(resume); });
        since = performance.now();
      }
    }
  }

  load().then(() => {
    measure();
    headers();
    reasons();
    listen();
    byId("controls").hidden = view.hidden = byId("keys").hidden = false;
    sortBy("row", false);
  });
})();
