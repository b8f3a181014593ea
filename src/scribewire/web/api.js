// The REST side of the service, as the pages call it with a key that is held in memory alone.

// Starting the service may take a worker's whole start; nothing else takes long.
const USUAL_WAIT_S = 20;
const INITIALIZE_WAIT_S = 180;

/** Why a call did not succeed. */
export class ApiError extends Error {
  /**
   * @param {number} status of HTTP, 0 when nothing answered
   * @param {string} detail one sentence for people
   * @param {number | null} [retryAfterS]
   */
  constructor(status, detail, retryAfterS = null) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
    this.detail = detail;
    this.retryAfterS = retryAfterS;
  }

  /** Whether the same call may succeed later. */
  get retryable() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Calls with one key. */
export class Api {
  #key;

  /** @param {string} key */
  constructor(key) {
    this.#key = key;
  }

  /**
   * Give the answer as parsed JSON, undefined when it has none. Rejects with ApiError.
   * @param {string} method @param {string} path @param {unknown} [body]
   * @returns {Promise<any>}
   */
  async call(method, path, body) {
    const answer = await this.#fetch(method, path, body);
    const text = await answer.text().catch(() => "");
    const said = parsed(text);
    if (answer.ok) return said;
    throw new ApiError(answer.status, sentenceOf(answer.status, said), secondsOf(answer.headers.get("retry-after")));
  }

  /** @param {string} method @param {string} path @param {unknown} body */
  async #fetch(method, path, body) {
    const waitS = path.endsWith("/initialize") ? INITIALIZE_WAIT_S : USUAL_WAIT_S;
    // A header holds nothing else, and neither does a key.
    if (!/^[\x20-\x7e]*$/.test(this.#key)) throw new ApiError(401, "Not authenticated");
    /** @type {Record<string, string>} */
    const headers = { "x-api-key": this.#key };
    if (body !== undefined) headers["content-type"] = "application/json";
    try {
      return await fetch(path, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
        credentials: "omit",
        signal: AbortSignal.timeout(waitS * 1000),
      });
    } catch {
      throw new ApiError(0, "The service does not answer.");
    }
  }
}

/** @param {string} text */
function parsed(text) {
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

/** @param {number} status @param {any} said */
function sentenceOf(status, said) {
  const detail = said?.detail;
  if (typeof detail === "string" && detail) return detail;
  // What a body is found wrong for comes as a list.
  if (Array.isArray(detail)) return detail.map((row) => row?.msg ?? "").join("; ");
  return `The service answered with HTTP status ${status}.`;
}

/** @param {string | null} text */
const secondsOf = (text) => (text && /^\d+$/.test(text) ? Number(text) : null);
