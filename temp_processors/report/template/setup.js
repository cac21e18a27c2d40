// The last pane: what was really done: sampler stack, configuration, environment, the signature of every metric.

function entryText(entry) {
  if (typeof entry === "string") return entry;
  const values = Object.entries(entry.parameters || {}).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(", ");
  return `${entry.name}(${values})` + (entry.origin ? `  [${entry.origin}]` : "");
}

function policyStack([name, found]) {
  const entries = Array.isArray(found) ? found : found.stack || [], findings = (!Array.isArray(found) && found.findings) || [];
  const effective = found.effective_temperature ? `effective temperature: ${found.effective_temperature}` : "";
  return element("div", {}, element("h4", {}, isolated(name)),
    element("ol", { class: "code" }, ...entries.map((entry) => element("li", {}, entryText(entry)))),
    effective ? element("p", { class: "quiet" }, effective) : null,
    ...findings.map((finding) => element("p", {}, `${finding.severity}: ${finding.message}`)));
}

function stackView(stack) {
  const policies = stack.policies && typeof stack.policies === "object" ? Object.entries(stack.policies) : [];
  if (policies.length) return element("div", { class: "stacks" }, ...policies.map(policyStack));
  return element("pre", {}, Object.keys(stack).length ? JSON.stringify(stack, null, 2) : "not recorded");
}

function signatureTable(run) {
  const rows = new Map();
  for (const row of Object.values(run.metrics))
    for (const [metric, score] of Object.entries(row)) if (score.signature) rows.set(`${metric} ${score.signature}`, [metric, score.signature]);
  const lines = [...rows.values()].map(([metric, signature]) => element("tr", {}, element("th", { scope: "row" }, run.metricNames[metric] || metric), element("td", { class: "code" }, signature)));
  return savedTable("signatures", element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "metric"), element("th", { scope: "col" }, "signature"))), element("tbody", {}, ...lines));
}

function drawSetup(pane) {
  const run = currentRun(), environment = Object.keys(run.environment).length ? JSON.stringify(run.environment, null, 2) : "not recorded";
  replaceContent(pane,
    element("h3", {}, "Sampler stack"), stackView(run.stack),
    element("h3", {}, "Configuration"), element("pre", {}, run.config || "not recorded"),
    element("h3", {}, "Signatures"), signatureTable(run),
    element("h3", {}, "Environment"), element("pre", {}, environment));
}
