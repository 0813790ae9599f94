// Adds people from photos: dropped, chosen, pasted or taken. Each trouble with a photo is told beside it.

import { busy, complain, open, problem } from "./dialog.js";
import { fill, h } from "./dom.js";
import { UNNAMEABLE, enrol, nameField } from "./naming.js";
import { base64, cut, drawn, look, read, turned } from "./photo.js";
import { asId, count, rejected } from "./words.js";

const FILES_MAX = 20;

/** The place that takes photos for a collection; added() is called after each person. */
export function addPeople(collection, added) {
  const input = h("input", { type: "file", accept: "image/*", multiple: true, class: "unseen", tabindex: "-1", "aria-label": "Photos" });
  const photos = h("div", { class: "photos" });
  const take = (files) => {
    const list = [...files];
    for (const file of list.slice(0, FILES_MAX)) photos.prepend(photoCard(collection, () => read(file), file.name, added));
    if (list.length > FILES_MAX) {
      const note = problem();
      photos.prepend(note);
      complain(note, `${list.length} photos at once are too many; the first ${FILES_MAX} were taken. For a folder: streamproc collections apply.`);
    }
  };
  input.addEventListener("change", () => {
    take(input.files);
    input.value = "";
  });
  const choose = h("button", { type: "button", class: "primary", onclick: () => input.click() }, "Choose photos");
  const shoot = h("button", { type: "button", onclick: () => takePhoto((canvas) => photos.prepend(photoCard(collection, async () => canvas, "Photo", added))) }, "Take a photo");
  const place = h(
    "div",
    { class: "drop" },
    h("p", {}, h("strong", {}, "Add people"), h("span", { class: "quiet drop-hint" }, "Drop photos here, choose them, or take one.")),
    h("div", { class: "buttons" }, choose, shoot),
    input,
  );
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  for (const name of ["dragleave", "drop"]) place.addEventListener(name, () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files);
  });
  return h("div", { class: "adding" }, place, photos);
}

function photoCard(collection, load, title, added) {
  const place = h("div", { class: "photo-body" }, h("p", { role: "status" }, `Looking at ${title} …`));
  const element = h("section", { class: "card photo", "aria-label": title }, place);
  const leave = () => element.remove();
  const dismiss = () => h("div", { class: "actions" }, h("button", { type: "button", onclick: leave }, "Remove"));
  const fail = (error) => {
    const trouble = problem();
    complain(trouble, error);
    fill(place, trouble, dismiss());
  };
  const inspect = async (canvas) => {
    const { quarters, found } = await look(canvas);
    if (!found.length) {
      const trouble = problem();
      complain(trouble, "There is no face in this photo, or it is too small or too blurred to be seen.");
      fill(place, preview(canvas, []), trouble, h("p", { class: "quiet" }, "Use a photo from the front, in which the face is a good part of the picture."), dismiss());
    } else if (quarters) {
      fill(place, ...askToTurn(canvas, quarters, found, (upright) => showFaces(upright, found)));
    } else {
      showFaces(canvas, found);
    }
  };
  const showFaces = (canvas, found) => fill(place, ...faceForm({ collection, canvas, found, added, leave }));
  load().then(inspect).catch(fail);
  return element;
}

function askToTurn(canvas, quarters, found, go) {
  const lies = quarters === 2 ? "is upside down" : "lies on its side";
  const upright = turned(canvas, quarters);
  const button = h("button", { type: "button", class: "primary", onclick: () => go(upright) }, "Turn it");
  return [
    preview(canvas, []),
    h("p", { role: "status" }, h("strong", {}, `This photo ${lies}.`), ` Turned, ${count(found.length, "face is", "faces are")} found in it.`),
    h("div", { class: "actions" }, button),
  ];
}

