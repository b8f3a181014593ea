// The text to take home: the buttons that write it to a file, and whether that was done.

import { FORMATS } from "./captions-format.js";
import { byId } from "./dom.js";

/** @typedef {import("./wire.js").Final} Final */

const BUTTONS = ["download-txt", "download-srt", "download-vtt", "download-json"];

/** The finals of the page, and their downloads. */
export class Downloads {
  /** @type {Final[]} */
  #finals = [];
  #of = { language: "", type: "", startedAt: "" };
  #unsaved = false;
  #buttons = BUTTONS.map((id) => /** @type {HTMLButtonElement} */ (byId(id)));

  constructor() {
    for (const button of this.#buttons) {
      button.addEventListener("click", () => this.#save(/** @type {keyof typeof FORMATS} */ (button.dataset.format)));
    }
  }

  /** Whether there is text that was not downloaded. */
  get unsaved() {
    return this.#unsaved;
  }

  /** Begin anew. @param {{ language: string, type: string }} of */
  begin({ language, type }) {
    this.#of = { language, type, startedAt: new Date().toISOString() };
    this.#finals = [];
    this.#unsaved = false;
    for (const button of this.#buttons) button.disabled = true;
  }

  /** @param {Final} final */
  add(final) {
    this.#finals.push(final);
    this.#unsaved = true;
    for (const button of this.#buttons) button.disabled = false;
  }

  /** @param {keyof typeof FORMATS} format */
  #save(format) {
    const { kind, spell } = FORMATS[format];
    const text = spell({ ...this.#of, finals: this.#finals });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: `${kind};charset=utf-8` }));
    link.download = `captions-${this.#of.startedAt.slice(0, 19).replaceAll(":", "-")}.${format}`;
    link.click();
    // Some browsers read it only after the click.
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    this.#unsaved = false;
  }
}
