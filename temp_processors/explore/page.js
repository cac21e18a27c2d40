() => {
  // A token that is pressed says its numbers below its text, and offers to go on from there.
  const facts = (token) => {
    const strip = token.closest(".tp-strip");
    const box = strip.parentElement.querySelector(".tp-facts");
    for (const other of strip.querySelectorAll("[aria-pressed=true]")) if (other !== token) other.ariaPressed = "false";
    token.ariaPressed = token.ariaPressed === "true" ? "false" : "true";
    box.replaceChildren();
    if (token.ariaPressed === "false") return;
    for (const line of token.title.split("\n")) {
      const part = document.createElement("span");
      part.textContent = line;
      box.append(part);
    }
    if (document.querySelector("#system textarea")?.value) return; // a chat goes on with a turn, not with a token
    const button = document.createElement("button");
    button.textContent = "go on from here";
    button.className = "tp-branch";
    button.onclick = () => {
      const tokens = [...strip.querySelectorAll(".tp-token")];
      const kept = tokens.slice(0, tokens.indexOf(token) + 1).map((one) => one.dataset.raw);
      const prompt = document.querySelector("#prompt textarea");
      prompt.value = strip.dataset.prompt + kept.join("");
      prompt.dispatchEvent(new Event("input", { bubbles: true }));
      prompt.focus();
    };
    box.append(button);
  };
  document.addEventListener("click", (event) => {
    const token = event.target.closest?.(".tp-token");
    if (token) facts(token);
  });
  // Sliders of temperatures are finer near 0: T grows with the square of the way. The number beside the slider holds the value.
  const hottest = 5, steps = 500;
  const finer = (slider) => {
    const number = slider.querySelector("input[type=number]"), coarse = slider.querySelector("input[type=range]:not(.tp-fine)");
    if (!number || !coarse) return;
    let fine = slider.querySelector(".tp-fine");
    if (!fine) {
      fine = document.createElement("input");
      Object.assign(fine, { type: "range", className: "tp-fine", min: 0, max: steps });
      fine.ariaLabel = coarse.ariaLabel ?? "temperature";
      fine.oninput = () => {
        number.value = Math.round(100 * hottest * (fine.value / steps) ** 2) / 100;
        number.dispatchEvent(new Event("input", { bubbles: true }));
        fine.ariaValueText = number.value;
      };
      coarse.after(fine);
    }
    if (document.activeElement !== fine) fine.value = steps * Math.sqrt(number.value / hottest);
  };
  const settle = () => {
    for (const slider of document.querySelectorAll(".tp-heat")) finer(slider);
    for (const code of document.querySelectorAll(".cm-scroller")) code.tabIndex = 0; // what scrolls can be reached by keyboard
  };
  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => ((waiting = false), settle()));
  }).observe(document.body, { childList: true, subtree: true });
  settle();
  document.documentElement.lang ||= "en";
}
