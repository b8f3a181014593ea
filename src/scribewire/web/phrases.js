// Phrases: how much room words take on a screen, and where between two of them a caption breaks well.

// The rules are those of the service's own captions (docs/captions.md).

/** @typedef {{ text: string, startMs: number, endMs: number }} TimedWord */

// A line holds 42 letters, or 16 characters that are as wide as they are high; in these units both fill it.
export const LETTER_ROOM = 8;
const WIDE_ROOM = 21;
export const LINE_ROOM = 42 * LETTER_ROOM;

/** @param {string} words */
const listed = (words) => new Set(words.split(" "));

const SENTENCE_ENDS = /[.?!…。？！]["'”’»)\]」』）】]*$/u;
const CLAUSE_ENDS = /[,;:—–、，；：]["'”’»)\]」』）】]*$/u;
// East Asian Wide and Fullwidth (UAX #11), by the blocks that hold them.
const WIDE =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\u33FF\u3400-\u4DBF\u4E00-\uA4CF\uA960-\uA97C\uAC00-\uD7A3\uF900-\uFAFF\uFE10-\uFE19\uFE30-\uFE6B\uFF01-\uFF60\uFFE0-\uFFE6\u{1F300}-\u{1F64F}\u{1F680}-\u{1F6FF}\u{1F900}-\u{1F9FF}\u{20000}-\u{3FFFD}]/u;
const HANGUL = /\p{Script=Hangul}/u;

// A line breaks before conjunctions and prepositions, and does not part a noun from its article or a verb from its
// subject. Known in English; in other languages only punctuation counts.
const OPENERS = /** @type {Record<string, Set<string>>} */ ({
  en: listed(
    "about above across after against along although among and around as at because before behind below beneath " +
      "beside between beyond but by despite down during except for from if in inside into like near nor of off on " +
      "onto or out over past since so than that though through till to toward towards under unless until up upon " +
      "when where whereas whether which while who with within without",
  ),
});
const LEANERS = /** @type {Record<string, Set<string>>} */ ({
  en: listed(
    "a an the my your his her its our their this these those every each no i he she we they am is are was were be " +
      "been have has had do does did will would can could shall should may might must not very",
  ),
});

/** Say whether a character is as wide as it is high. @param {string} letter */
export const isWide = (letter) => WIDE.test(letter);

/** Give the room that a text takes on a line. @param {string} text */
export function roomOf(text) {
  let room = 0;
  for (const letter of text) room += isWide(letter) ? WIDE_ROOM : LETTER_ROOM;
  return room;
}

/**
 * Give what stands between two words: nothing where both are of a script without blanks.
 * @param {string} left @param {string} right
 */
export function blankBetween(left, right) {
  const letters = [[...left].at(-1) ?? "", [...right][0] ?? ""];
  return letters.every((letter) => isWide(letter) && !HANGUL.test(letter)) ? "" : " ";
}

/** Give words as one line. @param {readonly TimedWord[]} words */
export function join(words) {
  return words.map(({ text }, at) => (at ? blankBetween(words[at - 1].text, text) + text : text)).join("");
}

/**
 * Cut a word that is longer than a line, where its script may be cut anywhere; its time is shared out evenly.
 * @param {TimedWord} word
 * @returns {TimedWord[]}
 */
export function piecesOf(word) {
  const letters = [...word.text];
  if (roomOf(word.text) <= LINE_ROOM || !letters.every(isWide)) return [word];
  const count = Math.ceil(letters.length / Math.floor(LINE_ROOM / WIDE_ROOM));
  const spanMs = word.endMs - word.startMs;
  /** @param {number} whole @param {number} at */
  const share = (whole, at) => Math.floor((at * whole) / count);
  return Array.from({ length: count }, (_, at) => ({
    text: letters.slice(share(letters.length, at), share(letters.length, at + 1)).join(""),
    startMs: word.startMs + share(spanMs, at),
    endMs: word.startMs + share(spanMs, at + 1),
  }));
}

/** Say whether a sentence ends with this word. @param {string} word */
export const endsSentence = (word) => SENTENCE_ENDS.test(word);

/**
 * Say how bad a break between two words is, from 0 (a sentence ends) to 200 (an article loses its noun).
 * @param {string} left @param {string} right @param {string} language a primary subtag
 */
export function flawBetween(left, right, language) {
  if (endsSentence(left)) return 0;
  if (CLAUSE_ENDS.test(left)) return 5;
  const [before, after] = [left.toLowerCase(), right.toLowerCase()];
  if (OPENERS[language]?.has(before) || LEANERS[language]?.has(before)) return 200;
  return OPENERS[language]?.has(after) ? 10 : 20;
}
