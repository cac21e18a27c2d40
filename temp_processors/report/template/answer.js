// The head of the first pane: what was asked, and the answer in words.

function questionOf(run) {
  const { model, prompts, policies, texts, least, most } = run.question, many = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
  const each = least === most ? `${most} texts of each` : `${least} to ${most} texts of each`;
  const first = Object.values(run.prompts)[0];
  const asked = prompts === 1 && first !== undefined ? ["One prompt, ", element("q", {}, isolated(first.length > 90 ? `${first.slice(0, 89)}…` : first))] : [many(prompts, "prompt")];
  const named = DATA.runs.length > 1 ? [element("strong", {}, isolated(run.name)), ": "] : [];
  if (!texts) return element("p", { class: "question" }, ...named, "No texts yet.");
  return element("p", { class: "question" }, ...named, "Which temperature for ", element("strong", {}, isolated(model || "this model")), "? ", ...asked, `, ${policies === 1 ? "1 policy" : `${policies} policies`}, ${each} (${many(texts, "text")}).`);
}

function answerOf(run) {
  return element("div", { class: "answer" }, ...run.answer.map((line) => element("p", {}, isolated(line))));
}

// Several runs: the policies of one name beside each other, with what the difference says.
function comparisonOf() {
  const held = DATA.comparison;
  if (!held) return null;
  if (held.reason) return element("p", { class: "quiet" }, `The runs are not compared: ${held.reason}`);
  const names = new Map(metricsOf(DATA.runs));
  const head = element("tr", {}, element("th", { scope: "col" }, "policy"), element("th", { scope: "col" }, "against"), ...held.metrics.map((m) => element("th", { scope: "col" }, names.get(m) || m)));
  const cell = (score) => (score ? element("td", {}, score.difference, element("small", { class: "statement" }, signed(score.statement))) : element("td", {}, ""));
  const rows = held.rows.map(([r, policy, other, scores]) => element("tr", {}, element("th", { scope: "row" }, element("button", { class: "link", onclick: samplesOf(DATA.runs[r], policy) }, isolated(`${DATA.runs[r].name}: ${policy}`))), element("td", {}, isolated(other)), ...held.metrics.map((m) => cell(scores[m]))));
  return savedTable("runs compared", element("caption", {}, "The runs compared"), element("thead", {}, head), element("tbody", {}, ...rows));
}

function setupLink() {
  return element("p", { class: "quiet" }, "How the texts were drawn, configuration and signatures: ", element("button", { class: "link", id: "to-setup", onclick: () => go({ pane: "setup" }) }, "Setup"));
}
