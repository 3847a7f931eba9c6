"use strict";
// The page answers back. Every number here was computed when the page was written; this script
// chooses among them, draws, and counts draws beyond a threshold. Without it the page is whole.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const { percents, usual } = document.querySelector(".short").dataset;
  let level = usual, last = 0;
  const listeners = [];

  function make(tag, attributes = {}, ...children) {
    const element = ["svg", "path", "line", "rect", "circle", "text"].includes(tag)
      ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }
  const record = (element) => JSON.parse(element.querySelector("script").textContent);
  const ends = (cell) => `${cell.e[level][0]} to ${cell.e[level][1]}`;

  function range(text, count, at, said, moved) {
    const id = `live-${++last}`;
    const out = make("output", { for: id }, said(at));
    const input = make("input", { type: "range", id, min: 0, max: count - 1, step: 1, value: at, "aria-valuetext": said(at),
      oninput: () => { out.textContent = said(Number(input.value)); input.setAttribute("aria-valuetext", out.textContent); moved(Number(input.value)); } });
    return make("div", { class: "control" }, make("label", { for: id }, text), input, out);
  }

  // ------------------------------------------------------------------ intervals

  function intervals() {
    const name = `live-${++last}`;
    const set = make("fieldset", { class: "levels" }, make("legend", {}, "Probability that the intervals hold"));
    for (const percent of percents.split(" ")) {
      const input = make("input", { type: "radio", name, value: percent, onchange: () => choose(percent) });
      input.checked = percent === level;
      set.append(make("label", {}, input, ` ${percent}%`));
    }
    document.querySelector(".short").append(set, make("p", { class: "note" },
      `Sentences, answers and the panels below follow this choice. Decisions, parameters, drawings and checks keep ${usual}%.`));
  }
  function choose(percent) {
    level = percent;
    for (const element of document.querySelectorAll("[data-levels]")) {
      element.textContent = JSON.parse(element.dataset.levels)[percent];
    }
    for (const head of document.querySelectorAll("thead th:has([data-levels])")) {
      for (const row of head.closest("table").tBodies[0].rows) row.cells[head.cellIndex].dataset.head = head.textContent;
    }
    document.body.classList.toggle("other-level", percent !== usual);
    for (const listener of listeners) listener();
  }
  /** Pictures of what follows the choice say that they do not. */
  for (const figure of document.querySelectorAll("figure")) {
    if (figure.parentElement.querySelector(":scope > [data-levels], :scope > * [data-levels]")) figure.dataset.keeps = `The drawing keeps ${usual}%.`;
  }

  // ------------------------------------------------------------------ one answer

  /** The share of draws beyond a point; draws are in order of size. */
  function beyond(draws, point) {
    let low = 0, high = draws.length;
    while (low < high) { const mid = (low + high) >> 1; if (draws[mid] > point) high = mid; else low = mid + 1; }
    return (draws.length - low) / draws.length;
  }
  function below(draws, point) {
    let low = 0, high = draws.length;
    while (low < high) { const mid = (low + high) >> 1; if (draws[mid] < point) low = mid + 1; else high = mid; }
    return low / draws.length;
  }
  /** Some four round numbers between two ends, away from the edges. */
  function ticks(from, to) {
    const rough = (to - from) / 5, size = 10 ** Math.floor(Math.log10(rough));
    const step = size * [1, 2, 5, 10].find((k) => k * size >= rough * (1 - 1e-9));
    const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), found = [];
    for (let k = Math.ceil((from + 0.04 * (to - from)) / step); k * step <= to - 0.04 * (to - from); k += 1) {
      found.push({ value: k * step, text: (k * step).toFixed(places).replace(/^-(0(\.0*)?)$/, "$1") });
    }
    return found;
  }
  const share = (p) => (p > 0.995 && p < 1 ? "> 0.99" : p < 0.005 && p > 0 ? "< 0.01" : p.toFixed(2));
  const rest = (p) => (p > 0.995 || p < 0.005 ? share(1 - p) : ((100 - Number((100 * p.toFixed(2)).toFixed(0))) / 100).toFixed(2));

  function effect(element) {
    const data = record(element);
    const all = data.cells.flat().filter((cell) => cell?.d).flatMap((cell) => [cell.d[0], cell.d[cell.d.length - 1]]);
    if (!all.length) return;
    let [i, j] = data.at, point = data.null ?? Number(data.cells[j][i].d[data.cells[j][i].d.length >> 1].toPrecision(2));
    const low = Math.min(...all, point), high = Math.max(...all, point), room = (high - low || 1) * 0.05;
    const said = make("p", { "data-part": "answer", "aria-live": "polite" });
    const chance = make("p", { "data-part": "chance", "aria-live": "polite" });
    const picture = make("div", { "data-part": "picture" });
    const controls = make("div", { class: "controls" });
    const places = Math.max(0, -Math.floor(Math.log10(data.step) + 1e-9));
    const shown = (value) => Number(value.toFixed(places + 3)).toString();

    function draw() {
      const cell = data.cells[j][i];
      const among = data.groups.length > 1 ? `among ${data.groups[j]}` : "";
      const where = [data.levels[i] !== "" ? `${data.treatment} = ${data.levels[i]}` : "", among].filter(Boolean).join(", ");
      const world = cell?.x ? ` ${data.world} there: ${cell.x.m} (${level}% HDI ${ends(cell.x)}).` : "";
      if (!cell?.d) {
        said.textContent = `${where}: this is the level that others are compared with, so there is no difference by definition.${world}`;
        chance.textContent = "";
        picture.replaceChildren();
        return;
      }
      const name = data.labels.length ? `${data.labels[i]}${among ? `, ${among}` : ""}` : `${data.label}${where ? ` (${where})` : ""}`;
      said.textContent = `${name}: ${cell.m}, ${level}% HDI ${ends(cell)}.${world}`;
      const above = beyond(cell.d, point);
      let text = `Probability above ${shown(point)}: ${share(above)}; not above: ${rest(above)}.`;
      if (data.rope) text += ` In the ROPE, ${data.rope[0]} to ${data.rope[1]}: ${share(1 - beyond(cell.d, data.rope[1]) - below(cell.d, data.rope[0]))}.`;
      chance.textContent = text;
      picture.replaceChildren(histogram(cell));
    }
    function histogram(cell) {
      const marks = [cell.d[0], cell.d[cell.d.length - 1], point, ...(data.null === null ? [] : [data.null])];
      const edge = (Math.max(...marks) - Math.min(...marks) || 1) * 0.05;
      const bins = 60, wide = 600, high_ = 120, from = Math.min(...marks) - edge, to = Math.max(...marks) + edge;
      const counts = new Array(bins).fill(0);
      for (const value of cell.d) counts[Math.min(bins - 1, Math.floor(((value - from) / (to - from)) * bins))] += 1;
      const most = Math.max(...counts), at = (value) => ((value - from) / (to - from)) * wide;
      const svg = make("svg", { viewBox: `0 0 ${wide} ${high_ + 44}`, role: "img", "aria-label": `${said.textContent} ${chance.textContent}` });
      counts.forEach((count, k) => {
        if (!count) return;
        const middle = from + ((k + 0.5) / bins) * (to - from), tall = (count / most) * high_;
        svg.append(make("rect", { x: (k * wide) / bins + 0.5, y: high_ - tall, width: wide / bins - 1, height: tall, class: middle > point ? "above" : "under" }));
      });
      const number = (text) => Number(text.replace(/,/g, ""));
      svg.append(make("line", { x1: 0, x2: wide, y1: high_, y2: high_, class: "axis" }),
        make("line", { x1: at(number(cell.e[level][0])), x2: at(number(cell.e[level][1])), y1: high_ + 10, y2: high_ + 10, class: "hdi" }),
        make("circle", { cx: at(number(cell.m)), cy: high_ + 10, r: 5, class: "mean" }),
        make("line", { x1: at(point), x2: at(point), y1: 0, y2: high_ + 20, class: "threshold" }));
      for (const tick of ticks(from, to)) svg.append(make("text", { x: at(tick.value), y: high_ + 38, "text-anchor": "middle" }, tick.text));
      return svg;
    }

    if (data.levels.length > 1) controls.append(range(`Level of ${data.treatment}`, data.levels.length, i, (k) => data.levels[k], (k) => { i = k; draw(); }));
    if (data.groups.length > 1) {
      const id = `live-${++last}`;
      const menu = make("select", { id, onchange: () => { j = menu.selectedIndex; draw(); } }, ...data.groups.map((name) => make("option", {}, name)));
      menu.selectedIndex = j;
      controls.append(make("div", { class: "control" }, make("label", { for: id }, "Among"), menu));
    }
    const id = `live-${++last}`;
    const number = make("input", { type: "number", step: "any", value: shown(point), "aria-label": "Threshold as a number",
      oninput: () => { if (number.value === "" || !Number.isFinite(Number(number.value))) return; point = Number(number.value); slider.value = point; draw(); } });
    const slider = make("input", { type: "range", id, min: low - room, max: high + room, step: data.step, value: point,
      oninput: () => { point = Number(Number(slider.value).toFixed(places)); number.value = shown(point); draw(); } });
    controls.append(make("div", { class: "control" }, make("label", { for: id }, "Threshold of the decision"), slider, number));
    element.append(make("h4", {}, "Move it"), controls, said, chance, picture, ...data.notes.map((note) => make("p", { class: "note" }, note)));
    listeners.push(draw);
    draw();
  }

  // ------------------------------------------------------------------ a hidden confounder

  function surface(element) {
    const data = record(element);
    let [g, d] = data.at;
    const said = make("p", { "data-part": "answer", "aria-live": "polite" });
    function draw() {
      const cell = data.cells[g][d];
      const none = data.gammas[g] === "0" && data.deltas[d] === "0";
      const start = none ? "Without a hidden confounder" : `With a hidden confounder that adds ${data.gammas[g]} to ${data.treatment} and ${data.deltas[d]} to ${data.outcome}`;
      const inside = Number(cell.e[level][0].replace(/,/g, "")) <= data.null && data.null <= Number(cell.e[level][1].replace(/,/g, ""));
      said.textContent = cell.ok
        ? `${start}: ${cell.m}, ${level}% HDI ${ends(cell)}. Probability above ${data.null}: ${cell.p.toFixed(2)}. The interval ${inside ? "holds" : "leaves out"} ${data.null}.`
        : `${start}: the data rule this out, it would explain more than the equations leave unexplained.`;
    }
    element.append(
      make("div", { class: "controls" },
        range(`Strength on ${data.treatment} (gamma)`, data.gammas.length, g, (k) => data.gammas[k], (k) => { g = k; draw(); }),
        range(`Strength on ${data.outcome} (delta)`, data.deltas.length, d, (k) => data.deltas[k], (k) => { d = k; draw(); })),
      said,
      make("p", { class: "note" }, `Each pair of strengths was fitted beforehand (${data.draws.toLocaleString("en")} draws; without a confounder all draws).`));
    if (data.benchmarks.length) {
      element.append(make("p", {}, `As strong as a measured variable (these intervals keep ${usual}%):`), make("ul", {}, ...data.benchmarks.map((b) =>
        make("li", {}, `${b.name} (gamma ${b.g}, delta ${b.d}): ${b.text}`))));
    }
    element.append(...data.notes.map((note) => make("p", { class: "note" }, note)));
    listeners.push(draw);
    draw();
  }

  // ------------------------------------------------------------------ the graph

  function graph(element) {
    const data = record(element);
    const svg = element.parentElement.querySelector("figure svg");
    if (!svg) return;
    const rest = "Point at an arrow or a variable, or move to it with the Tab key: what it claims, and the test of it.";
    const said = make("p", { class: "claim", "data-part": "claim", "aria-live": "polite" }, rest);
    svg.setAttribute("role", "group");
    function alive(kind, k, label, text) {
      const parts = [...svg.querySelectorAll(`[id*="-${kind}-${k}-"]`)];
      if (!parts.length) return;
      const lit = (on) => { parts.forEach((p) => p.classList.toggle("lit", on)); said.textContent = on ? text : rest; };
      for (const part of parts) {
        if (kind === "arrow") for (const path of part.querySelectorAll("path")) {
          const wide = path.cloneNode();
          wide.removeAttribute("style");
          wide.setAttribute("class", "hit");
          part.append(wide);
        }
        part.classList.add("alive");
        part.addEventListener("pointerenter", () => lit(true));
        part.addEventListener("pointerleave", () => lit(false));
      }
      parts[0].setAttribute("tabindex", 0);
      parts[0].setAttribute("role", "img");
      parts[0].setAttribute("aria-label", `${label}: ${text}`);
      parts[0].addEventListener("focus", () => lit(true));
      parts[0].addEventListener("blur", () => lit(false));
    }
    data.names.forEach(([a, b], k) => alive("arrow", k, `${a} to ${b}`, data.arrows[k]));
    data.variables.forEach((name, k) => alive("node", k, name, data.nodes[k]));
    element.append(said);
  }

  const kinds = { effect, surface, graph };
  intervals();
  for (const element of document.querySelectorAll("[data-live]")) {
    kinds[element.dataset.live](element);
    element.hidden = false;
  }
})();
