// What several views show alike: a processor's state, people in view, lists of events.

import { fill, h, keyed, say } from "../dom.js";
import { forget, pictureOf, portrait } from "../pictures.js";
import { state } from "../store.js";
import { STATES, ago, called, clock, duration, moment } from "../words.js";
import { nameStranger } from "../naming.js";

const EVENTS_SHOWN = 60;

export const to = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;

/** Status as a word with a colour and a shape. Answers [element, update(status)]. */
export function badge(words = STATES) {
  const element = h("span", { class: "badge" });
  return [
    element,
    (status) => {
      element.dataset.status = status;
      say(element, words[status] ?? status ?? "");
    },
  ];
}

/** Updates times such as "2 min ago" while they are shown. */
export function ticking(signal, update, everyMs = 1000) {
  update();
  const timer = setInterval(() => document.hidden || update(), everyMs);
  signal.addEventListener("abort", () => clearInterval(timer));
}

/** Who is in view: a list of people with pictures. Answers [element, update(visits)]. */
export function peopleInView() {
  const list = h("ul", { class: "in-view" });
  const update = keyed(
    list,
    (visit) => `${visit.VisitId} ${visit.Person?.Name}`,
    (visit) => {
      const person = visit.Person ?? {};
      if (!person.Known) forget(visit.VisitId);
      const since = h("span", { class: "quiet" });
      const element = h(
        "li",
        {},
        portrait(called(person.Name), visit.VisitId, person.Known),
        h("span", { class: "who" }, h("strong", {}, called(person.Name)), since),
        person.Known ? null : nameButton(visit),
      );
      return [element, (now) => say(since, `for ${duration((Date.now() - moment(now.FirstSeen)) / 1000)}`)];
    },
  );
  return [list, update];
}

function nameButton(visit) {
  const name = called(visit.Person?.Name);
  return h(
    "button",
    { type: "button", class: "small", "aria-label": `Name ${name}`, onclick: () => nameStranger(visit) },
    "Name",
  );
}

/** The latest events as a list. Answers [element, update(events)]. */
export function eventList(signal, { withProcessor = true } = {}) {
  const list = h("ol", { class: "events" });
  const times = new Map();
  const update = keyed(
    list,
    ({ event }) => event.Id,
    ({ event }) => {
      const time = h("time", { class: "quiet" });
      const naming = h("span", {});
      times.set(time, event);
      if (event.VisitId && !event.Person?.Known) canBeNamed(event, naming);
      return [eventLine(event, time, withProcessor, naming), ({ isNewest }) => (naming.hidden = !isNewest)];
    },
  );
  ticking(signal, () => {
    for (const [time, event] of times) {
      if (!time.isConnected) {
        if (!list.contains(time)) times.delete(time);
        continue;
      }
      say(time, ago(event.At));
      time.title = clock(event.At);
    }
  });
  return [
    list,
    (events) => {
      const told = new Set();
      const shown = events.slice(0, EVENTS_SHOWN).map((event) => {
        const isNewest = !told.has(event.VisitId);
        told.add(event.VisitId);
        return { event, isNewest };
      });
      update(shown);
      for (const [time, event] of times) say(time, ago(event.At));
    },
  ];
}

function eventLine(event, time, withProcessor, naming) {
  const where = withProcessor ? [" · ", h("a", { href: to("processor", event.Processor) }, event.Processor)] : [];
  const below = h("span", { class: "quiet" }, time, where);
  if (event.Event === "state") {
    const sentence = h("span", {}, `${event.Processor} `, h("strong", {}, (STATES[event.Status] ?? event.Status).toLowerCase()));
    return h(
      "li",
      { "data-event": "state", "data-status": event.Status },
      h("span", { class: "portrait state", "aria-hidden": "true" }),
      h("span", { class: "who" }, sentence, event.StatusMessage ? h("span", {}, event.StatusMessage) : null, below),
    );
  }
  const person = event.Person ?? {};
  const name = called(person.Name);
  return h(
    "li",
    { "data-event": event.Event },
    portrait(name, event.VisitId, person.Known),
    h("span", { class: "who" }, h("span", {}, h("strong", {}, name), ` ${happened(event)}`), below),
    naming,
  );
}

/** A button, once it is known that there is a picture to name. */
function canBeNamed(event, place) {
  pictureOf(event.VisitId).then((jpeg) => jpeg && fill(place, nameButton(event)));
}

const LEFT = {
  left: "left",
  stopped: "was last seen when it was stopped",
  failed: "was last seen when it failed",
  "video-lost": "was last seen when the video ended",
  deleted: "was last seen when it was deleted",
  merged: "is somebody already in view",
};

function happened(event) {
  if (event.Event === "enter") return "came into view";
  if (event.Change === "identified") return `recognised, was ${called(event.WasName)}`;
  if (event.Event === "update") return "is still in view";
  const stay = event.DurationSeconds > 0 ? ` after ${duration(event.DurationSeconds)}` : "";
  return (LEFT[event.Reason] ?? "left") + (event.Reason === "left" ? stay : "");
}

/** What a person wants to see of the log: no updates but a name found, no steps of a start. */
export function worthTelling(event) {
  if (event.Event === "update") return event.Change === "identified";
  if (event.Event === "exit") return event.Reason !== "merged";
  if (event.Event === "state") return event.PreviousStatus && !["STARTING", "STOPPING"].includes(event.Status);
  return true;
}

/** The camera that feeds a processor, where the daemon runs one. */
export function cameraOf(processor) {
  return state.cameras.find((camera) => camera.StreamName === processor.VideoStreamName);
}
