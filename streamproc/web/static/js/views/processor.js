// One processor: its picture, who is in view, what it does, its figures and events.

import { rekognition } from "../api.js";
import { busy, confirm, problem } from "../dialog.js";
import { fill, h, say } from "../dom.js";
import { liveView } from "../live.js";
import { sparkline } from "../sparkline.js";
import { state, visitsOf, watch } from "../store.js";
import { count, duration } from "../words.js";
import { badge, cameraOf, eventList, peopleInView, ticking, to, worthTelling } from "./parts.js";
import { troubles } from "./now.js";

const AWAKE = ["RUNNING", "STARTING"];

export function show(signal, name) {
  const [status, setStatus] = badge();
  const trouble = problem();
  const [people, setPeople] = peopleInView();
  const nobody = h("p", { class: "quiet" }, "Nobody in view.");
  const message = h("p", { class: "message" });
  const missing = h("p", { hidden: true }, "There is no processor of this name. ", h("a", { href: "#/" }, "See who there is."));
  const live = h("div", { class: "live-place" });
  const figures = figuresOf(name);
  const facts = h("dl", { class: "facts" });
  const [events, updateEvents] = eventList(signal, { withProcessor: false });
  const buttons = controls(name, trouble);
  let viewing = null;

  const current = () => state.processors?.find((processor) => processor.Name === name);
  const turnLive = (isAwake) => {
    if (isAwake && !viewing) {
      viewing = new AbortController();
      signal.addEventListener("abort", () => viewing?.abort());
      fill(live, liveView(name, viewing.signal));
    } else if (!isAwake) {
      viewing?.abort();
      viewing = null;
      fill(live, h("p", { class: "asleep" }, "Not watching. Start it to see its picture."));
    }
  };

  watch(["processors", "cameras"], signal, () => {
    const processor = current();
    missing.hidden = state.processors === null || processor !== undefined;
    buttons.show(processor);
    if (!processor) return;
    setStatus(processor.Status);
    say(message, troubles(processor));
    message.hidden = !message.textContent;
    figures.update(processor);
    turnLive(AWAKE.includes(processor.Status));
    describe(facts, processor);
  });
  const refresh = () => {
    const visits = visitsOf(name);
    setPeople(visits);
    nobody.hidden = visits.length > 0;
  };
  watch(["visits"], signal, refresh);
  ticking(signal, refresh);
  watch(["events"], signal, () => updateEvents(state.events.filter((event) => event.Processor === name && worthTelling(event))));

  return {
    title: name,
    beside: [status, buttons.element],
    content: [
      trouble,
      missing,
      message,
      h(
        "div",
        { class: "columns" },
        h("section", { "aria-label": "Live picture and figures" }, live, figures.element),
        h("section", { class: "span", "aria-label": "People and events" }, h("h2", {}, "In view"), people, nobody, h("h2", {}, "Events"), events),
        h("section", { "aria-labelledby": "facts" }, h("h2", { id: "facts" }, "What it does"), facts),
      ),
    ],
  };
}

function controls(name, trouble) {
  const act = (button, operation) => busy(button, trouble, () => rekognition(operation, { Name: name }));
  const start = h("button", { type: "button", class: "primary", onclick: () => act(start, "StartStreamProcessor") }, "Start");
  const stop = h("button", { type: "button", onclick: () => act(stop, "StopStreamProcessor") }, "Stop");
  const remove = h("button", { type: "button", class: "danger", onclick: () => removed(name) }, "Delete");
  const element = h("div", { class: "buttons" }, start, stop, remove);
  element.hidden = true;
  return {
    element,
    show(processor) {
      element.hidden = !processor;
      if (!processor) return;
      start.hidden = AWAKE.includes(processor.Status) || processor.Status === "STOPPING";
      stop.hidden = !AWAKE.includes(processor.Status);
    },
  };
}

async function removed(name) {
  const isGone = await confirm(
    `Delete ${name}?`,
    "It stops watching and is gone with its settings. The video, the records it wrote, the people it knew and the events it told stay.",
    "Delete",
    async () => {
      const status = () => state.processors?.find((processor) => processor.Name === name)?.Status;
      if (AWAKE.includes(status())) await rekognition("StopStreamProcessor", { Name: name });
      for (let tries = 0; ; tries++) {
        try {
          await rekognition("DeleteStreamProcessor", { Name: name });
          return;
        } catch (error) {
          // It is still on its way to a stop.
          if (error.code !== "ResourceInUseException" || tries === 60) throw error;
          await new Promise((resolve) => setTimeout(resolve, 500));
        }
      }
    },
  );
  if (isGone) location.hash = "#/";
}

function figuresOf(name) {
  const [rate, setRate] = sparkline("Pictures a second");
  const [lag, setLag] = sparkline("Behind live");
  const [faces, setFaces] = sparkline("Faces seen");
  return {
    element: h("dl", { class: "sparks" }, rate, lag, faces),
    update(processor) {
      const past = state.history.get(name) ?? [];
      const seen = past.slice(1).map((one, i) => Math.max(0, one.faces - past[i].faces));
      const awake = AWAKE.includes(processor.Status);
      setRate(awake ? (processor.FramesPerSecond ?? 0).toFixed(1) : "–", past.map((one) => one.fps));
      setLag(awake ? `${(processor.LagSeconds ?? 0).toFixed(1)} s` : "–", past.map((one) => one.lag));
      setFaces((processor.Faces ?? 0).toLocaleString(), seen);
    },
  };
}

function describe(facts, processor) {
  const camera = cameraOf(processor);
  const rows = [
    ["Knows", h("a", { href: to("people", processor.CollectionId) }, processor.CollectionId)],
    ["Sure from", `Similarity ${processor.FaceMatchThreshold}`],
    ["Video from", processor.VideoStreamName],
    camera ? ["Camera", `${camera.Name}, ${[camera.Codec, camera.Width && `${camera.Width}×${camera.Height}`].filter(Boolean).join(", ")}`] : null,
    ["Records to", `${processor.DataStreamName}, ${count(processor.RecordsDelivered ?? 0, "record")} delivered`],
    processor.Matches ? ["Recognised", `${count(processor.Matches, "time")}`] : null,
    processor.PacketsPassedOver ? ["Passed over", `${count(processor.PacketsPassedOver, "packet")} that nobody needed or there was no time for`] : null,
    processor.Gaps ? ["Gaps", `${processor.Gaps}, ${duration(processor.GapSeconds)} in all`] : null,
  ].filter(Boolean);
  const text = JSON.stringify(rows.map(([label, value]) => [label, value.textContent ?? value]));
  if (facts.dataset.told === text) return;
  facts.dataset.told = text;
  fill(facts, rows.map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value))));
}
