// Now: who is where, and what happened last.

import { fill, h, keyed, say } from "../dom.js";
import { state, visitsOf, watch, whyNot } from "../store.js";
import { CAMERAS, ago, called, count } from "../words.js";
import { badge, cameraOf, eventList, peopleInView, ticking, to, worthTelling } from "./parts.js";

export function show(signal) {
  const summary = h("p", { class: "lead" });
  const cards = h("ul", { class: "cards" });
  const empty = h("div");
  const [events, updateEvents] = eventList(signal);
  const nothing = h("p", { class: "quiet" });
  const updateCards = keyed(cards, (processor) => processor.Name, card);

  watch(["processors", "visits", "cameras", "hello"], signal, () => {
    const processors = state.processors;
    updateCards(processors ?? []);
    say(summary, summed(processors));
    if (processors?.length === 0 && !empty.firstChild) fill(empty, welcome());
    else if (processors?.length !== 0) fill(empty);
  });
  watch(["events", "hello"], signal, () => {
    const told = state.events.filter(worthTelling);
    say(nothing, whyNot("event") || "Nothing has happened yet. Who comes and who goes will be told here.");
    nothing.hidden = told.length > 0;
    updateEvents(told);
  });
  ticking(signal, () => updateCards(state.processors ?? []));
  return {
    title: "Now",
    beside: h("a", { class: "button primary", href: "#/new" }, "New processor"),
    content: [
      summary,
      h(
        "div",
        { class: "columns" },
        h("section", { "aria-label": "Processors" }, empty, cards),
        h("section", { "aria-labelledby": "latest" }, h("h2", { id: "latest" }, "Latest"), nothing, events),
      ),
    ],
  };
}

function summed(processors) {
  if (processors === null) {
    return whyNot("processors") || "Asking the daemon …";
  }
  if (!processors.length) return "";
  const people = [...state.visits.values()].filter((visit) => processors.some((one) => one.Name === visit.Processor));
  const known = [...new Set(people.filter((visit) => visit.Person?.Known).map((visit) => called(visit.Person.Name)))];
  const strangers = people.length - people.filter((visit) => visit.Person?.Known).length;
  const others = strangers ? count(strangers, "stranger") : "";
  const who = [...known, ...(others ? [others] : [])];
  const watching = processors.filter((one) => one.Status === "RUNNING").length;
  const where = `${watching} of ${count(processors.length, "processor")} watching.`;
  return who.length ? `${listed(who)} in view. ${where}` : `Nobody in view. ${where}`;
}

function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function card(processor) {
  const { Name } = processor;
  const [status, setStatus] = badge();
  const [people, setPeople] = peopleInView();
  const nobody = h("p", { class: "quiet" });
  const figures = h("p", { class: "figures quiet" });
  const message = h("p", { class: "message" });
  const element = h(
    "li",
    { class: "card" },
    h("div", { class: "card-head" }, h("h2", {}, h("a", { href: to("processor", Name) }, Name)), status),
    people,
    nobody,
    message,
    figures,
  );
  return [
    element,
    (now) => {
      element.dataset.status = now.Status;
      setStatus(now.Status);
      const visits = visitsOf(Name);
      setPeople(visits);
      people.hidden = !visits.length;
      say(nobody, visits.length ? "" : lastSeen(now));
      nobody.hidden = !nobody.textContent;
      say(message, troubles(now));
      message.hidden = !message.textContent;
      say(figures, figured(now));
    },
  ];
}

function lastSeen(processor) {
  const last = state.events.find((event) => event.Processor === processor.Name && event.VisitId);
  const seen = last ? ` ${called(last.Person?.Name)} was last seen ${ago(last.LastSeen ?? last.At)}.` : "";
  return processor.Status === "RUNNING" ? `Nobody in view.${seen}` : seen.trim();
}

export function troubles(processor) {
  const camera = cameraOf(processor);
  const trouble = camera && camera.Status !== "LIVE" ? `Camera ${camera.Name}: ${CAMERAS[camera.Status] ?? camera.Status}. ${camera.StatusMessage ?? ""}` : "";
  return [processor.StatusMessage, trouble].filter(Boolean).join(" ");
}

export function figured(processor) {
  const told = [];
  if (processor.FramesPerSecond !== undefined) told.push(`${processor.FramesPerSecond.toFixed(1)} pictures a second`);
  if (processor.LagSeconds !== undefined) told.push(`${processor.LagSeconds.toFixed(1)} s behind`);
  told.push(processor.CollectionId);
  return told.join(" · ");
}

function welcome() {
  return h(
    "div",
    { class: "card welcome" },
    h("h2", {}, "Nothing is being watched yet"),
    h(
      "ol",
      {},
      h("li", {}, "Tell it who to know: ", h("a", { href: "#/people" }, "add people"), "."),
      h("li", {}, "Send it a camera: ", h("code", {}, "streamproc put-media rtsp://… --stream door"), ", or a line in ", h("code", {}, "[cameras]"), "."),
      h("li", {}, "Let it watch: ", h("a", { href: "#/new" }, "make a processor"), "."),
    ),
  );
}