/** One name per face; faces without a name are left out. */
function faceForm({ collection, canvas, found, added, leave }) {
  const trouble = problem();
  const several = found.length > 1;
  const inOrder = [...found].sort((a, b) => a.box.Left - b.box.Left);
  const rows = inOrder.map((face, index) => faceRow(canvas, face, index, several));
  const go = h("button", { class: "primary" }, "Add");
  const all = async () => {
    const named = rows.filter((row) => row.input.value.trim() && !row.isDone());
    const wrong = named.find((row) => !asId(row.input.value));
    if (wrong) return wrong.tell(UNNAMEABLE);
    if (!named.length) return complain(trouble, several ? "Give a name to each face that should be remembered." : "Give this face a name.");
    for (const row of named) await row.enrol(collection, several);
    await added();
    if (rows.every((row) => row.isDone() || !row.input.value.trim())) leave();
  };
  return [
    preview(canvas, several ? inOrder : []),
    h(
      "form",
      { novalidate: true, onsubmit: (event) => (event.preventDefault(), busy(go, trouble, all)) },
      several ? h("p", { role: "status" }, h("strong", {}, `${found.length} faces.`), " Name those to remember; the others are left out.") : null,
      rows.map((row) => row.element),
      trouble,
      h("div", { class: "actions" }, h("button", { type: "button", onclick: leave }, "Cancel"), go),
    ),
  ];
}

let rowsMade = 0;

function faceRow(canvas, face, index, several) {
  const { input, label } = nameField(`face-${++rowsMade}`, several ? `Face ${index + 1}` : "Name");
  const told = problem();
  const picture = cut(canvas, face.box);
  input.addEventListener("input", () => told.replaceChildren());
  let done = false;
  if (!several || index === 0) setTimeout(() => input.focus({ preventScroll: true }));
  return {
    input,
    isDone: () => done,
    tell: (text) => complain(told, text),
    element: h("div", { class: "face-row" }, several ? h("span", { class: "face-small", "aria-hidden": "true" }, thumbnail(picture)) : null, h("div", {}, label, told)),
    async enrol(collection) {
      // Of a whole photo only the face that was named is sent.
      const [outcome] = await enrol(collection, await base64(several ? picture : canvas), asId(input.value));
      if (outcome.reasons) return complain(told, `Not added: ${rejected(outcome.reasons)}.`);
      done = true;
      input.disabled = true;
    },
  };
}

function thumbnail(picture) {
  const scale = 96 / Math.max(picture.width, picture.height);
  return drawn(picture, picture.width * scale, picture.height * scale);
}

function preview(canvas, found) {
  const scale = Math.min(1, 640 / Math.max(canvas.width, canvas.height));
  const picture = drawn(canvas, canvas.width * scale, canvas.height * scale);
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", "The photo");
  const boxes = found.map(({ box }, index) => {
    const element = h("div", { class: "box", "data-known": "true" }, h("span", { class: "box-name" }, String(index + 1)));
    Object.assign(element.style, { left: `${box.Left * 100}%`, top: `${box.Top * 100}%`, width: `${box.Width * 100}%`, height: `${box.Height * 100}%` });
    return element;
  });
  return h("div", { class: "preview" }, picture, h("div", { class: "boxes", "aria-hidden": "true" }, boxes));
}

/** Takes a picture with the device's camera. */
async function takePhoto(taken) {
  if (!navigator.mediaDevices?.getUserMedia) {
    // Without https:// a browser gives no camera to a page; a phone's own camera it does.
    const input = h("input", { type: "file", accept: "image/*", capture: "user" });
    input.addEventListener("change", async () => input.files.length && taken(await read(input.files[0])));
    return input.click();
  }
  let stream = null;
  await open("Take a photo", (close) => {
    const trouble = problem();
    const video = h("video", { autoplay: true, playsinline: true, muted: true, class: "camera", "aria-label": "Your camera" });
    video.muted = true;
    const shoot = h("button", { type: "button", class: "primary", disabled: true }, "Take it");
    shoot.addEventListener("click", () => {
      taken(drawn(video, video.videoWidth, video.videoHeight));
      close("taken");
    });
    navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } }).then(
      (granted) => {
        stream = granted;
        video.srcObject = granted;
        video.addEventListener("loadeddata", () => (shoot.disabled = false));
        if (!video.isConnected) stop(stream);
      },
      (error) =>
        complain(trouble, error.name === "NotAllowedError" ? "The browser does not give this page the camera. Allow it beside the address." : "There is no camera that can be used."),
    );
    return [video, trouble, h("div", { class: "actions" }, h("button", { type: "button", onclick: () => close() }, "Cancel"), shoot)];
  });
  stop(stream);
}

function stop(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
