// Cues: timed words cut as broadcasters cut captions.

// The rules are those of the service's own captions (docs/captions.md): at most 2 lines of 42 letters, 1 to 7 s, 80 ms
// apart, at most 20 letters a second, broken at pauses first, then at punctuation and before phrases. Where speech is
// too quick for all of them, words and their order come first, then the length of lines, then time.

import { Layout } from "./layout.js";
import { LETTER_ROOM, LINE_ROOM, endsSentence, flawBetween, join, piecesOf } from "./phrases.js";

/** @typedef {import("./phrases.js").TimedWord} TimedWord */
/** @typedef {{ startMs: number, endMs: number, lines: string[] }} Cue */

const MAX_LINES = 2;
const MIN_CUE_MS = 1_000;
const MAX_CUE_MS = 7_000;
const MIN_GAP_MS = 80;
const CLOSED_GAP_MS = 500;
const LETTERS_PER_S = 20;
// No cue spans such a pause: it would show what is said only after it.
const LONG_PAUSE_MS = 1_000;
// From here on a pause is as good a place to break as there is.
const GOOD_PAUSE_MS = 600;
// What a cue costs by itself, beside the flaws of its breaks: it ends early for a long pause, but not for a small one.
const CUE_COST = 40;
// What is looked at before a cue is settled: enough for the one after it, so that no word is left over alone.
const AHEAD_ROOM = 2 * MAX_LINES * LINE_ROOM;
const AHEAD_MS = 2 * MAX_CUE_MS;

/**
 * Cut words, in their order, into cues.
 * @param {readonly TimedWord[]} words @param {string} language a language tag
 * @returns {Cue[]}
 */
export function cuesOf(words, language) {
  const captioner = new Captioner(language.toLowerCase().split(/[-_]/)[0]);
  for (const word of words.flatMap(clean).flatMap(piecesOf)) captioner.take(word);
  captioner.settle(undefined);
  return captioner.cues;
}

/** Takes words, and settles a cue as soon as no later word can change it: a file is the same, whenever it is made. */
class Captioner {
  /** @type {Cue[]} */
  cues = [];
  #language;
  /** @type {TimedWord[]} */
  #open = [];

  /** @param {string} language a primary subtag */
  constructor(language) {
    this.#language = language;
  }

