// Photos: read, turned, scaled and cut in the browser, before anything is sent. Knows canvases
// and DetectFaces; knows no collections.

import { rekognition } from "./api.js";

const SIDE_MIN = 80; // as Rekognition's
const SIDE_MAX = 2048; // pixels; larger shows the engine nothing more, and Image.Bytes has 5 MB
const CUT = 2.4; // times the face's height: what IndexFaces needs around a face to find it again

export class NoPicture extends Error {
  code = "NoPicture";
}

/** A canvas of a file, upright as its camera says. Raises NoPicture in words. */
export async function read(file) {
  if (file.type && !file.type.startsWith("image/")) {
    throw new NoPicture(`“${file.name}” is no picture (${file.type}). Choose a photo, a JPEG or PNG for instance.`);
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new NoPicture(`This browser cannot read “${file.name}”. Save it as JPEG or PNG and try again.`);
  }
  if (Math.min(bitmap.width, bitmap.height) < SIDE_MIN) {
    throw new NoPicture(`A photo of ${bitmap.width} × ${bitmap.height} pixels is too small: each side needs ${SIDE_MIN}. Use the original, not its preview.`);
  }
  const scale = Math.min(1, SIDE_MAX / Math.max(bitmap.width, bitmap.height));
  return drawn(bitmap, Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
}

export function drawn(source, width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(width, 1), Math.max(height, 1)];
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** The same picture turned by quarter turns to the right. */
export function turned(canvas, quarters) {
  const aside = quarters % 2 === 1;
  const result = document.createElement("canvas");
  [result.width, result.height] = aside ? [canvas.height, canvas.width] : [canvas.width, canvas.height];
  const context = result.getContext("2d");
  context.translate(result.width / 2, result.height / 2);
  context.rotate((quarters * Math.PI) / 2);
  context.drawImage(canvas, -canvas.width / 2, -canvas.height / 2);
  return result;
}

/** What DetectFaces finds: [{box, roll}], largest first. */
export async function faces(canvas) {
  const answer = await rekognition("DetectFaces", { Image: { Bytes: await base64(canvas) } });
  return answer.FaceDetails.map((face) => ({ box: face.BoundingBox, roll: face.Pose?.Roll ?? 0 })).sort(
    (a, b) => b.box.Height - a.box.Height,
  );
}

/** How far a picture must be turned so that it has upright faces: {quarters, found}. */
export async function look(canvas) {
  const found = await faces(canvas);
  if (found.length && Math.abs(found[0].roll) < 60) return { quarters: 0, found };
  for (const quarters of [2, 1, 3]) {
    const again = await faces(turned(canvas, quarters));
    if (again.length && Math.abs(again[0].roll) < 45) return { quarters, found: again };
  }
  return { quarters: 0, found };
}

/** A square around a face, wide enough to find it again, within the picture. */
export function cut(canvas, box) {
  const height = box.Height * canvas.height;
  const half = Math.max((height * CUT) / 2, (box.Width * canvas.width * CUT) / 2);
  const x = (box.Left + box.Width / 2) * canvas.width;
  const y = (box.Top + box.Height / 2) * canvas.height;
  const [left, top] = [Math.max(0, x - half), Math.max(0, y - half)];
  const width = Math.min(canvas.width, x + half) - left;
  const tall = Math.min(canvas.height, y + half) - top;
  const result = document.createElement("canvas");
  [result.width, result.height] = [Math.round(width), Math.round(tall)];
  result.getContext("2d").drawImage(canvas, left, top, width, tall, 0, 0, result.width, result.height);
  return result;
}

/** As the API takes pictures. */
export async function base64(canvas) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
