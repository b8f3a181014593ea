// The console's wiring: a key opens it, and what the service says of itself is shown as long as the page is looked at.

import { Api, ApiError } from "./api.js";
import { ChartsPanel } from "./console-charts.js";
import { setText } from "./console-dom.js";
import { clock } from "./console-format.js";
import { KeysPanel } from "./console-keys.js";
import { Poll } from "./console-poll.js";
import { ServicePanel } from "./console-service.js";
import { SessionsPanel } from "./console-sessions.js";
import { WorkersPanel } from "./console-workers.js";
import { byId } from "./dom.js";

// How often to ask for what changes slowly.
const SLOW_MS = 10_000;
const LOCKED_OUT = new Set([401, 403]);

/** @type {Api | null} */
let api = null;
let isOwn = (/** @type {string} */ _prefix) => false;
let shownAtMs = 0;

const poll = new Poll(ask);
const service = new ServicePanel(call, refresh);
const workers = new WorkersPanel(call, refresh);
const sessions = new SessionsPanel(refresh);
const charts = new ChartsPanel(refresh);
const keys = new KeysPanel(call, (prefix) => isOwn(prefix), refresh);
const panels = [service, workers, sessions, charts, keys];

/**
 * What is asked for, how often, and who shows it or says that it failed.
 * @typedef {{
 *   path: string, everyMs: number, panel: { fail: (sentence: string) => void }, show: (said: any) => void,
 * }} Feed
 */
/** @type {(Feed & { dueMs: number })[]} */
const FEEDS = [
  { path: "/api/v4/realtime/status", everyMs: 0, dueMs: 0, panel: service, show: (said) => service.showStatus(said) },
  {
    path: "/api/v4/fleet",
    everyMs: 0,
    dueMs: 0,
    panel: workers,
    show: (said) => {
      service.showFleet(said);
      workers.show(said);
    },
  },
  { path: "/api/v4/sessions/live", everyMs: 0, dueMs: 0, panel: sessions, show: (said) => sessions.show(said) },
  { path: "/api/v4/fleet/history", everyMs: SLOW_MS, dueMs: 0, panel: charts, show: (said) => charts.show(said) },
  { path: "/api/v4/keys", everyMs: SLOW_MS, dueMs: 0, panel: keys, show: (said) => keys.show(said) },
];

/** Ask for all that is due, and show it. What fails is due again at once. */
async function ask() {
  const asked = api;
  if (!asked) return { failed: false };
  const nowMs = performance.now();
  const due = FEEDS.filter(({ dueMs }) => dueMs <= nowMs);
  const answers = await Promise.all(due.map((feed) => answerOf(asked, feed)));
  if (api !== asked) return { failed: false };
  const refusals = answers.flatMap(({ refusal }) => refusal ?? []);
  const lockedOut = refusals.find(isLockedOut);
  if (lockedOut) {
    leave(lockedOut);
    return { failed: false };
  }
  // Where nothing at all is answered it is said once and not by every panel.
  const silent = refusals.length === due.length;
  for (const { feed, said, refusal } of answers) {
    if (!refusal) {
      feed.dueMs = nowMs + feed.everyMs;
      feed.show(said);
    } else if (!silent) feed.panel.fail(refusal.detail);
  }
  if (!silent) shownAtMs = Date.now();
  showProblem(silent ? refusals[0].detail : "");
  const retryAfterS = Math.max(0, ...refusals.map((refusal) => refusal.retryAfterS ?? 0));
  return { failed: refusals.length > 0, retryAfterS };
}

/**
 * Give what is said on a feed, or why nothing is.
 * @template {Feed} F
 * @param {Api} asked @param {F} feed
 */
async function answerOf(asked, feed) {
  try {
    return { feed, said: await asked.call("GET", feed.path), refusal: null };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { feed, said: null, refusal: error };
  }
}

/** @param {unknown} error */
const isLockedOut = (error) => error instanceof ApiError && LOCKED_OUT.has(error.status);

/**
 * Make a call with the key in use. An answer that comes after the key was forgotten is nobody's: it never does.
 * @param {string} method @param {string} path @param {object} [body]
 * @returns {Promise<any>}
 */
async function call(method, path, body) {
  const asked = api;
  try {
    const said = await asked?.call(method, path, body);
    if (api === asked) return said;
  } catch (error) {
    if (api === asked && isLockedOut(error)) leave(/** @type {ApiError} */ (error));
    if (api === asked) throw error;
  }
  return new Promise(() => {});
}

/** Ask anew for everything, after something was changed or at a wish. */
function refresh() {
  for (const feed of FEEDS) feed.dueMs = 0;
  poll.now();
}

/** @param {string} sentence */
function showProblem(sentence) {
  byId("problem").hidden = sentence === "";
  setText(byId("problem-sentence"), sentence);
  setText(byId("updated"), shownAtMs ? `Updated at ${clock(shownAtMs)}` : "");
  document.body.classList.toggle("stale", sentence !== "");
}

/** Open the console, if the service lets this key. */
async function enter() {
  const field = /** @type {HTMLInputElement} */ (byId("key"));
  const button = byId("connect");
  const typed = field.value.trim();
  if (!typed || button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  setText(byId("sign-in-problem"), "");
  const tried = new Api(typed);
  try {
    await tried.call("GET", "/api/v4/fleet");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    refuse(error);
    return;
  } finally {
    button.removeAttribute("aria-disabled");
  }
  field.value = "";
  api = tried;
  isOwn = (prefix) => typed.startsWith(prefix);
  shownAtMs = 0;
  showProblem("");
  for (const feed of FEEDS) feed.dueMs = 0;
  byId("sign-in").hidden = true;
  byId("console").hidden = false;
  byId("service-title").focus();
  poll.start();
}

/** Forget the key and all that it showed, and say why if it was not asked for. @param {ApiError} [error] */
function leave(error) {
  poll.stop();
  api = null;
  isOwn = () => false;
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  for (const panel of panels) panel.clear();
  byId("console").hidden = true;
  byId("sign-in").hidden = false;
  if (error) refuse(error);
  byId("key").focus();
}

/** @param {ApiError} error */
function refuse({ status, detail }) {
  const more = status === 403 ? " The console needs a key with the scope admin." : "";
  setText(byId("sign-in-problem"), `${detail.replace(/[.]?$/, ".")}${more}`);
}

byId("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  enter();
});
byId("forget").addEventListener("click", () => leave());
byId("retry").addEventListener("click", refresh);
