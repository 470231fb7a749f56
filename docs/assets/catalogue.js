// A field above the catalogue's table: rows that have all its words stay.
document.addEventListener("DOMContentLoaded", () => {
  const box = document.querySelector(".catalogue");
  if (!box) return;
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "Filter: linear, gru, 2016, ...";
  field.setAttribute("aria-label", "Filter the cells");
  const left = document.createElement("p");
  left.setAttribute("aria-live", "polite");
  const rows = [...box.querySelectorAll("tbody tr")];
  const show = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    left.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} cells`;
  };
  field.addEventListener("input", show);
  box.prepend(field, left);
  show();
});
