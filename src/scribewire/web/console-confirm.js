// The question before what cannot be undone.

import { setText } from "./console-dom.js";
import { byId } from "./dom.js";

/**
 * Ask; give whether the answer was yes. Escape, and closing in any other way, is no.
 * @param {{title: string, sentence: string, action: string}} question
 * @returns {Promise<boolean>}
 */
export function isSure({ title, sentence, action }) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("confirm"));
  const yes = byId("confirm-yes");
  setText(byId("confirm-title"), title);
  setText(byId("confirm-sentence"), sentence);
  setText(yes, action);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const close = new AbortController();
    yes.addEventListener("click", () => dialog.close("yes"), { signal: close.signal });
    byId("confirm-no").addEventListener("click", () => dialog.close(), { signal: close.signal });
    dialog.addEventListener(
      "close",
      () => {
        close.abort();
        resolve(dialog.returnValue === "yes");
      },
      { signal: close.signal },
    );
  });
}
