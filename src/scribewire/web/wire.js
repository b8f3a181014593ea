// What the pages understand of the wire: messages in, typed values or refusals out.

/**
 * Why something did not go, in the service's own sentence where it gave one.
 * @typedef {{ sentence: string, code: string, retryable: boolean, retryAfterS: number | null }} Refusal
 */
/** @typedef {[text: string, startMs: number, endMs: number, confidence: number]} Word */
/** @typedef {{ kind: "final", text: string, words: Word[], offsetMs: number, speaker: string | null }} Final */
/** @typedef {{ kind: "partial", text: string, offsetMs: number, stability: number }} Partial */
/** @typedef {{ kind: "state", state: string, sessionId: string, at: number | null, live: boolean }} State */
/** @typedef {{ kind: "flushed", mark: number | string | null }} Flushed */
/** @typedef {{ kind: "refused", refusal: Refusal }} Refused */

const RETRYABLE = new Set([
  "at_capacity",
  "disconnected",
  "engine_failed",
  "never_ready",
  "rate_limited",
  "scaled_down",
  "service_stopping",
  "session_limit",
  "unreachable",
]);

/**
 * @param {string} sentence @param {string} code @param {number | null} [retryAfterS]
 * @returns {Refusal}
 */
export function refusalOf(sentence, code, retryAfterS = null) {
  return { sentence, code, retryable: RETRYABLE.has(code), retryAfterS };
}

export const UNREACHABLE = refusalOf("The service does not answer.", "unreachable");
export const DISCONNECTED = refusalOf("The connection closed before the end of the session.", "disconnected");
const UNREADABLE = refusalOf("The service sent a message that this page does not understand.", "");

/**
 * Read one message of the service.
 * @param {unknown} text
 * @returns {Final | Partial | State | Flushed | Refused}
 */
export function parse(text) {
  const said = objectOf(text);
  if (!said) return { kind: "refused", refusal: UNREADABLE };
  if ("error" in said) {
    const retryAfterS = typeof said.retry_after === "number" ? said.retry_after : null;
    return { kind: "refused", refusal: refusalOf(String(said.error), String(said.code ?? ""), retryAfterS) };
  }
  if ("state" in said) {
    const { state, session_id: sessionId, at, live } = said;
    return { kind: "state", state, sessionId: sessionId ?? "", at: at ?? null, live: live === true };
  }
  if ("flushed" in said) return { kind: "flushed", mark: said.flushed };
  if (typeof said.text !== "string" || typeof said.offset_ms !== "number") {
    return { kind: "refused", refusal: UNREADABLE };
  }
  const { text: spoken, offset_ms: offsetMs } = said;
  if (!said.is_final) return { kind: "partial", text: spoken, offsetMs, stability: said.stability ?? 0 };
  return { kind: "final", text: spoken, words: said.words ?? [], offsetMs, speaker: said.speaker ?? null };
}

/** @param {unknown} text @returns {Record<string, any> | null} */
function objectOf(text) {
  if (typeof text !== "string") return null;
  try {
    const said = JSON.parse(text);
    return typeof said === "object" && said !== null && !Array.isArray(said) ? said : null;
  } catch {
    return null;
  }
}
