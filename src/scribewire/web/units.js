// Audio arithmetic: the one format that is sent, s16le at 16 kHz, mono, and steps between samples and milliseconds.

export const SAMPLE_RATE_HZ = 16_000;
export const SAMPLE_BYTES = 2;

/**
 * @param {number} seconds
 * @returns {number} samples, rounded to the nearest
 */
export const samplesOfS = (seconds) => Math.round(seconds * SAMPLE_RATE_HZ);

/**
 * @param {number} milliseconds
 * @returns {number} samples, rounded to the nearest
 */
export const samplesOfMs = (milliseconds) => Math.round((milliseconds * SAMPLE_RATE_HZ) / 1000);

/**
 * @param {number} samples
 * @returns {number} whole milliseconds, rounded down: a time never points past the audio that it stands for
 */
export const msOfSamples = (samples) => Math.floor((samples * 1000) / SAMPLE_RATE_HZ);
