// The tokens of one sample, coloured; the token that is open shows its alternatives under any temperature.

const COLOURINGS = {
  entropy: ["entropy (nats)", (trace, i) => trace.entropy[i], 0],
  temperature: ["temperature", (trace, i) => trace.temperature[i], null],
  probability: ["probability, untempered", (trace, i) => Math.exp(trace.log_prob[i]), 0],
  drawn: ["probability it was drawn with", (trace, i) => Math.exp(trace.log_prob_after[i]), 0],
};

function numbers(text, Kind) {
  return new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

function unpacked(run, index) {
  const packed = run.traces[index];
  if (packed.ready) return packed.ready;
  const columns = numbers(packed.columns, Float32Array), trace = { n: packed.n };
  run.traceColumns.forEach((name, c) => { trace[name] = columns.subarray(c * packed.n, (c + 1) * packed.n); });
  trace.tokens = numbers(packed.tokens, Uint32Array);
  const ids = numbers(packed.topIds, run.pieces.length > 0xffff ? Uint32Array : Uint16Array);
  const logits = numbers(packed.topLogits, Float32Array), tail = numbers(packed.tail, Float32Array);
  let top = 0, rest = 0;
  trace.steps = packed.k.map((k, i) => {
    const m = packed.m[i], step = { ids: ids.subarray(top, top + k), logits: logits.subarray(top, top + k) };
    step.tail = m < 0 ? [] : m === 0 ? null : tail.subarray(rest, rest + m);
    top += k;
    rest += Math.max(m, 0);
    return step;
  });
  return (packed.ready = trace);
}

function tracedSamples(run) {
  return run.samples.map((sample, index) => index).filter((index) => run.samples[index][6] >= 0);
}

function chosenSample(run) {
  const all = tracedSamples(run);
  const same = (index) => {
    const [policy, prompt, id] = run.samples[index];
    return run.policies[policy] === state.policy && String(prompt) === (state.prompt || String(prompt)) && String(id) === (state.sample || String(id));
  };
  return all.find(same) ?? all.find((index) => run.policies[run.samples[index][0]] === state.policy) ?? all[0];
}

function openSample(run, index) {
  const [policy, prompt, id] = run.samples[index];
  go({ policy: run.policies[policy], prompt: String(prompt), sample: String(id), token: "", t: "" }, { keep: true });
}

function stepSample(by) {
  const run = currentRun(), all = tracedSamples(run), at = all.indexOf(chosenSample(run));
  if (all.length) openSample(run, all[(at + by + all.length) % all.length]);
}

// The token that is open: the one of the address, else the most uncertain of the sample.
function openToken(trace) {
  if (state.token !== "" && Number(state.token) < trace.n) return Number(state.token);
  let best = -1;
  for (let i = 0; i < trace.n; i++) if (Number.isFinite(trace.entropy[i]) && trace.steps[i].ids.length && (best < 0 || trace.entropy[i] > trace.entropy[best])) best = i;
  return best;
}

function token(run, trace, i, value, low, high, opened) {
  const [raw, text] = run.pieces[trace.tokens[i]];
  const known = Number.isFinite(value), { colour, ink } = ramp(high > low ? (value - low) / (high - low) : 0.5);
  const node = element("button", {
    class: "token" + (known ? "" : " unknown"), id: `token-${i}`, "data-raw": raw, "aria-pressed": String(i === opened),
    tabindex: i === Math.max(opened, 0) ? "0" : "-1", title: known ? shown(value) : "not recorded",
    onclick: () => go({ token: String(i), t: "" }, { keep: true }),
  }, element("bdi", {}, text));
  if (known) { node.style.backgroundColor = colour; node.style.color = ink; }
  return raw.includes("\n") ? [node, element("br")] : [node];
}

function strip(run, trace) {
  const [name, read, fixedLow] = COLOURINGS[state.colour] || COLOURINGS.entropy;
  const values = Array.from({ length: trace.n }, (_, i) => read(trace, i)), known = values.filter(Number.isFinite);
  const low = fixedLow ?? Math.min(...known), high = state.colour === "probability" || state.colour === "drawn" ? 1 : Math.max(...known);
  const opened = openToken(trace), tokens = values.flatMap((value, i) => token(run, trace, i, value, low, high, opened));
  const scaleText = known.length ? [shown(low), element("span", { class: "ramp", "aria-hidden": "true" }), shown(high)] : ["not recorded for this run"];
  return [element("p", { class: "scale" }, name + ": ", ...scaleText), element("div", { class: "strip", dir: "ltr", role: "group", "aria-label": "tokens" }, ...tokens)];
}

// Samples to choose from, by policy, each with the beginning of its text.
function samplePicker(run, index) {
  const groups = new Map(), several = Object.keys(run.prompts).length > 1;
  for (const i of tracedSamples(run)) {
    const [policy, prompt, id, text] = run.samples[i], bare = text.trim().replace(/\s+/gu, " ");
    if (!groups.has(policy)) groups.set(policy, []);
    groups.get(policy).push(element("option", { value: String(i), selected: i === index }, `${several ? `prompt ${prompt}, ` : ""}#${id}: ${[...bare].slice(0, 48).join("")}${[...bare].length > 48 ? "…" : ""}`));
  }
  const select = element("select", { id: "sample", onchange: (event) => openSample(run, Number(event.target.value)) });
  for (const [policy, options] of groups) select.append(element("optgroup", { label: run.policies[policy] }, ...options));
  return element("label", {}, "Sample ", select);
}

function drawStrip(pane) {
  const run = currentRun(), index = chosenSample(run);
  if (index === undefined) return replaceContent(pane, ...paneNotes(run, "strip"), element("p", {}, "There are no tokens to look at in this run: it has no traces and no token numbers."));
  const [policy, prompt, id, , , logProb, place] = run.samples[index], trace = unpacked(run, place);
  const controls = element("div", { class: "controls" }, samplePicker(run, index),
    choice("Colour", "colour", Object.entries(COLOURINGS).map(([key, [name]]) => [key, name]), state.colour, (colour) => go({ colour }, { keep: true })));
  const head = element("h3", {}, isolated(run.prompts[prompt] || ""), element("small", {}, " ", isolated(run.policies[policy]), ` #${id}, ${trace.n} tokens`,
    Number.isFinite(logProb) ? `, log-probability ${shown(logProb)}` : ""));
  const at = openToken(trace);
  const opened = at >= 0 ? whatIf(run, trace, at) : element("p", { class: "quiet" }, "Press a token to see what else could have stood there.");
  replaceContent(pane, ...paneNotes(run, "strip"), controls, head, ...strip(run, trace), opened);
}
