// The keys: listed, made with a secret that is shown once, and revoked.

import { isSure } from "./console-confirm.js";
import { make, setBadge, setText } from "./console-dom.js";
import { NONE, day, dayTime } from "./console-format.js";
import { Panel, sentenceOfError } from "./console-panel.js";
import { Rows } from "./console-table.js";
import { byId } from "./dom.js";

/**
 * A key as the service tells of it.
 * @typedef {{
 *   id: string, name: string, prefix: string, scopes: string[], created_at: string, expires_at: string | null,
 *   revoked_at: string | null, max_sessions: number | null,
 * }} Key
 */

/** Shows the keys, makes and revokes them. */
export class KeysPanel {
  #panel;
  #rows;
  #call;
  #isOwn;
  #refresh;
  /** @type {Key[]} */
  #keys = [];
  #form = /** @type {HTMLFormElement} */ (byId("key-form"));
  #problem = byId("key-problem");
  #secret = /** @type {HTMLDialogElement} */ (byId("secret-dialog"));

  /**
   * @param {(method: string, path: string, body?: object) => Promise<any>} call
   * @param {(prefix: string) => boolean} isOwn says whether the key in use begins so
   * @param {() => void} refresh
   */
  constructor(call, isOwn, refresh) {
    this.#call = call;
    this.#isOwn = isOwn;
    this.#refresh = refresh;
    this.#panel = new Panel(byId("keys"), refresh);
    /** @type {import("./console-table.js").Column<Key>[]} */
    const columns = [
      { label: "Name", text: ({ name }) => name },
      { label: "Secret", text: ({ prefix }) => `${prefix}…${isOwn(prefix) ? " (in use here)" : ""}` },
      { label: "Scopes", text: ({ scopes }) => scopes.join(", ") },
      { label: "Made", text: ({ created_at }) => day(created_at) },
      { label: "Ends", text: ({ expires_at }) => (expires_at ? dayTime(expires_at) : "Never") },
      { label: "Most sessions", text: ({ max_sessions }) => `${max_sessions ?? NONE}` },
      {
        label: "State",
        fill: (cell, key) => setBadge(cell, stateOf(key), stateOf(key) === "active" ? "good" : "idle"),
      },
      { label: "Action", fill: (cell, key) => this.#fillAction(cell, key) },
    ];
    const table = /** @type {HTMLTableElement} */ (byId("keys-table"));
    this.#rows = new Rows(table, columns, ({ id }) => id, this.#panel.heading);
    byId("keys-all").addEventListener("change", () => this.#showKeys());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#create();
    });
    byId("copy-secret").addEventListener("click", copySecret);
    byId("close-secret").addEventListener("click", () => this.#secret.close());
    this.#secret.addEventListener("close", forgetSecret);
  }

  clear() {
    this.#panel.clear();
    this.#keys = [];
    this.#rows.show([]);
    this.#form.reset();
    setText(this.#problem, "");
    byId("create-key").removeAttribute("aria-disabled");
    forgetSecret();
  }

  /** @param {string} sentence */
  fail(sentence) {
    this.#panel.fail(sentence);
  }

  /** @param {Key[]} keys */
  show(keys) {
    this.#keys = keys;
    this.#showKeys();
    this.#panel.fill();
  }

  #showKeys() {
    const all = /** @type {HTMLInputElement} */ (byId("keys-all")).checked;
    this.#rows.show(this.#keys.filter((key) => all || stateOf(key) === "active"));
  }

  /** @param {HTMLElement} cell @param {Key} key */
  #fillAction(cell, key) {
    if (stateOf(key) !== "active") {
      if (cell.contains(document.activeElement)) this.#panel.heading.focus();
      setText(cell, NONE);
      return;
    }
    if (cell.querySelector("button")) return;
    const button = make("button", "Revoke", { type: "button", class: "danger", "aria-label": `Revoke ${key.name}` });
    button.addEventListener("click", () => this.#revoke(key));
    cell.replaceChildren(button);
  }

  async #create() {
    const wish = new FormData(this.#form);
    const endsAt = String(wish.get("expires_at"));
    const mostSessions = String(wish.get("max_sessions"));
    const submit = byId("create-key");
    if (submit.getAttribute("aria-disabled")) return;
    setText(this.#problem, "");
    if (!wish.getAll("scopes").length) {
      setText(this.#problem, "Choose at least one scope.");
      return;
    }
    submit.setAttribute("aria-disabled", "true");
    try {
      const made = await this.#call("POST", "/api/v4/keys", {
        name: wish.get("name"),
        scopes: wish.getAll("scopes"),
        expires_at: endsAt ? new Date(endsAt).toISOString() : null,
        max_sessions: mostSessions ? Number(mostSessions) : null,
      });
      this.#form.reset();
      this.#showSecret(made);
    } catch (error) {
      setText(this.#problem, sentenceOfError(error));
    } finally {
      submit.removeAttribute("aria-disabled");
    }
    this.#refresh();
  }

  /** @param {{ name: string, key: string }} made */
  #showSecret({ name, key }) {
    setText(byId("secret-title"), `The key «${name}» is made`);
    setText(byId("new-secret"), key);
    this.#secret.showModal();
  }

  /** @param {Key} key */
  async #revoke({ id, name, prefix }) {
    const own = this.#isOwn(prefix) ? " It is the key in use here: this console will close." : "";
    const sure = await isSure({
      title: `Revoke «${name}»?`,
      sentence: `Calls with it are refused at once, and its live sessions end. This cannot be undone.${own}`,
      action: "Revoke",
    });
    if (!sure) return;
    this.#panel.refuse("");
    try {
      await this.#call("DELETE", `/api/v4/keys/${encodeURIComponent(id)}`);
    } catch (error) {
      this.#panel.refuse(sentenceOfError(error));
    }
    this.#refresh();
  }
}

/** @param {Key} key @returns {"revoked" | "expired" | "active"} */
function stateOf({ revoked_at: revokedAt, expires_at: expiresAt }) {
  if (revokedAt) return "revoked";
  return expiresAt && Date.parse(expiresAt) <= Date.now() ? "expired" : "active";
}

async function copySecret() {
  const secret = byId("new-secret");
  try {
    await navigator.clipboard.writeText(secret.textContent);
    setText(byId("copied"), "Copied.");
  } catch {
    // Without TLS a browser keeps its clipboard to itself.
    getSelection()?.selectAllChildren(secret);
    setText(byId("copied"), "It is selected: press Ctrl+C or ⌘C.");
  }
}

function forgetSecret() {
  setText(byId("new-secret"), "");
  setText(byId("copied"), "");
}
