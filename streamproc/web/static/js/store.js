// What the page knows: snapshots and events as the daemon tells them, one truth for all views.
//
// One tab of a browser listens for all of them: HTTP/1.1 gives a browser six connections to a
// place, and ten tabs may be open. Who holds the lock listens, the others hear by a channel.

import { get, key, rekognition } from "./api.js";
import { follow } from "./sse.js";
import { codeOf, moment } from "./words.js";

const EVENTS_MAX = 200;
const HISTORY_MAX = 120; // snapshots, of about a second each
const MISSED_MAX = 1000; // events; with more, the latest are asked for instead
const SNAPSHOTS = ["hello", "processors", "present", "cameras", "outlets", "jobs", "health"];
const TOPICS = ["link", "hello", "processors", "visits", "cameras", "outlets", "jobs", "health", "events"];

const nothing = () => ({
  link: "connecting", // live, lost, refused
  trouble: null, // the error behind lost or refused
  hello: {},
  troubles: {}, // by topic: why nothing comes of it
  processors: null, // null: not yet told
  visits: new Map(), // open visits by VisitId
  cameras: [],
  outlets: [],
  jobs: null,
  health: null,
  events: [], // newest first
  history: new Map(), // by processor: [{fps, lag, faces}]
});

export const state = nothing();

const bus = new EventTarget();

/** Calls hear() now and whenever one of these topics has changed, until signal is aborted. */
export function watch(topics, signal, hear) {
  for (const topic of topics) bus.addEventListener(topic, hear, { signal });
  hear();
}

/** Calls hear(event) for each new event of the log. */
export function onEvent(signal, hear) {
  bus.addEventListener("happened", (message) => hear(message.detail), { signal });
}

const told = new Map(); // the last message of each snapshot, for tabs that come later
let newestId = null;
let channel = null;
let generation = null;
let leading = null; // the signal with which this tab listens for all, once it does

/** Begins to listen, knowing nothing: at first, and after another key was given. */
export function listen() {
  generation?.abort();
  generation = new AbortController();
  const { signal } = generation;
  Object.assign(state, nothing());
  told.clear();
  newestId = null;
  changed(...TOPICS);
  const name = `streamproc ${key?.id ?? ""} ${key?.region ?? ""}`;
  channel?.close();
  channel = new BroadcastChannel(name);
  channel.addEventListener("message", ({ data }) => hear(data));
  channel.postMessage({ event: "who" });
  load(signal);
  if (!navigator.locks) return lead(signal); // plain HTTP from another machine
  navigator.locks.request(name, { signal }, () => lead(signal)).catch((error) => {
    if (!signal.aborted) throw error;
  });
}

/** The latest events of the log; who is in view is told by `present`. */
async function load(signal) {
  for (;;) {
    try {
      const answer = await rekognition("ListStreamprocEvents", { MaxResults: EVENTS_MAX }, signal);
      if (signal.aborted) return;
      for (const event of [...(answer.Events ?? [])].sort((a, b) => a.Id - b.Id)) place(event, false);
      changed("events");
      return;
    } catch (error) {
      if (signal.aborted || error.code !== "Unreachable") return;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

function lead(signal) {
  leading = signal;
  let after = null;
  return follow(
    (attempt) => {
      after = newestId;
      return get("events", after === null ? {} : { after }, attempt);
    },
    (message) => {
      const data = JSON.parse(message.data);
      if (message.event === "hello" && after !== null && isElsewhere(after, data.NewestId)) both({ event: "anew" });
      else both({ ...message, data });
    },
    (error) => both({ event: "lost", data: error ? { code: codeOf(error), message: error.message } : null }),
    signal,
  );
}

/** Whether the log is another one by now (its data folder is), or too far ahead. */
const isElsewhere = (known, newest) => newest < known || newest > known + MISSED_MAX;

function both(message) {
  channel.postMessage(message);
  hear(message);
}

function hear({ event, data }) {
  if (event === "who") {
    if (leading && !leading.aborted) for (const message of told.values()) channel.postMessage(message);
    return;
  }
  if (event === "anew") return listen();
  if (event === "lost") {
    // Without a code of the daemon's own it is the connection that broke.
    const code = codeOf(data);
    state.link = code && code !== "Unreachable" && !code.startsWith("Http5") ? "refused" : "lost";
    state.trouble = data;
    changed("link");
    return;
  }
  if (state.link !== "live") {
    state.link = "live";
    state.trouble = null;
    changed("link");
  }
  if (SNAPSHOTS.includes(event)) told.set(event, { event, data });
  if (state.troubles[event]) {
    delete state.troubles[event];
    changed("hello");
  }
  take[event]?.(data);
}

const take = {
  hello(data) {
    state.hello = data;
    state.troubles = {};
    changed("hello");
  },
  event(data) {
    if (place(data, true)) bus.dispatchEvent(new CustomEvent("happened", { detail: data }));
    changed("events", "visits");
  },
  processors({ Processors }) {
    state.processors = Processors;
    remember(Processors);
    changed("processors");
  },
  present({ Visits }) {
    state.visits = new Map(Visits.map((visit) => [visit.VisitId, visit]));
    changed("visits");
  },
  cameras({ Cameras }) {
    state.cameras = Cameras;
    changed("cameras");
  },
  outlets({ Outlets }) {
    state.outlets = Outlets;
    changed("outlets");
  },
  jobs({ Jobs }) {
    state.jobs = Jobs;
    changed("jobs");
  },
  trouble({ Topic, Message }) {
    state.troubles[Topic] = Message;
    changed("hello");
  },
  health(data) {
    state.health = data;
    changed("health");
  },
};

/** Puts an event among the others; false if it was there. Order is that of Id. */
function place(event, isNew) {
  if (state.events.some((other) => other.Id === event.Id)) return false;
  state.events.push(event);
  state.events.sort((a, b) => b.Id - a.Id);
  state.events.length = Math.min(state.events.length, EVENTS_MAX);
  newestId = Math.max(newestId ?? 0, event.Id);
  if (isNew && event.VisitId) {
    if (event.Event === "exit") state.visits.delete(event.VisitId);
    else state.visits.set(event.VisitId, { ...state.visits.get(event.VisitId), ...event });
  }
  return true;
}

function remember(processors) {
  const names = new Set(processors.map((processor) => processor.Name));
  for (const name of state.history.keys()) if (!names.has(name)) state.history.delete(name);
  for (const processor of processors) {
    const past = state.history.get(processor.Name) ?? [];
    past.push({ fps: processor.FramesPerSecond ?? 0, lag: processor.LagSeconds ?? 0, faces: processor.Faces ?? 0 });
    state.history.set(processor.Name, past.slice(-HISTORY_MAX));
  }
}

const due = new Set(); // topics to be drawn with the next frame, however much is told until then

function changed(...topics) {
  if (!due.size) requestAnimationFrame(draw);
  for (const topic of topics) due.add(topic);
}

function draw() {
  const topics = [...due];
  due.clear();
  for (const topic of topics) bus.dispatchEvent(new Event(topic));
}

/** Why a topic stays empty: a right that is missing, or trouble in the daemon; "" for no reason. */
export function whyNot(topic) {
  const denied = state.hello.Denied?.[topic];
  return denied ? `Your key may not see this. ${denied}` : (state.troubles[topic] ?? "");
}

export function visitsOf(processor) {
  return [...state.visits.values()]
    .filter((visit) => visit.Processor === processor)
    .sort((a, b) => moment(a.FirstSeen) - moment(b.FirstSeen));
}
