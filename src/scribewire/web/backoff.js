// How long to wait before the next attempt.

const FIRST_DELAY_S = 0.1;
const LONGEST_DELAY_S = 8;

/**
 * Give how long to wait after so many attempts in vain: twice as long each time, up to a half less by chance. A service
 * that says when to come again is obeyed, and its clients spread over another second.
 * @param {number} losses @param {number} chance from 0 to 1 @param {number | null} [retryAfterS]
 */
export function delayS(losses, chance, retryAfterS = null) {
  if (retryAfterS !== null) return retryAfterS + chance;
  return Math.min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** Math.min(losses, 16)) * (1 - chance / 2);
}
