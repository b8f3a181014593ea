// The audio of a session: what is sent next on whichever socket there is, and what may have to be sent again.

// Positions are absolute samples of the caller's audio. What is settled can change no more, so the next socket begins
// there, and its times are shifted by where it began.

import { KeptAudio } from "./kept-audio.js";
import { msOfSamples, samplesOfMs, samplesOfS } from "./units.js";

/** @typedef {{ kind: "lost", startMs: number, endMs: number, silent: boolean }} Lost audio that was not kept */
/** @typedef {import("./wire.js").Word} Word */

// A second of audio in a frame lets stop and partials through between two; the contract allows a megabyte.
const FRAME_SAMPLES = samplesOfS(1);
// That may be unanswered; the service complains of a few more.
const MOST_FLUSHES = 8;
// A recogniser that learns a voice learns it from the first words, and a detector of speech remembers a while. So that
// those who begin in the middle know what they would, a socket after the first is sent the session's first utterance
// again (or as much of it), and what stands before the place where it goes on, each followed by a flush. What is heard
// in either is given to nobody.
const PREFACE_SAMPLES = samplesOfS(5);
const WARM_UP_SAMPLES = samplesOfS(3);
const SILENCE_SAMPLES = samplesOfMs(500); // before the first utterance
const WINDOW_SAMPLES = 512; // one step of the service
const RECOGNISER_FRAME_SAMPLES = samplesOfMs(10);
// An utterance is cut after a minute at the latest: so long without a final, nothing is being said.
const WORDLESS_SAMPLES = samplesOfS(60);
// Numbered below every flush that waits for its answer.
const PREFACE_FLUSH = JSON.stringify({ action: "flush", id: 0 });

/** Takes the caller's audio and the service's positions; gives frames. */
export class Feed {
  /** @type {Lost[]} */
  lost = [];
  #kept;
  #settled = 0;
  #sentUntil = 0;
  /** @type {{ number: number, position: number }[]} */
  #flushes = [];
  #asked = 0; // for finals of what lies before
  #lastFlush = 0;
  #preface = new Int16Array(0);

  // Of the present socket:
  #base = 0; // where in the session its audio begins
  #cursor = 0; // what is sent next
  /** @type {(string | Int16Array<ArrayBuffer>)[]} */
  #firstFrames = []; // sent before anything else
  #flushedUntil = 0; // the number of the last flush that was asked for on it

  /** @param {number} keptS */
  constructor(keptS) {
    this.#kept = new KeptAudio(samplesOfS(keptS));
  }

  /** How much audio waits to be sent. */
  get behindSamples() {
    return this.#kept.endSample - this.#cursor;
  }

