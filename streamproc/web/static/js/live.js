// The live picture of a processor, with boxes and names. Shown pictures only: nothing is kept.

import { get } from "./api.js";
import { h, keyed, say } from "./dom.js";
import { follow } from "./sse.js";
import { called, told } from "./words.js";

const LATE_MS = 10_000;

/** Answers an element that shows a processor's pictures until signal is aborted. */
export function liveView(name, signal) {
  const canvas = h("canvas", { width: "960", height: "540", role: "img", "aria-label": `Live picture of ${name}` });
  const boxes = h("div", { class: "boxes", "aria-hidden": "true" });
  const note = h("p", { class: "note" }, "Waiting for a picture …");
  const faces = h("p", { class: "unseen", role: "status" });
  const update = keyed(boxes, (face) => face.key, box);
  let late;
  const show = async ({ jpeg, width, height, faces: seen }) => {
    const bitmap = await createImageBitmap(jpegOf(jpeg));
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d").drawImage(bitmap, 0, 0, width, height);
    bitmap.close();
    update(keysOf(seen));
    say(faces, seen.length ? `In the picture: ${seen.map((face) => called(face.name) || "a face").join(", ")}` : "Nobody in the picture");
    note.hidden = true;
    clearTimeout(late);
    late = setTimeout(() => {
      note.textContent = "No new picture for some seconds.";
      note.hidden = false;
    }, LATE_MS);
  };
  watchWhileVisible(signal, (attempt) =>
    follow(
      (each) => get("view", { name }, each),
      // Awaited: of pictures that come quicker than they are drawn the daemon sends the newest.
      (message) => message.event === "picture" && show(JSON.parse(message.data)).catch(() => {}),
      (error) => {
        if (!error) return;
        note.textContent = told(error).join(" ");
        note.hidden = false;
      },
      attempt,
    ),
  );
  signal.addEventListener("abort", () => clearTimeout(late));
  return h("div", { class: "live" }, canvas, boxes, note, faces);
}

/** A tab that nobody looks at gives its connection back. */
function watchWhileVisible(signal, begin) {
  let attempt = null;
  const turn = () => {
    if (document.hidden || signal.aborted) {
      attempt?.abort();
      attempt = null;
    } else if (!attempt) {
      attempt = new AbortController();
      begin(attempt.signal);
    }
  };
  document.addEventListener("visibilitychange", turn, { signal });
  signal.addEventListener("abort", turn);
  turn();
}

function jpegOf(base64) {
  const text = atob(base64);
  return new Blob([Uint8Array.from(text, (character) => character.charCodeAt(0))], { type: "image/jpeg" });
}

/** Faces with a key each: a box moves with its person instead of being made anew. */
function keysOf(faces) {
  const counts = new Map();
  return faces.map((face) => {
    const count = (counts.get(face.name) ?? 0) + 1;
    counts.set(face.name, count);
    return { ...face, key: `${face.name} ${count}` };
  });
}

function box(face) {
  const label = h("span", { class: "box-name" }, h("span"));
  const element = h("div", { class: "box" }, label);
  return [
    element,
    ({ box: place, name, known, similarity }) => {
      element.dataset.known = String(Boolean(known));
      element.dataset.at = `${place.Left > 0.75 ? "right" : ""} ${place.Top + place.Height > 0.88 ? "bottom" : ""}`;
      Object.assign(element.style, {
        left: `${place.Left * 100}%`,
        top: `${place.Top * 100}%`,
        width: `${place.Width * 100}%`,
        height: `${place.Height * 100}%`,
      });
      say(label.firstChild, name ? `${called(name)}${known && similarity ? ` ${Math.floor(similarity)}` : ""}` : "?");
    },
  ];
}
