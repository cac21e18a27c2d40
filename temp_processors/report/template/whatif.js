// The opened token: bars of the recorded alternatives, recomputed from their logits at the temperature of the slider.

function temperatureAt(trace, i) {
  const own = trace.temperature[i];
  const wanted = state.t === "" ? (Number.isFinite(own) && own > 0 ? own : 1) : Number(state.t);
  return Math.min(Math.max(wanted || 1, TAIL_LOW), TAIL_HIGH);
}

// Bars at a temperature; behind each the outline of the policy's own probability, where it has one temperature.
function bars(run, step, chosen, temperature, own) {
  const { p, rest } = softmaxAt(step.logits, step.tail, temperature), theirs = own === null ? null : softmaxAt(step.logits, step.tail, own);
  const row = (name, probability, ghost, extra) => {
    const bar = element("span", { class: "bar" }), track = element("td", { class: "track" });
    bar.style.width = `${100 * probability}%`;
    if (ghost !== null) {
      const outline = element("span", { class: "outline", "data-p": String(ghost), title: `the policy's own: ${percent(ghost)}` });
      outline.style.width = `${100 * ghost}%`;
      track.append(outline);
    }
    track.append(bar);
    return element("tr", { class: extra, "data-p": String(probability) }, element("th", { scope: "row" }, name), track, element("td", { class: "value" }, percent(probability)));
  };
  const rows = p.map((probability, j) => row(element("bdi", {}, run.pieces[step.ids[j]][1]), probability, theirs && theirs.p[j], step.ids[j] === chosen ? "chosen" : ""));
  if (rest !== null && step.tail.length) rows.push(row("all others together", rest, theirs && theirs.rest, "rest"));
  return element("table", { class: "bars", id: "bars" }, element("tbody", {}, ...rows));
}

// The policy's temperature at a token where the record can be computed at it; null elsewhere.
function ownTemperature(trace, i) {
  const own = trace.temperature[i];
  return Number.isFinite(own) && own >= TAIL_LOW && own <= TAIL_HIGH ? own : null;
}

function facts(trace, i) {
  const own = trace.temperature[i], parts = [`step ${i}`];
  if (Number.isFinite(trace.entropy[i])) parts.push(`entropy ${shown(trace.entropy[i])} nats`);
  if (Number.isFinite(trace.entropy_after[i])) parts.push(`after the policy ${shown(trace.entropy_after[i])}`);
  parts.push(Number.isFinite(own) ? `the policy's temperature ${shown(own)}` : "the policy sets no single temperature here");
  if (Number.isFinite(trace.log_prob[i])) parts.push(`probability ${percent(Math.exp(trace.log_prob[i]))} untempered`);
  if (Number.isFinite(trace.log_prob_after[i])) parts.push(`drawn with ${percent(Math.exp(trace.log_prob_after[i]))}`);
  return parts.join(", ");
}

function whatIf(run, trace, i) {
  const step = trace.steps[i], head = element("h4", {}, "Token ", element("bdi", { class: "code" }, run.pieces[trace.tokens[i]][1]));
  if (!step.ids.length) return element("div", { class: "whatif" }, head, element("p", {}, "The alternatives of this token were not recorded."));
  const temperature = temperatureAt(trace, i), own = ownTemperature(trace, i);
  // Only the bars are drawn again: a slider that is replaced while it is dragged lets go.
  const redraw = () => {
    const now = temperatureAt(trace, i);
    document.getElementById("bars").replaceWith(bars(run, step, trace.tokens[i], now, own));
    document.getElementById("temperature").value = Number(now.toFixed(4));
    slider.setAttribute("aria-valuetext", shown(now));
  };
  const move = (event) => go({ t: Math.exp(Number(event.target.value)).toFixed(4) }, { keep: true, redraw });
  const slider = element("input", { type: "range", id: "slider", min: Math.log(TAIL_LOW), max: Math.log(TAIL_HIGH), step: 0.001,
    value: Math.log(temperature), "aria-label": "what-if temperature", "aria-valuetext": shown(temperature), oninput: move });
  const typed = element("input", { type: "number", id: "temperature", min: TAIL_LOW, max: TAIL_HIGH, step: "any", value: Number(temperature.toFixed(4)),
    "aria-label": "what-if temperature as a number", onchange: (event) => go({ t: event.target.value }, { keep: true }) });
  const notes = [
    own === null ? "" : `filled: at the temperature of the slider; outlined: at the policy's own, ${shown(own)}`,
    step.tail === null ? "Tokens outside this list are not in the record: the bars are relative to the list." : "",
  ];
  return element("div", { class: "whatif" }, head, element("p", { class: "quiet" }, facts(trace, i)),
    element("div", { class: "controls" }, element("label", {}, "What if the temperature were ", slider), typed,
      element("span", { class: "together" }, element("button", { id: "own", onclick: () => go({ t: "" }, { keep: true }) }, "as the policy"), " ",
        element("button", { id: "untempered", "aria-label": "temperature 1", onclick: () => go({ t: "1" }, { keep: true }) }, "1"))),
    bars(run, step, trace.tokens[i], temperature, own), ...notes.filter(Boolean).map((note) => element("p", { class: "quiet" }, note)));
}
