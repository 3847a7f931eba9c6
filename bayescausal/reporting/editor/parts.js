// What stands round the drawing: tools, the panel of what is chosen, answers, exercises, texts.

const TEXTS = [
  ["formulas", "Formulas"], ["pymc", "PyMC code"], ["dagitty", "dagitty"], ["mermaid", "Mermaid"],
  ["text", "Arrows"], ["dot", "DOT (Graphviz)"],
];
const EXPLAINED = {
  treatment: "treatment: what is set", outcome: "outcome: what is asked about",
  latent: "latent: not measured", selected: "selected: units are in the data because of it",
  given: "given: adjusted for",
};

function parts(tools) {
  const { id, state, part, options, root, ask } = tools;
  const button = (text, onclick, more = {}) => make("button", { type: "button", onclick, ...more }, text);
  const select = (label, pairs, more = {}) =>
    make("select", { "aria-label": label, ...more }, ...pairs.map(([value, text]) => make("option", { value }, text)));

  // ------------------------------------------------------------------ what is chosen

  function panel() {
    const { node, arrow } = state.chosen ?? {};
    if (node && tools.find(node)) return part.panel.replaceChildren(...nodePanel(tools.find(node)));
    if (arrow !== undefined && state.arrows[arrow]) return part.panel.replaceChildren(...arrowPanel(arrow));
    part.panel.replaceChildren(
      make("h2", {}, "Nothing is chosen"),
      make("p", { class: "bc-small" }, "Choose a variable or an arrow to mark, rename or remove it. Pull the dot at the "
        + "right of a variable to another one to draw an arrow."),
    );
  }
  function nodePanel(node) {
    const name = make("input", { id: `${id}-name`, value: node.name, maxlength: 60,
      onchange: (event) => tools.rename(node.name, event.target.value) });
    const marks = MARKS.map((mark) => make("label", {},
      make("input", { type: "checkbox", "data-mark": mark, checked: Boolean(node[mark]),
        onchange: () => { tools.mark(node.name, mark); part.panel.querySelector(`[data-mark=${mark}]`)?.focus(); } }),
      EXPLAINED[mark]));
    const others = state.nodes.filter((n) => n !== node).map((n) => [n.name, n.name]);
    const kind = select("Kind of arrow", [["->", "acts on"], ["<-", "is acted on by"], ["<->", "shares a hidden cause with"]]);
    const other = select("The other variable", others);
    const own = state.arrows.map((arrow, k) => [arrow, k]).filter(([[a, , b]]) => a === node.name || b === node.name);
    return [
      make("h2", {}, make("label", { for: `${id}-name` }, "Variable")), name,
      make("div", { class: "bc-marks", role: "group", "aria-label": `Marks of ${node.name}` }, ...marks),
      others.length ? make("div", { class: "bc-row" }, kind, other,
        button("Add arrow", () => tools.addArrow(node.name, kind.value, other.value), { "data-do": "add-arrow" })) : null,
      ...own.map(([[a, k, b], index]) => make("div", { class: "bc-row" }, `${a} ${k} ${b}`,
        button("Remove", () => dropArrow(index), { "aria-label": `Remove ${a} ${k} ${b}` }))),
      make("div", { class: "bc-row" }, button(`Remove ${node.name}`, () => tools.remove(node.name), { "data-do": "remove" })),
    ].filter(Boolean);
  }
  function dropArrow(index) {
    const [a, k, b] = state.arrows[index];
    tools.change(() => {
      state.arrows.splice(index, 1);
      if (state.chosen?.arrow !== undefined) state.chosen = null;
    });
    tools.say(`${a} ${k} ${b} is gone.`);
  }
  function arrowPanel(index) {
    const [a, kind, b] = state.arrows[index];
    const set = (arrow) => tools.change(() => { state.arrows[index] = arrow; });
    return [
      make("h2", {}, `${a} ${kind} ${b}`),
      make("p", { class: "bc-small" }, kind === "->" ? `${a} may act on ${b} directly.` : `${a} and ${b} share a cause that is not measured.`),
      make("div", { class: "bc-row" },
        kind === "->" ? button("Turn round", () => set([b, "->", a])) : null,
        kind === "->" ? button("Hidden common cause instead", () => set([a, "<->", b])) : button("An arrow instead", () => set([a, "->", b])),
        button("Remove", () => dropArrow(index))),
    ];
  }

  // ------------------------------------------------------------------ what Python says

  function results() {
    const said = state.answer;
    part.results.classList.toggle("bc-hide", !state.free);
    part.verdict.classList.toggle("bc-hide", !state.free);
    part.verdict.dataset.status = said.verdict?.status ?? "";
    part.verdict.replaceChildren(...verdict(said));
    const columns = [paths(said), sets(said), claims(said)].filter((column) => column.length);
    part.results.replaceChildren(...columns.map((column) => make("section", {}, ...column)));
    copied();
  }
  const list = (items) => make("ul", {}, ...items.map((item) => make("li", {}, item)));
  const inBraces = (set) => (set.length ? `{${set.join(", ")}}` : "{ } (nothing)");

  function verdict(said) {
    if (said.problem) return [make("p", { class: "bc-lead" }, said.problem)];
    if (said.waiting) return [make("p", {}, said.waiting)];
    const found = said.verdict;
    if (!found) return [make("p", {}, "Waiting for Python.")];
    if (found.problem) return [make("p", { class: "bc-lead" }, found.problem)];
    const lines = [make("p", { class: "bc-lead" }, found.sentence)];
    if (found.estimand) lines.push(make("p", { class: "bc-formula" }, `${found.query} = ${found.estimand}`));
    if (said.given && !said.given.problem) lines.push(make("p", {}, said.given.sentence));
    if (found.within && !found.within.problem) {
      lines.push(make("p", { class: "bc-small" }, `Among units alike in what is given, ${found.within.query}: ${found.within.sentence}`));
    }
    return lines;
  }
  function paths(said) {
    if (!said.paths) return [];
    if (said.paths.problem) return [make("h2", {}, "Paths"), make("p", {}, said.paths.problem)];
    const { listed, count } = said.paths;
    const rows = listed.map((path) => {
      const keys = path.arrows.map((arrow, k) => {
        const [a, b] = [path.nodes[k], path.nodes[k + 1]];
        return arrow === "<->" ? [a, b].sort().join(" <-> ") : arrow === "->" ? `${a} -> ${b}` : `${b} -> ${a}`;
      });
      const light = (on) => () => { state.lit = on ? keys : null; tools.draw(); };
      const word = !path.open ? "shut" : path.kind === "causal" ? "effect" : "open";
      return make("li", {}, make("button", { type: "button", onfocus: light(true), onblur: light(false),
        onmouseenter: light(true), onmouseleave: light(false) },
        make("span", { class: `bc-tag ${word}` }, `${word === "effect" ? "effect" : word}: `), path.sentence));
    });
    const more = count > listed.length ? [make("p", { class: "bc-small" }, `${listed.length} of ${count} paths are shown.`)] : [];
    return [make("h2", {}, `Paths (${count})`), make("ul", { class: "bc-paths" }, ...rows), ...more];
  }
  function sets(said) {
    const found = said.sets;
    if (!found || found.problem) return [];
    const lines = [make("h2", {}, "What to adjust for")];
    if (found.adjustment.length) {
      lines.push(list(found.adjustment.map((set) => inBraces(set) + (found.optimal && set.join() === found.optimal.join() ? ", most precise" : ""))));
      if (found.more) lines.push(make("p", { class: "bc-small" }, "There are more."));
      if (found.optimal && !found.adjustment.some((set) => set.join() === found.optimal.join())) {
        lines.push(make("p", { class: "bc-small" }, `Most precise: ${inBraces(found.optimal)}`));
      }
    } else lines.push(make("p", {}, "No set of measured variables does."));
    if (found.frontdoor.length) lines.push(make("h3", {}, "Front door through"), list(found.frontdoor.map(inBraces)));
    if (found.instruments.length) lines.push(make("h3", {}, "Instruments"), list(found.instruments));
    return lines;
  }
  function claims(said) {
    if (!said.independences) return [];
    const { listed, count } = said.independences;
    const shown = listed.length ? [list(listed.map((claim) => claim.text))] : [make("p", {}, "None among what is measured.")];
    const more = count > listed.length ? [make("p", { class: "bc-small" }, `${listed.length} of ${count} are shown.`)] : [];
    return [make("h2", {}, "What data could refute"),
      make("p", { class: "bc-small" }, "Independences that the graph implies, one for each pair without an arrow."), ...shown, ...more];
  }

  // ------------------------------------------------------------------ texts and the link

  function copied() {
    const which = part.which.value;
    const text = which === "link" ? options.link(tools.drawing()) : state.answer.texts?.[which] ?? "";
    part.text.value = text;
    part.text.rows = Math.min(16, Math.max(3, text.split("\n").length));
  }
  async function copy() {
    try { await navigator.clipboard.writeText(part.text.value); }
    catch { part.text.select(); document.execCommand("copy"); }
    tools.say("Copied.");
  }

  // ------------------------------------------------------------------ exercises

  async function listExercises() {
    const { exercises, examples } = await ask({ ask: "exercises" });
    part.example.append(...examples.map(({ title, text }) => make("option", { value: text }, title)));
    if (options.exercises === false) return;
    const levels = [...new Set(exercises.map((e) => e.level))];
    part.exercise.append(...levels.map((level) => make("optgroup", { label: `Level ${level}` },
      ...exercises.filter((e) => e.level === level).map((e) => make("option", { value: e.id }, e.title)))),
      make("optgroup", { label: "Without end" }, make("option", { value: "random" }, "Another graph")));
    ticks();
  }
  const solved = () => new Set(options.save?.read() ?? []);
  function ticks() {
    for (const option of part.exercise.querySelectorAll("option")) {
      option.textContent = option.textContent.replace(/ ✓$/, "") + (solved().has(option.value) ? " ✓" : "");
    }
  }
  async function begin(again) {
    let name = again ?? part.exercise.value;
    if (!name) return end();
    if (name === "random") name = `random:${Math.floor(Math.random() * 1e6)}`;
    const told = await ask({ ask: "start", id: name });
    if (told.problem) return tools.say(told.problem);
    Object.assign(state, { exercise: name, free: false, hint: told.hint });
    part.task.textContent = told.task;
    part.outcome.textContent = "";
    part.exercising.classList.remove("bc-hide");
    tools.load(told.drawing);
    state.history.length = 0;
    tools.hint();
  }
  function end() {
    Object.assign(state, { exercise: null, free: true });
    part.exercising.classList.add("bc-hide");
    part.exercise.value = "";
    tools.draw(); results(); tools.hint();
  }
  async function judge() {
    const told = await ask({ ask: "check", id: state.exercise, drawing: tools.drawing() });
    part.outcome.textContent = told.problem ?? told.message;
    if (!told.solved) return;
    options.save?.write([...solved().add(state.exercise)]);
    state.free = true;
    ticks(); tools.draw(); results();
  }

  // ------------------------------------------------------------------ the page

  function build() {
    root.classList.add("bc-editor");
    part.svg = make("svg", { role: "group", "aria-label": "The graph" });
    part.rubber = make("path", { fill: "none", stroke: "currentColor", "stroke-dasharray": "4 4" });
    part.layer = make("g");
    part.svg.append(part.rubber, part.layer);
    part.canvas = make("div", { class: "bc-canvas" }, part.svg);
    part.hint = make("p", { class: "bc-hint", "data-part": "hint" });
    part.status = make("p", { class: "bc-small", role: "status", "data-part": "status" });
    part.panel = make("div", { "data-part": "panel" });
    part.verdict = make("div", { class: "bc-card", role: "region", "aria-live": "polite", "aria-label": "Verdict", "data-part": "verdict" });
    part.results = make("div", { class: "bc-results", "data-part": "results" });
    part.undo = button("Undo", tools.undo);
    part.arrow = button("Draw an arrow", () => { state.mode = state.mode === "arrow" ? "move" : "arrow"; state.from = null; tools.draw();
      tools.say(state.mode === "arrow" ? "Choose the cause, then the effect." : ""); }, { "aria-pressed": "false" });
    part.example = select("Examples", [["", "Examples"]], { onchange: (event) => { if (event.target.value) { end(); tools.read(event.target.value); } event.target.value = ""; } });
    part.exercise = select("Exercises", [["", "No exercise"]], { onchange: () => begin(), class: options.exercises === false ? "bc-hide" : "" });
    part.which = select("Copy as", [...TEXTS, ...(options.link ? [["link", "Link to this graph"]] : [])], { onchange: copied });
    part.text = make("textarea", { readonly: true, rows: 4, "aria-label": "The graph as text", "data-part": "text" });
    part.input = make("textarea", { rows: 3, "aria-label": "A graph to read", placeholder: "Z -> X -> Y; Z -> Y", "data-part": "input" });
    part.task = make("p", { "data-part": "task" });
    part.outcome = make("p", { role: "status", class: "bc-lead", "data-part": "outcome" });
    part.exercising = make("div", { class: "bc-card bc-hide" }, part.task, make("div", { class: "bc-row" },
      button("Check", judge, { "data-do": "check" }), button("Hint", () => { part.outcome.textContent = state.hint; }),
      button("Begin again", () => begin(state.exercise)), button("End the exercise", end)), part.outcome);
    part.svg.addEventListener("pointerdown", tools.down);
    part.svg.addEventListener("pointermove", tools.move);
    part.svg.addEventListener("pointerup", tools.up);
    part.svg.addEventListener("pointerleave", () => tools.hint(state.chosen?.node));
    part.svg.addEventListener("keydown", tools.key);
    part.svg.addEventListener("focusin", (event) => tools.hint(event.target.closest(".bc-node")?.dataset.name));
    part.svg.addEventListener("dblclick", (event) => {
      if (event.target.closest(".bc-node, .bc-arrow")) return;
      const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(part.svg.getScreenCTM().inverse());
      tools.addNode(p.x, p.y);
    });
    root.replaceChildren(
      make("div", { class: "bc-row" },
        button("Add a variable", addSomewhere, { "data-do": "add" }), part.arrow, part.undo,
        button("Clear", () => tools.change(() => { state.nodes = []; state.arrows = []; state.chosen = null; })), part.example, part.exercise),
      part.exercising,
      make("div", { class: "bc-main" }, make("div", {}, part.canvas, legend(), part.hint, part.status), part.panel),
      part.verdict, part.results,
      make("h2", {}, "Copy"), make("div", { class: "bc-row" }, part.which, button("Copy", copy, { "data-do": "copy" })), part.text,
      make("details", {}, make("summary", {}, "Read a graph"), part.input,
        make("p", { class: "bc-small" }, "Arrows, dagitty, DOT, GML or formulas."),
        button("Read", () => { end(); tools.read(part.input.value); }, { "data-do": "read" })),
      make("details", {}, make("summary", {}, "Keys"), list(["Tab: to the next variable", "Arrow keys: move it",
        "T, O, L, S, G: mark it as treatment, outcome, latent, selected, given", "Enter: to its panel, where arrows are added",
        "Delete: remove it", "With a mouse: double-click the paper for a new variable, pull the dot for an arrow"])),
    );
    listExercises().catch((error) => tools.say(String(error.message ?? error)));
  }
  function addSomewhere() {
    const n = state.nodes.length, [x, y, wide, high] = state.view;
    tools.addNode(x + wide * (0.2 + 0.3 * (n % 3)), y + high * (0.25 + 0.22 * (Math.floor(n / 3) % 3)));
  }
  function legend() {
    return make("p", { class: "bc-small" }, "Thick arrows carry the effect, dotted ones an association that is no effect. Dashed boxes "
      + "and arcs are not measured, filled boxes are given.");
  }
  return { panel, results, build };
}
