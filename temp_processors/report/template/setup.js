// Pane 4: what was really done: sampler stack, configuration, environment, the signature of every metric.

function stackView(stack) {
  if (Array.isArray(stack.lines) && stack.lines.length) return element("pre", {}, stack.lines.join("\n"));
  return Object.keys(stack).length ? element("pre", {}, JSON.stringify(stack, null, 2)) : element("p", {}, "not recorded");
}

function signatureTable(run) {
  const rows = new Map();
  for (const row of Object.values(run.metrics))
    for (const [metric, score] of Object.entries(row)) if (score.signature) rows.set(`${metric} ${score.signature}`, [metric, score.signature]);
  const lines = [...rows.values()].map(([metric, signature]) => element("tr", {}, element("th", { scope: "row" }, run.metricNames[metric] || metric), element("td", { class: "code" }, signature)));
  return element("div", { class: "scroll" }, element("table", {}, element("tbody", {}, ...lines)));
}

function drawSetup(pane) {
  const run = currentRun(), environment = Object.keys(run.environment).length ? JSON.stringify(run.environment, null, 2) : "not recorded";
  replaceContent(pane,
    element("h3", {}, "Sampler stack"), stackView(run.stack),
    element("h3", {}, "Configuration"), element("pre", {}, run.config || "not recorded"),
    element("h3", {}, "Signatures"), signatureTable(run),
    element("h3", {}, "Environment"), element("pre", {}, environment));
}
