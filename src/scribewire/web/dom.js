// What the pages do to the document, in a few words.

/**
 * Give the element with an id.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return /** @type {T} */ (found);
}

/**
 * Say a state: in words, by its colour, and by a name that does not change with the words.
 * @param {HTMLElement} element @param {string} state @param {"good" | "warn" | "bad" | "idle"} tone
 * @param {string} sentence
 */
export function setState(element, state, tone, sentence) {
  element.dataset.state = state;
  element.dataset.tone = tone;
  // What is set again is read out again.
  if (element.textContent !== sentence) element.textContent = sentence;
}

/**
 * Give a time or a length for people: 0:07, 12:30, 1:02:03, and with tenths 0:07.4.
 * @param {number} ms @param {{ tenths?: boolean }} [how]
 */
export function clockOf(ms, { tenths = false } = {}) {
  const seconds = Math.floor(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const whole = hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
  return tenths ? `${whole}.${Math.floor(ms / 100) % 10}` : whole;
}
