// Pane 1: every metric against temperature or policy, the diversity-quality frontier, and the numbers as a table.

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

function pointsFor(title, held, places) {
  const points = [];
  DATA.runs.forEach((run, r) => run.policies.forEach((policy, i) => {
    const score = held(run, policy), [y, yLow, yHigh] = bounds(score);
    if (!Number.isFinite(y)) return;
    const x = places(run, policy, i, r);
    if (!x || !Number.isFinite(x[0])) return;
    const share = DATA.runs.length > 1 ? 0.85 * r / (DATA.runs.length - 1) : 0.85 * i / Math.max(run.policies.length - 1, 1);
    const name = DATA.runs.length > 1 ? `${policy} (${run.name})` : policy;
    const label = `${name}: ${title} ${described(score)}. Show its samples`;
    const open = () => go({ pane: "wall", run: String(r), policy, prompt: "", find: "", more: "1" });
    points.push({ x: x[0], xLow: x[1], xHigh: x[2], y, yLow, yHigh, name, label, open, share, shape: DATA.runs.length > 1 ? r : i, r, policy });
  }));
  return points;
}

function metricChart(metric, name) {
  const curves = DATA.runs.flatMap((run, r) => reweighted(run, metric, DATA.runs.length > 1 ? 0.85 * r / (DATA.runs.length - 1) : null));
  const picture = temperatureChart(name, scoreOf(metric), curves, (r) => (DATA.runs[r].curves[metric] || []).length > 0);
  if (curves.length) picture.append(element("p", { class: "quiet" }, curveNote(metric)));
  return picture;
}

// A score against temperature; policies without one fixed temperature stand to the right. `curved`: runs whose points no line joins.
function temperatureChart(name, held, curves = [], curved = () => false) {
  const fixed = (run, policy) => run.temperatures[policy];
  const known = DATA.runs.flatMap((run) => run.policies.map((p) => fixed(run, p)).filter((t) => t !== undefined));
  const others = [...new Set(DATA.runs.flatMap((run) => run.policies.filter((p) => fixed(run, p) === undefined)))];
  const last = Math.max(0, ...known), gap = Math.max(1, ...known) / 7;
  const at = (run, policy) => fixed(run, policy) ?? last + gap * (1 + others.indexOf(policy));
  const points = pointsFor(name, held, (run, policy) => [at(run, policy), at(run, policy), at(run, policy)]);
  const lines = DATA.runs.map((run, r) => points.filter((p) => p.r === r && fixed(run, p.policy) !== undefined).sort((a, b) => a.x - b.x));
  const marks = [...new Set(known)].sort((a, b) => a - b).map((t) => [t, String(t)]);
  marks.push(...others.map((policy, i) => [last + gap * (i + 1), policy.length > 14 ? policy.slice(0, 13) + "…" : policy]));
  const label = known.length ? (others.length ? "temperature, or policy" : "temperature") : "policy";
  const end = last + gap * (others.length + 0.4), start = known.length ? Math.min(...known) - gap * 0.4 : gap * 0.6;
  const straight = lines.filter((l) => l.length > 1 && !curved(l[0].r));
  return chart(`${name} against ${label}`, points, { label, ticks: marks, slanted: others.length > 0, range: [start, end] }, { label: name }, [...straight, ...curves]);
}

// Between what was drawn: the scores that the traced texts would have at other temperatures, by importance sampling.
function reweighted(run, metric, share) {
  const points = (run.curves[metric] || []).map(([x, y]) => ({ x, y, share: share ?? 0.5, dashed: true }));
  return points.length > 1 ? [points] : [];
}

function curveNote(metric) {
  const held = DATA.runs.flatMap((run) => run.curves[metric] || []), sizes = held.map(([, , effective]) => effective);
  const texts = Math.max(...held.map((point) => point[3]));
  return `dashed: the first ${texts} texts of each temperature, reweighted to those between; as good as ${Math.floor(Math.min(...sizes))} to ${Math.floor(Math.max(...sizes))} texts`;
}

function frontier(diversity, name) {
  return against(diversity, name, scoreOf("perplexity"), "perplexity", { label: "perplexity of the untempered model, log scale", log: true });
}

// One score against another, a point a policy.
function against(diversity, name, held, other, axis) {
  const points = pointsFor(name, scoreOf(diversity), (run, policy) => bounds(held(run, policy))).filter((p) => !axis.log || p.x > 0);
  const picture = chart(`${name} against ${other}`, points, axis, { label: name });
  picture.append(legend(points.map((p) => [p.name, p.share, p.shape])));
  return picture;
}

function scoreTable(run, r) {
  const metrics = metricsOf([run]);
  const head = metrics.map(([m, name]) => element("th", { scope: "col" }, name, element("small", {}, run.larger[m] ? `larger: ${run.larger[m]}` : "")));
  const rows = run.policies.map((policy) => {
    const open = () => go({ pane: "wall", run: String(r), policy, prompt: "", find: "", more: "1" });
    const cells = metrics.map(([m]) => scoreCell((run.metrics[policy] || {})[m], run.baseline));
    return element("tr", {}, element("th", { scope: "row" }, element("button", { class: "link", onclick: open }, isolated(policy))), ...cells);
  });
  const against = run.baseline === null ? null : element("small", {}, "below each value: the difference to ", isolated(run.baseline), ", with its interval and what it says");
  const caption = element("caption", {}, run.name, against);
  if (Object.values(run.visible).some(Boolean))
    rows.push(element("tr", { class: "quiet" }, element("th", { scope: "row" }, "visible"), ...metrics.map(([m]) => element("td", {}, run.visible[m]))));
  const remarks = element("ul", { class: "remarks quiet" }, ...run.remarks.map((remark) => element("li", {}, isolated(remark))));
  return element("div", {}, element("div", { class: "scroll" }, element("table", {}, caption, element("thead", {}, element("tr", {}, element("th", {}, "policy"), ...head)), element("tbody", {}, ...rows))), remarks);
}

function drawScores(pane) {
  const metrics = metricsOf(DATA.runs);
  if (!metrics.length) return replaceContent(pane, element("p", {}, "This run has no scores. Its samples are in the next pane."));
  const names = new Map(metrics), diverse = metrics.filter(([m]) => /distinct|bleu/.test(m));
  const metric = names.has(state.metric) ? state.metric : metrics[0][0];
  const first = ["distinct_2", "self_bleu_4"].find((m) => names.has(m)) || (diverse[0] || metrics[0])[0];
  const diversity = names.has(state.diversity) ? state.diversity : first;
  const controls = element("div", { class: "controls" },
    choice("Metric", "metric", metrics, metric, (value) => go({ metric: value }, { keep: true })),
    names.has("perplexity") ? choice("Frontier", "diversity", diverse.length ? diverse : metrics, diversity, (value) => go({ diversity: value }, { keep: true })) : null);
  const charts = element("div", { class: "charts" }, metricChart(metric, names.get(metric)));
  if (names.has("perplexity")) charts.append(frontier(diversity, names.get(diversity)));
  replaceContent(pane, controls, charts, ...DATA.runs.map(scoreTable));
}
