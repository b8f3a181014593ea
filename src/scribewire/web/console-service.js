// The state of the service as a whole, and the button that starts it.

import { setBadge, setText } from "./console-dom.js";
import { count, duration } from "./console-format.js";
import { Panel, sentenceOfError } from "./console-panel.js";
import { byId } from "./dom.js";

/** @type {Record<string, import("./console-dom.js").Tone>} */
const TONES = { ready: "good", starting: "warn", scaled_down: "idle" };

/** Shows how the service stands, and initializes it. */
export class ServicePanel {
  #panel;
  #call;
  #refresh;
  #button = byId("initialize");
  #elapsed = byId("elapsed");
  #status = "";
  #ticking = 0;

  /**
   * @param {(method: string, path: string) => Promise<any>} call
   * @param {() => void} refresh
   */
  constructor(call, refresh) {
    this.#panel = new Panel(byId("service"), refresh);
    this.#call = call;
    this.#refresh = refresh;
    this.#button.addEventListener("click", () => this.#initialize());
  }

  clear() {
    this.#panel.clear();
    this.#status = "";
    this.#rest();
  }

  /** @param {string} sentence */
  fail(sentence) {
    this.#panel.fail(sentence);
  }

  /** @param {{status: string, message: string, endpoint: string}} readiness */
  showStatus({ status, message, endpoint }) {
    this.#status = status;
    setBadge(byId("status-badge"), status, TONES[status] ?? "idle");
    setText(byId("status"), message);
    setText(byId("endpoint"), endpoint);
    this.#offer();
    this.#panel.fill();
  }

  /** @param {{target: number, live: number, waiting: number, workers: {phase: string, slots: number}[]}} fleet */
  showFleet({ target, live, waiting, workers }) {
    const ready = workers.filter(({ phase }) => phase === "ready");
    const slots = ready.reduce((sum, worker) => sum + worker.slots, 0);
    setText(byId("figure-workers"), `${ready.length} of ${target}`);
    setText(byId("figure-live"), `${live}`);
    setText(byId("figure-waiting"), `${waiting}`);
    setText(byId("figure-slots"), count(slots, "slot"));
  }

  /** Show the button only where it does something, and do not leave the focus on one that goes. */
  #offer() {
    const wanted = this.#status === "scaled_down" || this.#ticking !== 0;
    if (!wanted && document.activeElement === this.#button) this.#panel.heading.focus();
    this.#button.hidden = !wanted;
  }

  async #initialize() {
    if (this.#ticking) return;
    this.#panel.refuse("");
    const beganMs = performance.now();
    const tick = () => setText(this.#elapsed, duration((performance.now() - beganMs) / 1000));
    tick();
    this.#ticking = setInterval(tick, 1000);
    this.#elapsed.hidden = false;
    // Not disabled: that would throw the focus away.
    this.#button.setAttribute("aria-disabled", "true");
    setText(this.#button, "Initializing …");
    const asked = this.#ticking;
    try {
      const readiness = await this.#call("POST", "/api/v4/realtime/initialize");
      if (this.#ticking !== asked) return;
      this.#rest();
      this.showStatus(readiness);
    } catch (error) {
      if (this.#ticking !== asked) return;
      this.#rest();
      this.#panel.refuse(sentenceOfError(error));
    }
    this.#refresh();
  }

  #rest() {
    clearInterval(this.#ticking);
    this.#ticking = 0;
    this.#elapsed.hidden = true;
    this.#button.removeAttribute("aria-disabled");
    setText(this.#button, "Initialize");
    this.#offer();
  }
}
