// A figure with its recent past as a small line.

import { h, say, svg } from "./dom.js";

const [WIDTH, HEIGHT] = [120, 28];

/** Answers [element, update(text, values)]; the line is for eyes, the text for everybody. */
export function sparkline(label) {
  const value = h("dd", {});
  const line = svg("polyline", { points: "", fill: "none", "vector-effect": "non-scaling-stroke" });
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spark", preserveAspectRatio: "none", "aria-hidden": "true" }, line);
  const element = h("div", { class: "figure" }, h("dt", {}, label), value, h("dd", { class: "line", "aria-hidden": "true" }, drawing));
  return [
    element,
    (text, values = []) => {
      say(value, text);
      const most = Math.max(...values, 1e-9);
      const step = WIDTH / Math.max(values.length - 1, 1);
      line.setAttribute("points", values.map((at, i) => `${(i * step).toFixed(1)},${(HEIGHT - 2 - (at / most) * (HEIGHT - 4)).toFixed(1)}`).join(" "));
    },
  ];
}
