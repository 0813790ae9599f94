// A new processor: where its video comes from, whom it knows, how sure it must be.

import { all, kinesis, kinesisVideo, rekognition } from "../api.js";
import { busy, complain, problem } from "../dialog.js";
import { fill, h, say } from "../dom.js";
import { state } from "../store.js";
import { count, thresholdMeaning } from "../words.js";
import { to } from "./parts.js";

const NAME = /^[a-zA-Z0-9_.-]{1,128}$/;
const ROLE = "role/streamproc"; // a member that AWS requires; looked at where roles are assumed

export function show() {
  const exists = { video: new Map(), data: new Map(), collection: new Map() };
  const name = field("name", "Name", "How it is called here and in every event, such as door.");
  const video = field("video", "Video stream", "Where a camera is sent to: streamproc put-media … --stream NAME.");
  const collection = field("collection", "Collection", "The people to know.");
  const data = field("data", "Data stream", "Where a record of every analysed picture goes.");
  const threshold = h("input", { type: "range", id: "threshold", min: "50", max: "99", step: "1", value: "90", "aria-describedby": "threshold-note" });
  const number = h("output", { for: "threshold" }, "90");
  const meaning = h("span", { class: "quiet", id: "threshold-note" });
  const start = h("input", { type: "checkbox", id: "start", checked: true });
  const go = h("button", { class: "primary" }, "Create");
  const steps = h("ol", { class: "steps", role: "status" });
  const trouble = problem();

  const explain = () => {
    say(number, threshold.value);
    say(meaning, thresholdMeaning(Number(threshold.value), exists.collection.get(collection.input.value) ?? 0));
  };
  const notes = () => {
    video.tell(known(exists.video, video.input.value, "A video stream of this name will be made; it keeps a day."));
    data.tell(known(exists.data, data.input.value, "A data stream of this name will be made."));
    const faces = exists.collection.get(collection.input.value);
    const made = known(exists.collection, collection.input.value, "A collection of this name will be made. Add people to it afterwards.");
    collection.tell(made || (faces === 0 ? "Nobody is in it yet." : faces ? `${count(faces, "face")} in it.` : ""));
    explain();
  };
  const touched = new Set();
  for (const one of [video, data, collection]) {
    one.input.addEventListener("input", () => {
      touched.add(one);
      notes();
    });
  }
  name.input.addEventListener("input", () => {
    if (!touched.has(data)) data.input.value = name.input.value ? `${name.input.value}-records` : "";
    if (!touched.has(video) && !exists.video.size) video.input.value = name.input.value;
    notes();
  });
  threshold.addEventListener("input", explain);

  const loaded = load(exists, { video, data, collection }, trouble).then(() => {
    const streams = [...exists.video.keys()];
    if (!touched.has(video)) video.input.value = streams.find(unwatched) ?? streams[0] ?? name.input.value;
    if (!touched.has(collection)) collection.input.value = [...exists.collection.keys()][0] ?? "people";
    notes();
  });
  notes();

  const form = h(
    "form",
    {
      class: "form",
      novalidate: true,
      async onsubmit(event) {
        event.preventDefault();
        await loaded; // what exists is not made again
        const fields = [name, video, collection, data];
        const wrong = fields.filter((one) => !one.check());
        if (wrong.length) return wrong[0].input.focus();
        busy(go, trouble, async () => {
          fill(steps);
          const made = await create(
            { name: name.input.value, video: video.input.value, data: data.input.value, collection: collection.input.value, threshold: Number(threshold.value), start: start.checked },
            exists,
            (text) => steps.append(h("li", {}, text)),
          );
          location.hash = to("processor", made);
        });
      },
    },
    name.element,
    video.element,
    collection.element,
    h("div", { class: "field" }, h("label", { for: "threshold" }, h("span", {}, "Sure from Similarity ", number)), threshold, meaning),
    data.element,
    h("label", { class: "check" }, start, "Start it at once"),
    steps,
    trouble,
    h("div", { class: "actions" }, h("a", { class: "button", href: "#/" }, "Cancel"), go),
  );
  return { title: "New processor", content: [form] };
}

function unwatched(stream) {
  return !state.processors?.some((processor) => processor.VideoStreamName === stream);
}

function known(existing, text, otherwise) {
  return !text || existing.has(text) ? "" : otherwise;
}

