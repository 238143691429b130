// Tables that readers sort by any column and filter by words; old addresses of commits; and what the
// other scripts share.
"use strict";

const MANY = 8; // rows from which on a table has a filter

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// A column as a function of the row: a text, a number or null.
function reader(column) {
  if (!column) return () => null;
  if (column.values) return (row) => column.values[row] ?? null;
  return (row) => (column.codes[row] < 0 ? null : column.levels[column.codes[row]]);
}

function cellValue(row, column) {
  const cell = row.cells[column];
  return cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v);
}

function compareCells(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (typeof one === "number") return -1; // numbers before cells without one
  if (typeof other === "number") return 1;
  return one.localeCompare(other, undefined, { numeric: true });
}

function sortBy(table, column, heading) {
  const down = heading.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => [cellValue(row, column), row]);
  rows.sort((one, other) => compareCells(one[0], other[0]) * (down ? -1 : 1));
  body.append(...rows.map((pair) => pair[1]));
}

function makeSortable(table) {
  Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
    const button = element("button", { type: "button", textContent: heading.textContent });
    button.addEventListener("click", () => sortBy(table, column, heading));
    heading.replaceChildren(button);
  });
}

function makeFilter(box, table) {
  const rows = Array.from(table.tBodies[0].rows, (row) => [row, row.textContent.toLowerCase()]);
  const input = element("input", { type: "search" });
  const count = element("output");
  const label = element("label", {}, "Rows with all of these words", input);
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  };
  input.addEventListener("input", apply);
  apply();
  box.prepend(element("div", { className: "filter" }, label, count));
}

// asv's pages and feeds of earlier versions name commits by the first page's address.
function followCommit() {
  const history = document.body.dataset.commits;
  const name = location.hash.slice(1);
  if (history && /^[0-9a-f]{8,40}$/.test(name) && !document.getElementById(name)) {
    location.replace(history + location.hash);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  followCommit();
  for (const box of document.querySelectorAll("div.table")) {
    const table = box.querySelector("table");
    if (table.tBodies[0].rows.length > 1) makeSortable(table);
    if (table.tBodies[0].rows.length >= MANY) makeFilter(box, table);
  }
});
