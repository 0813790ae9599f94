// Pictures of faces that were seen, as long as the daemon has them. A few are kept in memory.

import { rekognition } from "./api.js";
import { h, icon } from "./dom.js";
import { state } from "./store.js";

const KEPT_MAX = 100;
const LATER_MS = 3000; // who has just come in may have no good picture yet
const NONE = /ResourceNotFound|AccessDenied/;
const GONE_MAX = 1000;
const kept = new Map(); // VisitId to a promise of base64 JPEG, or of null
const gone = new Set(); // visits that have none any more; one that is open may still get one

/** The JPEG of a visit in base64; null where the daemon has none, or does not tell. */
export function pictureOf(visitId) {
  const isOpen = state.visits.has(visitId);
  if (!isOpen && gone.has(visitId)) return Promise.resolve(null);
  if (!kept.has(visitId)) {
    kept.set(
      visitId,
      rekognition("GetStreamprocFacePicture", { VisitId: visitId })
        .then((answer) => answer.Picture ?? null)
        .catch((error) => {
          if (!isOpen && NONE.test(error.code)) gone.add(visitId);
          if (gone.size > GONE_MAX) gone.delete(gone.values().next().value);
          return null;
        })
        .then((jpeg) => {
          if (jpeg) gone.delete(visitId);
          else kept.delete(visitId); // there may be one when it is asked for again
          return jpeg;
        }),
    );
    if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value);
  }
  return kept.get(visitId);
}

/** Asked again next time: a better one may be there by now. */
export function forget(visitId) {
  kept.delete(visitId);
}

/** A round picture of a person, or their initial where there is none. */
export function portrait(name, visitId, isKnown = true) {
  const initial = name.match(/[\p{L}\p{N}]/u)?.[0].toUpperCase() ?? "?";
  const circle = h("span", { class: `portrait${isKnown ? "" : " stranger"}`, "aria-hidden": "true" }, isKnown ? initial : icon("person"));
  if (visitId) paint(circle, visitId, 1);
  return circle;
}

async function paint(circle, visitId, moreTries) {
  const jpeg = await pictureOf(visitId);
  if (jpeg) circle.replaceChildren(h("img", { src: `data:image/jpeg;base64,${jpeg}`, alt: "" }));
  else if (moreTries) setTimeout(() => circle.isConnected && paint(circle, visitId, moreTries - 1), LATER_MS);
}
