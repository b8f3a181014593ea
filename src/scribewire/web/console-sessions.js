// The sessions that are live: whose, since when, how far behind; never what they say.

import { NONE, clock, duration, lag } from "./console-format.js";
import { Panel } from "./console-panel.js";
import { Rows } from "./console-table.js";
import { byId } from "./dom.js";

/**
 * A live session as the service tells of it.
 * @typedef {{
 *   session_id: string, key_name: string, started_at: string, language: string, type: string, dialect: string,
 *   worker: string, audio_ms: number, lag_s: number | null,
 * }} LiveSession
 */

/** Shows the live sessions. */
export class SessionsPanel {
  #panel;
  #rows;

  /** @param {() => void} refresh */
  constructor(refresh) {
    this.#panel = new Panel(byId("sessions"), refresh);
    /** @type {import("./console-table.js").Column<LiveSession>[]} */
    const columns = [
      { label: "Key", text: ({ key_name }) => key_name },
      { label: "Since", text: ({ started_at }) => clock(Date.parse(started_at)) },
      // By the clock of this machine, which may be behind that of the service.
      { label: "For", text: ({ started_at }) => duration((Date.now() - Date.parse(started_at)) / 1000) },
      { label: "Audio", text: ({ audio_ms }) => duration(audio_ms / 1000) },
      { label: "Lag", text: ({ lag_s }) => lag(lag_s) },
      { label: "Language", text: ({ language }) => language },
      { label: "Type", text: ({ type }) => type },
      { label: "Dialect", text: ({ dialect }) => dialect },
      { label: "Worker", text: ({ worker }) => worker || NONE },
    ];
    const table = /** @type {HTMLTableElement} */ (byId("sessions-table"));
    this.#rows = new Rows(table, columns, ({ session_id }) => session_id, this.#panel.heading);
  }

  clear() {
    this.#panel.clear();
    this.#rows.show([]);
  }

  /** @param {string} sentence */
  fail(sentence) {
    this.#panel.fail(sentence);
  }

  /** @param {LiveSession[]} sessions */
  show(sessions) {
    this.#rows.show(sessions);
    this.#panel.fill(sessions.length ? "" : "No session is live.");
  }
}
