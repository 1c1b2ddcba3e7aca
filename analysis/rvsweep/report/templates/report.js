// The page is whole without this: it adds downloads of figures, sorting, filters, search, and opens all for print.
(() => {
  "use strict";
  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);
  const quantity = (text) => {
    const found = text.replaceAll("−", "-").replaceAll("\u202f", "").match(/-?\d+(\.\d+)?(e-?\d+)?/);
    return found ? Number(found[0]) : NaN;
  };

  each(".scroll", (box) => (box.tabIndex = 0)); // arrow keys scroll it

  each(".download", (place) => {
    const link = document.createElement("a");
    link.textContent = "SVG";
    link.href = "#";
    link.download = `${place.dataset.name}.svg`;
    link.addEventListener("click", () => {
      const text = new XMLSerializer().serializeToString(place.closest("figure").querySelector("svg"));
      link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    });
    place.prepend(link);
  });

  const compare = (column, numeric, sign) => (first, second) => {
    const [a, b] = [first, second].map((row) => row.cells[column].textContent.trim());
    if (!numeric) return sign * a.localeCompare(b);
    const [x, y] = [quantity(a), quantity(b)];
    return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) : sign * (x - y); // no value last
  };
  const sort = (table, heading) => {
    const sign = heading.ariaSort === "ascending" ? -1 : 1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.ariaSort = sign > 0 ? "ascending" : "descending";
    const order = compare(heading.cellIndex, heading.classList.contains("num"), sign);
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
  };
  const filtered = (rows, place, label) => {
    const box = document.createElement("input");
    box.type = "search";
    box.placeholder = label;
    box.ariaLabel = label;
    box.addEventListener("input", () => {
      const words = box.value.toLowerCase().split(/\s+/);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
    });
    place.before(box);
  };
  each("table", (table) => {
    const rows = table.tBodies.length === 1 && table.tHead ? [...table.tBodies[0].rows] : [];
    if (rows.length < 3 || rows.some((row) => row.cells.length !== table.tHead.rows[0].cells.length)) return;
    for (const heading of table.tHead.rows[0].cells) {
      heading.tabIndex = 0;
      heading.addEventListener("click", () => sort(table, heading));
      heading.addEventListener("keydown", (event) => event.key === "Enter" && sort(table, heading));
    }
    if (rows.length >= 10) filtered(rows, table.closest(".scroll") ?? table, "Filter rows");
  });
  const pairs = [...document.querySelectorAll("details.pair")];
  if (pairs.length > 1) filtered(pairs, pairs[0], "Search pairs and texts");

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => closed.forEach((one) => (one.open = false)));
})();