  /** How much audio was ever sent. */
  get sentUntilMs() {
    return msOfSamples(this.#sentUntil);
  }

  /** How much of what was sent is to be sent again. */
  get replayedMs() {
    return msOfSamples(Math.max(0, this.#sentUntil - this.#cursor));
  }

  /** Whether every flush was answered. */
  get isAnswered() {
    return !this.#flushes.length;
  }

  /** Whether so much was heard without a word that nothing tells what of it may be forgotten. */
  get isWordless() {
    const wordless = this.#kept.endSample - Math.max(this.#settled, this.#asked);
    return wordless >= Math.max(WORDLESS_SAMPLES, this.#kept.boundSamples / 2);
  }

  /** @param {Int16Array} pcm */
  append(pcm) {
    this.#kept.append(pcm);
  }

  /** Ask for the finals of all audio so far. */
  ask() {
    this.#lastFlush += 1;
    this.#asked = this.#kept.endSample;
    this.#flushes.push({ number: this.#lastFlush, position: this.#asked });
  }

  // --- a socket ------------------------------------------------------------------------------------------------------

  /**
   * Choose where a socket's audio begins: at what is settled, or where anything is kept after that. Without `prepares`,
   * it is sent nothing that it has no need of.
   * @param {boolean} prepares
   */
  begin(prepares) {
    const begin = this.#kept.heldFrom(this.#settled);
    this.#reportLost(this.#settled, begin);
    this.#settled = begin;
    this.#cursor = prepares ? Math.max(begin - WARM_UP_SAMPLES, this.#kept.firstSample) : begin;
    const preface = prepares && this.#cursor > 0 ? this.#preface : new Int16Array(0);
    // Recognisers count in frames of 10 ms: they are to fall where they fell.
    const padding = remainder(this.#cursor - preface.length, RECOGNISER_FRAME_SAMPLES);
    this.#base = this.#cursor - preface.length - padding;
    const first = new Int16Array(preface.length + padding);
    first.set(preface);
    this.#firstFrames = cut(first);
    if (first.length) this.#firstFrames.push(PREFACE_FLUSH);
    if (this.#cursor < begin) {
      this.#firstFrames.push(...cut(this.#kept.read(this.#cursor, begin)), PREFACE_FLUSH);
      this.#cursor = begin;
    }
    this.#flushedUntil = 0;
  }

  /** Go back to what is settled: the socket is lost. */
  rewind() {
    this.#cursor = this.#settled;
  }

  /**
   * Give what is to be sent next, null when there is nothing for now.
   * @returns {string | Int16Array<ArrayBuffer> | null}
   */
  nextFrame() {
    const first = this.#firstFrames.shift();
    if (first !== undefined) return first;
    const flush = this.#flushes.find(({ number }) => number > this.#flushedUntil);
    const end = flush ? flush.position : this.#kept.endSample;
    if (this.#cursor < end) return this.#nextAudio(end);
    if (!flush || flush.number - this.#flushes[0].number >= MOST_FLUSHES) return null;
    this.#flushedUntil = flush.number;
    return JSON.stringify({ action: "flush", id: flush.number });
  }

  /** Whether all audio and every flush has been sent. */
  get isSent() {
    const isAsked = this.#flushedUntil >= (this.#flushes.at(-1)?.number ?? 0);
    return !this.#firstFrames.length && !this.behindSamples && isAsked;
  }

  /** @param {number} end */
  #nextAudio(end) {
    const start = this.#cursor;
    this.#cursor = Math.min(end, start + FRAME_SAMPLES);
    this.#reportLost(start, this.#cursor);
    this.#sentUntil = Math.max(this.#sentUntil, this.#cursor);
    return this.#kept.read(start, this.#cursor);
  }

  // --- what the service says -----------------------------------------------------------------------------------------

  /**
   * Take a final, and give it with the session's times; null when it was given before.
   * @param {import("./wire.js").Final} final
   * @returns {import("./wire.js").Final | null}
   */
  takeFinal(final) {
    const end = this.#position(final.offsetMs);
    if (end <= this.#settled) return null;
    const words = final.words.filter((word) => this.#base + samplesOfMs(word[2]) > this.#settled);
    const isWhole = words.length === final.words.length;
    const text = isWhole ? final.text : words.map((word) => word[0]).join(" ");
    const shifted = words.map((word) => this.#shift(word));
    if (shifted.length && !this.#preface.length) this.#preface = this.#prefaceOf(shifted[0], end);
    this.#settle(end);
    return { ...final, text, words: shifted, offsetMs: msOfSamples(end) };
  }

  /**
   * Give a partial's position in the session in milliseconds; null when all before it is settled.
   * @param {number} offsetMs
   */
  positionMs(offsetMs) {
    const position = this.#position(offsetMs);
    return position > this.#settled ? msOfSamples(position) : null;
  }

  /**
   * Take that a flush was answered, and say whether it was one that waited for it.
   * @param {number | string | null} mark
   */
  takeFlushed(mark) {
    const answered = this.#flushes.filter(({ number }) => typeof mark === "number" && number <= mark);
    for (const { position } of answered) this.#settle(position);
    this.#flushes.splice(0, answered.length);
    return answered.length > 0;
  }

  /** Give the position that a socket's milliseconds stand for, never past what was sent. @param {number} offsetMs */
  #position(offsetMs) {
    return Math.min(this.#base + samplesOfMs(offsetMs), this.#cursor);
  }

  /**
   * Give the audio of the session's first utterance, with some silence before it.
   * @param {Word} first @param {number} end
   */
  #prefaceOf(first, end) {
    const wanted = Math.max(samplesOfMs(first[1]) - SILENCE_SAMPLES, this.#kept.firstSample);
    const start = Math.max(wanted - (wanted % WINDOW_SAMPLES), this.#kept.firstSample); // where a window began
    return this.#kept.read(start, Math.min(end, start + PREFACE_SAMPLES));
  }

  /** @param {Word} word @returns {Word} */
  #shift([text, startMs, endMs, confidence]) {
    const settledMs = msOfSamples(this.#settled);
    /** @param {number} ms */
    const shifted = (ms) => Math.max(msOfSamples(this.#base + samplesOfMs(ms)), settledMs);
    return [text, shifted(startMs), shifted(endMs), confidence];
  }

  /** @param {number} position */
  #settle(position) {
    this.#settled = Math.max(this.#settled, position);
    this.#kept.release(this.#settled - WARM_UP_SAMPLES);
  }

  /** @param {number} start @param {number} end */
  #reportLost(start, end) {
    for (const { startSample, endSample, silent } of this.#kept.takeLost(start, end)) {
      this.lost.push({ kind: "lost", startMs: msOfSamples(startSample), endMs: msOfSamples(endSample), silent });
    }
  }
}

/** @param {Int16Array<ArrayBuffer>} pcm @returns {(string | Int16Array<ArrayBuffer>)[]} */
function cut(pcm) {
  const count = Math.ceil(pcm.length / FRAME_SAMPLES);
  return Array.from({ length: count }, (_, at) => pcm.subarray(at * FRAME_SAMPLES, (at + 1) * FRAME_SAMPLES));
}

/** @param {number} a @param {number} b */
const remainder = (a, b) => ((a % b) + b) % b;
