// The editor: what is drawn, what may be done to it, and what Python says of it.

let editors = 0;

const SAID = {
  yes: "Should I adjust for it? Yes.", no: "Should I adjust for it? No.",
  may: "Should I adjust for it? You may.", cannot: "Should I adjust for it? You cannot.",
};

/**
 * Put an editor into an element.
 *
 * root: the element. ask: a function from a question to a promise of an answer, both plain data.
 * options: drawing, changed (told of every change), link (from a drawing to an address),
 * exercises (whether there are any), save (of the names of solved exercises).
 */
function mount(root, ask, options = {}) {
  const id = `bc${++editors}`;
  const state = {
    nodes: [], arrows: [], chosen: null, mode: "move", from: null, answer: {}, asked: 0,
    history: [], drag: null, lit: null, exercise: null, free: true, view: null,
  };
  const part = {};
  const drawing = () => JSON.parse(JSON.stringify({ nodes: state.nodes, arrows: state.arrows }));
  const find = (name) => state.nodes.find((node) => node.name === name);

  // ------------------------------------------------------------------ changes

  function change(edit) {
    state.history.push(JSON.stringify(drawing()));
    if (state.history.length > 100) state.history.shift();
    edit();
    refresh();
  }
  function refresh() {
    state.view = null;
    draw(); panel(); look();
    options.changed?.(drawing());
  }
  function load(given) {
    state.nodes = given.nodes.map((node) => ({ ...node }));
    state.arrows = given.arrows.map((arrow) => [...arrow]);
    state.chosen = null;
    refresh();
  }
  function addNode(x, y) {
    let k = 0;
    const letters = "XYZWABCDEFGHIJKLMNOPQRSTUV";
    const name = () => (k < letters.length ? letters[k] : `V${k - letters.length + 1}`);
    while (find(name())) k += 1;
    const made = { name: name(), x: Math.round(x), y: Math.round(y) };
    change(() => { state.nodes.push(made); state.chosen = { node: made.name }; });
    focus(made.name);
  }
  function addArrow(from, arrow, to) {
    if (from === to) return say("An arrow needs two variables.");
    const [a, kind, b] = arrow === "<-" ? [to, "->", from] : [from, arrow, to];
    const same = ([p, k, q]) => k === kind && ((p === a && q === b) || (kind === "<->" && p === b && q === a));
    if (state.arrows.some(same)) return say("This arrow is there already.");
    change(() => {
      if (kind === "->") state.arrows = state.arrows.filter(([p, k, q]) => !(k === kind && p === b && q === a));
      state.arrows.push([a, kind, b]);
    });
    say(kind === "<->" ? `${a} and ${b} share a cause that is not measured.` : `${a} acts on ${b}.`);
  }
  function remove(name) {
    change(() => {
      state.nodes = state.nodes.filter((node) => node.name !== name);
      state.arrows = state.arrows.filter(([a, , b]) => a !== name && b !== name);
      state.chosen = null;
    });
    say(`${name} is gone.`);
  }
  function rename(old, name) {
    name = name.trim();
    if (!name || name === old) return panel();
    if (find(name)) { panel(); return say(`There is a variable ${name} already.`); }
    change(() => {
      find(old).name = name;
      state.arrows = state.arrows.map(([a, k, b]) => [a === old ? name : a, k, b === old ? name : b]);
      state.chosen = { node: name };
    });
  }
  function mark(name, what) {
    change(() => {
      const node = find(name);
      node[what] = !node[what];
      if (node[what] && what === "treatment") node.outcome = false;
      if (node[what] && what === "outcome") node.treatment = false;
    });
    const set = find(name)[what];
    say(`${name} is ${set ? "" : "no longer "}${what === "latent" ? "latent (not measured)" : what}.`);
  }
  function undo() {
    const before = state.history.pop();
    if (before) load(JSON.parse(before));
  }
  const say = (text) => { part.status.textContent = text; };

  // ------------------------------------------------------------------ asking

  let waiting = 0;
  function look() {
    clearTimeout(waiting);
    const mine = ++state.asked;
    root.dataset.state = Object.keys(state.answer).length ? "asking" : "loading";
    waiting = setTimeout(async () => {
      let answer;
      try { answer = await ask({ ask: "look", drawing: drawing() }); }
      catch (error) { answer = { problem: String(error.message ?? error) }; }
      if (mine !== state.asked) return;
      state.answer = answer;
      draw(); results();
      root.dataset.state = "answered";
    }, 60);
  }
  async function read(text) {
    const answer = await ask({ ask: "read", text });
    if (answer.problem) return say(answer.problem);
    state.history.push(JSON.stringify(drawing()));
    load(answer.drawing);
    say("The graph was read.");
  }

  // ------------------------------------------------------------------ drawing

  function draw() {
    const focused = root.querySelector("svg .bc-node:focus")?.dataset.name;
    state.view ??= viewOf(state.nodes, part.canvas.clientWidth);
    part.svg.setAttribute("viewBox", state.view.join(" "));
    const arrows = state.arrows.map(([a, kind, b], k) => {
      const key = kind === "<->" ? [a, b].sort().join(" <-> ") : `${a} -> ${b}`;
      const told = state.free ? state.answer.arrows?.[key] ?? "" : "";
      const lit = state.lit?.includes(key) ? "lit" : "";
      const chosen = state.chosen?.arrow === k ? "chosen" : "";
      const element = arrowElement(find(a), find(b), kind, `${told} ${lit} ${chosen}`);
      element.dataset.arrow = k;
      return element;
    });
    const nodes = state.nodes.map((node) =>
      nodeElement(node, described(node), state.chosen?.node === node.name || state.from === node.name ? "chosen" : ""));
    part.layer.replaceChildren(...arrows, ...nodes);
    if (focused) focus(focused);
    part.undo.disabled = !state.history.length;
    part.arrow.setAttribute("aria-pressed", state.mode === "arrow");
  }
  function described(node) {
    const marks = MARKS.filter((m) => node[m]).map((m) => (m === "latent" ? "not measured" : m)).join(", ");
    const role = state.free ? state.answer.roles?.[node.name] : null;
    return [marks ? `${node.name} ${marks}` : node.name, role?.sentence].filter(Boolean).join(". ");
  }
  function focus(name) {
    [...root.querySelectorAll("svg .bc-node")].find((e) => e.dataset.name === name)?.focus({ preventScroll: true });
  }
  function hint(name) {
    const node = find(name), role = state.answer.roles?.[name];
    const lines = [];
    if (node && role && state.free) {
      const asked = role.roles.includes("treatment") || role.roles.includes("outcome");
      if (!asked) lines.push(make("strong", {}, SAID[role.adjust] + " "));
      lines.push(`${role.sentence} ${role.change}`);
    } else if (node && !state.free) lines.push(`${name}. The answers are hidden while the exercise is open.`);
    else if (node) lines.push(`${name}. Mark a treatment and an outcome to ask about it.`);
    else lines.push("Point at a variable, or move to it with the Tab key: should I adjust for it?");
    part.hint.replaceChildren(...lines);
  }

  // ------------------------------------------------------------------ hands and keys

  function place(event) {
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(part.svg.getScreenCTM().inverse());
    return [p.x, p.y];
  }
  const under = (x, y) => state.nodes.find((n) =>
    Math.abs(n.x - x) <= widthOf(n.name) / 2 + 8 && Math.abs(n.y - y) <= HEIGHT / 2 + 8);
  function down(event) {
    const name = event.target.closest(".bc-node")?.dataset.name;
    const arrow = event.target.closest(".bc-arrow")?.dataset.arrow;
    if (!name) {
      if (arrow !== undefined) choose({ arrow: Number(arrow) });
      else { state.from = null; choose(null); }
      return;
    }
    event.preventDefault();
    if (state.mode === "arrow") {
      if (state.from) { addArrow(state.from, "->", name); state.from = null; state.mode = "move"; draw(); }
      else { state.from = name; draw(); say(`From ${name} to which variable?`); }
      return;
    }
    const [x, y] = place(event), node = find(name);
    const pull = event.target.closest(".bc-handle") !== null;
    state.drag = { name, pull, dx: node.x - x, dy: node.y - y, before: JSON.stringify(drawing()), moved: false };
    part.svg.setPointerCapture(event.pointerId);
    choose({ node: name });
    focus(name);
  }
  function move(event) {
    if (!state.drag) {
      const over = event.target.closest?.(".bc-node")?.dataset.name;
      if (over) hint(over);
      return;
    }
    const [x, y] = place(event), node = find(state.drag.name);
    if (state.drag.pull) {
      const [x0, y0] = border(node, x, y, 1);
      part.rubber.setAttribute("d", `M${x0},${y0} L${x},${y}`);
      return;
    }
    const to = [Math.round(x + state.drag.dx), Math.round(y + state.drag.dy)];
    if (Math.hypot(to[0] - node.x, to[1] - node.y) < 3 && !state.drag.moved) return;
    state.drag.moved = true;
    [node.x, node.y] = to;
    draw();
  }
  function up(event) {
    const drag = state.drag;
    state.drag = null;
    part.rubber.setAttribute("d", "");
    if (!drag) return;
    if (drag.pull) {
      const to = under(...place(event));
      if (to && to.name !== drag.name) addArrow(drag.name, "->", to.name);
    } else if (drag.moved) {
      state.history.push(drag.before);
      refresh();
    }
  }
  function key(event) {
    const name = event.target.closest(".bc-node")?.dataset.name;
    if (!name || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] };
    const letters = { t: "treatment", o: "outcome", l: "latent", s: "selected", g: "given" };
    if (steps[event.key]) change(() => { const n = find(name); n.x += steps[event.key][0]; n.y += steps[event.key][1]; });
    else if (event.key in letters) mark(name, letters[event.key]);
    else if (event.key === "Delete" || event.key === "Backspace") remove(name);
    else if (event.key === "Enter" || event.key === " ") {
      choose({ node: name });
      part.panel.querySelector("input")?.focus();
    } else return;
    event.preventDefault();
  }
  function choose(what) {
    state.chosen = what;
    draw(); panel();
    hint(what?.node);
  }

  const tools = { id, state, part, options, root, ask, drawing, find, change, load, addNode, addArrow,
    remove, rename, mark, undo, say, read, draw, hint, choose, down, move, up, key, look, viewOf };
  const { panel, results, build } = parts(tools);
  tools.panel = panel; tools.results = results;
  build();
  load(options.drawing ?? { nodes: [], arrows: [] });
  state.history.length = 0;
  draw(); hint();
  return { drawing, load, read, tools };
}
