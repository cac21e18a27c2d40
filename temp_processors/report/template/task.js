// First pane of a run with a task: the verdict, the score over temperature, what it costs in diversity, prompt by policy, calibration.

const HEAT_ROWS = 40;

function drawTask(pane) {
  const run = currentRun(), task = run.task;
  if (!task) return replaceContent(pane, element("p", {}, "This run has no task: its scores are in the next pane."));
  const scorers = Object.keys(task.scorers), scorer = scorers.includes(state.scorer) ? state.scorer : scorers[0];
  const measures = ["mean", "pass@k", "maj@k", "pass^k"], measure = measures.includes(state.measure) ? state.measure : "mean";
  const ks = kinds(run, scorer, measure === "mean" ? "pass@k" : measure), k = ks.includes(state.k) ? state.k : ks[ks.length - 1];
  const controls = element("div", { class: "controls" },
    scorers.length > 1 ? choice("Score", "scorer", scorers.map((name) => [name, name]), scorer, (value) => go({ scorer: value }, { keep: true })) : null,
    choice("Measure", "measure", measures.map((name) => [name, name === "mean" ? "mean score" : name]), measure, (value) => go({ measure: value }, { keep: true })),
    measure === "mean" || !ks.length ? null : choice("k", "k", ks.map((value) => [value, value]), k, (value) => go({ k: value }, { keep: true })));
  const name = measure === "mean" ? `mean ${scorer}` : `${measure.replace("k", k)} of ${scorer}`;
  const charts = element("div", { class: "charts" }, ...scoreCharts(name, scorer, measure, k));
  const diverse = metricsOf(DATA.runs).filter(([m]) => /distinct|bleu|unique/.test(m));
  if (diverse.length) {
    const picked = diverse.find(([m]) => m === state.diversity) || diverse.find(([m]) => m === "distinct_2") || diverse[0];
    charts.append(against(picked[0], picked[1], taskScore(scorer, measure, k), { label: name, better: 1 }, name));
  }
  replaceContent(pane, questionOf(run), element("p", { class: "answer" }, isolated(task.sentence)), controls, charts, ...heat(run, scorer), reliability(run, scorer), setupLink());
}

function kinds(run, scorer, family) {
  const found = new Set(Object.values(run.task.scorers[scorer] || {}).flatMap((held) => Object.keys(held.at[family] || {})));
  return [...found].sort((a, b) => a - b);
}

// What the charts take for a score, from the numbers of the task.
function taskScore(scorer, measure, k) {
  return (run, policy) => {
    const held = run.task && (run.task.scorers[scorer] || {})[policy];
    const triple = held && (measure === "mean" ? held.mean : (held.at[measure] || {})[k]);
    if (!triple || triple[0] === null) return undefined;
    const [value, low, high] = triple, known = low !== null && high !== null;
    return { value, interval: known ? [low, high] : null, text: `${value.toFixed(3)}${known ? ` (${low.toFixed(3)} to ${high.toFixed(3)})` : ""}` };
  };
}

function scoreCharts(name, scorer, measure, k) {
  const curves = [], names = [];
  if (measure === "mean" && DATA.runs.length === 1) for (const [family, kind] of [["pass@k", "dashed"], ["maj@k", "dotted"]]) {
    const run = DATA.runs[0], last = kinds(run, scorer, family).pop(), held = taskScore(scorer, family, last);
    const line = run.policies.filter((p) => run.temperatures[p] !== undefined && held(run, p)).map((p) => ({ x: run.temperatures[p], y: held(run, p).value, share: null, kind: `plain ${kind}` }));
    line.sort((a, b) => a.x - b.x);
    if (line.length > 1 && last !== "1") { curves.push(line); names.push([family.replace("k", last), kind]); }
  }
  const pictures = temperatureCharts(name, taskScore(scorer, measure, k), { curves });
  if (names.length && pictures.length) pictures[0].append(element("ul", { class: "legend" }, ...names.map(([text, kind]) => element("li", {}, dash(kind), `${text} without its intervals`))));
  return pictures;
}

function dash(kind) {
  return drawn("svg", { viewBox: "0 0 24 8", class: "dash", "aria-hidden": "true" }, tinted(drawn("path", { d: "M0 4h24", class: `line plain ${kind}` }), null));
}

