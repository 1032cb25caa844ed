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
const runs = [...document.querySelectorAll("#runs tbody tr")];
const show = (agents, envs) => {
  let count = 0;
  for (const row of runs) {
    row.hidden = !(agents.includes(row.dataset.agent) && envs.includes(row.dataset.env));
    count += !row.hidden;
  }
  document.getElementById("shown").textContent = `${count} of ${runs.length} runs.`;
};
const all = () => show(runs.map((row) => row.dataset.agent), runs.map((row) => row.dataset.env));
for (const button of document.querySelectorAll("button[data-agents]")) {
  button.addEventListener("click", () => {
    show(JSON.parse(button.dataset.agents), JSON.parse(button.dataset.envs));
    document.getElementById("rows").scrollIntoView();
  });
}
document.getElementById("all").addEventListener("click", all);
document.getElementById("download").addEventListener("click", () => {
  const rows = JSON.parse(document.getElementById("data").textContent);
  const file = new Blob(rows.map((row) => JSON.stringify(row) + "\n"), { type: "application/jsonl" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = "rows.jsonl";
  link.click();
  URL.revokeObjectURL(link.href);
});
all();
