// What scrolls sideways can be reached by keyboard: wide tables and long output.
// Printed columns keep their lines, and a long name breaks after a point or an underscore.
addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll("article .highlight-text pre, article .output pre")) {
    const lines = box.textContent.split("\n").filter((line) => line.trim());
    const spaced = lines.filter((line) => /\S {2,}\S/.test(line));
    if (spaced.length > 1 && spaced.length * 2 > lines.length && lines.every((line) => line.length < 90))
      box.classList.add("columns");
  }
  const title = document.querySelector("article h1")?.firstChild;
  if (title?.nodeType === Node.TEXT_NODE) {
    const parts = title.textContent.split(/(?<=[._])/);
    title.replaceWith(...parts.flatMap((part, k) => (k ? [document.createElement("wbr"), part] : [part])));
  }
  for (const caption of document.querySelectorAll(".caption[role=heading]")) caption.setAttribute("aria-level", 2);
  const boxes = document.querySelectorAll("article .table-wrapper, article pre, article .output");
  const mark = () => {
    for (const box of boxes) {
      if (box.scrollWidth <= box.clientWidth) continue;
      box.tabIndex = 0;
      if (box.matches(".table-wrapper")) {
        box.setAttribute("role", "region");
        box.setAttribute("aria-label", "Table, wider than the page");
      }
    }
  };
  mark();
  addEventListener("resize", mark);
});
