"use strict";
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
