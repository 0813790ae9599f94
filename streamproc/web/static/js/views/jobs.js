// Jobs: stored videos that are, or were, looked through; and a form for another one.

import { rekognition } from "../api.js";
import { busy, open, problem } from "../dialog.js";
import { fill, h, keyed, say } from "../dom.js";
import { state, watch, whyNot } from "../store.js";
import { ago, called, count, duration, moment } from "../words.js";

const KINDS = {
  FaceSearch: ["Look for people", "Persons"],
  FaceDetection: ["Find faces", "Faces"],
  PersonTracking: ["Follow persons", "Persons"],
  LabelDetection: ["Say what is in it", "Labels"],
  ContentModeration: ["Moderate", "ModerationLabels"],
  CelebrityRecognition: ["Look for celebrities", "Celebrities"],
};
const STATUS = { IN_PROGRESS: "Running", SUCCEEDED: "Done", FAILED: "Failed" };
const SUMMED_MAX = 1000;

export function show(signal) {
  const list = h("ul", { class: "jobs" });
  const none = h("p", { class: "lead" });
  const update = keyed(list, (job) => job.JobId, item);
  watch(["jobs", "hello"], signal, () => {
    update(state.jobs ?? []);
    const empty = state.jobs === null ? "Asking the daemon …" : state.jobs.length ? "" : "No video was looked through yet.";
    say(none, whyNot("jobs") || empty);
    none.hidden = !none.textContent;
  });
  return {
    title: "Jobs",
    beside: h("button", { type: "button", class: "primary", onclick: startJob }, "New job"),
    content: [none, list],
  };
}

function item(job) {
  const kind = job.API.replace("Start", "");
  const [what] = KINDS[kind] ?? [kind];
  const status = h("span", { class: "badge" });
  const progress = h("progress", { max: "1", "aria-label": `Progress of ${what}` });
  const told = h("p", { class: "quiet" });
  const message = h("p", { class: "message" });
  const summary = h("div", { "aria-live": "polite" });
  const file = job.Video?.S3Object ? `${job.Video.S3Object.Bucket}/${job.Video.S3Object.Name}` : "";
  const results = h("button", { type: "button", class: "small", onclick: () => showResults(kind, job.JobId, results, summary) }, "Show what was found");
  const element = h("li", { class: "card" }, h("div", { class: "card-head" }, h("h2", {}, what), status), h("p", { class: "path" }, file), progress, message, told, results, summary);
  return [
    element,
    (now) => {
      status.dataset.status = now.JobStatus;
      say(status, STATUS[now.JobStatus] ?? now.JobStatus);
      progress.hidden = now.JobStatus !== "IN_PROGRESS";
      progress.value = now.Progress ?? 0;
      say(message, now.StatusMessage ?? "");
      message.hidden = !now.StatusMessage;
      results.hidden = now.JobStatus !== "SUCCEEDED";
      const took = (moment(now.CompletionTimestamp) - moment(now.CreationTimestamp)) / 1000;
      const percent = `${Math.floor((now.Progress ?? 0) * 100)} %`;
      say(told, now.CompletionTimestamp ? `${ago(now.CompletionTimestamp)}, took ${duration(took)}` : `${percent}, began ${ago(now.CreationTimestamp)}`);
    },
  ];
}

function showResults(kind, jobId, button, place) {
  const trouble = problem();
  fill(place, trouble);
  return busy(button, trouble, async () => {
    const answer = await rekognition(`Get${kind}`, { JobId: jobId, MaxResults: SUMMED_MAX });
    const entries = answer[KINDS[kind]?.[1]] ?? [];
    const film = answer.VideoMetadata;
    const about = film ? `${duration(film.DurationMillis / 1000)} of ${film.FrameWidth}×${film.FrameHeight} video.` : "";
    const lines = summed(kind, entries);
    const more = answer.NextToken ? h("p", { class: "quiet" }, `Of the first ${count(SUMMED_MAX, "entry", "entries")}. All of it: streamproc jobs`) : null;
    fill(place, h("p", {}, about), lines.length ? h("ul", { class: "found" }, lines.map((line) => h("li", {}, line))) : h("p", {}, "Nothing was found."), more);
  });
}

/** What was found, most frequent first, with when it was seen first. */
function summed(kind, entries) {
  const groups = new Map();
  const note = (name, at) => {
    const group = groups.get(name) ?? { times: 0, first: at };
    groups.set(name, { times: group.times + 1, first: Math.min(group.first, at) });
  };
  for (const entry of entries) {
    const at = entry.Timestamp;
    if (kind === "FaceSearch") {
      const best = entry.FaceMatches?.[0];
      note(best ? called(best.Face.ExternalImageId ?? best.Face.FaceId) : "Somebody unknown", at);
    } else if (kind === "FaceDetection") note("Faces", at);
    else if (kind === "PersonTracking") note(`Person ${entry.Person.Index + 1}`, at);
    else if (kind === "LabelDetection") note(entry.Label.Name, at);
    else if (kind === "ContentModeration") note(entry.ModerationLabel.Name, at);
    else if (kind === "CelebrityRecognition") note(entry.Celebrity.Name, at);
  }
  return [...groups]
    .sort((a, b) => b[1].times - a[1].times)
    .slice(0, 20)
    .map(([name, { times, first }]) => `${name}: ${count(times, "time")}, first after ${duration(first / 1000)}`);
}

async function startJob() {
  const collections = await rekognition("ListCollections").then((answer) => answer.CollectionIds).catch(() => []);
  await open("New job", (close) => {
    const trouble = problem();
    const kind = h("select", { id: "job-kind" }, Object.entries(KINDS).map(([value, [label]]) => h("option", { value }, label)));
    const collection = h("select", { id: "job-collection" }, collections.map((id) => h("option", { value: id }, id)));
    const whom = h("label", {}, "Collection", collection);
    const bucket = h("input", { id: "job-bucket", required: true, autocomplete: "off", autocapitalize: "off" });
    const file = h("input", { id: "job-file", required: true, autocomplete: "off", autocapitalize: "off" });
    const go = h("button", { class: "primary" }, "Start");
    kind.addEventListener("change", () => (whom.hidden = kind.value !== "FaceSearch"));
    return h(
      "form",
      {
        onsubmit(event) {
          event.preventDefault();
          busy(go, trouble, async () => {
            const video = { S3Object: { Bucket: bucket.value.trim(), Name: file.value.trim() } };
            const whose = kind.value === "FaceSearch" ? { CollectionId: collection.value } : {};
            await rekognition(`Start${kind.value}`, { Video: video, ...whose });
            close("started");
          });
        },
      },
      h("label", {}, "What to do", kind),
      whom,
      h("label", {}, "Bucket", bucket, h("span", { class: "quiet" }, "A folder of [buckets] in the configuration, or a bucket of S3.")),
      h("label", {}, "Video in it", file),
      trouble,
      h("div", { class: "actions" }, h("button", { type: "button", onclick: () => close() }, "Cancel"), go),
    );
  });
}
