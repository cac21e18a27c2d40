// Pane 2: the sample wall, prompt by policy. What a text shares with others of its cell is marked.

const PAGE = 12;
const shared = new Map();

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

// Words of a text with the white space after each.
function words(text) {
  return text.match(/\S+\s*|^\s+/gu) || [];
}

// For every n-gram of words of a cell the number of texts that hold it, and for every text the number of texts like it.
function cellCounts(run, prompt, policy, n) {
  const key = `${state.run}/${prompt}/${policy}/${n}`;
  if (shared.has(key)) return shared.get(key);
  const grams = new Map(), same = new Map();
  for (const index of cellSamples(run, prompt, policy)) {
    const text = run.samples[index][3];
    same.set(text, (same.get(text) || 0) + 1);
    for (const gram of new Set(gramsOf(words(text), n))) grams.set(gram, (grams.get(gram) || 0) + 1);
  }
  shared.set(key, { grams, same });
  return { grams, same };
}

function gramsOf(list, n) {
  const bare = list.map((word) => word.trim()), found = [];
  for (let i = 0; i + n <= bare.length; i++) found.push(bare.slice(i, i + n).join(" "));
  return found;
}

function markedText(text, grams, n) {
  const list = words(text), covered = new Array(list.length).fill(false);
  gramsOf(list, n).forEach((gram, i) => { if (grams.get(gram) > 1) covered.fill(true, i, i + n); });
  const box = isolated("", { class: "text" });
  for (let i = 0; i < list.length;) {
    let end = i;
    while (end < list.length && covered[end] === covered[i]) end++;
    const part = withGhosts(list.slice(i, end).join(""));
    box.append(...(covered[i] ? [element("mark", {}, ...part)] : part));
    i = end;
  }
  return list.length ? box : element("em", {}, "empty text");
}

function sampleCard(run, index, counts, n) {
  const [policy, prompt, id, text, finish, , trace] = run.samples[index];
  const copies = counts.same.get(text);
  const open = () => go({ pane: "strip", policy: run.policies[policy], prompt: String(prompt), sample: String(id), token: "", t: "" });
  const foot = element("div", { class: "foot" },
    trace >= 0 ? element("button", { class: "link", onclick: open }, `#${id} tokens`) : element("span", {}, `#${id}`),
    finish === "length" ? element("span", { title: "stopped at the longest length, not by the model" }, "cut off") : null,
    copies > 1 ? element("strong", { class: "copies" }, `${copies} times the same`) : null);
  return element("li", { class: "card" + (copies > 1 ? " duplicate" : "") }, markedText(text, counts.grams, n), answerLine(run.answers[index], text), foot);
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

function wallCell(run, prompt, policy, n) {
  const all = cellSamples(run, prompt, policy);
  const found = state.find ? all.filter((index) => run.samples[index][3].toLowerCase().includes(state.find.toLowerCase())) : all;
  const limit = PAGE * Math.max(1, Number(state.more) || 1), counts = cellCounts(run, prompt, policy, n);
  const distinct = new Set(all.map((index) => run.samples[index][3])).size;
  const head = element("h4", {}, isolated(run.policies[policy]), element("small", {}, ` ${all.length} texts, ${distinct} different`));
  const cards = found.slice(0, limit).map((index) => sampleCard(run, index, counts, n));
  const rest = found.length - cards.length;
  const more = () => go({ more: String((Number(state.more) || 1) + 1) }, { keep: true });
  return element("div", { class: "cell" }, head, element("ol", {}, ...cards),
    rest > 0 ? element("button", { onclick: more, id: `more-${prompt}-${policy}` }, `${rest} more`) : null,
    found.length ? null : element("p", { class: "quiet" }, state.find ? "nothing found" : "no text"));
}

function drawWall(pane) {
  const run = currentRun(), n = Math.min(Math.max(Number(state.n) || 4, 2), 8);
  const prompts = Object.entries(run.prompts);
  const policies = run.policies.map((name, i) => [i, name]).filter(([, name]) => !run.policies.includes(state.policy) || name === state.policy);
  const wanted = prompts.filter(([id]) => !(state.prompt in run.prompts) || id === state.prompt);
  const search = element("input", { type: "search", id: "find", value: state.find, oninput: (event) => go({ find: event.target.value, more: "1" }, { keep: true }) });
  const controls = element("div", { class: "controls" },
    choice("Policy", "wall-policy", [["", "all"], ...run.policies.map((p) => [p, p])], state.policy, (policy) => go({ policy, more: "1" })),
    choice("Prompt", "wall-prompt", [["", "all"], ...prompts.map(([id, text]) => [id, text.slice(0, 60)])], state.prompt, (prompt) => go({ prompt, more: "1" })),
    choice("Mark shared runs of", "wall-n", [2, 3, 4, 5, 6].map((k) => [String(k), `${k} words`]), String(n), (value) => go({ n: value }, { keep: true })),
    element("label", {}, "Find ", search));
  if (!run.samples.length) return replaceContent(pane, element("p", {}, "This run has no samples yet."));
  const shownPrompts = wanted.slice(0, 5 * Math.max(1, Number(state.more) || 1));
  const walls = shownPrompts.map(([id, text]) => element("section", { class: "prompt" }, element("h3", {}, isolated(text)),
    element("div", { class: "wall" }, ...policies.map(([i]) => wallCell(run, id, i, n)))));
  const hidden = wanted.length - walls.length;
  const more = () => go({ more: String((Number(state.more) || 1) + 1) }, { keep: true });
  replaceContent(pane, controls, ...walls, hidden > 0 ? element("button", { id: "more-prompts", onclick: more }, `${hidden} more prompts`) : null);
}
