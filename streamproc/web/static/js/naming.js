// Gives a stranger who was just seen a name: the picture of the visit goes into a collection.

import { all, rekognition } from "./api.js";
import { busy, complain, open, problem } from "./dialog.js";
import { h } from "./dom.js";
import { forget, pictureOf } from "./pictures.js";
import { state } from "./store.js";
import { asId, called, rejected } from "./words.js";

/** Asks for a name and enrols the face of this visit (or event). */
export async function nameStranger(visit) {
  forget(visit.VisitId); // the best view so far
  const jpeg = await pictureOf(visit.VisitId);
  const collections = await rekognition("ListCollections").then((answer) => answer.CollectionIds).catch(() => []);
  const own = state.processors?.find((processor) => processor.Name === visit.Processor)?.CollectionId;
  if (own && !collections.includes(own)) collections.unshift(own);
  await open(`Who is ${called(visit.Person?.Name)}?`, (close) => {
    if (!jpeg) {
      return [
        h("p", {}, "The picture of this face is gone: it is kept while the person is in view and shortly after. Wait until they come again, or add a photo under People."),
        h("div", { class: "actions" }, h("button", { type: "button", onclick: () => close() }, "Close")),
      ];
    }
    const trouble = problem();
    const name = nameField("stranger-name");
    const collection = h("select", { name: "collection" }, collections.map((id) => h("option", { value: id, selected: id === own }, id)));
    const go = h("button", { class: "primary" }, "Remember this face");
    suggest(name.input, collection);
    const form = h(
      "form",
      {
        onsubmit(event) {
          event.preventDefault();
          busy(go, trouble, async () => {
            if (!asId(name.input.value)) return complain(trouble, UNNAMEABLE);
            const [face] = await enrol(collection.value, jpeg, asId(name.input.value));
            if (face.reasons) return complain(trouble, `This picture is not good enough: ${rejected(face.reasons)}. Wait for a better view, or add a photo under People.`);
            close("named");
          });
        },
      },
      h("img", { class: "face", src: `data:image/jpeg;base64,${jpeg}`, alt: "The face that was seen" }),
      name.label,
      h("label", {}, "Collection", collection),
      trouble,
      h("div", { class: "actions" }, h("button", { type: "button", onclick: () => close() }, "Cancel"), go),
    );
    return form;
  });
}

export const UNNAMEABLE = "This name cannot be kept: use letters from a to z, digits, dots, hyphens and spaces.";

/** A field for a name that says how the name will be kept, where that differs. */
export function nameField(id, label = "Name") {
  const input = h("input", { id, autocomplete: "off", required: true, maxlength: "255", "aria-describedby": `${id}-note` });
  const note = h("span", { class: "quiet", id: `${id}-note` });
  input.addEventListener("input", () => {
    const kept = asId(input.value);
    if (!input.value.trim() || kept === input.value.trim()) note.textContent = "";
    else note.textContent = kept ? `Kept as ${kept}` : UNNAMEABLE;
  });
  return { input, label: h("label", {}, label, input, note) };
}

/** Offers the names that the chosen collection has already. */
export function suggest(input, select) {
  const list = h("datalist", { id: `${input.id}-known` });
  input.after(list);
  input.setAttribute("list", list.id);
  const fillIn = async () => {
    const faces = await all(rekognition, "ListFaces", { CollectionId: select.value, MaxResults: 1000 }, "Faces", 5000).catch(() => []);
    const names = [...new Set(faces.map((face) => face.ExternalImageId).filter(Boolean))].sort();
    list.replaceChildren(...names.map((name) => h("option", { value: called(name) })));
  };
  select.addEventListener("change", fillIn);
  if (select.value) fillIn();
}

/** Indexes the largest face of a picture: [{faceId}] or [{reasons}]. */
export async function enrol(collection, jpeg, externalImageId) {
  const answer = await rekognition("IndexFaces", {
    CollectionId: collection,
    Image: { Bytes: jpeg },
    ExternalImageId: externalImageId,
    MaxFaces: 1,
  });
  if (answer.FaceRecords.length) return [{ faceId: answer.FaceRecords[0].Face.FaceId }];
  return [{ reasons: answer.UnindexedFaces[0]?.Reasons ?? ["no face was found in it"] }];
}
