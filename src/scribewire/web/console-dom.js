// What the parts of the console do to the document: make and fill elements, touching none that stays the same.

/** @typedef {"good" | "warn" | "bad" | "idle"} Tone */

/**
 * Make an element.
 * @param {string} tag
 * @param {string} [text]
 * @param {Record<string, string>} [attributes]
 * @returns {HTMLElement}
 */
export function make(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

/**
 * Set the text of an element, unless it has it: what is set again is read out again, and loses a selection.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Make an element a badge that says a state, in words and by its colour.
 * @param {HTMLElement} element
 * @param {string} state as the service spells it
 * @param {Tone} tone
 */
export function setBadge(element, state, tone) {
  element.className = "badge";
  element.dataset.tone = tone;
  setText(element, sentenceOf(state));
}

/**
 * Spell a word of the service for people: `scaled_down` is «Scaled down».
 * @param {string} word
 */
export function sentenceOf(word) {
  const spaced = word.replaceAll("_", " ");
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
