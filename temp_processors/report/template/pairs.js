// All pairs of policies: what the row is beside the column.

const SIGNS = { higher: ["▲", "higher"], lower: ["▼", "lower"], equal: ["=", "equal"], "not resolved": ["·", "not resolved"], "not judged": ["–", "not judged"] };
const MIRRORED = { higher: "lower", lower: "higher" };

function pairsFigure(run, metric) {
  const name = DATA.runs.length > 1 ? `All pairs of ${run.name}` : "All pairs";
  if (!run.noPairs && !Object.keys(run.pairs).length) return null;
  if (run.noPairs) return element("figure", {}, element("figcaption", {}, name), element("p", { class: "quiet" }, `Not compared: ${run.noPairs}`));
  const shown = metric in run.pairs ? metric : Object.keys(run.pairs)[0], called = run.metricNames[shown];
  const cells = new Map(), present = new Set();
  for (const [row, column, verdict, text] of run.pairs[shown]) {
    const said = `${run.policies[row]} against ${run.policies[column]}: ${text}`;
    cells.set(`${row}/${column}`, [verdict, said]);
    cells.set(`${column}/${row}`, [MIRRORED[verdict] || verdict, said]);
    present.add(row).add(column);
  }
  const value = (i) => (run.metrics[run.policies[i]] || {})[shown]?.value ?? -Infinity;
  const order = [...present].sort((a, b) => value(b) - value(a) || a - b);
  const head = element("tr", {}, element("th", { scope: "col" }, "is … than number"), ...order.map((i, at) => element("th", { scope: "col", title: run.policies[i], "data-csv": run.policies[i] }, String(at + 1))));
  const rows = order.map((i, at) => element("tr", {}, element("th", { scope: "row", "data-csv": run.policies[i] }, `${at + 1} `, isolated(run.policies[i])), ...order.map((j) => pairCell(cells.get(`${i}/${j}`)))));
  const table = savedTable(`all pairs by ${called}`, element("thead", {}, head), element("tbody", {}, ...rows));
  table.querySelector("table").classList.add("pairs");
  const key = Object.values(SIGNS).map(([sign, said]) => element("li", {}, element("b", {}, sign), ` ${said}`));
  const only = shown === metric ? "" : ` (of ${run.metricNames[metric]} only the differences to the baseline are compared)`;
  const pairs = run.pairs[shown].length;
  return element("figure", { class: order.length > 10 ? "wide" : "" }, element("figcaption", {}, `${name}: is the row higher or lower in ${called} than the column?${only}`), table,
    element("ul", { class: "legend" }, ...key), element("p", { class: "quiet" }, `largest first; at 5 % after Holm's correction for ${pairs === 1 ? "this pair" : `these ${pairs} pairs`}; texts cut pair by pair to equal lengths`));
}

function pairCell(held) {
  if (!held) return element("td", { class: "same", "data-csv": "" }, "");
  const [verdict, said] = held, [sign, word] = SIGNS[verdict] || ["–", verdict];
  return element("td", { class: verdict.replace(" ", "-"), title: said, "data-csv": word }, element("span", { "aria-hidden": "true" }, sign), element("span", { class: "unseen" }, word));
}
