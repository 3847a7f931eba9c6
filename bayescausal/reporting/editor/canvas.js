// The drawing itself: nodes and arrows as SVG. It knows nothing of what they mean.

const SVG = "http://www.w3.org/2000/svg";
const MARKS = ["treatment", "outcome", "latent", "selected", "given"];

/** Make an element with attributes and children; text is always text, never markup. */
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "rect", "text", "path", "circle", "title"].includes(tag);
  const element = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const widthOf = (name) => Math.max(46, 9 * [...name].length + 26);
const HEIGHT = 34;

/** Where a line from the centre of a box towards a point leaves the box. */
function border(node, x, y, room = 0) {
  const dx = x - node.x, dy = y - node.y;
  if (!dx && !dy) return [node.x, node.y];
  const w = widthOf(node.name) / 2 + room, h = HEIGHT / 2 + room;
  const share = Math.min(dx ? w / Math.abs(dx) : Infinity, dy ? h / Math.abs(dy) : Infinity);
  return [node.x + dx * share, node.y + dy * share];
}

function head(x, y, angle) {
  const at = (turn, far) => `${x - far * Math.cos(angle + turn)},${y - far * Math.sin(angle + turn)}`;
  return make("path", { class: "bc-head", d: `M${x},${y} L${at(0.4, 11)} L${at(-0.4, 11)} Z` });
}

/** One arrow; an arc with two heads for a hidden common cause. */
function arrowElement(from, to, arrow, classes) {
  const both = arrow === "<->";
  const dx = to.x - from.x, dy = to.y - from.y, length = Math.hypot(dx, dy) || 1;
  const bend = both ? Math.min(70, 0.3 * length + 24) : 0;
  const cx = (from.x + to.x) / 2 - (bend * dy) / length, cy = (from.y + to.y) / 2 + (bend * dx) / length;
  const [x0, y0] = border(from, both ? cx : to.x, both ? cy : to.y, 1);
  const [x1, y1] = border(to, both ? cx : from.x, both ? cy : from.y, 2);
  const d = both ? `M${x0},${y0} Q${cx},${cy} ${x1},${y1}` : `M${x0},${y0} L${x1},${y1}`;
  const group = make("g", { class: `bc-arrow ${both ? "both" : ""} ${classes}` });
  group.append(make("path", { class: "bc-hit", d }), make("path", { d }));
  group.append(head(x1, y1, both ? Math.atan2(y1 - cy, x1 - cx) : Math.atan2(dy, dx)));
  if (both) group.append(head(x0, y0, Math.atan2(y0 - cy, x0 - cx)));
  return group;
}

function nodeElement(node, label, classes) {
  const marks = MARKS.filter((mark) => node[mark]);
  const wide = widthOf(node.name);
  const group = make("g", {
    class: `bc-node ${marks.join(" ")} ${classes}`, transform: `translate(${node.x},${node.y})`,
    tabindex: 0, role: "button", "aria-label": label, "data-name": node.name,
  });
  group.append(
    make("rect", { x: -wide / 2, y: -HEIGHT / 2, width: wide, height: HEIGHT, rx: 9 }),
    make("text", { class: "bc-name", "text-anchor": "middle", y: 5 }, node.name),
    make("text", { class: "bc-mark", "text-anchor": "middle", y: HEIGHT / 2 + 14 },
      marks.length ? ` ${marks.map((mark) => (mark === "latent" ? "not measured" : mark)).join(", ")}` : ""),
    make("circle", { class: "bc-handle", cx: wide / 2, cy: 0, r: 7 }),
  );
  return group;
}

/** The part of the plane that is shown: all that is drawn, and never less than the room there is. */
function viewOf(nodes, wide) {
  const xs = nodes.flatMap((n) => [n.x - widthOf(n.name) / 2, n.x + widthOf(n.name) / 2]);
  const ys = nodes.map((n) => n.y);
  const left = xs.length ? Math.min(...xs) - 24 : 0, right = xs.length ? Math.max(...xs) + 24 : 0;
  const top = ys.length ? Math.min(...ys) - 34 : 0, bottom = ys.length ? Math.max(...ys) + 48 : 0;
  const width = Math.max(right - left, Math.min(wide || 640, 760)), height = Math.max(bottom - top, 260);
  return [left - (width - (right - left)) / 2, top - (height - (bottom - top)) / 2, width, height];
}