function field(id, label, help) {
  const list = h("datalist", { id: `${id}-list` });
  const note = h("span", { class: "quiet", id: `${id}-note` }, help);
  const told = h("span", { class: "quiet", id: `${id}-told` });
  const error = h("span", { class: "problem", id: `${id}-error` });
  const input = h("input", {
    id, name: id, required: true, autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    list: list.id, "aria-describedby": `${id}-note ${id}-told ${id}-error`,
  });
  input.addEventListener("input", () => {
    input.removeAttribute("aria-invalid");
    error.textContent = "";
  });
  return {
    input,
    element: h("div", { class: "field" }, h("label", { for: id }, label), input, list, note, told, error),
    offer: (names) => list.replaceChildren(...names.map((name) => h("option", { value: name }))),
    tell: (text) => say(told, text),
    check() {
      const value = input.value.trim();
      input.value = value;
      if (NAME.test(value)) return true;
      error.textContent = value ? `“${value}” cannot be its name: use letters from a to z, digits, - _ and . only.` : `${label} is missing.`;
      input.setAttribute("aria-invalid", "true");
      return false;
    },
  };
}

async function load(exists, fields, trouble) {
  const listings = [
    all(kinesisVideo, "ListStreams", {}, "StreamInfoList").then((found) => found.forEach((one) => exists.video.set(one.StreamName, one.StreamARN))),
    dataStreams().then((names) => names.forEach((one) => exists.data.set(one, null))),
    all(rekognition, "ListCollections", {}, "CollectionIds").then(async (ids) => {
      for (const id of ids) exists.collection.set(id, null);
      await Promise.all(ids.slice(0, 50).map(async (id) => {
        const { FaceCount } = await rekognition("DescribeCollection", { CollectionId: id });
        exists.collection.set(id, FaceCount);
      }));
    }),
  ];
  // What may not be listed can still be typed.
  for (const outcome of await Promise.allSettled(listings)) if (outcome.status === "rejected") complain(trouble, outcome.reason);
  for (const kind of ["video", "data", "collection"]) fields[kind].offer([...exists[kind].keys()].sort());
}

async function dataStreams() {
  const names = [];
  for (let more = true; more; ) {
    const page = await kinesis("ListStreams", names.length ? { ExclusiveStartStreamName: names.at(-1) } : {});
    names.push(...page.StreamNames);
    more = page.HasMoreStreams && page.StreamNames.length > 0;
  }
  return names;
}

/** Makes what is missing, then the processor. Answers its name. */
async function create(wanted, exists, tell) {
  const video = exists.video.get(wanted.video) ?? (await madeVideo(wanted.video, tell));
  if (!exists.data.has(wanted.data)) {
    tell(`Making the data stream ${wanted.data}`);
    await unlessThere(() => kinesis("CreateStream", { StreamName: wanted.data, ShardCount: 1 }));
    exists.data.set(wanted.data, null);
  }
  const data = await kinesis("DescribeStreamSummary", { StreamName: wanted.data });
  if (!exists.collection.has(wanted.collection)) {
    tell(`Making the collection ${wanted.collection}`);
    await unlessThere(() => rekognition("CreateCollection", { CollectionId: wanted.collection }));
    exists.collection.set(wanted.collection, 0);
  }
  tell(`Making the processor ${wanted.name}`);
  await rekognition("CreateStreamProcessor", {
    Name: wanted.name,
    Input: { KinesisVideoStream: { Arn: video } },
    Output: { KinesisDataStream: { Arn: data.StreamDescriptionSummary.StreamARN } },
    Settings: { FaceSearch: { CollectionId: wanted.collection, FaceMatchThreshold: wanted.threshold } },
    RoleArn: `arn:aws:iam::${video.split(":")[4]}:${ROLE}`,
  });
  if (wanted.start) {
    tell("Starting it");
    await rekognition("StartStreamProcessor", { Name: wanted.name });
  }
  return wanted.name;
}

async function madeVideo(name, tell) {
  tell(`Making the video stream ${name}`);
  await unlessThere(() => kinesisVideo("CreateStream", { StreamName: name, DataRetentionInHours: 24 }));
  return (await kinesisVideo("DescribeStream", { StreamName: name })).StreamInfo.StreamARN;
}

/** Somebody else may have made it meanwhile: that is as good. */
async function unlessThere(make) {
  try {
    await make();
  } catch (error) {
    if (!["ResourceInUseException", "ResourceAlreadyExistsException"].includes(error.code)) throw error;
  }
}
