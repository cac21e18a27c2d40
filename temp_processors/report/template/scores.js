// Every metric against temperature or policy, the diversity-quality frontier, and the numbers as a table.

const MOST_BESIDE = 6;  // policies without a temperature that stand beside the curve; more get rows of their own

function metricsOf(runs) {
  const found = new Map();
  for (const run of runs)
    for (const row of Object.values(run.metrics)) for (const m of Object.keys(row)) found.set(m, run.metricNames[m] || m);
  return [...found];
}

// Value and ends of the interval; null for ends that are not known, which draw nothing.
function bounds(score) {
  const known = score && Array.isArray(score.interval) && score.interval.every(Number.isFinite);
  return [score ? score.value : null, ...(known ? score.interval : [null, null])];
}

function described(score) {
  if (!score) return "undefined";
  if (!score.missing) return score.text;
  return `${score.text}${score.value === null ? ": " : ", no interval: "}${score.missing}`;
}

function scoreCell(score, baseline) {
  if (!score) return element("td", {}, "undefined");
  const undefinedReason = score.value === null && score.missing ? element("small", {}, score.missing) : null;
  const missing = score.value !== null && score.missing && !score.statement.endsWith(score.missing) ? element("small", { title: score.missing }, "no interval") : null;
  const difference = score.difference ? element("small", { class: "difference", title: `to ${baseline}` }, score.difference) : null;
  return element("td", {}, score.text, undefinedReason, missing, difference, score.statement ? element("small", { class: "statement" }, signed(score.statement)) : null);
}

function signed(statement) {
  return { higher: "▲ higher", lower: "▼ lower" }[statement] || statement;
}

function scoreOf(metric) {
  return (run, policy) => (run.metrics[policy] || {})[metric];
}

function samplesOf(run, policy) {
  return () => go({ pane: "wall", run: String(DATA.runs.indexOf(run)), policy, prompt: "", find: "", more: "1" });
}

function fullName(run, policy) {
  return DATA.runs.length > 1 ? `${policy} (${run.name})` : policy;
}

function pointsFor(title, held, places) {
  const points = [];
  DATA.runs.forEach((run, r) => run.policies.forEach((policy, i) => {
    const score = held(run, policy), [y, yLow, yHigh] = bounds(score);
    if (!Number.isFinite(y)) return;
    const x = places(run, policy, i, r);
    if (!x || !Number.isFinite(x[0])) return;
    const name = fullName(run, policy), label = `${name}: ${title} ${described(score)}. Show its samples`;
    points.push({ x: x[0], xLow: x[1], xHigh: x[2], y, yLow, yHigh, name, label, open: samplesOf(run, policy), share: warmth(run, policy), shape: shapeOf(run, policy), r, run, policy, value: score.text.split(" ")[0] });
  }));
  return points;
}

function metricCharts(metric, name) {
  const log = metric === "perplexity";
  const pictures = temperatureCharts(name, scoreOf(metric), { log, curves: DATA.runs.flatMap((run) => reweighted(run, metric)), curved: (r) => (DATA.runs[r].curves[metric] || []).length > 1 });
  if (pictures.length && DATA.runs.some((run) => (run.curves[metric] || []).length > 1)) pictures[0].append(element("p", { class: "quiet" }, curveNote(metric)));
  return pictures;
}

// A score against temperature; policies without one fixed temperature stand to the right, many of them in a chart of rows.
// `curved`: runs whose points no line joins, because one of `curves` does.
function temperatureCharts(name, held, { log = false, curves = [], curved = () => false } = {}) {
  const fixed = (run, policy) => run.temperatures[policy];
  const known = DATA.runs.flatMap((run) => run.policies.map((p) => fixed(run, p)).filter((t) => t !== undefined));
  const others = [...new Set(DATA.runs.flatMap((run) => run.policies.filter((p) => fixed(run, p) === undefined)))];
  const beside = known.length && others.length <= MOST_BESIDE ? others : [];
  const last = Math.max(0, ...known), gap = Math.max(1, ...known) / 7;
  const at = (run, policy) => fixed(run, policy) ?? (beside.includes(policy) ? last + gap * (1 + beside.indexOf(policy)) : undefined);
  const points = pointsFor(name, held, (run, policy) => [at(run, policy), at(run, policy), at(run, policy)]);
  const rest = others.length > beside.length ? pointsFor(name, held, (run, policy, i) => (fixed(run, policy) === undefined ? [i, i, i] : null)) : [];
  const pictures = [];
  if (points.length) {
    const lines = DATA.runs.map((run, r) => points.filter((p) => p.r === r && fixed(run, p.policy) !== undefined).sort((a, b) => a.x - b.x).map((p) => ({ x: p.x, y: p.y, r })));
    lines.forEach((line) => line.length && name && DATA.runs.length > 1 && nameEnd(points, line));
    for (const point of points) point.text = DATA.runs.length > 1 ? point.text : point.value;
    const marks = [...new Set(known)].sort((a, b) => a - b).map((t) => [t, String(t)]);
    marks.push(...beside.map((policy, i) => [last + gap * (i + 1), shortened(policy, 96)]));
    const label = beside.length ? "temperature, or policy" : "temperature";
    const end = last + gap * (beside.length + 0.4), start = Math.min(...known) - gap * 0.4;
    const straight = lines.filter((l) => l.length > 1 && !curved(l[0].r)).map((l) => l.map((p) => ({ ...p, share: null, kind: "plain" })));
    pictures.push(chart(`${name} over ${label}`, points, { label, ticks: marks, slanted: beside.length > 0, range: [start, end] }, { label: name, log }, [...straight, ...curves]));
  }
  if (rest.length) pictures.push(rowsChart(`${name} by policy`, rest, { label: name, log }));
  return pictures;
}

