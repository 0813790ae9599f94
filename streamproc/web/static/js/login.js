// The form for an access key. The key stays in this tab and signs; it is never sent.

import { h } from "./dom.js";

const REGION = "streamproc-region";

/** A key as the person types it. Asks until one is given. */
export function askForKey(why) {
  const field = (label, members) => {
    const input = h("input", { autocapitalize: "off", autocorrect: "off", spellcheck: "false", ...members });
    return [input, h("label", {}, label, input)];
  };
  const [id, idField] = field("Access key id", { name: "id", required: true, autocomplete: "username", autofocus: true });
  const [secret, secretField] = field("Secret access key", { name: "secret", type: "password", required: true, autocomplete: "off" });
  const [token, tokenField] = field("Session token, for a temporary key", { name: "token", type: "password", autocomplete: "off" });
  const [region, regionField] = field("Region", { name: "region", required: true, value: localStorage.getItem(REGION) ?? "us-east-1" });
  const dialog = h(
    "dialog",
    { "aria-labelledby": "login-title", class: "login" },
    h("h2", { id: "login-title" }, "Who are you?"),
    h("p", {}, "This daemon asks for a key. Make one with ", h("code", {}, "streamproc keys create"), "."),
    crypto.subtle ? null : h("p", { class: "problem", role: "alert" }, "Browsers sign only on https:// or on localhost. Open the console there: here no key can be used."),
    why ? h("p", { class: "problem", role: "alert" }, `That key was not taken: ${why}`) : null,
    h(
      "form",
      { method: "dialog" },
      idField,
      secretField,
      h("details", {}, h("summary", {}, "Temporary key, other region"), tokenField, regionField),
      h("p", { class: "quiet" }, "It stays in this tab, where it signs what the page asks for. It is forgotten when the tab is closed."),
      h("div", { class: "actions" }, h("button", { class: "primary" }, "Sign in")),
    ),
  );
  document.body.append(dialog);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      localStorage.setItem(REGION, region.value.trim());
      resolve({ id: id.value.trim(), secret: secret.value.trim(), token: token.value.trim(), region: region.value.trim() });
    });
  });
}
