// The sample wall, prompt by policy: equal texts once with their number, dimmed what texts of a cell share.

const PAGE = 12;
const ORDERS = {
  drawn: ["as drawn", (a, b) => a.indexes[0] - b.indexes[0]],
  count: ["most frequent first", (a, b) => b.indexes.length - a.indexes.length],
  short: ["shortest first", (a, b) => a.length - b.length],
  long: ["longest first", (a, b) => b.length - a.length],
  likely: ["likeliest first", (a, b) => lastly(b.logProb, -Infinity) - lastly(a.logProb, -Infinity)],
  unlikely: ["least likely first", (a, b) => lastly(a.logProb, Infinity) - lastly(b.logProb, Infinity)],
  certain: ["least entropy first", (a, b) => lastly(a.entropy, Infinity) - lastly(b.entropy, Infinity)],
  uncertain: ["most entropy first", (a, b) => lastly(b.entropy, -Infinity) - lastly(a.entropy, -Infinity)],
};
const cards = new Map();

function lastly(value, otherwise) {
  return Number.isFinite(value) ? value : otherwise === Infinity ? 1e300 : -1e300;
}

function cellSamples(run, prompt, policy) {
  if (!run.cells) {
    run.cells = new Map();
    run.samples.forEach((sample, index) => {
      const key = `${sample[1]}/${sample[0]}`;
      if (!run.cells.has(key)) run.cells.set(key, []);
      run.cells.get(key).push(index);
    });
  }
  return run.cells.get(`${prompt}/${policy}`) || [];
}

// The different texts of a cell, each with the samples that have it.
function textsOfCell(run, prompt, policy) {
  const key = `${DATA.runs.indexOf(run)}/${prompt}/${policy}`;
  if (cards.has(key)) return cards.get(key);
  const found = new Map();
  for (const index of cellSamples(run, prompt, policy)) {
    const [, , , text, , logProb, trace, tokens, entropy] = run.samples[index];
    if (!found.has(text)) found.set(text, { text, indexes: [], traced: undefined, logProb, entropy, length: tokens ?? text.length });
    const held = found.get(text);
    held.indexes.push(index);
    if (trace >= 0) held.traced ??= index;
    held.entropy ??= entropy;
  }
  cards.set(key, [...found.values()]);
  return cards.get(key);
}

function sampleCard(run, held, counts, n, wanted) {
  const [policy, prompt, , text, finish, , , tokens, , costs] = run.samples[held.indexes[0]], copies = held.indexes.length;
  const shownSample = held.traced ?? held.indexes[0], id = run.samples[shownSample][2];
  const open = () => go({ pane: "strip", policy: run.policies[policy], prompt: String(prompt), sample: String(id), token: "", t: "" });
  const facts = [
    tokens === null || tokens === undefined ? "" : `${tokens} token${tokens === 1 ? "" : "s"}`, finish === "length" ? "cut off" : "",
    Number.isFinite(held.logProb) ? `log p ${shown(held.logProb)}` : "", Number.isFinite(held.entropy) ? `H ${shown(held.entropy)}` : "",
    ...Object.entries(costs || {}).map(([name, value]) => `${name.replace("_", " ")} ${Number.isInteger(value) ? value : shown(value)}`),
  ].filter(Boolean).join(", ");
  const foot = element("div", { class: "foot" },
    held.traced !== undefined ? element("button", { class: "link", onclick: open, "aria-label": `tokens of sample ${id}` }, `#${id} tokens`) : element("span", {}, `#${id}`),
    copies > 1 ? element("strong", { class: "copies", title: held.indexes.map((index) => `#${run.samples[index][2]}`).join(" ") }, `${copies} times the same`) : null,
    element("span", { title: "log p: natural log-probability under the untempered model; H: its mean entropy at each token, in nats; cut off: stopped at the longest length" }, facts));
  const shared = counts ? sharedRanges(text, counts, n) : [];
  return element("li", { class: "card" + (copies > 1 ? " duplicate" : "") }, markedText(text, shared, foundRanges(text, wanted)), answerLine(run.answers[held.indexes[0]], text), foot);
}

// What was taken out of a text, where that is not all of it, beside what was wanted, and the scores.
function answerLine(held, text) {
  if (!held) return null;
  const [answer, found, references, scores] = held;
  const judged = Object.entries(scores).map(([name, value]) => `${name} ${Number(value.toFixed(3))}`).join(", ");
  const whole = found && (answer === text.trim() || (answer.endsWith("...") && text.trim().startsWith(answer.slice(0, -3))));
  const taken = whole ? [] : [found ? "answer " : "no answer: ", element("strong", {}, isolated(answer))];
  return element("p", { class: "extracted" }, ...taken, references.length ? element("span", {}, " wanted ", isolated(references.join(" or "))) : null, judged ? element("span", { class: "quiet" }, `${whole && !references.length ? "" : " "}${judged}`) : null);
}