  /** @param {TimedWord} word */
  take(word) {
    const last = this.#open.at(-1);
    if (last && word.startMs - last.endMs >= LONG_PAUSE_MS) this.settle(word);
    this.#open.push(word);
    while (this.#open.length > 1 && this.#seesEnough()) {
      const [first] = new Cutter(this.#open, this.#language).cut(false);
      this.#give(this.#open.splice(0, first), this.#open[0]);
    }
  }

  /** Give what is left. @param {TimedWord | undefined} following */
  settle(following) {
    const words = this.#open;
    let at = 0;
    for (const end of new Cutter(words, this.#language).cut(true)) {
      this.#give(words.slice(at, end), words[end] ?? following);
      at = end;
    }
    this.#open = [];
  }

  #seesEnough() {
    const [words, count] = [this.#open, this.#open.length];
    if (words[count - 1].endMs - words[0].startMs > AHEAD_MS) return true;
    return new Layout(words, "").room(0, count) > AHEAD_ROOM;
  }

  /** @param {TimedWord[]} words @param {TimedWord | undefined} following */
  #give(words, following) {
    this.cues.push(cueOf(words, following, this.#language, this.cues.at(-1)));
  }
}

/** @param {TimedWord} word @returns {TimedWord[]} */
function clean({ text, startMs, endMs }) {
  const trimmed = text.split(/\s+/u).filter(Boolean).join(" ");
  return trimmed ? [{ text: trimmed, startMs, endMs: Math.max(startMs, endMs) }] : [];
}

/** Finds where to break words, so that all cues together are the best. */
class Cutter {
  #words;
  #language;
  #layout;

  /** @param {TimedWord[]} words @param {string} language */
  constructor(words, language) {
    this.#words = words;
    this.#language = language;
    this.#layout = new Layout(words, language);
  }

  /** Give where each cue ends; the last may yet grow unless `ended`. @param {boolean} ended */
  cut(ended) {
    const count = this.#words.length;
    const cheapest = [{ cost: 0, first: 0 }];
    for (let end = 1; end <= count; end++) {
      const leaving = end === count ? 0 : this.#leavingFlaw(end);
      let best = { cost: Infinity, first: end - 1 };
      for (let first = end - 1; first >= 0; first--) {
        const split = this.#fit(first, end);
        if (!split) break;
        let cost = cheapest[first].cost + CUE_COST + split.flaw + leaving + this.#insideFlaw(first, end);
        if (end < count) cost += this.#haste(first, end);
        if (end < count || ended) cost += 30 * (1 - this.#layout.room(first, end) / (MAX_LINES * LINE_ROOM)) ** 2;
        if (cost <= best.cost) best = { cost, first };
      }
      cheapest.push(best);
    }
    const ends = count ? [count] : [];
    while (ends.length && cheapest[ends[0]].first) ends.unshift(cheapest[ends[0]].first);
    return ends;
  }

  /** Give the lines of a cue, null when it is too long; a word alone is never. @param {number} first @param {number} end */
  #fit(first, end) {
    const spanMs = this.#words[end - 1].endMs - this.#words[first].startMs;
    return end - first > 1 && spanMs > MAX_CUE_MS ? null : this.#layout.split(first, end);
  }

  /** Say how bad it is that a cue ends before this word. @param {number} end */
  #leavingFlaw(end) {
    const [left, right] = this.#words.slice(end - 1, end + 1);
    const hurry = 1 - Math.min(pauseMs(left, right), GOOD_PAUSE_MS) / GOOD_PAUSE_MS;
    return flawBetween(left.text, right.text, this.#language) + 60 * hurry;
  }

  /** Say how bad it is that a cue goes on over its pauses and sentences. @param {number} first @param {number} end */
  #insideFlaw(first, end) {
    let flaw = 0;
    for (let at = first + 1; at < end; at++) {
      const [left, right] = this.#words.slice(at - 1, at + 1);
      flaw += Math.max(0, pauseMs(left, right) - 300) / 8 + (endsSentence(left.text) ? 15 : 0);
    }
    return flaw;
  }

  /** Say how much of the time that a cue should stand is missing. @param {number} first @param {number} end */
  #haste(first, end) {
    const standsMs = Math.min(this.#words[end].startMs - MIN_GAP_MS - this.#words[first].startMs, MAX_CUE_MS);
    const wantedMs = readingMs(this.#layout.room(first, end));
    return (100 * Math.max(0, wantedMs - standsMs)) / wantedMs + (standsMs < MIN_CUE_MS ? 200 : 0);
  }
}

/**
 * @param {TimedWord[]} words @param {TimedWord | undefined} following @param {string} language
 * @param {Cue | undefined} before
 * @returns {Cue}
 */
function cueOf(words, following, language, before) {
  const layout = new Layout(words, language);
  const startMs = Math.max(words[0].startMs, before ? before.endMs + MIN_GAP_MS : 0);
  const wantedMs = Math.max(MIN_CUE_MS, readingMs(layout.room(0, words.length)));
  let endMs = Math.max(words[words.length - 1].endMs, startMs + wantedMs);
  if (following && following.startMs - endMs <= CLOSED_GAP_MS) endMs = following.startMs - MIN_GAP_MS;
  // Where words come too quickly for that, the next cue waits.
  endMs = Math.min(Math.max(endMs, startMs + MIN_CUE_MS), startMs + MAX_CUE_MS);
  const at = layout.split(0, words.length)?.at ?? words.length;
  return { startMs, endMs, lines: [join(words.slice(0, at)), join(words.slice(at))].filter(Boolean) };
}

/** @param {TimedWord} left @param {TimedWord} right */
const pauseMs = (left, right) => Math.max(0, right.startMs - left.endMs);

/** @param {number} room */
const readingMs = (room) => Math.floor((room * 1_000) / (LETTER_ROOM * LETTERS_PER_S));
