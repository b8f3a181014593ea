// How the console spells times, sizes and figures.

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const DAY_TIME = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
/** @type {[number, string, number, string][]} */
const STEPS = [
  [86_400, "d", 3_600, "h"],
  [3_600, "h", 60, "min"],
  [60, "min", 1, "s"],
];

/** What stands where there is no figure. */
export const NONE = "–";

/** @param {string} at a time as the service spells it */
export const day = (at) => DAY.format(new Date(at)).replaceAll(" ", "\u00a0"); // never torn

/** @param {string} at a time as the service spells it */
export const dayTime = (at) => DAY_TIME.format(new Date(at));

/** @param {number} atMs */
export const clock = (atMs) => CLOCK.format(atMs);

/** @param {number} atMs */
export const minute = (atMs) => MINUTE.format(atMs);

/**
 * Spell a length of time by its two largest units: «1 h 5 min».
 * @param {number} lengthS
 */
export function duration(lengthS) {
  const whole = Math.max(0, Math.floor(lengthS));
  for (const [large, largeUnit, small, smallUnit] of STEPS) {
    if (whole < large) continue;
    const rest = Math.floor((whole % large) / small);
    return `${Math.floor(whole / large)} ${largeUnit}${rest ? ` ${rest} ${smallUnit}` : ""}`;
  }
  return `${whole} s`;
}

/**
 * Spell a lag.
 * @param {number | null} lagS
 */
export function lag(lagS) {
  if (lagS === null) return NONE;
  return `${lagS < 10 ? lagS.toFixed(2) : lagS.toFixed(0)} s`;
}

/**
 * Spell an amount of memory.
 * @param {number} bytes
 */
export function memory(bytes) {
  const mib = bytes / 1024 ** 2;
  return mib < 1024 ? `${Math.round(mib)} MiB` : `${(mib / 1024).toFixed(1)} GiB`;
}

/**
 * Spell a count with its noun: «1 worker», «2 workers».
 * @param {number} number
 * @param {string} noun
 */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