function wallCell(run, prompt, policy, n, wanted) {
  const all = textsOfCell(run, prompt, policy), texts = all.reduce((sum, held) => sum + held.indexes.length, 0);
  const found = all.filter((held) => !wanted || held.text.search(wanted) >= 0);
  const [, order] = ORDERS[state.order] || ORDERS.drawn;
  found.sort((a, b) => order(a, b) || a.indexes[0] - b.indexes[0]);
  const limit = PAGE * Math.max(1, Number(state.more) || 1), counts = n ? gramCounts(all.map((held) => held.text), n) : null;
  const head = element("h4", {}, isolated(run.policies[policy]), element("small", {}, ` ${texts} texts, ${all.length} different`));
  const shownCards = found.slice(0, limit).map((held) => sampleCard(run, held, counts, n, wanted));
  const rest = found.length - shownCards.length;
  const more = () => go({ more: String((Number(state.more) || 1) + 1) }, { keep: true });
  return element("div", { class: "cell" }, head, element("ol", {}, ...shownCards),
    rest > 0 ? element("button", { onclick: more, id: `more-${prompt}-${policy}` }, `${rest} more`) : null,
    found.length ? null : element("p", { class: "quiet" }, state.find ? "nothing found" : "no text"));
}

// How many texts, and how many places in them, of the prompts and policies that are shown.
function hitsOf(run, prompts, policies, wanted) {
  let texts = 0, hits = 0, places = 0;
  for (const [id] of prompts) for (const [policy] of policies) for (const held of textsOfCell(run, id, policy)) {
    const count = foundRanges(held.text, wanted).length;
    texts += held.indexes.length;
    places += count * held.indexes.length;
    if (count) hits += held.indexes.length;
  }
  return `in ${hits.toLocaleString("en")} of ${texts.toLocaleString("en")} texts, ${places.toLocaleString("en")} places`;
}

function drawWall(pane) {
  const run = currentRun(), n = state.n === "0" ? 0 : Math.min(Math.max(Number(state.n) || 4, 2), 8);
  const prompts = Object.entries(run.prompts);
  const policies = run.policies.map((name, i) => [i, name]).filter(([, name]) => !run.policies.includes(state.policy) || name === state.policy);
  const wantedPrompts = prompts.filter(([id]) => !(state.prompt in run.prompts) || id === state.prompt);
  if (!run.samples.length) return replaceContent(pane, element("p", {}, "This run has no samples yet."));
  const wanted = pattern(), named = promptNames(run);
  const search = element("input", { type: "search", id: "find", value: state.find, oninput: (event) => go({ find: event.target.value, more: "1" }, { keep: true }) });
  const controls = element("div", { class: "controls" },
    choice("Policy", "wall-policy", [["", "all"], ...run.policies.map((p) => [p, p])], state.policy, (policy) => go({ policy, more: "1" })),
    choice("Prompt", "wall-prompt", [["", "all"], ...prompts.map(([id]) => [id, named(id).slice(0, 60)])], state.prompt, (prompt) => go({ prompt, more: "1" })),
    choice("Order", "wall-order", Object.entries(ORDERS).map(([key, [name]]) => [key, name]), state.order in ORDERS ? state.order : "drawn", (order) => go({ order }, { keep: true })),
    choice("Dim what texts share", "wall-n", [["0", "never"], ...[2, 3, 4, 5, 6].map((k) => [String(k), `runs of ${k} words`])], String(n), (value) => go({ n: value }, { keep: true })),
    element("label", {}, "Find ", search), element("span", { id: "hits", role: "status" }, wanted ? hitsOf(run, wantedPrompts, policies, wanted) : ""));
  const shownPrompts = wantedPrompts.slice(0, 5 * Math.max(1, Number(state.more) || 1));
  const walls = shownPrompts.map(([id, text]) => element("section", { class: "prompt" }, element("h3", {}, isolated(text)),
    element("div", { class: "wall", tabindex: "0", role: "region", "aria-label": `samples of prompt ${id}` }, ...policies.map(([i]) => wallCell(run, id, i, n, wanted)))));
  const hidden = wantedPrompts.length - walls.length;
  const more = () => go({ more: String((Number(state.more) || 1) + 1) }, { keep: true });
  replaceContent(pane, ...paneNotes(run, "wall"), controls, ...walls, hidden > 0 ? element("button", { id: "more-prompts", onclick: more }, `${hidden} more prompts`) : null);
}
