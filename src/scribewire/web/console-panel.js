// One panel of the console, honest about how it stands: loading, failed in the service's words, empty, or filled.

import { ApiError } from "./api.js";
import { make, setText } from "./console-dom.js";

/**
 * Give the sentence with which a call was refused; what is no refusal is a fault of this page.
 * @param {unknown} error
 */
export function sentenceOfError(error) {
  if (!(error instanceof ApiError)) throw error;
  return error.detail;
}

/** A section with a heading and a `.panel-body`. */
export class Panel {
  #body;
  #state = make("p", "Loading …", { class: "panel-state" });
  #problem = make("div", "", { class: "panel-problem", hidden: "" });
  #sentence = make("p", "", { role: "alert" });
  #refusal = make("p", "", { class: "panel-refusal", role: "alert", hidden: "" });

  /**
   * @param {HTMLElement} section
   * @param {() => void} retry
   */
  constructor(section, retry) {
    this.section = section;
    this.heading = /** @type {HTMLElement} */ (section.querySelector("h2"));
    this.heading.tabIndex = -1;
    this.#body = /** @type {HTMLElement} */ (section.querySelector(".panel-body"));
    const button = make("button", "Try again", { type: "button" });
    button.addEventListener("click", retry);
    this.#problem.append(this.#sentence, button);
    this.#body.before(this.#problem, this.#refusal, this.#state);
    this.clear();
  }

  /** Go back to how it was before the first answer. */
  clear() {
    this.mend();
    this.refuse("");
    this.#body.hidden = true;
    this.#state.hidden = false;
    setText(this.#state, "Loading …");
  }

  /**
   * Show what there is, or a sentence when there is nothing.
   * @param {string} [empty]
   */
  fill(empty = "") {
    this.mend();
    this.#body.hidden = empty !== "";
    this.#state.hidden = empty === "";
    if (empty) setText(this.#state, empty);
  }

  /**
   * Say what went wrong; what was shown before stays.
   * @param {string} sentence
   */
  fail(sentence) {
    this.#problem.hidden = false;
    setText(this.#sentence, sentence);
    if (this.#body.hidden) this.#state.hidden = true;
  }

  /** Take back what was said to be wrong. */
  mend() {
    this.#problem.hidden = true;
    setText(this.#sentence, "");
  }

  /**
   * Say why what was asked for was not done; it stays until something else is asked for.
   * @param {string} sentence
   */
  refuse(sentence) {
    this.#refusal.hidden = sentence === "";
    setText(this.#refusal, sentence);
  }
}