// Of several runs the last point of each line says whose it is.
function nameEnd(points, line) {
  const last = line[line.length - 1], point = points.find((p) => p.r === last.r && p.x === last.x && p.y === last.y);
  if (point) point.text = DATA.runs[last.r].name;
}

// Between what was drawn: the scores that the traced texts would have at other temperatures, by importance sampling.
function reweighted(run, metric) {
  const points = (run.curves[metric] || []).map(([x, y]) => ({ x, y, share: null, kind: "plain dashed" }));
  return points.length > 1 ? [points] : [];
}

function curveNote(metric) {
  const held = DATA.runs.flatMap((run) => run.curves[metric] || []), sizes = held.map(([, , effective]) => effective);
  const texts = Math.max(...held.map((point) => point[3]));
  return `dashed: the first ${texts} texts of each temperature, reweighted to those between; as good as ${Math.floor(Math.min(...sizes))} to ${Math.floor(Math.max(...sizes))} texts`;
}

function frontier(diversity, name) {
  return against(diversity, name, scoreOf("perplexity"), { label: "perplexity", log: true, better: -1 }, "perplexity");
}

// Which way a metric means more diversity: 1, -1, or 0 where it says nothing of it.
function diverseWay(metric) {
  const larger = DATA.runs.map((run) => run.larger[metric]).find(Boolean);
  return larger === "more diverse" ? 1 : larger === "less diverse" ? -1 : 0;
}

// One score against another, a point a policy, and the line of those that no other policy surpasses in both.
function against(diversity, name, held, axis, other) {
  const points = pointsFor(name, scoreOf(diversity), (run, policy) => bounds(held(run, policy))).filter((p) => !axis.log || p.x > 0);
  for (const point of points) point.text = point.name;
  const best = pareto(points, axis.better, diverseWay(diversity));
  const line = best.length > 1 ? [best.map((p) => ({ x: p.x, y: p.y, share: null, kind: "plain pareto" }))] : [];
  const picture = chart(`${name} against ${other}`, points, axis, { label: name }, line);
  if (line.length) picture.append(element("p", { class: "quiet" }, `dotted: the Pareto line, on which no policy is surpassed in both (by values, without their intervals): ${best.length} of ${points.length}`));
  return picture;
}

function pareto(points, xWay, yWay) {
  if (!xWay || !yWay) return [];
  const reaches = (a, b) => xWay * a.x >= xWay * b.x && yWay * a.y >= yWay * b.y && (a.x !== b.x || a.y !== b.y);
  return points.filter((p) => !points.some((other) => reaches(other, p))).sort((a, b) => a.x - b.x);
}

function scoreTable(run) {
  const metrics = metricsOf([run]);
  const head = metrics.map(([m, name]) => element("th", { scope: "col" }, name, element("small", {}, run.larger[m] ? `larger: ${run.larger[m]}` : "")));
  const rows = run.policies.map((policy) => {
    const cells = metrics.map(([m]) => scoreCell((run.metrics[policy] || {})[m], run.baseline));
    return element("tr", {}, element("th", { scope: "row" }, element("button", { class: "link", onclick: samplesOf(run, policy) }, isolated(policy))), ...cells);
  });
  const against = run.baseline === null ? null : element("small", {}, "below each value: the difference to ", isolated(run.baseline), ", with its interval and what it says");
  const caption = element("caption", {}, isolated(run.name), against);
  if (Object.values(run.visible).some(Boolean))
    rows.push(element("tr", { class: "quiet" }, element("th", { scope: "row" }, "visible"), ...metrics.map(([m]) => element("td", {}, run.visible[m]))));
  const remarks = element("ul", { class: "remarks quiet" }, ...[...run.remarks, ...(run.paneNotes.scores || [])].map((remark) => element("li", {}, isolated(remark))));
  return element("div", {}, savedTable(`scores of ${run.name}`, caption, element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "policy"), ...head)), element("tbody", {}, ...rows)), remarks);
}

function drawScores(pane) {
  const metrics = metricsOf(DATA.runs), runs = DATA.runs;
  if (!metrics.length) return replaceContent(pane, ...runs.map((run) => questionOf(run)), element("p", {}, "This run has no scores. Its samples are in the next pane."));
  const names = new Map(metrics), diverse = metrics.filter(([m]) => diverseWay(m));
  const leading = runs.map((run) => run.leading).find((m) => names.has(m)) || metrics[0][0];
  const metric = names.has(state.metric) ? state.metric : leading;
  const usual = diverse.find(([m]) => m === leading) || diverse[0] || metrics[0];
  const diversity = names.has(state.diversity) ? state.diversity : usual[0];
  const controls = element("div", { class: "controls" },
    choice("Metric", "metric", metrics, metric, (value) => go({ metric: value }, { keep: true })),
    names.has("perplexity") ? choice("Frontier", "diversity", diverse.length ? diverse : metrics, diversity, (value) => go({ diversity: value }, { keep: true })) : null);
  const charts = element("div", { class: "charts" }, ...metricCharts(metric, names.get(metric)));
  if (names.has("perplexity")) charts.append(frontier(diversity, names.get(diversity)));
  charts.append(...runs.map((run) => pairsFigure(run, metric)).filter(Boolean));
  replaceContent(pane, ...runs.flatMap((run) => [questionOf(run), answerOf(run)]), controls, charts, comparisonOf(), ...runs.map(scoreTable), setupLink());
}