// The mean score of every prompt under every policy; a cell opens its samples.
function heat(run, scorer) {
  const policies = run.policies.filter((p) => (run.task.scorers[scorer] || {})[p]);
  const held = policies.map((p) => run.task.scorers[scorer][p].byPrompt);
  const count = Math.max(0, ...held.map((row) => row.length)), numbers = Object.keys(run.prompts).map(Number).sort((a, b) => a - b);
  const rows = Array.from({ length: count }, (_, i) => ({ number: numbers[i] ?? i, values: held.map((row) => row[i] ?? null) }));
  const mean = (row) => { const known = row.values.filter((v) => v !== null); return known.length ? known.reduce((a, b) => a + b, 0) / known.length : -1; };
  const apart = (row) => Math.max(...row.values) - Math.min(...row.values);
  const orders = { number: (a, b) => a.number - b.number, hardest: (a, b) => mean(a) - mean(b), apart: (a, b) => apart(b) - apart(a) };
  const order = state.sort in orders ? state.sort : "apart";
  rows.sort(orders[order]);
  const limit = HEAT_ROWS * Math.max(1, Number(state.more) || 1), shown = rows.slice(0, limit);
  const cell = (row, i) => {
    const value = row.values[i];
    if (value === null) return element("td", {}, "");
    const { colour } = ramp(value), open = () => go({ pane: "wall", policy: policies[i], prompt: String(row.number), find: "", more: "1" });
    return element("td", {}, element("button", { class: "heat", "data-share": value.toFixed(3), "aria-label": `${policies[i]}, prompt ${row.number}: ${value.toFixed(2)}. Show its samples`, onclick: open, id: `heat-${row.number}-${i}` }, heatSign(colour), element("span", {}, value.toFixed(2))));
  };
  const named = promptNames(run);
  const head = element("tr", {}, element("th", { scope: "col" }, "prompt"), ...policies.map((p) => element("th", { scope: "col" }, isolated(p))));
  const body = shown.map((row) => element("tr", {}, element("th", { scope: "row", class: "prompt-cell", title: run.prompts[row.number] || "" }, isolated(named(row.number))), ...policies.map((_, i) => cell(row, i))));
  const more = () => go({ more: String((Number(state.more) || 1) + 1) }, { keep: true });
  const heats = savedTable(`${scorer} by prompt and policy`, element("thead", {}, head), element("tbody", {}, ...body));
  heats.querySelector("table").classList.add("heats");
  return [
    element("div", { class: "controls" }, element("strong", {}, "Prompt by policy"), choice("first", "heat-sort", [["apart", "where policies differ most"], ["hardest", "hardest"], ["number", "as in the file"]], order, (value) => go({ sort: value, more: "1" }, { keep: true }))),
    heats,
    rows.length > shown.length ? element("button", { id: "more-heat", onclick: more }, `${rows.length - shown.length} more prompts`) : null,
  ];
}

// Prompts from a template begin alike: their names begin where they part.
function promptNames(run) {
  const texts = Object.values(run.prompts);
  let alike = texts.length > 1 ? texts[0].length : 0;
  for (const text of texts) while (!text.startsWith(texts[0].slice(0, alike))) alike--;
  while (alike > 0 && !/\s/u.test(texts[0][alike - 1])) alike--;
  const from = alike > 40 ? alike : 0;
  return (number) => (number in run.prompts ? (from ? "… " : "") + run.prompts[number].slice(from, from + 90) : `prompt ${number}`);
}

function heatSign(colour) {
  return drawn("svg", { viewBox: "0 0 10 10", class: "sign", "aria-hidden": "true" }, drawn("rect", { width: 10, height: 10, fill: colour }));
}

// Whether the share of samples that agree says how often the vote is right.
function reliability(run, scorer) {
  const policies = run.policies.filter((p) => ((run.task.scorers[scorer] || {})[p] || { curve: [] }).curve.length > 1);
  if (!policies.length) return null;
  const points = policies.flatMap((policy) => run.task.scorers[scorer][policy].curve.map(([x, y, error, prompts]) => ({
    x, xLow: x, xHigh: x, y, yLow: error === null ? null : Math.max(0, y - 1.96 * error), yHigh: error === null ? null : Math.min(1, y + 1.96 * error),
    share: warmth(run, policy), shape: shapeOf(run, policy), name: policy, label: `${policy}: where ${Math.round(100 * x)} % agree, ${Math.round(100 * y)} % are right (${prompts} prompts)`, open: samplesOf(run, policy),
  })));
  const even = [{ x: 0, y: 0, share: null, kind: "plain dashed" }, { x: 1, y: 1 }];
  const picture = chart("Is the vote right as often as it is sure?", points, { label: "share of the samples that agree", range: [0, 1] }, { label: "share of prompts that are right" }, [even]);
  const sizes = policies.map((p) => [p, run.task.scorers[scorer][p].calibration]);
  const shown = (value) => (value === null ? "-" : value.toFixed(3));
  picture.append(legend(policies.map((p) => [p, warmth(run, p), shapeOf(run, p)])),
    element("ul", { class: "remarks quiet" }, ...sizes.map(([p, [ece, brier, auroc]]) => element("li", {}, isolated(p), ` ECE ${shown(ece)}, Brier ${shown(brier)}, AUROC ${shown(auroc)}`))));
  return picture;
}
