"use strict";
const value = (cell) => {
  const given = cell.dataset.value;
  const text = given === undefined ? cell.textContent.trim() : given;
  const number = Number(text);
  return text !== "" && Number.isFinite(number) ? number : text.toLowerCase();
};
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const sort = () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => {
        const [one, other] = [value(a.cells[column]), value(b.cells[column])];
        if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
        const order = one < other ? -1 : one > other ? 1 : 0;
        return down ? -order : order;
      });
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      table.tBodies[0].append(...rows);
    };
    head.tabIndex = 0;
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
    });
  });
}
