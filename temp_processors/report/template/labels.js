// Names beside points, where they hide neither a point nor each other.

const LETTERS = document.createElement("canvas").getContext("2d");
LETTERS.font = "13px system-ui, sans-serif";

function widthOf(text) {
  return LETTERS.measureText(text).width;
}

// The middle is left out: names that differ often differ at the end.
function shortened(name, most) {
  if (widthOf(name) <= most) return name;
  const letters = [...name];
  for (let kept = letters.length - 1; kept > 1; kept--) {
    const front = letters.slice(0, Math.ceil(kept / 2)).join(""), back = letters.slice(letters.length - Math.floor(kept / 2)).join("");
    if (widthOf(`${front}…${back}`) <= most) return `${front}…${back}`;
  }
  return "…";
}

function overlap(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

// entries: {x, y, text, share}; box: where labels may stand; taken: rectangles that they may not cover; whiskers and lines: those that
// they should not, and among few points may. Gives the number of those left out.
const FEW = 10;

function placeLabels(svg, entries, box, taken, whiskers, lines) {
  const fixed = entries.length > FEW ? [...taken, ...whiskers] : [...taken];
  let without = 0;
  for (const { x, y, text, share } of entries) {
    const shown = shortened(text, 170), w = widthOf(shown) + 4;
    const places = [[9, -7], [-9 - w, -7], [-w / 2, -25], [-w / 2, 11], [9, -22], [9, 8], [-9 - w, -22], [-9 - w, 8]];
    const free = places.map(([dx, dy]) => ({ left: x + dx, right: x + dx + w, top: y + dy, bottom: y + dy + 15 }))
      .filter((at) => at.left >= box.left && at.right <= box.right && at.top >= box.top && at.bottom <= box.bottom && !fixed.some((other) => overlap(at, other)));
    const clear = (list) => free.find((at) => !list.some((other) => overlap(at, other)));
    const spot = clear([...whiskers, ...lines]) || clear(whiskers) || free[0];
    if (!spot) { without++; continue; }
    fixed.push(spot);
    svg.append(tinted(drawn("text", { x: spot.left + 2, y: spot.bottom - 3, class: "label" }, shown), share));
  }
  return without;
}

// A line of points on the drawing as small rectangles, one every few pixels.
function along(line) {
  return line.slice(1).flatMap(([x, y], i) => {
    const [x0, y0] = line[i], steps = Math.max(1, Math.ceil(Math.hypot(x - x0, y - y0) / 4));
    return Array.from({ length: steps + 1 }, (_, k) => [x0 + (x - x0) * k / steps, y0 + (y - y0) * k / steps]).map(([cx, cy]) => ({ left: cx - 1, right: cx + 1, top: cy - 1, bottom: cy + 1 }));
  });
}
