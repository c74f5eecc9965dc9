"use strict";
// The table of all runs: sorted by its headings, filtered by text and verdict. What is told in a cell is
// text, whatever it says.
const finbot = { data: JSON.parse(document.getElementById("finbot-data").textContent) };

(() => {
  const { columns, rows } = finbot.data;
  const table = document.getElementById("runs");
  const body = table.tBodies[0];
  const told = document.getElementById("runs-told");
  const text = document.getElementById("filter-text");
  const verdict = document.getElementById("filter-verdict");
  const SVG = "http://www.w3.org/2000/svg";
  const STEPS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const plain = (most, least = most) =>
    new Intl.NumberFormat("en-US", { minimumFractionDigits: least, maximumFractionDigits: most });
  const money = plain(2), count = plain(0), three = plain(3);
  const signed = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "exceptZero" });
  const small = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 2, signDisplay: "exceptZero" });
  const tenth = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "exceptZero" });
  const huge = (value) => Math.abs(value) >= 1e15;
  const words = {
    text: String,
    money: (value) => money.format(value),
    change: (value) => (value === 0 || Math.abs(value) >= 0.005 ? signed : small).format(value),
    bp: (value) => (value === 0 || Math.abs(value) >= 0.05 ? tenth : small).format(value),
    ratio: (value) => three.format(value),
    percent: (value) => money.format(value * 100) + " %",
    count: (value) => count.format(value),
    seconds: (value) => three.format(value),
  };

  const spark = (points) => {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 " + Math.max(points.length - 1, 1) + " 66");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("class", "spark");
    svg.setAttribute("aria-hidden", "true");
    let path = "", pen = false;
    for (let n = 0; n < points.length; n++) {
      const height = STEPS.indexOf(points[n]);
      if (height >= 0) path += (pen ? "L" : "M") + n + " " + (64 - height);
      pen = height >= 0;
    }
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", path);
    svg.append(line);
    return svg;
  };

  const hashOf = (name) => "#run=" + encodeURIComponent(name);
  const cell = (column, value, row) => {
    const place = document.createElement(column.key === "run" ? "th" : "td");
    if (column.key === "run") {
      const link = document.createElement("a");
      place.scope = "row";
      link.href = hashOf(value);
      link.textContent = value === "" ? "(no name)" : value;
      place.append(link);
    } else if (column.kind === "spark") {
      if (value && value.length > 1) place.append(spark(value));
    } else if (column.key === "verdict") {
      const mark = document.createElement("span");
      mark.className = "verdict " + row.state;
      mark.textContent = value;
      place.append(mark);
    } else if (value !== null && value !== "") {
      place.textContent = typeof value === "number" && huge(value) ? value.toPrecision(6) : words[column.kind](value);
    }
    if (column.kind !== "text" && column.kind !== "spark") place.className = "number";
    if (column.key === "why") place.className = "why";
    if (column.key === "furthest" || column.key === "first") place.className = "day";
    return place;
  };

  const place = new Map(columns.map((column, number) => [column.key, number]));
  const all = rows.map((values, number) => {
    const row = { values, number, state: values[values.length - 1], element: null };
    row.searched = columns.filter((c) => c.kind === "text").map((c) => values[place.get(c.key)]).join(" ").toLowerCase();
    return row;
  });
  const named = new Map(all.map((row) => [row.values[place.get("run")], row]));
  let sorted = { key: null, down: false };
  let order = all, matching = all, placed = 0;

  // A browser lays out some hundred rows in no time, and takes a second for thousands: further ones are
  // put in as somebody comes near the end.
  const PAGE = 200;
  const rest = document.getElementById("runs-more");
  const elementOf = (row) => {
    if (row.element === null) {
      row.element = document.createElement("tr");
      row.element.append(...columns.map((column, n) => cell(column, row.values[n], row)));
    }
    return row.element;
  };
  const more = (until) => {
    const end = Math.min(matching.length, until);
    if (end > placed) body.append(...matching.slice(placed, end).map(elementOf));
    placed = Math.max(placed, end);
    rest.hidden = placed === matching.length;
    rest.textContent = "Show more of " + count.format(matching.length - placed) + " further runs";
  };
  rest.addEventListener("click", () => more(placed + PAGE));
  new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && more(placed + PAGE), { rootMargin: "600px" }).observe(rest);
  finbot.all = () => more(Infinity);

  const show = () => {
    const wanted = text.value.trim().toLowerCase(), kind = verdict.value;
    const v = place.get("verdict");
    matching = order.filter((row) => (kind === "" || row.values[v] === kind) && (wanted === "" || row.searched.includes(wanted)));
    placed = 0;
    body.replaceChildren();
    more(PAGE);
    told.textContent = (matching.length === all.length ? "" : count.format(matching.length) + " of ") + count.format(all.length) + " runs";
  };

  const sort = (column) => {
    const n = place.get(column.key);
    const numbers = column.kind !== "text";
    sorted = { key: column.key, down: sorted.key === column.key ? !sorted.down : numbers };
    const sign = sorted.down ? -1 : 1;
    const none = (value) => value === null || value === "";
    // How far a run is from its baseline counts, whichever way.
    const size = column.kind === "bp" || column.kind === "change" ? Math.abs : (value) => value;
    const letters = new Intl.Collator("en", { numeric: true });
    // What is not known comes last, either way.
    order = [...all].sort((a, b) => {
      const x = a.values[n], y = b.values[n];
      if (none(x) || none(y)) return none(x) === none(y) ? a.number - b.number : none(x) ? 1 : -1;
      return sign * (numbers ? size(x) - size(y) : letters.compare(x, y)) || a.number - b.number;
    });
    show();
    for (const head of table.tHead.rows[0].cells)
      head.setAttribute("aria-sort", head.dataset.key !== column.key ? "none" : sorted.down ? "descending" : "ascending");
  };

  const head = document.createElement("tr");
  for (const column of columns) {
    const place = document.createElement("th");
    place.scope = "col";
    if (column.kind === "spark") {
      place.textContent = column.title;
    } else {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = column.title;
      button.addEventListener("click", () => sort(column));
      place.append(button);
      place.dataset.key = column.key;
      place.setAttribute("aria-sort", "none");
    }
    head.append(place);
  }
  table.tHead.replaceChildren(head);

  for (const [name, number] of finbot.data.verdicts) {
    const option = document.createElement("option");
    option.value = name;
    option.textContent = name + " (" + count.format(number) + ")";
    verdict.append(option);
  }
  text.addEventListener("input", show);
  verdict.addEventListener("change", show);
  show();

  // #run=<name>: the run's own section where it has one, its row otherwise.
  const go = () => {
    for (const old of document.querySelectorAll(".target")) old.classList.remove("target");
    if (!location.hash.startsWith("#run=")) return;
    let name;
    try {
      name = decodeURIComponent(location.hash.slice(5));
    } catch {
      return;
    }
    const row = named.get(name);
    if (row === undefined) return;
    const section = document.getElementById("run-" + row.number);
    if (section === null && !matching.includes(row)) {
      text.value = verdict.value = "";
      show();
    }
    more(matching.indexOf(row) + 1);
    const target = section ?? elementOf(row);
    if (section?.tagName === "DETAILS") section.open = true;
    elementOf(row).classList.add("target");
    target.classList.add("target");
    target.scrollIntoView({ block: section === null ? "center" : "start" });
  };
  window.addEventListener("hashchange", go);
  finbot.go = go;
})();
