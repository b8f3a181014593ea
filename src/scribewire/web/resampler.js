// The resampler: audio of any rate to 16 kHz by a polyphase FIR low-pass, however the audio is cut into blocks.

import { SAMPLE_RATE_HZ } from "./units.js";

// Zero crossings of the sinc on each side, at the lower of both rates; with the window below, what lies above 8 kHz is
// weakened by 80 dB and what lies under 7 kHz passes as it is. The delay is 3 ms.
const CROSSINGS = 48;
const KAISER_BETA = 8;
// The middle of the slope, of half the lower rate: the slope ends where mirrored frequencies would begin to be heard.
const CUTOFF = 0.948;
// Rates that are in no simple ratio to 16 kHz use the nearest of so many positions between two samples.
const MAX_PHASES = 2048;

/** Turns blocks of samples at `rateHz` (8,000 to 192,000) into blocks at 16 kHz; the first of both are of one time. */
export class Resampler {
  #step;
  #scale;
  #phases;
  #half;
  #isPlain;
  #filters;
  #kept;
  #center;
  #rest = 0;
  #taken = 0;
  #given = 0;

  /** @param {number} rateHz */
  constructor(rateHz) {
    const divisor = greatestCommon(rateHz, SAMPLE_RATE_HZ);
    this.#step = rateHz / divisor; // input samples per output sample, as step / scale
    this.#scale = SAMPLE_RATE_HZ / divisor;
    this.#phases = Math.min(this.#scale, MAX_PHASES);
    const lowest = Math.min(1, SAMPLE_RATE_HZ / rateHz);
    this.#half = Math.ceil(CROSSINGS / lowest);
    this.#isPlain = rateHz === SAMPLE_RATE_HZ;
    this.#filters = this.#isPlain ? [] : filtersOf(this.#phases, this.#half, lowest);
    // What may still be needed, beginning with the silence before the first sample.
    this.#kept = new Float32Array(this.#half);
    this.#center = this.#half; // in `#kept`, of the next output sample, with `#rest / #scale` beyond it
  }

  /**
   * Take a block, and give what is certain by it.
   * @param {Float32Array} block
   * @returns {Float32Array}
   */
  push(block) {
    if (this.#isPlain) return block.slice();
    this.#taken += block.length;
    return this.#run(block, Infinity);
  }

  /**
   * Give what is left, as if silence followed.
   * @returns {Float32Array}
   */
  finish() {
    if (this.#isPlain) return new Float32Array(0);
    const total = Math.ceil((this.#taken * this.#scale) / this.#step);
    return this.#run(new Float32Array(this.#half + 1), total - this.#given);
  }

  /** @param {Float32Array} block @param {number} most */
  #run(block, most) {
    const samples = new Float32Array(this.#kept.length + block.length);
    samples.set(this.#kept);
    samples.set(block, this.#kept.length);
    const room = Math.ceil(((samples.length - this.#center) * this.#scale) / this.#step) + 1;
    const output = new Float32Array(Math.max(0, Math.min(room, most)));
    let count = 0;
    while (count < output.length) {
      let phase = Math.round((this.#rest * this.#phases) / this.#scale);
      let center = this.#center;
      if (phase === this.#phases) [phase, center] = [0, center + 1];
      if (center + this.#half >= samples.length) break;
      output[count++] = weigh(samples, center - this.#half + 1, this.#filters[phase]);
      this.#rest += this.#step;
      this.#center += Math.floor(this.#rest / this.#scale);
      this.#rest %= this.#scale;
    }
    this.#given += count;
    const first = Math.min(this.#center - this.#half, samples.length);
    this.#kept = samples.slice(first);
    this.#center -= first;
    return output.subarray(0, count);
  }
}

/**
 * Give the mean of several channels.
 * @param {Float32Array[]} channels of one length
 * @returns {Float32Array}
 */
export function mixDown(channels) {
  if (channels.length === 1) return channels[0];
  const mixed = new Float32Array(channels[0].length);
  for (const channel of channels) {
    for (let at = 0; at < mixed.length; at++) mixed[at] += channel[at] / channels.length;
  }
  return mixed;
}

/**
 * Give samples from -1 to 1 as 16-bit integers; what is louder is cut off.
 * @param {Float32Array} samples
 * @returns {Int16Array}
 */
export function toPcm(samples) {
  const pcm = new Int16Array(samples.length);
  for (let at = 0; at < pcm.length; at++) {
    pcm[at] = Math.max(-32_768, Math.min(32_767, Math.round(samples[at] * 32_768)));
  }
  return pcm;
}

/** @param {Float32Array} samples @param {number} first @param {Float32Array} filter */
function weigh(samples, first, filter) {
  let sum = 0;
  for (let tap = 0; tap < filter.length; tap++) sum += samples[first + tap] * filter[tap];
  return sum;
}

/**
 * Give a filter for each position between two input samples, each of unit gain for a constant.
 * @param {number} phases @param {number} half @param {number} lowest the lower rate, as a share of the input's
 */
function filtersOf(phases, half, lowest) {
  const width = CUTOFF * lowest;
  return Array.from({ length: phases }, (_, phase) => {
    const filter = new Float32Array(2 * half);
    let gain = 0;
    for (let tap = 0; tap < filter.length; tap++) {
      const distance = tap + 1 - half - phase / phases;
      filter[tap] = sinc(width * distance) * kaiser(distance / half);
      gain += filter[tap];
    }
    return filter.map((weight) => weight / gain);
  });
}

/** @param {number} x */
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** @param {number} x from the middle (0) to an end (-1, 1) */
const kaiser = (x) => (Math.abs(x) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - x * x)) / bessel(KAISER_BETA));

/** The modified Bessel function of order zero, by its power series. @param {number} x */
function bessel(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** @param {number} a @param {number} b @returns {number} */
const greatestCommon = (a, b) => (b === 0 ? a : greatestCommon(b, a % b));
