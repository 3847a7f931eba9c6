// The page of the playground: the editor, Python in a worker, the graph in the address.

import { mount } from "./editor.js";

const root = document.getElementById("playground");
const START = {
  nodes: [
    { name: "X", x: 120, y: 190, treatment: true }, { name: "Y", x: 380, y: 190, outcome: true },
    { name: "Z", x: 250, y: 50 },
  ],
  arrows: [["X", "->", "Y"], ["Z", "->", "X"], ["Z", "->", "Y"]],
};
const FLAGS = { treatment: "t", outcome: "o", latent: "l", selected: "s", given: "g" };

/** A drawing as the end of an address, and back. */
function toHash({ nodes, arrows }) {
  const short = nodes.map((n) => [n.name, Math.round(n.x), Math.round(n.y),
    Object.entries(FLAGS).filter(([mark]) => n[mark]).map(([, flag]) => flag).join("")]);
  const number = Object.fromEntries(nodes.map((n, k) => [n.name, k]));
  return `#graph=${encodeURIComponent(JSON.stringify([short, arrows.map(([a, k, b]) => [number[a], k, number[b]])]))}`;
}
function fromHash(hash) {
  const [, kind, value] = /^#(graph|text)=(.*)$/s.exec(hash) ?? [];
  if (!kind) return {};
  try {
    const given = decodeURIComponent(value);
    if (kind === "text") return { text: given };
    const [short, arrows] = JSON.parse(given);
    const nodes = short.map(([name, x, y, flags]) => ({ name: String(name), x: Number(x), y: Number(y),
      ...Object.fromEntries(Object.entries(FLAGS).filter(([, flag]) => flags.includes(flag)).map(([mark]) => [mark, true])) }));
    const kinds = ["->", "<->"];
    return { drawing: { nodes, arrows: arrows.filter(([a, k, b]) => nodes[a] && nodes[b] && kinds.includes(k))
      .map(([a, k, b]) => [nodes[a].name, k, nodes[b].name]) } };
  } catch {
    return {};
  }
}

const save = {
  read() { try { return JSON.parse(localStorage.getItem("bayescausal-exercises") ?? "[]"); } catch { return []; } },
  write(names) { try { localStorage.setItem("bayescausal-exercises", JSON.stringify(names)); } catch { /* not kept */ } },
};

async function begin() {
  const built = await fetch("playground.json").then((r) => r.json())
    .catch(() => ({ reason: "this page was opened as a file; serve the folder, for example with `python -m http.server`" }));
  if (!built.pyodide) {
    root.dataset.state = "absent";
    root.textContent = `The playground is not available here: ${built.reason}. In a notebook, bc.edit_graph() opens the same editor.`;
    return;
  }
  const worker = new Worker("worker.js", { type: "module" });
  const open = new Map();
  let last = 0, failed = null;
  worker.onmessage = ({ data }) => {
    if (data.failed) {
      failed = new Error(`Python could not be loaded: ${data.failed}`);
      for (const { reject } of open.values()) reject(failed);
      open.clear();
      return;
    }
    open.get(data.id)?.resolve(JSON.parse(data.answer));
    open.delete(data.id);
  };
  const ask = (question) => new Promise((resolve, reject) => {
    if (failed) return reject(failed);
    open.set(++last, { resolve, reject });
    worker.postMessage({ id: last, request: JSON.stringify(question) });
  });
  const given = fromHash(location.hash);
  let own = location.hash;
  const editor = mount(root, ask, {
    drawing: given.drawing ?? (given.text ? undefined : START),
    link: (drawing) => location.href.replace(/#.*$/s, "") + toHash(drawing),
    changed: (drawing) => {
      if (!started) return;
      own = toHash(drawing);
      history.replaceState(null, "", own);
    },
    save,
  });
  var started = true;
  if (given.text) await editor.read(given.text);
  addEventListener("hashchange", () => {
    if (location.hash === own) return;
    const next = fromHash(location.hash);
    if (next.text) editor.read(next.text);
    else if (next.drawing) editor.load(next.drawing);
  });
}

begin();
