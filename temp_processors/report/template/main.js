// Start: read the data, draw the pane that the address names, listen to keys.

const DATA = JSON.parse(document.getElementById("data").textContent);
const PANES = { ...(DATA.runs.some((run) => run.task) ? { task: drawTask } : {}), scores: drawScores, wall: drawWall, strip: drawStrip, setup: drawSetup };

function currentRun() {
  return DATA.runs[Number(state.run)] || DATA.runs[0];
}

function openPane() {
  return state.pane in PANES ? state.pane : Object.keys(PANES)[0];
}

function draw() {
  const pane = openPane(), run = currentRun();
  for (const name of Object.keys(PANES)) {
    const open = name === pane, tab = document.getElementById(`tab-${name}`);
    document.getElementById(`pane-${name}`).hidden = !open;
    tab.setAttribute("aria-selected", String(open));
    tab.tabIndex = open ? 0 : -1;
  }
  const notes = document.getElementById("notes");
  notes.replaceChildren(...run.notes.map((note) => element("p", {}, note)));
  notes.hidden = !run.notes.length;
  document.getElementById("run").value = String(DATA.runs.indexOf(run));
  const place = document.getElementById(`pane-${pane}`);
  try {
    PANES[pane](place);
  } catch (error) {  // a run folder may come from anywhere: the other panes still work
    place.replaceChildren(element("p", { role: "alert" }, `This part of the run cannot be shown, because its files hold something else than a run writes (${error.message}).`));
  }
}

function moveToken(by) {
  const run = currentRun(), index = chosenSample(run);
  if (index === undefined) return;
  const last = unpacked(run, run.samples[index][6]).n - 1;
  const now = openToken(unpacked(run, run.samples[index][6])), next = now < 0 ? 0 : Math.min(Math.max(now + by, 0), last);
  go({ token: String(next), t: "" }, { keep: true });
  document.getElementById(`token-${next}`).focus();
}

function moveTemperature(factor) {
  const run = currentRun(), index = chosenSample(run);
  if (index === undefined) return;
  const trace = unpacked(run, run.samples[index][6]), token = openToken(trace);
  if (token < 0) return;
  const now = temperatureAt(trace, token);
  go({ t: Math.min(Math.max(now * factor, TAIL_LOW), TAIL_HIGH).toFixed(4) }, { keep: true });
}

const STRIP_KEYS = {
  ArrowLeft: () => moveToken(-1), ArrowRight: () => moveToken(1), j: () => stepSample(1), k: () => stepSample(-1),
  "+": () => moveTemperature(1.1), "-": () => moveTemperature(1 / 1.1),
};

function onKey(event) {
  const names = Object.keys(PANES), place = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(place.tagName)) return;
  const tab = place.getAttribute && place.getAttribute("role") === "tab" ? names.indexOf(openPane()) : -1;
  let act = null;
  if (/^[1-9]$/.test(event.key) && names[Number(event.key) - 1]) act = () => go({ pane: names[Number(event.key) - 1] });
  else if (tab >= 0 && /^Arrow(Left|Right)$/.test(event.key)) act = () => {
    const next = names[(tab + (event.key === "ArrowRight" ? 1 : names.length - 1)) % names.length];
    go({ pane: next });
    document.getElementById(`tab-${next}`).focus();
  };
  else if (state.pane === "strip") act = STRIP_KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function start() {
  const select = document.getElementById("run");
  DATA.runs.forEach((run, i) => select.append(element("option", { value: String(i) }, run.name)));
  select.addEventListener("change", () => go({ run: select.value, policy: "", prompt: "", sample: "", token: "" }));
  document.getElementById("run-label").hidden = DATA.runs.length < 2;
  const names = DATA.runs.map((run) => run.name).join(" and ");
  document.getElementById("title").replaceChildren(isolated(names));
  document.title = `${names}: temp_processors report`;
  for (const name of Object.keys(PANES)) document.getElementById(`tab-${name}`).addEventListener("click", () => go({ pane: name }));
  document.getElementById("tab-task").hidden = !PANES.task;
  document.addEventListener("keydown", onKey);
  for (const kind of ["popstate", "hashchange"]) window.addEventListener(kind, () => { state = readState(); draw(); });
  let width = chartWidth();
  window.addEventListener("resize", () => { if (width !== chartWidth()) { width = chartWidth(); draw(); } });
  draw();
}

start();
