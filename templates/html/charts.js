"use strict";
// Charts of the runs that changed, drawn when somebody comes near them: one time axis a run, one crosshair.
(() => {
  const DAY = 86400000;
  const root = document.documentElement;
  const drawn = [];
  const read = (text, Type) => new Type(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const six = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 7 });
  const isoDay = (x) => new Date(x).toISOString().slice(0, 10);

  const points = (curve) => {
    const days = read(curve.x, Int32Array), y = Array.from(read(curve.y, Float32Array));
    return { x: Array.from(days, (day) => day * DAY), y: y.map((v) => (Number.isFinite(v) ? v : NaN)) };
  };

  // The row of the last point at or before x.
  const rowAt = (xs, x) => {
    let low = 0, high = xs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (xs[middle] <= x) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };

  const limits = (curves, from, to) => {
    let low = Infinity, high = -Infinity;
    for (const { x, y } of curves)
      for (let n = Math.max(rowAt(x, from), 0); n < x.length && x[n] <= to; n++)
        if (y[n] === y[n]) {
          low = Math.min(low, y[n]);
          high = Math.max(high, y[n]);
        }
    if (low > high) return [0, 1];
    const room = (high - low) * 0.06 || Math.abs(high) * 0.01 || 1;
    return [low - room, high + room];
  };

  const draw = (section) => {
    const facts = finbot.data.charts[section.dataset.charts];
    const M = Bokeh.Models;
    const places = [...section.querySelectorAll(".chart")];
    const all = facts.charts.map((chart) => chart.curves.map((curve) => ({ ...curve, ...points(curve) })));
    const xs = all.flat().flatMap(({ x }) => (x.length ? [x[0], x[x.length - 1]] : []));
    if (!xs.length) return;
    const whole = [Math.min(...xs), Math.max(...xs)];
    const range = new M.Range1d({ start: whole[0], end: whole[1] });
    const cross = new M.Span({ dimension: "height", line_dash: "dotted", line_width: 1 });
    const run = { section, plots: [], lines: [], spans: [cross] };
    const Doc = Bokeh.require("document").Document;
    const doc = new Doc();
    const hosts = [];
    facts.charts.forEach((chart, number) => {
      const curves = all[number];
      if (!curves.length) return;
      const host = places.shift();
      const [low, high] = limits(curves, ...whole);
      const plot = new M.Plot({
        x_range: range, y_range: new M.Range1d({ start: low, end: high }),
        height: chart.kind === "bp" ? 240 : 200, sizing_mode: "stretch_width", toolbar_location: null,
        min_border_left: 64, min_border_right: 8, outline_line_color: null, output_backend: "canvas",
      });
      // As many days as there is room for: on a phone, six would overlap.
      const ticker = new M.DatetimeTicker({ desired_num_ticks: Math.min(Math.max(Math.floor(host.clientWidth / 110), 2), 8) });
      const below = new M.DatetimeAxis({ ticker });
      const left = new M.LinearAxis({ formatter: new M.NumeralTickFormatter({ format: "0,0.[0000]" }) });
      if (Math.max(Math.abs(low), Math.abs(high)) >= 1e9 || high - low < 1e-4) left.formatter = new M.BasicTickFormatter({ precision: 3 });
      plot.add_layout(below, "below");
      plot.add_layout(left, "left");
      const grids = [new M.Grid({ axis: left, dimension: 1 })];
      for (const grid of grids) plot.add_layout(grid, "center");
      for (const curve of curves) {
        const source = new M.ColumnDataSource({ data: { x: curve.x, y: curve.y } });
        const glyph = new M.Line({ x: { field: "x" }, y: { field: "y" }, line_width: curve.baseline ? 1.5 : 2, line_dash: curve.baseline ? [6, 4] : [] });
        plot.add_glyph(glyph, source);
        run.lines.push({ glyph, colour: "--c" + curve.colour });
      }
      if (chart.marks && chart.marks.x) {
        const { x, y } = points(chart.marks);
        const glyph = new M.Scatter({ x: { field: "x" }, y: { field: "y" }, marker: { value: "triangle" }, size: { value: 6 }, fill_alpha: { value: 0.5 } });
        plot.add_glyph(glyph, new M.ColumnDataSource({ data: { x, y } }));
        run.lines.push({ glyph, colour: "--mark", filled: true });
      }
      if (facts.first !== null) {
        const span = new M.Span({ location: facts.first * DAY, dimension: "height", line_dash: "dashed", line_width: 1.5 });
        plot.add_layout(span);
        run.lines.push({ span, colour: "--mark" });
      }
      const tools = [new M.CrosshairTool({ overlay: [new M.Span({ dimension: "width", line_dash: "dotted", line_width: 1 }), cross] })];
      run.spans.push(tools[0].overlay[0]);
      if (matchMedia("(pointer: fine)").matches) tools.push(new M.BoxZoomTool({ dimensions: "width" }));
      plot.add_tools(...tools);
      const readout = host.parentElement.querySelector(".readout");
      const tell = (event) => {
        const rows = curves.map((curve) => rowAt(curve.x, event.x + DAY / 2));
        // Each curve keeps the points of its own extremes: a value of an earlier day says so.
        const day = Math.max(...rows.map((n, of) => (n < 0 ? -Infinity : curves[of].x[n])));
        const said = curves.map((curve, of) => {
          const n = rows[of];
          if (n < 0) return null;
          const value = curve.y[n] === curve.y[n] ? six.format(curve.y[n]) : "no number";
          return curve.name + " " + value + (curve.x[n] === day ? "" : " on " + isoDay(curve.x[n]));
        });
        if (day > -Infinity) readout.textContent = isoDay(day) + ": " + said.filter((s) => s !== null).join(", ");
      };
      plot.on_event("mousemove", tell);
      range.change.connect(() => {
        const [least, most] = limits(curves, range.start, range.end);
        plot.y_range.setv({ start: least, end: most });
        reset.hidden = range.start === whole[0] && range.end === whole[1];
      });
      run.plots.push({ plot, axes: [below, left], grids });
      doc.add_root(plot);
      hosts.push(host);
    });
    const reset = section.querySelector(".reset");
    reset.addEventListener("click", () => range.setv({ start: whole[0], end: whole[1] }));
    paint(run);
    drawn.push(run);
    Bokeh.embed.add_document_standalone(doc, section, hosts).then(
      () => (section.dataset.drawn = "yes"),
      (error) => told(section, error),
    );
  };

  const told = (section, error) => {
    const words = document.createElement("p");
    words.className = "why-not";
    words.textContent = "Not drawn, because this browser could not: " + error;
    section.querySelector("figure").before(words);
    section.dataset.drawn = "failed";
  };

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const paint = (run) => {
    const ink = colour("--ink"), faint = colour("--line"), ground = colour("--ground");
    for (const { plot, axes, grids } of run.plots) {
      plot.setv({ background_fill_color: ground, border_fill_color: ground });
      for (const axis of axes)
        axis.setv({ axis_line_color: faint, major_tick_line_color: faint, minor_tick_line_color: null, major_label_text_color: ink, major_label_text_font_size: "12px" });
      for (const grid of grids) grid.setv({ grid_line_color: faint });
    }
    for (const { glyph, span, colour: name, filled } of run.lines) {
      const value = colour(name);
      if (span) span.setv({ line_color: value });
      else if (filled) glyph.setv({ line_color: { value }, fill_color: { value } });
      else glyph.setv({ line_color: value });
    }
    for (const span of run.spans) span.setv({ line_color: ink });
    run.section.dataset.ground = isDark() && !matchMedia("print").matches ? "dark" : "light";
  };

  // A table's rows are made when it is opened.
  const fill = (details) => {
    const table = details.querySelector("table");
    if (table.rows.length) return;
    const { sessions, charts } = finbot.data.charts[details.dataset.run];
    const columns = charts[details.dataset.chart].cells;
    const cell = (name, words, scope) => {
      const one = document.createElement(name);
      one.textContent = words;
      if (scope) one.scope = scope;
      return one;
    };
    const head = document.createElement("tr");
    head.append(cell("th", "session", "col"), ...columns.map(([title]) => cell("th", title, "col")));
    table.createTHead().append(head);
    const body = table.createTBody();
    sessions.forEach((day, n) => {
      const row = document.createElement("tr");
      row.append(cell("th", day, "row"), ...columns.map(([, values]) => cell("td", values[n])));
      body.append(row);
    });
  };

  const sections = [...document.querySelectorAll("[data-charts]")];
  const once = (section) => {
    if (section.dataset.drawn) return;
    section.dataset.drawn = "begun";
    try {
      draw(section);
    } catch (error) {
      told(section, error);
    }
  };
  const near = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => once(entry.target)),
    { rootMargin: "400px" },
  );
  for (const section of sections) near.observe(section);
  for (const details of document.querySelectorAll("details.rows")) details.addEventListener("toggle", () => details.open && fill(details));

  const repaint = () => drawn.forEach(paint);
  dark.addEventListener("change", repaint);
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("finbot-theme", root.dataset.theme);
    } catch {
      // It holds until the page is left.
    }
    repaint();
  });
  // What is folded would be missing on paper. A chart that is drawn now would be too late for it, and one that
  // is drawn is not laid out anew: the page says the one, and a size that fits a sheet does for the other.
  const folded = [];
  const PAPER = 670;
  window.addEventListener("beforeprint", () => {
    finbot.all();
    for (const section of sections) section.classList.toggle("too-late", section.dataset.drawn !== "yes");
    for (const host of document.querySelectorAll(".chart")) host.style.setProperty("--to-paper", Math.min(1, PAPER / host.clientWidth));
    for (const details of document.querySelectorAll("details.error:not([open])")) {
      details.open = true;
      folded.push(details);
    }
  });
  window.addEventListener("afterprint", () => {
    for (const section of sections) section.classList.remove("too-late");
    sections.forEach(once);
    for (const host of document.querySelectorAll(".chart")) host.style.removeProperty("--to-paper");
    for (const details of folded.splice(0)) details.open = false;
  });
  finbot.go();
})();
