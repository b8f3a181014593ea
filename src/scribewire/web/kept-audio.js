// The audio that may have to be sent again, by absolute sample: bounded, and silence is let go of first.

import { samplesOfMs } from "./units.js";

// What is judged and let go of at a time: a tenth of a second, no longer than a pause between words.
export const BLOCK_SAMPLES = samplesOfMs(100);
// Of 32,768: what no sample passes in a room where nobody speaks, and any voice worth hearing does.
const QUIET_PEAK = 400;
// What stands in place of a block that was let go of.
const SILENCE = Symbol("silence");
const SOUND = Symbol("sound");

/** @typedef {{ startSample: number, endSample: number, silent: boolean }} Span */

/** A window of the session's audio. What was let go of reads as digital silence. */
export class KeptAudio {
  #boundBlocks;
  /** @type {(Int16Array | symbol)[]} */
  #blocks = [];
  #tail = new Int16Array(BLOCK_SAMPLES);
  #tailSamples = 0;
  #firstBlock = 0;
  #heldBlocks = 0;
  /** @type {Set<number>} */
  #told = new Set();
  #judgedBlock = 0; // of the blocks before it, those that are held are not silent

  /** @param {number} boundSamples */
  constructor(boundSamples) {
    this.#boundBlocks = Math.max(1, Math.floor(boundSamples / BLOCK_SAMPLES));
  }

  /** How much is kept at most. */
  get boundSamples() {
    return this.#boundBlocks * BLOCK_SAMPLES;
  }

  /** The position of the first sample that can be read. */
  get firstSample() {
    return this.#firstBlock * BLOCK_SAMPLES;
  }

  /** The position after the last sample. */
  get endSample() {
    return this.firstSample + this.#blocks.length * BLOCK_SAMPLES + this.#tailSamples;
  }

  /**
   * Keep more; past the bound the oldest silence goes, or the oldest sound when there is none.
   * @param {Int16Array} pcm
   */
  append(pcm) {
    let at = 0;
    while (at < pcm.length) {
      const part = pcm.subarray(at, at + BLOCK_SAMPLES - this.#tailSamples);
      this.#tail.set(part, this.#tailSamples);
      this.#tailSamples += part.length;
      at += part.length;
      if (this.#tailSamples < BLOCK_SAMPLES) return;
      this.#blocks.push(this.#tail.slice());
      this.#tailSamples = 0;
      this.#heldBlocks += 1;
      if (this.#heldBlocks > this.#boundBlocks) this.#letOneGo();
    }
  }

  /**
   * Forget whole blocks before a position: they are not needed any more.
   * @param {number} beforeSample
   */
  release(beforeSample) {
    let count = 0;
    while (count < this.#blocks.length && (this.#firstBlock + 1) * BLOCK_SAMPLES <= beforeSample) {
      if (typeof this.#blocks[count] !== "symbol") this.#heldBlocks -= 1;
      this.#told.delete(this.#firstBlock);
      this.#firstBlock += 1;
      count += 1;
    }
    this.#blocks.splice(0, count);
    this.#judgedBlock = Math.max(this.#judgedBlock, this.#firstBlock);
  }

  /**
   * Give a stretch, which must lie in the window.
   * @param {number} startSample @param {number} endSample
   * @returns {Int16Array<ArrayBuffer>}
   */
  read(startSample, endSample) {
    const pcm = new Int16Array(endSample - startSample);
    for (let number = blockOf(startSample); number * BLOCK_SAMPLES < endSample; number++) {
      const block = this.#at(number);
      if (typeof block === "symbol") continue;
      const first = number * BLOCK_SAMPLES;
      const from = Math.max(startSample, first);
      pcm.set(block.subarray(from - first, Math.min(endSample, first + BLOCK_SAMPLES) - first), from - startSample);
    }
    return pcm;
  }

  /**
   * Give the first position from `sample` on that was not let go of.
   * @param {number} sample
   */
  heldFrom(sample) {
    let number = blockOf(sample);
    if (typeof this.#at(number) !== "symbol") return sample;
    while (typeof this.#at(number) === "symbol") number += 1;
    return number * BLOCK_SAMPLES;
  }

  /**
   * Give the spans of a stretch that were let go of and not given before.
   * @param {number} startSample @param {number} endSample
   * @returns {Span[]}
   */
  takeLost(startSample, endSample) {
    /** @type {Span[]} */
    const spans = [];
    for (let number = blockOf(startSample); number * BLOCK_SAMPLES < endSample; number++) {
      const gone = this.#at(number);
      if (typeof gone !== "symbol" || this.#told.has(number)) continue;
      this.#told.add(number);
      const silent = gone === SILENCE;
      const start = Math.max(number * BLOCK_SAMPLES, startSample);
      const end = (number + 1) * BLOCK_SAMPLES;
      const last = spans.at(-1);
      if (last && last.endSample === start && last.silent === silent) last.endSample = end;
      else spans.push({ startSample: start, endSample: end, silent });
    }
    return spans;
  }

  /** @param {number} number */
  #at(number) {
    return this.#blocks[number - this.#firstBlock] ?? this.#tail;
  }

  #letOneGo() {
    for (let number = this.#judgedBlock; number < this.#firstBlock + this.#blocks.length; number++) {
      const block = this.#at(number);
      this.#judgedBlock = number + 1;
      if (typeof block !== "symbol" && isQuiet(block)) {
        this.#replace(number, SILENCE);
        return;
      }
    }
    this.#replace(this.#firstBlock + this.#blocks.findIndex((block) => typeof block !== "symbol"), SOUND);
  }

  /** @param {number} number @param {symbol} gone */
  #replace(number, gone) {
    this.#blocks[number - this.#firstBlock] = gone;
    this.#heldBlocks -= 1;
  }
}

/** @param {number} sample */
const blockOf = (sample) => Math.floor(sample / BLOCK_SAMPLES);

/** @param {Int16Array} block */
const isQuiet = (block) => block.every((sample) => sample >= -QUIET_PEAK && sample <= QUIET_PEAK);
