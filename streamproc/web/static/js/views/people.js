// People: collections, who is in them, adding and deleting.

import { all, rekognition } from "../api.js";
import { addPeople } from "../adding.js";
import { busy, complain, confirm, open, problem } from "../dialog.js";
import { fill, h } from "../dom.js";
import { portrait } from "../pictures.js";
import { state } from "../store.js";
import { called, count } from "../words.js";
import { to } from "./parts.js";

const DELETED_AT_ONCE = 4096; // FaceIds of one DeleteFaces

export function show(signal, chosen) {
  const picker = h("select", { id: "collection" });
  const place = h("div", { class: "people-place" });
  const trouble = problem();
  const remove = h("button", { type: "button", class: "danger" }, "Delete collection");
  const make = h("button", { type: "button" }, "New collection");
  const bar = h("div", { class: "bar" }, h("label", { for: "collection" }, "Collection"), picker, make, remove);

  const load = async (wanted) => {
    try {
      const ids = (await all(rekognition, "ListCollections", {}, "CollectionIds")).sort();
      if (signal.aborted) return;
      const current = ids.includes(wanted) ? wanted : ids[0];
      fill(picker, ids.map((id) => h("option", { value: id, selected: id === current }, id)));
      picker.value = current ?? "";
      remove.hidden = picker.hidden = !current;
      if (current) await showPeople(place, current, signal);
      else fill(place, h("p", { class: "lead" }, "There is no collection yet. A collection is a group of people to know: your family, your team."));
    } catch (error) {
      if (!signal.aborted) complain(trouble, error);
    }
  };
  picker.addEventListener("change", () => {
    history.replaceState(null, "", to("people", picker.value));
    showPeople(place, picker.value, signal).catch((error) => complain(trouble, error));
  });
  make.addEventListener("click", async () => {
    const id = await newCollection();
    if (id) load(id);
  });
  remove.addEventListener("click", async () => {
    if (await deleteCollection(picker.value)) load();
  });
  load(chosen);
  return { title: "People", content: [bar, trouble, place] };
}

async function newCollection() {
  let made = "";
  await open("New collection", (close) => {
    const trouble = problem();
    const input = h("input", { id: "collection-name", required: true, pattern: "[a-zA-Z0-9_.\\-]+", maxlength: "255", autocomplete: "off", autocapitalize: "off" });
    const go = h("button", { class: "primary" }, "Create");
    return h(
      "form",
      {
        onsubmit(event) {
          event.preventDefault();
          busy(go, trouble, async () => {
            await rekognition("CreateCollection", { CollectionId: input.value });
            made = input.value;
            close("made");
          });
        },
      },
      h("label", {}, "Name", input, h("span", { class: "quiet" }, "Letters from a to z, digits, - _ and .")),
      trouble,
      h("div", { class: "actions" }, h("button", { type: "button", onclick: () => close() }, "Cancel"), go),
    );
  });
  return made;
}

async function deleteCollection(id) {
  const { FaceCount } = await rekognition("DescribeCollection", { CollectionId: id }).catch(() => ({ FaceCount: NaN }));
  const users = (state.processors ?? []).filter((processor) => processor.CollectionId === id).map((processor) => processor.Name);
  const faces = Number.isNaN(FaceCount) ? "All its faces are" : `${count(FaceCount, "face")} ${FaceCount === 1 ? "is" : "are"}`;
  const lost = `${faces} deleted for good, and nobody in it is recognised any more. This cannot be undone.`;
  const used = users.length ? ` ${users.join(", ")} ${users.length === 1 ? "uses" : "use"} it and would fail.` : "";
  return confirm(`Delete the collection ${id}?`, lost + used, "Delete", () => rekognition("DeleteCollection", { CollectionId: id }));
}

async function showPeople(place, collection, signal) {
  const faces = await all(rekognition, "ListFaces", { CollectionId: collection, MaxResults: 1000 }, "Faces");
  if (signal.aborted) return;
  const people = grouped(faces);
  const again = () => showPeople(place, collection, signal);
  const list = h("ul", { class: "people" }, people.map((person) => personItem(person, collection, again)));
  const told = people.length ? `${count(people.length, "person", "people")}, ${count(faces.length, "face")}.` : "Nobody is in it yet.";
  const summary = h("p", { class: "lead", role: "status" }, told);
  const adding = place.querySelector(".adding")?.parentElement?.dataset.collection === collection ? place.querySelector(".adding") : addPeople(collection, again);
  fill(place, h("div", { "data-collection": collection }, adding, summary, list));
}

/** Faces by ExternalImageId; a face without one is a person of its own. */
function grouped(faces) {
  const people = new Map();
  for (const face of faces) {
    const name = face.ExternalImageId ?? "";
    const key = name || face.FaceId;
    if (!people.has(key)) people.set(key, { name, faces: [] });
    people.get(key).faces.push(face);
  }
  return [...people.values()].sort((a, b) => (a.name || "~").localeCompare(b.name || "~"));
}

function personItem(person, collection, again) {
  const name = called(person.name) || "Without a name";
  const seen = state.events.find((event) => event.Person?.Known && event.Person.Name === person.name && event.VisitId);
  const lost = `${count(person.faces.length, "face")} of ${name} in ${collection} ${person.faces.length === 1 ? "is" : "are"} deleted for good. ${name} will be a stranger again. Events that told of them stay.`;
  const remove = async () => {
    const ids = person.faces.map((face) => face.FaceId);
    const isGone = await confirm(`Delete ${name}?`, lost, "Delete", async () => {
      for (let at = 0; at < ids.length; at += DELETED_AT_ONCE) {
        await rekognition("DeleteFaces", { CollectionId: collection, FaceIds: ids.slice(at, at + DELETED_AT_ONCE) });
      }
    });
    if (isGone) await again();
  };
  return h(
    "li",
    {},
    portrait(name, seen?.VisitId),
    h("span", { class: "who" }, h("strong", {}, name), h("span", { class: "quiet" }, count(person.faces.length, "face"))),
    h("button", { type: "button", class: "small", "aria-label": `Delete ${name}`, onclick: remove }, "Delete"),
  );
}
