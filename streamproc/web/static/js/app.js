// The frame around the views: routes, the banner, the form for a key, what is read aloud.

import { askBy, key, setKey } from "./api.js";
import { fill, h, icon, say } from "./dom.js";
import { listen, onEvent, state, watch } from "./store.js";
import { called, told } from "./words.js";
import { askForKey } from "./login.js";

const VIEWS = [
  ["", "Now", "now", () => import("./views/now.js")],
  ["people", "People", "people", () => import("./views/people.js")],
  ["jobs", "Jobs", "jobs", () => import("./views/jobs.js")],
  ["system", "System", "system", () => import("./views/system.js")],
];
const OTHERS = {
  processor: () => import("./views/processor.js"),
  new: () => import("./views/create.js"),
};

const main = document.querySelector("#main");
const links = VIEWS.map(([route, title, name]) => h("a", { href: `#/${route}` }, icon(name), h("span", {}, title)));
document.querySelector("#nav").append(...links);

let view = null; // ends what the view before began

async function go() {
  if (!location.hash.startsWith("#/") && location.hash) return; // a place within the page
  const isFirst = view === null;
  view?.abort();
  view = new AbortController();
  const { signal } = view;
  const [route, ...parameters] = location.hash.slice(2).split("/").map(decodeURIComponent);
  const at = VIEWS.findIndex(([name]) => name === route);
  links.forEach((link, index) => (index === at ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current")));
  const load = at >= 0 ? VIEWS[at][3] : OTHERS[route];
  if (!load) return void (location.hash = "#/");
  let shown;
  try {
    const { show } = await load();
    if (signal.aborted) return;
    shown = show(signal, ...parameters);
  } catch (error) {
    shown = { title: "Not shown", content: h("p", {}, `This view could not be loaded. ${told(error).join(" ")}`) };
    let isBroken = false;
    watch(["link"], signal, () => {
      if (isBroken && state.link === "live") location.reload();
      isBroken ||= state.link !== "live";
    });
  }
  if (signal.aborted) return;
  document.title = `${shown.title} · streamproc`;
  fill(main, h("div", { class: "title" }, h("h1", { tabindex: "-1" }, shown.title), shown.beside), shown.content);
  scrollTo(0, 0);
  if (!isFirst) main.querySelector("h1").focus({ preventScroll: true });
}

addEventListener("hashchange", go);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

const forever = new AbortController().signal;
const linkText = document.querySelector("#link");
const banner = document.querySelector("#banner");
let lostSince = null;
let bannerDue = null;

watch(["link"], forever, () => {
  linkText.dataset.link = state.link;
  say(linkText, { connecting: "Connecting", live: "Live", lost: "No connection", refused: "Not allowed" }[state.link]);
  clearTimeout(bannerDue);
  if (state.link === "live" || state.link === "connecting") {
    if (lostSince) announce("Connected again.");
    lostSince = null;
    fill(banner);
  } else {
    lostSince ??= Date.now();
    // A blink is not worth a word.
    bannerDue = setTimeout(warn, state.link === "lost" ? Math.max(0, 1500 - (Date.now() - lostSince)) : 0);
  }
});

function warn() {
  const [what, remedy] =
    state.link === "lost"
      ? ["The daemon does not answer.", "What you see may be old. The page connects again by itself; if it does not, look whether streamproc is running."]
      : told(state.trouble);
  const text = [what, remedy].filter(Boolean).join(" ");
  if (banner.textContent !== text) fill(banner, h("p", {}, h("strong", {}, what), remedy ? ` ${remedy}` : ""));
}

// What happens is read aloud; several at once in one sentence.
const announcer = document.querySelector("#announcer");
let heard = [];

function announce(text) {
  heard.push(text);
  if (heard.length > 1) return;
  setTimeout(() => {
    announcer.textContent = heard.slice(-4).join(" ");
    heard = [];
  }, 400);
}

onEvent(forever, (event) => {
  const name = called(event.Person?.Name);
  if (event.Event === "enter") announce(`${name} came into view of ${event.Processor}.`);
  if (event.Event === "exit" && event.Reason !== "merged") announce(`${name} left ${event.Processor}.`);
  if (event.Change === "identified") announce(`${name} recognised at ${event.Processor}, was ${called(event.WasName)}.`);
  if (event.Event === "state" && event.Status === "FAILED") announce(`${event.Processor} failed. ${event.StatusMessage ?? ""}`);
});

const leave = document.querySelector("#leave");
askBy(async (why) => {
  setKey(await askForKey(why));
  leave.hidden = false;
  listen(); // the stream is another key's
  return key;
});
leave.hidden = !key;
leave.addEventListener("click", () => {
  setKey(null);
  location.reload();
});

listen();
go().then(() => {
  // The other views too, so that they are there when the daemon is not.
  const others = [...VIEWS.map(([, , , load]) => load), ...Object.values(OTHERS)];
  (window.requestIdleCallback ?? setTimeout)(() => Promise.allSettled(others.map((load) => load())));
});
