// Sorts the table by the column whose heading is clicked; a second click reverses the order.
for (const button of document.querySelectorAll("th[aria-sort] button")) {
  button.addEventListener("click", () => {
    const heading = button.closest("th");
    const table = heading.closest("table");
    const column = [...heading.parentElement.children].indexOf(heading);
    const descending = heading.getAttribute("aria-sort") !== "descending";
    for (const other of table.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const value = (row) => row.children[column].dataset.value ?? row.children[column].textContent.trim();
    const number = (text) => (text === "" ? Number.NEGATIVE_INFINITY : Number(text));
    const rows = [...table.tBodies[0].rows];
    const numeric = rows.every((row) => !Number.isNaN(number(value(row))));
    const compare = numeric
      ? (a, b) => number(value(a)) - number(value(b))
      : (a, b) => value(a).localeCompare(value(b), "en", { numeric: true });
    rows.sort((a, b) => (descending ? compare(b, a) : compare(a, b)));
    table.tBodies[0].append(...rows);
  });
}
