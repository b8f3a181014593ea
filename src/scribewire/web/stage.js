// The stage: the last lines of captions, large, and gone some time after the last word.

import { RollUp } from "./roll-up.js";

// As broadcasters do: nobody takes what was said long ago for what is being said.
const STANDS_MS = 12_000;
// A line is no longer than is read well, on however wide a screen.
const MOST_LETTERS = 42;
const PADDING_EM = 1; // of both ends of a line that brings its own ground, and some air

/** Shows the last lines of what it is told. */
export class Stage {
  #lines;
  #count;
  #rollUp = new RollUp((line) => line.length <= MOST_LETTERS);
  #partial = "";
  #timer = 0;

  /** @param {HTMLElement} stage @param {HTMLElement} lines within it @param {number} count */
  constructor(stage, lines, count) {
    this.#lines = lines;
    this.#count = count;
    new ResizeObserver(() => {
      if (!stage.clientWidth) return; // it is not shown
      this.#rollUp.reset(rulerOf(stage));
      this.#show();
    }).observe(stage);
  }

  /** @param {string} text */
  add(text) {
    this.#rollUp.add(text);
    this.#partial = "";
    this.#stand();
  }

  /** @param {string} text */
  partial(text) {
    this.#partial = text;
    this.#stand();
  }

  /** Begin anew. */
  clear() {
    this.#rollUp.clear();
    this.#partial = "";
    this.#show();
  }

  #stand() {
    this.#show();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.clear(), STANDS_MS);
  }

  #show() {
    const lines = this.#rollUp.last(this.#partial, this.#count);
    while (this.#lines.childElementCount > lines.length) this.#lines.lastElementChild?.remove();
    lines.forEach((text, at) => {
      const line = this.#lines.children[at] ?? this.#lines.appendChild(emptyLine());
      const said = /** @type {HTMLElement} */ (line.firstElementChild);
      if (said.textContent !== text) said.textContent = text;
    });
  }
}

/**
 * Give what says whether a line holds a text, as wide as the stage is now.
 * @param {HTMLElement} stage
 * @returns {import("./roll-up.js").Fits}
 */
function rulerOf(stage) {
  const { paddingLeft, paddingRight, fontSize, fontWeight, fontFamily } = getComputedStyle(stage);
  const pen = document.createElement("canvas").getContext("2d");
  const px = parseFloat;
  const widthPx = stage.clientWidth - px(paddingLeft) - px(paddingRight) - PADDING_EM * px(fontSize);
  if (pen) pen.font = `${fontWeight} ${fontSize} ${fontFamily}`;
  return (line) => line.length <= MOST_LETTERS && (!pen || pen.measureText(line).width <= widthPx);
}

function emptyLine() {
  const line = document.createElement("p");
  line.className = "stage-line";
  line.append(document.createElement("span"));
  return line;
}
