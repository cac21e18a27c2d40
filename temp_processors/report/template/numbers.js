// Arithmetic: softmax at a temperature with the tail that was not recorded, number formats, the colour ramp.

const TAIL_LOW = 0.1, TAIL_HIGH = 5;

// log of the weight, relative to exp(largest logit / T), of everything outside the recorded tokens: barycentric
// interpolation between Chebyshev points in ln T (Berrut and Trefethen 2004).
function tailAt(values, temperature) {
  const n = values.length - 1;
  const middle = (Math.log(TAIL_LOW) + Math.log(TAIL_HIGH)) / 2, half = (Math.log(TAIL_HIGH) - Math.log(TAIL_LOW)) / 2;
  const x = (Math.log(temperature) - middle) / half;
  let above = 0, below = 0;
  for (let k = 0; k <= n; k++) {
    const distance = x - Math.cos(Math.PI * k / n);
    if (Math.abs(distance) < 1e-13) return values[k];
    const weight = (k % 2 ? -1 : 1) * (k === 0 || k === n ? 0.5 : 1) / distance;
    above += weight * values[k];
    below += weight;
  }
  return above / below;
}

// softmax(logits / T) with the largest logit subtracted. `tail` is null where it is unknown, [] where it is empty.
// Gives the probabilities and the one of the tail (null where unknown: then the others are renormalised).
function softmaxAt(logits, tail, temperature) {
  const largest = Math.max(...logits);
  const weights = Array.from(logits, (x) => Math.exp((x - largest) / temperature));
  const rest = tail && tail.length ? Math.exp(tailAt(tail, temperature)) : 0;
  const total = weights.reduce((sum, w) => sum + w, rest);
  return { p: weights.map((w) => w / total), rest: tail ? rest / total : null };
}

function shown(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "undefined";
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(1);
  return Math.abs(value) < 10 ? value.toFixed(3) : value.toFixed(1);
}

function percent(p) {
  return p < 0.0001 && p > 0 ? p.toExponential(1) : (100 * p).toFixed(p < 0.1 ? 2 : 1) + "%";
}

// viridis at ten equal steps: lightness rises all the way, so it reads without colour vision and in grey print.
const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];

function ramp(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1), i = Math.min(Math.floor(place), VIRIDIS.length - 2);
  const channel = (colour, c) => parseInt(colour.slice(1 + 2 * c, 3 + 2 * c), 16);
  const mix = [0, 1, 2].map((c) => channel(VIRIDIS[i], c) + (place - i) * (channel(VIRIDIS[i + 1], c) - channel(VIRIDIS[i], c)));
  return { colour: `rgb(${mix.map(Math.round).join(",")})`, ink: 0.3 * mix[0] + 0.59 * mix[1] + 0.11 * mix[2] > 120 ? "#000" : "#fff" };
}

function ticks(low, high, count) {
  if (!(high > low)) return [low];
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const first = Math.ceil(low / step - 1e-9), found = [];
  for (let i = first; i * step <= high * (1 + 1e-9) + 1e-12; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

function logTicks(low, high) {
  const powers = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) powers.push(10 ** power);
  for (const steps of [[1, 2, 5], [1, 3], [1]]) {
    const found = powers.flatMap((power) => steps.map((m) => Number((m * power).toPrecision(3)))).filter((v) => v >= low && v <= high);
    if (found.length <= 2) return ticks(low, high, 5).filter((v) => v > 0);
    if (found.length <= 7) return found;
  }
  return powers.filter((v, i) => v >= low && v <= high && i % Math.ceil(powers.length / 7) === 0);
}

function tickText(value) {
  return Math.abs(value) >= 100000 ? value.toExponential(0).replace("e+", "e") : Math.abs(value) >= 10000 ? value.toLocaleString("en") : String(value);
}
