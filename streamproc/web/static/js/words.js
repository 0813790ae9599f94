// Says things in a person's words: times, states, reasons, errors. Pure; knows no elements.

const SECOND = 1000;

/** Milliseconds since the epoch, of an ISO text or of seconds since the epoch; NaN for nothing. */
export function moment(value) {
  if (typeof value === "number") return value * SECOND;
  return value ? Date.parse(value) : NaN;
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "";
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s < 600 && s % 60 ? ` ${s % 60} s` : ""}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  const days = Math.floor(s / 86400);
  return `${days} ${days === 1 ? "day" : "days"}`;
}

export function ago(value, now = Date.now()) {
  const s = (now - moment(value)) / SECOND;
  if (!Number.isFinite(s)) return "";
  if (s < 5) return "just now";
  return `${duration(s < 60 ? s : Math.floor(s / 60) * 60)} ago`;
}

export function clock(value) {
  const at = new Date(moment(value));
  if (Number.isNaN(at.getTime())) return "";
  const today = new Date().toDateString() === at.toDateString();
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return today ? time : `${at.toLocaleDateString([], { day: "numeric", month: "short" })} ${time}`;
}

export function bytes(count) {
  if (!Number.isFinite(count)) return "";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  let value = count;
  while (value >= 1000 && step < units.length - 1) [value, step] = [value / 1000, step + 1];
  return `${value >= 100 || step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

/** How a person is called: an ExternalImageId has no spaces, so people write underscores. */
export function called(name) {
  return String(name ?? "").replaceAll("_", " ");
}

/** The ExternalImageId for a name as typed; "" if nothing of it can be kept. */
export function asId(name) {
  return name
    .trim()
    .replaceAll("ß", "ss")
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/\s+/g, "_")
    .replace(/[^a-zA-Z0-9_.\-:]/g, "")
    .slice(0, 255);
}

export const STATES = {
  RUNNING: "Watching",
  STARTING: "Starting",
  STOPPING: "Stopping",
  STOPPED: "Stopped",
  FAILED: "Failed",
  UPDATING: "Updating",
};

export const CAMERAS = {
  LIVE: "Live",
  CONNECTING: "Connecting",
  RETRYING: "Trying again",
  REFUSED: "Refused",
};

const REJECTED = {
  SMALL_BOUNDING_BOX: "the face is too small: come closer, or use a larger picture",
  LOW_SHARPNESS: "the face is blurred",
  LOW_BRIGHTNESS: "the face is too dark",
  EXTREME_POSE: "the face looks away: use a picture from the front",
  LOW_CONFIDENCE: "it is hardly to be seen as a face",
  LOW_FACE_QUALITY: "the picture of the face is too poor",
  EXCEEDS_MAX_FACES: "there is a larger face beside it",
};

/** Rekognition's Reasons of an UnindexedFace. */
export function rejected(reasons) {
  return reasons.map((reason) => REJECTED[reason] ?? reason.toLowerCase().replaceAll("_", " ")).join("; ");
}

/** What a threshold means; the rates are those of docs/similarity.md. */
export function thresholdMeaning(similarity, faces) {
  const points = [[25, 1], [50, 2], [80, 3], [90, 4], [99, 6]];
  let power = points.at(-1)[1];
  for (let i = 1; i < points.length; i++) {
    const [[lowAt, low], [highAt, high]] = [points[i - 1], points[i]];
    if (similarity > highAt) continue;
    power = low + ((Math.max(similarity, lowAt) - lowAt) / (highAt - lowAt)) * (high - low);
    break;
  }
  const strangers = Number((10 ** power).toPrecision(1));
  const alike = `One stranger in ${strangers.toLocaleString("en")} looks this alike.`;
  if (similarity < 80) return `${alike} Many people will be taken for somebody else.`;
  const among = faces > 0 ? 1 - (1 - 1 / strangers) ** faces : 0;
  const often = among > 0.005 ? ` With ${count(faces, "face")} in the collection, a stranger is given a wrong name about ${among > 0.5 ? "every other time" : `once in ${Math.round(1 / among)}`}.` : "";
  const missed = similarity > 97 ? " People you know will be missed more often." : "";
  return alike + often + missed;
}

/** The name of an error of the daemon's; "" for any other (a DOMException's code is a number). */
export function codeOf(error) {
  return typeof error?.code === "string" ? error.code : "";
}

/** An error as [what happened, what helps]. */
export function told(error) {
  const text = error?.message ?? String(error);
  const code = codeOf(error);
  if (code === "Unreachable") return ["The daemon does not answer.", "It is tried again; nothing you typed is lost."];
  if (code.startsWith("AccessDenied")) {
    const right = /perform: (\S+)(?: on resource: (\S+))?/.exec(text);
    return right
      ? [`Your key may not do this: it lacks ${right[1]}${right[2] ? ` on ${right[2]}` : ""}.`, "Whoever runs the daemon can allow it: streamproc keys policy"]
      : [text, ""];
  }
  if (/Throttl|ThroughputExceeded|LimitExceeded|TooManyRequests/.test(code)) return ["The daemon is busy, or a limit is reached.", text];
  if (code === "ImageTooLargeException") return ["The picture is too large.", text];
  if (code === "InvalidImageFormatException") return ["This is no picture that can be read.", "Use a JPEG or PNG."];
  return [text, ""];
}
