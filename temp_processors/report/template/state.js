// One state, in the address after the #: what is on the screen survives a reload and can be sent to someone.

const DEFAULTS = {
  pane: "", run: "0", metric: "", diversity: "", policy: "", prompt: "", n: "4", find: "", more: "1",
  scorer: "", measure: "", k: "", sort: "", order: "drawn", sample: "", colour: "entropy", token: "", t: "",
};

function readState() {
  const state = { ...DEFAULTS };
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) if (name in DEFAULTS) state[name] = value;
  return state;
}

let state = readState();

// Browsers refuse hundreds of changes of the address in a few seconds, as a slider makes them: after the first few of a
// second the last one waits for its turn.
const WRITES_PER_SECOND = 12;
let later = 0, writes = [];

function writeAddress(method) {
  clearTimeout(later);
  const changed = Object.entries(state).filter(([name, value]) => value !== DEFAULTS[name]);
  history[method](null, "", "#" + new URLSearchParams(changed).toString());
  writes = [...writes.filter((time) => time > Date.now() - 1000), Date.now()];
}

// Change the state and draw (or call `redraw`, where a part of the pane is enough).
// A change of place makes an entry in the history, a change of a value replaces it.
function go(changes, { keep = false, redraw = draw } = {}) {
  clearTimeout(later);
  if (!keep) writeAddress("replaceState");
  state = { ...state, ...changes };
  if (!keep) writeAddress("pushState");
  else if (writes.filter((time) => time > Date.now() - 1000).length < WRITES_PER_SECOND) writeAddress("replaceState");
  else later = setTimeout(writeAddress, 200, "replaceState");
  redraw();
}
