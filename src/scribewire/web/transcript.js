// The transcript: finals word by word, shaded by how sure they are, and the partial that grows under them.

import { clockOf } from "./dom.js";
import { blankBetween } from "./phrases.js";

/** @typedef {import("./wire.js").Final} Final */
/**
 * Where it is shown: `log` and `partial` lie in `scroller`; `newest` leads back to the end; `word`, where there is one,
 * says what is known of the word that has the focus. Without it words have no times.
 * @typedef {Record<"scroller" | "log" | "partial" | "newest", HTMLElement> & { word?: HTMLElement }} Places
 */

// So near to its end, a reader reads along.
const NEAR_PX = 48;
const SHADES = [
  { least: 0.9, name: "sure" },
  { least: 0.7, name: "likely" },
  { least: 0.5, name: "unsure" },
  { least: 0, name: "doubtful" },
];

/** Shows finals and partials, and follows them unless the reader looks at what was before. */
export class Transcript {
  #places;
  #speaker = "";
  #follows = true;
  #endPx = 0; // where the text ended when it was last scrolled there
  #frame = 0;

  /** @param {Places} places */
  constructor(places) {
    this.#places = places;
    const { scroller, newest } = places;
    scroller.addEventListener("scroll", () => this.#takeScroll());
    scroller.addEventListener("keydown", (event) => this.#move(event));
    scroller.addEventListener("focusin", ({ target }) => this.#tell(/** @type {HTMLElement} */ (target)));
    newest.addEventListener("click", () => {
      this.#setFollowing(true);
      this.#follow();
      scroller.focus({ preventScroll: true });
    });
    new ResizeObserver(() => this.#follow()).observe(scroller);
  }

  /** @param {Final} final */
  add(final) {
    const line = document.createElement("p");
    if (final.speaker && final.speaker !== this.#speaker) {
      line.append(element("span", "speaker", final.speaker));
      this.#speaker = final.speaker;
    }
    if (this.#places.word && final.words.length) line.append(timeOf(final.words[0][1]));
    line.append(...this.#wordsOf(final));
    this.#places.log.append(line);
    this.partial("");
  }

  /** Show the partial; an empty one shows none. @param {string} text */
  partial(text) {
    this.#places.partial.textContent = text;
    this.#follow();
  }

  /** Begin anew. */
  clear() {
    this.#places.log.replaceChildren();
    this.#speaker = "";
    this.#setFollowing(true);
    this.partial("");
  }

  /** @param {Final} final @returns {(string | Node)[]} */
  #wordsOf({ text, words }) {
    if (!words.length) return [text];
    return words.flatMap(([said, startMs, endMs, confidence], at) => {
      const word = element("span", `word ${shadeOf(confidence)}`, said);
      if (this.#places.word) {
        word.tabIndex = -1;
        const times = `${clockOf(startMs, { tenths: true })}–${clockOf(endMs, { tenths: true })}`;
        word.title = `${times} · ${Math.round(confidence * 100)} % sure`;
      }
      return at ? [blankBetween(words[at - 1][0], said), word] : [word];
    });
  }

  // --- from word to word ---------------------------------------------------------------------------------------------

  /** @param {KeyboardEvent} event */
  #move(event) {
    const { scroller, log, word } = this.#places;
    if (!word) return;
    if (event.key === "Escape") scroller.focus();
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const from = /** @type {HTMLElement} */ (document.activeElement);
    const next = from.matches(".word") ? neighbourOf(from, event.key === "ArrowRight") : lastWordIn(log);
    event.preventDefault();
    next?.focus();
  }

  /** @param {HTMLElement} target */
  #tell(target) {
    if (this.#places.word && target.matches(".word")) {
      this.#places.word.textContent = `“${target.textContent}” ${target.title}`;
    }
  }

  // --- following -----------------------------------------------------------------------------------------------------

  #takeScroll() {
    const { scrollTop, clientHeight, scrollHeight } = this.#places.scroller;
    // More text may have come since it was scrolled to the end, and that is not the reader's doing.
    const endPx = this.#follows ? Math.min(this.#endPx, scrollHeight) : scrollHeight;
    this.#setFollowing(endPx - scrollTop - clientHeight <= NEAR_PX);
  }

  /** @param {boolean} follows */
  #setFollowing(follows) {
    this.#follows = follows;
    this.#places.newest.hidden = follows;
  }

  /** Go to the end with the next picture: to measure a long text for every word of it would take too long. */
  #follow() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const { scroller } = this.#places;
      if (this.#follows) scroller.scrollTop = this.#endPx = scroller.scrollHeight;
    });
  }
}

/** @param {number} confidence */
const shadeOf = (confidence) => SHADES.find(({ least }) => confidence >= least)?.name ?? "doubtful";

/** @param {number} startMs */
function timeOf(startMs) {
  const time = element("time", "", clockOf(startMs));
  time.ariaHidden = "true"; // read out before every sentence it would be in the way
  return time;
}

/** @param {string} tag @param {string} kind @param {string} text */
function element(tag, kind, text) {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text;
  return made;
}

/** @param {HTMLElement} word @param {boolean} forward @returns {HTMLElement | null} */
function neighbourOf(word, forward) {
  const line = word.closest("p");
  const words = [...(line?.querySelectorAll(".word") ?? [])];
  const beside = words[words.indexOf(word) + (forward ? 1 : -1)];
  if (beside) return /** @type {HTMLElement} */ (beside);
  const next = forward ? line?.nextElementSibling : line?.previousElementSibling;
  const others = next?.querySelectorAll(".word") ?? [];
  return /** @type {HTMLElement | null} */ (others[forward ? 0 : others.length - 1] ?? null);
}

/** @param {HTMLElement} log @returns {HTMLElement | null} */
function lastWordIn(log) {
  const words = log.lastElementChild?.querySelectorAll(".word") ?? [];
  return /** @type {HTMLElement | null} */ (words[words.length - 1] ?? null);
}
