// The document is built from here only. Text goes in as text nodes, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Text of unknown script and direction, isolated from what stands beside it.
function isolated(text, attributes = {}) {
  return element("bdi", { dir: "auto", ...attributes }, ...withGhosts(text));
}

// Characters that show nothing, or that would turn the line around, become something to see. Line breaks stay.
const INVISIBLE = /[\p{Cc}\p{Cs}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;

function withGhosts(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(INVISIBLE)) {
    if (found[0] === "\n" || found[0] === "\t") continue;
    parts.push(text.slice(end, found.index));
    const code = found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    parts.push(element("span", { class: "ghost" }, `U+${code}`));
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}

function choice(label, id, options, value, onchange) {
  const select = element("select", { id, onchange: (event) => onchange(event.target.value) });
  for (const [key, text] of options) select.append(element("option", { value: key, selected: key === value }, text));
  return element("label", {}, label + " ", select);
}

// Keep the keyboard where it was when a pane is drawn again.
function replaceContent(node, ...children) {
  const focused = node.contains(document.activeElement) ? document.activeElement.id : "";
  const at = focused && document.activeElement.selectionStart;
  node.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
  const again = focused && document.getElementById(focused);
  if (!again) return;
  again.focus({ preventScroll: true });
  if (again.type === "search" && typeof at === "number") again.setSelectionRange(at, at);
}

// A button for things that are no HTML buttons: parts of a drawing.
function pressable(label, action) {
  const onkeydown = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    action();
  };
  return { tabindex: "0", role: "button", "aria-label": label, onclick: action, onkeydown };
}

// What belongs to one pane, told in that pane alone.
function paneNotes(run, pane) {
  return (run.paneNotes[pane] || []).map((note) => element("p", { class: "pane-note quiet" }, isolated(note)));
}
