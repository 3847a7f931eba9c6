// What scrolls sideways can be reached by keyboard: wide tables and long output.
addEventListener("DOMContentLoaded", () => {
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
