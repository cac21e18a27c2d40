// Pane 3: the tokens of one sample, coloured; a token opened shows its alternatives under any temperature.

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

function token(run, trace, i, value, low, high) {
  const [raw, text] = run.pieces[trace.tokens[i]];
  const known = Number.isFinite(value), { colour, ink } = ramp(high > low ? (value - low) / (high - low) : 0.5);
  const node = element("button", {
    class: "token" + (known ? "" : " unknown"), id: `token-${i}`, "data-raw": raw, "aria-pressed": String(String(i) === state.token),
    tabindex: i === (Number(state.token) || 0) ? "0" : "-1", title: known ? shown(value) : "not recorded",
    onclick: () => go({ token: String(i), t: "" }, { keep: true }),
  }, element("bdi", {}, text));
  if (known) { node.style.backgroundColor = colour; node.style.color = ink; }
  return raw.includes("\n") ? [node, element("br")] : [node];
}

function strip(run, trace) {
  const [name, read, fixedLow] = COLOURINGS[state.colour] || COLOURINGS.entropy;
  const values = Array.from({ length: trace.n }, (_, i) => read(trace, i)), known = values.filter(Number.isFinite);
  const low = fixedLow ?? Math.min(...known), high = state.colour === "probability" || state.colour === "drawn" ? 1 : Math.max(...known);
  const tokens = values.flatMap((value, i) => token(run, trace, i, value, low, high));
  const scaleText = known.length ? [shown(low), element("span", { class: "ramp", "aria-hidden": "true" }), shown(high)] : ["not recorded for this run"];
  return [element("p", { class: "scale" }, name + ": ", ...scaleText), element("div", { class: "strip", dir: "ltr", role: "group", "aria-label": "tokens" }, ...tokens)];
}

function drawStrip(pane) {
  const run = currentRun(), index = chosenSample(run);
  if (index === undefined) return replaceContent(pane, element("p", {}, "There are no tokens to look at in this run: it has no traces and no token numbers."));
  const [policy, prompt, id, , , logProb, place] = run.samples[index], trace = unpacked(run, place);
  const options = tracedSamples(run).map((i) => [String(i), `${run.policies[run.samples[i][0]]}, prompt ${run.samples[i][1]}, #${run.samples[i][2]}`]);
  const controls = element("div", { class: "controls" },
    choice("Sample", "sample", options, String(index), (value) => openSample(run, Number(value))),
    choice("Colour", "colour", Object.entries(COLOURINGS).map(([key, [name]]) => [key, name]), state.colour, (colour) => go({ colour }, { keep: true })));
  const head = element("h3", {}, isolated(run.prompts[prompt] || ""), element("small", {}, " ", isolated(run.policies[policy]), ` #${id}, ${trace.n} tokens`,
    Number.isFinite(logProb) ? `, log-probability ${shown(logProb)}` : ""));
  const opened = state.token !== "" && Number(state.token) < trace.n ? whatIf(run, trace, Number(state.token)) : element("p", { class: "quiet" }, "Press a token to see what else could have stood there.");
  replaceContent(pane, controls, head, ...strip(run, trace), opened);
}
