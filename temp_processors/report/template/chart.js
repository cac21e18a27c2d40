// One chart for all of them: points with intervals on two axes, each point a button, names beside them.

const SIZE = { height: 340, left: 64, right: 16, top: 14, bottom: 46 };
const ROW = 21;
const SHAPES = [
  (x, y) => drawn("circle", { cx: x, cy: y, r: 5.5 }),
  (x, y) => drawn("rect", { x: x - 5, y: y - 5, width: 10, height: 10 }),
  (x, y) => drawn("path", { d: `M${x} ${y - 7}l7 7l-7 7l-7 -7z` }),
  (x, y) => drawn("path", { d: `M${x} ${y - 6}l6.5 11h-13z` }),
  (x, y) => drawn("path", { d: `M${x} ${y + 6}l6.5 -11h-13z` }),
];

// Charts are drawn for the screen they are on: letters keep their size on a narrow one.
function chartWidth() {
  return Math.max(320, Math.min(560, document.documentElement.clientWidth - 40));
}

function scale(low, high, from, to, log) {
  const f = log ? Math.log : (v) => v;
  const width = f(high) - f(low) || 1;
  return (value) => from + (f(value) - f(low)) / width * (to - from);
}

function range(points, names, log) {
  const values = points.flatMap((p) => names.map((name) => p[name])).filter((v) => Number.isFinite(v) && (!log || v > 0));
  if (!values.length) return log ? [1, 10] : [0, 1];
  const low = Math.min(...values), high = Math.max(...values);
  if (log) return low === high ? [low / 2, high * 2] : [low / 1.1, high * 1.1];
  const margin = (high - low || Math.abs(high) || 1) * 0.06;
  return [low >= 0 ? Math.max(0, low - margin) : low - margin, high + margin];
}

// points: {x, xLow, xHigh, y, yLow, yHigh, shape, share, name, text, label, open}, null for ends that are not known, `text` to stand beside it;
// x: {label, log, ticks, range, slanted}; y: {label, log}; lines: lists of points, the first with `share` and `kind`.
function chart(title, points, x, y, lines = []) {
  const width = chartWidth(), { height, left, right, top, bottom } = SIZE;
  const base = height - bottom - (x.slanted ? 0.53 * Math.max(...x.ticks.map(([, text]) => widthOf(text))) - 4 : 0);
  const drawable = points.filter((p) => !y.log || p.y > 0);
  const xs = x.range || range(drawable, ["x", "xLow", "xHigh"], x.log), ys = range([...drawable, ...lines.flat()], ["y", "yLow", "yHigh"], y.log);
  const px = scale(...xs, left, width - right, x.log), py = scale(...ys, base, top, y.log);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "group", "aria-label": title });
  horizontal(svg, x, xs, px, { left, right: width - right, base, height });
  for (const value of y.log ? logTicks(...ys) : ticks(...ys, 5)) {
    svg.append(drawn("line", { x1: left, x2: width - right, y1: py(value), y2: py(value), class: "grid" }));
    svg.append(drawn("text", { x: left - 8, y: py(value) + 4, class: "tick", "text-anchor": "end" }, tickText(value)));
  }
  const middle = (top + base) / 2;
  svg.append(drawn("text", { x: 14, y: middle, class: "name", "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, y.label + (y.log ? " (log scale)" : "")));
  for (const line of lines) {
    const d = line.map((p, i) => `${i ? "L" : "M"}${px(p.x)} ${py(p.y)}`).join("");
    svg.append(tinted(drawn("path", { d, class: `line ${line[0].kind || ""}` }), line[0].share ?? null));
  }
  for (const point of drawable) svg.append(marker(point, px, py));
  const named = drawable.filter((p) => p.text).map((p) => ({ x: px(p.x), y: py(p.y), text: p.text, share: p.share }));
  const without = placeLabels(svg, named, { left, right: width, top: 0, bottom: base }, drawable.map((p) => signOf(p, px, py)), drawable.flatMap((p) => whiskersOf(p, px, py)), lines.flatMap((line) => along(line.map((p) => [px(p.x), py(p.y)]))));
  return framed(title, svg, drawable, without);
}

function horizontal(svg, x, xs, px, { left, right, base, height }) {
  const all = x.ticks || (x.log ? logTicks(...xs) : ticks(...xs, 6)).map((v) => [v, tickText(v)]);
  let end = -Infinity;
  for (const [value, text] of all) {
    const at = px(value), half = widthOf(text) / 2;
    svg.append(drawn("line", { x1: at, x2: at, y1: base, y2: base + 4, class: "axis" }));
    if (!x.slanted && at - half < end + 5) continue;
    end = at + half;
    const slant = x.slanted ? { transform: `rotate(-32 ${at} ${base + 14})`, "text-anchor": "end" } : { "text-anchor": "middle" };
    svg.append(drawn("text", { x: at, y: base + 18, class: "tick", ...slant }, text));
  }
  svg.append(drawn("line", { x1: left, x2: right, y1: base, y2: base, class: "axis" }));
  svg.append(drawn("text", { x: (left + right) / 2, y: height - 6, class: "name", "text-anchor": "middle" }, x.label + (x.log ? " (log scale)" : "")));
}

// Policies below each other, the score to the right: for many, and for those that no temperature puts in order.
function rowsChart(title, points, x) {
  const width = chartWidth(), name = Math.min(0.42 * width, 12 + Math.max(...points.map((p) => widthOf(p.name))));
  const left = name + 8, right = width - 18, base = 8 + ROW * points.length, height = base + 46;
  const drawable = points.filter((p) => !x.log || p.y > 0), xs = range(drawable, ["y", "yLow", "yHigh"], x.log), px = scale(...xs, left, right, x.log);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "group", "aria-label": title });
  for (const value of x.log ? logTicks(...xs) : ticks(...xs, 5)) svg.append(drawn("line", { x1: px(value), x2: px(value), y1: 4, y2: base, class: "grid" }));
  horizontal(svg, x, xs, px, { left, right, base, height });
  points.forEach((point, i) => {
    const y = 8 + ROW * (i + 0.5);
    svg.append(drawn("text", { x: name, y: y + 4, class: "tick", "text-anchor": "end" }, shortened(point.name, name - 4)));
    const turned = { ...point, x: point.y, xLow: point.yLow, xHigh: point.yHigh, y, yLow: y, yHigh: y };
    if (!x.log || point.y > 0) svg.append(marker(turned, px, (value) => value));
  });
  return framed(title, svg, drawable, 0);
}

