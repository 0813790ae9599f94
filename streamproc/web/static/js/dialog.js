// Dialogs: the browser's own, which keep focus inside and give it back.

import { h } from "./dom.js";
import { told } from "./words.js";

/** Shows a dialog with these contents until it is closed. Answers with its return value. */
export function open(title, build, { wide = false } = {}) {
  const heading = h("h2", { id: `dialog-${++dialogs}` }, title);
  const dialog = h("dialog", { class: wide ? "wide" : "", "aria-labelledby": heading.id }, heading);
  const close = (value = "") => dialog.close(value);
  dialog.append(...[build(close)].flat());
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

let dialogs = 0;

/** Asks before something is lost, and does it: true once it is done. */
export async function confirm(title, lost, verb, carryOut) {
  const answer = await open(title, (close) => {
    const trouble = problem();
    const go = h("button", { class: "danger", type: "button" }, verb);
    go.addEventListener("click", () =>
      busy(go, trouble, async () => {
        await carryOut();
        close("done");
      }),
    );
    return [
      h("p", {}, lost),
      trouble,
      h("div", { class: "actions" }, h("button", { type: "button", autofocus: true, onclick: () => close() }, "Keep"), go),
    ];
  });
  return answer === "done";
}

/** A place for an error, next to what caused it; screen readers are told. */
export function problem() {
  return h("div", { class: "problem", role: "alert" });
}

export function complain(place, error) {
  const [what, remedy] = typeof error === "string" ? [error, ""] : told(error);
  place.replaceChildren(h("strong", {}, what), remedy ? ` ${remedy}` : "");
}

/** Runs what a button begins: one at a time, errors told in place. */
export async function busy(button, place, act) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  place.replaceChildren();
  try {
    await act();
  } catch (error) {
    complain(place, error);
  } finally {
    button.removeAttribute("aria-busy");
  }
}
