// Any table as CSV, any picture as SVG or PNG: made from what is on the screen, saved by the browser, sent nowhere.

function save(content, type, name) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  element("a", { href: address, download: name.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 80) }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// A cell that a spreadsheet would take for a formula becomes text; numbers stay numbers.
function csvCell(text) {
  const bare = text.replace(/[▲▼]\s*/gu, "").trim(), risky = /^[=+\-@\t\r]/.test(bare) && !/^[+-]?[\d.,]+(\s?[±(].*)?$/.test(bare) ? `'${bare}` : bare;
  return /[",\n]/.test(risky) ? `"${risky.replaceAll('"', '""')}"` : risky;
}

function cellTexts(cell) {
  if (cell.dataset.csv !== undefined) return cell.dataset.csv;
  const parts = [...cell.childNodes].map((node) => node.textContent.trim()).filter(Boolean);
  return parts.join("; ");
}

function csvOf(table) {
  const rows = [...table.querySelectorAll("tr")].map((row) => [...row.children].map((cell) => csvCell(cellTexts(cell))).join(","));
  return "\ufeff" + rows.join("\r\n") + "\r\n";
}

const DRAWN = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family", "font-weight", "text-anchor", "paint-order", "stroke-linejoin"];

// The drawing by itself: colours of the scheme on the screen, a background, and nothing that is not seen.
function standalone(svg) {
  const copy = svg.cloneNode(true), [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const from = [svg, ...svg.querySelectorAll("*")], to = [copy, ...copy.querySelectorAll("*")];
  from.forEach((node, i) => {
    const style = getComputedStyle(node);
    for (const name of DRAWN) to[i].setAttribute(name, style.getPropertyValue(name));
    for (const name of ["style", "class", "tabindex", "role", "aria-label"]) to[i].removeAttribute(name);
  });
  copy.querySelectorAll("[r='14']").forEach((node) => node.remove());
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  copy.prepend(drawn("rect", { width, height, fill: getComputedStyle(document.body).backgroundColor }));
  return new XMLSerializer().serializeToString(copy);
}

function savePng(svg, name) {
  const image = new Image(), [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  image.onload = () => {
    const canvas = element("canvas", { width: 2 * width, height: 2 * height });
    canvas.getContext("2d").drawImage(image, 0, 0, 2 * width, 2 * height);
    canvas.toBlob((blob) => save(blob, "image/png", `${name}.png`));
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(standalone(svg))}`;
}

function pictureButtons(svg, name) {
  const button = (kind, act) => element("button", { class: "save", "aria-label": `Save ${name} as ${kind}`, onclick: act }, kind);
  return element("span", { class: "saves" }, button("SVG", () => save(standalone(svg), "image/svg+xml", `${name}.svg`)), button("PNG", () => savePng(svg, name)));
}

// A table that scrolls where it is wider than the screen, with a button that saves it.
function savedTable(name, ...children) {
  const table = element("table", {}, ...children);
  const scroll = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, table);
  return element("div", { class: "saved" }, scroll, element("span", { class: "saves" }, element("button", { class: "save", "aria-label": `Save ${name} as CSV`, onclick: () => save(csvOf(table), "text/csv", `${name}.csv`) }, "CSV")));
}
