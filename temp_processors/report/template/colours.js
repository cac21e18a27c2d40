// One colour and one marker for every policy, on every chart: its temperature from cold to hot, a plain colour without one.

const STOPS = 5;

// Rank of the policy's temperature among those of all runs, 0 (coldest) to 1; null for a policy without a single temperature.
function warmth(run, policy) {
  const own = run.temperatures[policy];
  if (own === undefined) return null;
  const all = [...new Set(DATA.runs.flatMap((held) => Object.values(held.temperatures)))].sort((a, b) => a - b);
  return all.length > 1 ? all.indexOf(own) / (all.length - 1) : 0.5;
}

function colourOf(share) {
  if (share === null) return "var(--plain)";
  const place = Math.min(Math.max(share, 0), 1) * (STOPS - 1), i = Math.min(Math.floor(place), STOPS - 2);
  return `color-mix(in oklab, var(--t${i + 1}) ${(100 * (place - i)).toFixed(1)}%, var(--t${i}))`;
}

// Through the style object: the page's policy refuses style attributes.
function tinted(node, share) {
  node.style.setProperty("--c", colourOf(share));
  return node;
}

// Circles for temperatures; the others differ by their place. Of several runs each has its own.
function shapeOf(run, policy) {
  if (DATA.runs.length > 1) return DATA.runs.indexOf(run);
  return run.temperatures[policy] === undefined ? 1 + run.policies.filter((p) => run.temperatures[p] === undefined).indexOf(policy) : 0;
}
