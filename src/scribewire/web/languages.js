// Which language and type to transcribe: what the service has, in two lists of which the second follows the first.

import { byId } from "./dom.js";

const TYPE_NAMES = /** @type {Record<string, string>} */ ({ fast: "Fast", quality: "Quality" });

/** What the page may ask the service for. */
export class Languages {
  #language = /** @type {HTMLSelectElement} */ (byId("language"));
  #type = /** @type {HTMLSelectElement} */ (byId("type"));
  /** @type {Map<string, string[]>} */
  #types = new Map();

  constructor() {
    this.#language.addEventListener("change", () => this.#showTypes());
  }

  /** The chosen language, as the service spells it. */
  get language() {
    return this.#language.value;
  }

  /** The chosen type. */
  get type() {
    return this.#type.value;
  }

  /** @param {{ default: string, languages: { language: string, types: string[] }[] }} said */
  show(said) {
    this.#types = new Map(said.languages.map(({ language, types }) => [language, types]));
    const options = said.languages.map(({ language }) => new Option(nameOf(language), language));
    this.#language.replaceChildren(...options);
    this.#language.value = said.default;
    if (!this.#language.value) this.#language.selectedIndex = 0;
    this.#showTypes();
  }

  #showTypes() {
    const types = this.#types.get(this.language) ?? [];
    this.#type.replaceChildren(...types.map((type) => new Option(TYPE_NAMES[type] ?? type, type)));
  }
}

/** @param {string} tag */
function nameOf(tag) {
  try {
    return new Intl.DisplayNames(["en"], { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag; // a configured name that is no language tag
  }
}
