// Words, what texts share of them, and the places of what is searched for.

const UNSPACED = "\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}\\p{sc=Myanmar}";
const WORD = new RegExp(`[${UNSPACED}]\\s*|[^\\s${UNSPACED}]+\\s*|^\\s+`, "gu");

// Words of a text with the white space after each; where a script puts no spaces between words, its characters.
function words(text) {
  return text.match(WORD) || [];
}

function gramsOf(list, n) {
  const bare = list.map((word) => word.trim()), found = [];
  for (let i = 0; i + n <= bare.length; i++) found.push(bare.slice(i, i + n).join(" "));
  return found;
}

// For every n-gram of words the number of texts that hold it.
function gramCounts(texts, n) {
  const counts = new Map();
  for (const text of texts) for (const gram of new Set(gramsOf(words(text), n))) counts.set(gram, (counts.get(gram) || 0) + 1);
  return counts;
}

// [from, to] of what other texts hold as well.
function sharedRanges(text, counts, n) {
  const list = words(text), covered = new Array(list.length).fill(false), found = [];
  gramsOf(list, n).forEach((gram, i) => { if (counts.get(gram) > 1) covered.fill(true, i, i + n); });
  let at = 0;
  list.forEach((word, i) => {
    if (covered[i]) found.length && found[found.length - 1][1] === at ? (found[found.length - 1][1] = at + word.length) : found.push([at, at + word.length]);
    at += word.length;
  });
  return found;
}

// The search as a pattern, upper and lower case alike; null where nothing is searched for.
function pattern() {
  return state.find ? new RegExp(state.find.replace(/[\\^$.*+?()[\]{}|/-]/g, (sign) => (sign === "-" ? "\\x2d" : `\\${sign}`)), "giu") : null;
}

function foundRanges(text, wanted) {
  return wanted ? [...text.matchAll(wanted)].map((hit) => [hit.index, hit.index + hit[0].length]) : [];
}

// A text cut where either list of ranges begins or ends: dimmed where shared, marked where found.
function markedText(text, shared, found) {
  if (!text) return element("em", {}, "empty text");
  const box = isolated("", { class: "text" }), inside = (list, at) => list.some(([from, to]) => from <= at && at < to);
  const cuts = [...new Set([0, text.length, ...shared.flat(), ...found.flat()])].sort((a, b) => a - b);
  for (let i = 0; i + 1 < cuts.length; i++) {
    const part = withGhosts(text.slice(cuts[i], cuts[i + 1]));
    const dim = inside(shared, cuts[i]) ? [element("span", { class: "shared" }, ...part)] : part;
    box.append(...(inside(found, cuts[i]) ? [element("mark", {}, ...dim)] : dim));
  }
  return box;
}
