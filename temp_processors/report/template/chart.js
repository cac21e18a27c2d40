// One chart for all of them: points with intervals on two axes, each point a button.

const SIZE = { width: 560, height: 340, left: 64, right: 14, top: 12, bottom: 46 };
const SHAPES = [
  (x, y) => drawn("circle", { cx: x, cy: y, r: 5.5 }),
  (x, y) => drawn("rect", { x: x - 5, y: y - 5, width: 10, height: 10 }),
  (x, y) => drawn("path", { d: `M${x} ${y - 7}l7 7l-7 7l-7 -7z` }),
  (x, y) => drawn("path", { d: `M${x} ${y - 6}l6.5 11h-13z` }),
  (x, y) => drawn("path", { d: `M${x} ${y + 6}l6.5 -11h-13z` }),
];

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

// points: {x, xLow, xHigh, y, yLow, yHigh, shape, share, name, label, open}, null for ends that are not known; x: {label, log, ticks}; y: {label}.
function chart(title, points, x, y, lines = []) {
  const { width, height, left, right, top, bottom } = SIZE;
  const base = height - bottom - (x.slanted ? 40 : 0);
  const xs = x.range || range(points, ["x", "xLow", "xHigh"], x.log), ys = range([...points, ...lines.flat()], ["y", "yLow", "yHigh"]);
  const px = scale(...xs, left, width - right, x.log), py = scale(...ys, base, top);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "group", "aria-label": title });
  const xTicks = x.ticks || (x.log ? logTicks(...xs) : ticks(...xs, 6)).map((v) => [v, String(v)]);
  for (const [value, text] of xTicks) {
    const at = px(value);
    const slant = x.slanted ? { transform: `rotate(-32 ${at} ${base + 14})`, "text-anchor": "end" } : { "text-anchor": "middle" };
    svg.append(drawn("line", { x1: at, x2: at, y1: base, y2: base + 4, class: "axis" }));
    svg.append(drawn("text", { x: at, y: base + 18, class: "tick", ...slant }, text));
  }
  for (const value of ticks(...ys, 5)) {
    svg.append(drawn("line", { x1: left, x2: width - right, y1: py(value), y2: py(value), class: "grid" }));
    svg.append(drawn("text", { x: left - 8, y: py(value) + 4, class: "tick", "text-anchor": "end" }, String(value)));
  }
  svg.append(drawn("line", { x1: left, x2: width - right, y1: base, y2: base, class: "axis" }));
  svg.append(drawn("text", { x: (left + width - right) / 2, y: height - 6, class: "name", "text-anchor": "middle" }, x.label));
  const middle = (top + base) / 2;
  svg.append(drawn("text", { x: 14, y: middle, class: "name", "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, y.label));
  for (const line of lines) {
    const d = line.map((p, i) => `${i ? "L" : "M"}${px(p.x)} ${py(p.y)}`).join("");
    svg.append(drawn("path", { d, class: line[0].dashed ? "line dashed" : "line", stroke: ramp(line[0].share).colour }));
  }
  for (const point of points) svg.append(marker(point, px, py));
  const hollow = points.every(known) ? null : element("p", { class: "quiet" }, "hollow: no interval is known, and the point says why");
  return element("figure", {}, element("figcaption", {}, title), svg, hollow);
}

function known(point) {
  return [point.xLow, point.xHigh, point.yLow, point.yHigh].every(Number.isFinite);
}

function marker(point, px, py) {
  const { colour } = ramp(point.share), x = px(point.x), y = py(point.y);
  const group = drawn("g", { class: known(point) ? "point" : "point hollow", fill: colour, stroke: colour, ...pressable(point.label, point.open) });
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
  const item = ([name, share, shape]) => {
    const { colour } = ramp(share);
    const sign = drawn("svg", { viewBox: "0 0 16 16", class: "sign", fill: colour, "aria-hidden": "true" }, SHAPES[shape % SHAPES.length](8, 8));
    return element("li", {}, sign, isolated(name));
  };
  return element("ul", { class: "legend" }, ...entries.map(item));
}
