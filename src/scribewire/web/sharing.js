// Sharing: a link by which others read along, how many do, and its end.

import { ApiError } from "./api.js";
import { byId } from "./dom.js";

const LOOK_MS = 3_000;

/**
 * What is shared, and the part of the page that says so. `onChange` is told when sharing begins or ends; `onProblem` a
 * sentence.
 */
export class Sharing {
  /** The share that sessions are to be shown on. @type {string | null} */
  id = null;
  #onChange;
  #onProblem;
  /** @type {import("./api.js").Api | null} */
  #api = null;
  #timer = 0;
  #share = /** @type {HTMLButtonElement} */ (byId("share"));
  #place = byId("sharing");
  #link = /** @type {HTMLInputElement} */ (byId("share-link"));
  #viewers = byId("viewers");
  #copied = byId("copied");

  /** @param {{ onChange: () => void, onProblem: (sentence: string) => void }} listener */
  constructor({ onChange, onProblem }) {
    this.#onChange = onChange;
    this.#onProblem = onProblem;
    this.#share.addEventListener("click", () => this.#begin());
    byId("copy-link").addEventListener("click", () => this.#copy());
    byId("stop-sharing").addEventListener("click", () => this.#end());
    this.#link.addEventListener("focus", () => this.#link.select());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#look());
  }

  /** Use another key, or none; what the one before shared is forgotten. @param {import("./api.js").Api | null} api */
  use(api) {
    this.#api = api;
    this.forget();
    this.#share.disabled = !api;
  }

  /** Share no more: it has ended by itself. */
  forget() {
    this.id = null;
    clearTimeout(this.#timer);
    this.#place.hidden = true;
    this.#link.value = "";
    byId("overlay-link").setAttribute("href", "/captions");
    this.#share.hidden = false;
  }

  async #begin() {
    this.#share.disabled = true;
    try {
      const { id, secret } = await this.#call("POST", "/api/v4/realtime/shares");
      this.id = id;
      this.#link.value = `${location.origin}/watch#${secret}`;
      byId("overlay-link").setAttribute("href", `/captions#${secret}`);
      this.#viewers.textContent = "0 watching";
      this.#place.hidden = false;
      this.#share.hidden = true;
      this.#onChange();
      await this.#copy();
      this.#look();
    } catch (error) {
      this.#onProblem(sentenceOf(error));
    } finally {
      this.#share.disabled = !this.#api;
    }
  }

  async #end() {
    const { id } = this;
    try {
      await this.#call("DELETE", `/api/v4/realtime/shares/${id}`);
    } catch (error) {
      // What is not there any more has ended too.
      if (!(error instanceof ApiError && error.status === 404)) return this.#onProblem(sentenceOf(error));
    }
    this.forget();
    this.#onChange();
    this.#share.focus();
  }

  async #copy() {
    this.#link.focus();
    try {
      await navigator.clipboard.writeText(this.#link.value);
      this.#copied.textContent = "The link is copied.";
    } catch {
      this.#copied.textContent = "The browser did not let the page copy: the link is selected, copy it by hand.";
    }
  }

  async #look() {
    const { id } = this;
    clearTimeout(this.#timer);
    if (id === null || document.visibilityState !== "visible") return;
    try {
      const { viewers } = await this.#call("GET", `/api/v4/realtime/shares/${id}`);
      if (id !== this.id) return;
      this.#viewers.textContent = `${viewers} watching`;
    } catch (error) {
      if (id !== this.id) return;
      if (error instanceof ApiError && error.status === 404) {
        this.forget();
        this.#onChange();
        return this.#onProblem("The sharing is over: a link holds for a day.");
      }
      this.#viewers.textContent = "It is not known how many watch.";
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), LOOK_MS);
  }

  /** @param {string} method @param {string} path */
  #call(method, path) {
    if (!this.#api) throw new ApiError(401, "Not authenticated");
    return this.#api.call(method, path);
  }
}

/** @param {unknown} error */
const sentenceOf = (error) => (error instanceof ApiError ? error.detail : "The page could not do that.");
