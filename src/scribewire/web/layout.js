// Lines: words laid out one after another, and the best way to set a run of them on one line or two.

import { LETTER_ROOM, LINE_ROOM, blankBetween, flawBetween, roomOf } from "./phrases.js";

/** @typedef {{ at: number, flaw: number }} Split how many words stand on the first line, and how bad the break is */

/** Words on one endless line, of which any part is measured at once. */
export class Layout {
  #words;
  #language;
  /** @type {number[]} */
  #starts = [];
  /** @type {number[]} */
  #ends = [];

  /** @param {readonly import("./phrases.js").TimedWord[]} words @param {string} language a primary subtag */
  constructor(words, language) {
    this.#words = words;
    this.#language = language;
    let at = 0;
    words.forEach(({ text }, number) => {
      if (number) at += LETTER_ROOM * blankBetween(words[number - 1].text, text).length;
      this.#starts.push(at);
      at += roomOf(text);
      this.#ends.push(at);
    });
  }

  /** Give the room that some of the words take on a line. @param {number} first @param {number} end */
  room(first, end) {
    return this.#ends[end - 1] - this.#starts[first];
  }

  /**
   * Give the best way to set some of the words, or null where two lines do not hold them. A word alone may overflow.
   * @param {number} first @param {number} end
   * @returns {Split | null}
   */
  split(first, end) {
    if (end - first === 1 || this.room(first, end) <= LINE_ROOM) return { at: end - first, flaw: 0 };
    /** @type {Split | null} */
    let best = null;
    for (let at = first + 1; at < end; at++) {
      if (this.room(first, at) > LINE_ROOM || this.room(at, end) > LINE_ROOM) continue;
      const flaw = this.#flaw(first, at, end);
      if (!best || flaw < best.flaw) best = { at: at - first, flaw };
    }
    return best;
  }

  /** @param {number} first @param {number} at @param {number} end */
  #flaw(first, at, end) {
    const [top, bottom] = [this.room(first, at), this.room(at, end)];
    const uneven = (20 * Math.abs(top - bottom)) / LINE_ROOM + (top > bottom ? 5 : 0);
    return flawBetween(this.#words[at - 1].text, this.#words[at].text, this.#language) / 2 + uneven;
  }
}