function framed(title, svg, points, without) {
  const remarks = [points.every(known) ? "" : "hollow: no interval is known, and the point says why", without ? `${without} without a name for want of room: hover or press them` : ""];
  return element("figure", {}, element("figcaption", {}, title, pictureButtons(svg, title)), svg, ...remarks.filter(Boolean).map((said) => element("p", { class: "quiet" }, said)));
}

function known(point) {
  return [point.xLow, point.xHigh, point.yLow, point.yHigh].every(Number.isFinite);
}

// What the sign of a point covers, and what its whiskers do.
function signOf(p, px, py) {
  const x = px(p.x), y = py(p.y);
  return { left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 };
}

function whiskersOf(p, px, py) {
  const x = px(p.x), y = py(p.y), found = [];
  if (p.yHigh > p.yLow) found.push({ left: x - 4, right: x + 4, top: py(p.yHigh), bottom: py(p.yLow) });
  if (p.xHigh > p.xLow) found.push({ left: px(p.xLow), right: px(p.xHigh), top: y - 3, bottom: y + 3 });
  return found;
}

function marker(point, px, py) {
  const x = px(point.x), y = py(point.y);
  const group = tinted(drawn("g", { class: known(point) ? "point" : "point hollow", ...pressable(point.label, point.open) }), point.share);
  group.append(drawn("title", {}, point.label));
  group.append(drawn("circle", { cx: x, cy: y, r: 14, class: "target" }));
  if (point.yHigh > point.yLow) group.append(whisker(x, py(point.yLow), x, py(point.yHigh), 4, 0));
  if (point.xHigh > point.xLow) group.append(whisker(px(point.xLow), y, px(point.xHigh), y, 0, 4));
  group.append(SHAPES[point.shape % SHAPES.length](x, y));
  return group;
}

function whisker(x1, y1, x2, y2, dx, dy) {
  const ends = `M${x1 - dx} ${y1 - dy}l${2 * dx} ${2 * dy}M${x2 - dx} ${y2 - dy}l${2 * dx} ${2 * dy}`;
  return drawn("path", { d: `M${x1} ${y1}L${x2} ${y2}${ends}`, class: "whisker" });
}

function legend(entries) {
  const item = ([name, share, shape]) => element("li", {}, tinted(drawn("svg", { viewBox: "0 0 16 16", class: "sign", "aria-hidden": "true" }, SHAPES[shape % SHAPES.length](8, 8)), share), isolated(name));
  return element("ul", { class: "legend" }, ...entries.map(item));
}
