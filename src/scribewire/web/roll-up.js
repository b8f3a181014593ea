// Roll-up captions: text set on lines that never change once they are full, of which the last few are shown.

import { blankBetween, isWide } from "./phrases.js";

// More lines than are ever shown at a time.
const KEPT_LINES = 8;

/** @typedef {(line: string) => boolean} Fits whether a line holds a text */

/** Sets text on lines. */
export class RollUp {
  #fits;
  /** @type {string[]} */
  #lines = [];

  /** @param {Fits} fits */
  constructor(fits) {
    this.#fits = fits;
  }

  /** Add what will not change. @param {string} text */
  add(text) {
    this.#lines = set(this.#lines, text, this.#fits).slice(-KEPT_LINES);
  }

  /** Set all again on lines of another length. @param {Fits} fits */
  reset(fits) {
    this.#fits = fits;
    this.#lines = set([], this.#lines.join("\n"), fits).slice(-KEPT_LINES);
  }

  /** Begin anew. */
  clear() {
    this.#lines = [];
  }

  /**
   * Give the last lines, with a partial after what was added.
   * @param {string} partial @param {number} count
   * @returns {string[]}
   */
  last(partial, count) {
    return set(this.#lines, partial, this.#fits).slice(-count);
  }
}

/** @param {readonly string[]} lines @param {string} text @param {Fits} fits */
function set(lines, text, fits) {
  const longer = [...lines];
  for (const piece of text.split(/\s+/u).filter(Boolean).flatMap((word) => piecesOf(word, fits))) {
    const line = longer.at(-1) ?? "";
    const joined = line + (line ? blankBetween(line, piece) : "") + piece;
    if (line && fits(joined)) longer[longer.length - 1] = joined;
    else longer.push(piece);
  }
  return longer;
}

/**
 * Cut a word where its script may be cut, and anywhere when it is longer than a line.
 * @param {string} word @param {Fits} fits
 */
function piecesOf(word, fits) {
  /** @type {string[]} */
  const pieces = [];
  for (const letter of word) {
    const last = pieces.at(-1);
    const isCut = !last || (isWide(letter) && blankBetween(last, letter) === "") || !fits(last + letter);
    if (isCut) pieces.push(letter);
    else pieces[pieces.length - 1] = last + letter;
  }
  return pieces;
}
