// System: whether all is well, what looks at pictures and under which licence, who is told, what is kept.

import { fill, h } from "../dom.js";
import { state, watch, whyNot } from "../store.js";
import { CAMERAS, bytes, count, duration } from "../words.js";

export function show(signal) {
  const checks = section("Health");
  const engine = section("Engine and models");
  const cameras = section("Cameras");
  const outlets = section("Told to others");
  const kept = section("What is kept");
  watch(["health", "hello"], signal, () => {
    if (!state.health) {
      const why = whyNot("health") || "Asking the daemon …";
      for (const one of [checks, engine]) one.show(why, () => h("p", { class: "quiet" }, why));
      return;
    }
    checks.show(state.health.Checks, () => health(state.health));
    const { EngineName, PackName, Licence, Providers, Models, Version } = state.health;
    engine.show([EngineName, PackName, Licence, Providers, Models, Version], () => models(state.health));
  });
  watch(["cameras"], signal, () => cameras.show(state.cameras, () => cameraList(state.cameras)));
  watch(["outlets"], signal, () => outlets.show(state.outlets, () => outletList(state.outlets)));
  watch(["hello", "health"], signal, () => kept.show([state.hello, state.health?.DataFolderBytesFree], keeping));
  const sections = [checks, kept, engine, cameras, outlets].map((one) => one.element);
  return { title: "System", content: h("div", { class: "sections" }, sections) };
}

/** A titled place that is drawn again only when what it shows has changed. */
function section(title) {
  const place = h("div", { class: "stack" });
  let shown;
  return {
    element: h("section", { class: "card", "aria-label": title }, h("h2", {}, title), place),
    show(of, draw) {
      const text = JSON.stringify(of);
      if (text === shown) return;
      shown = text;
      fill(place, draw());
    },
  };
}

function mark(isWell) {
  return h("span", { class: "badge", "data-status": isWell ? "RUNNING" : "FAILED" }, isWell ? "Well" : "Trouble");
}

function health({ Checks = [], Ready }) {
  const summary = Ready ? "It can serve." : "It is not ready yet.";
  return [h("p", {}, summary), h("ul", { class: "rows" }, Checks.map((check) => h("li", {}, h("strong", {}, check.Name), mark(check.Ok), check.Message ? h("p", { class: check.Ok ? "quiet" : "message" }, check.Message) : null)))];
}

function models({ EngineName, PackName, Licence, Providers = [], Models = [], Version, UptimeSeconds }) {
  return [
    facts([
      ["Version", `${Version}, up for ${duration(UptimeSeconds)}`],
      ["Engine", [EngineName, PackName].filter(Boolean).join(", ")],
      ["Licence of its weights", Licence],
      ["Runs on", Providers.join(", ")],
    ]),
    Models.length ? h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Models" }, modelTable(Models)) : null,
  ];
}

function modelTable(list) {
  const row = (tag, cells) => h("tr", {}, cells.map((cell) => h(tag, tag === "th" ? { scope: "col" } : {}, cell)));
  return h("table", {}, h("thead", {}, row("th", ["Model", "For", "Licence", "Here"])), h("tbody", {}, list.map((one) => row("td", [one.Name, one.Purpose ?? "", one.Licence ?? "", one.Installed ? "yes" : "no"]))));
}

function cameraList(cameras) {
  if (!cameras.length) return h("p", { class: "quiet" }, "None are run by the daemon. Give it some in [cameras], or send one: streamproc put-media");
  return h(
    "ul",
    { class: "rows" },
    cameras.map((camera) => {
      const facts = [camera.Codec, camera.Width && `${camera.Width}×${camera.Height}`, camera.FramesPerSecond && `${Math.round(camera.FramesPerSecond)} a second`, camera.BytesPerSecond && `${bytes(camera.BytesPerSecond)} a second`, camera.Transcoding && "transcoded here", camera.Reconnects && count(camera.Reconnects, "reconnection")];
      return h(
        "li",
        {},
        h("strong", {}, camera.Name),
        h("span", { class: "badge", "data-status": camera.Status }, CAMERAS[camera.Status] ?? camera.Status),
        h("p", { class: "quiet" }, [camera.Url, ...facts].filter(Boolean).join(" · ")),
        camera.StatusMessage ? h("p", { class: "message" }, camera.StatusMessage) : null,
      );
    }),
  );
}

function outletList(outlets) {
  if (!outlets.length) return h("p", { class: "quiet" }, "Nobody. Events can go to MQTT, Home Assistant and webhooks: [mqtt] and [webhooks] in the configuration.");
  return h(
    "ul",
    { class: "rows" },
    outlets.map((outlet) => {
      const figures = [count(outlet.DeliveredTotal ?? 0, "event") + " delivered", outlet.Waiting && `${outlet.Waiting} waiting`, outlet.PassedOverTotal && `${outlet.PassedOverTotal} passed over`];
      return h("li", {}, h("strong", {}, outlet.Name), mark(outlet.Connected), h("p", { class: "quiet" }, figures.filter(Boolean).join(" · ")), outlet.Message ? h("p", { class: outlet.Connected ? "quiet" : "message" }, outlet.Message) : null);
    }),
  );
}

function keeping() {
  const hours = state.hello.FacePicturesKeptHours ?? state.health?.FacePicturesKeptHours;
  const days = state.hello.EventsKeptDays;
  const free = state.health?.DataFolderBytesFree;
  return facts([
    ["Pictures of faces", hours === undefined ? "" : hours > 0 ? `On disk for ${duration(hours * 3600)}, then deleted` : "Not on disk; in memory while a person is in view and shortly after"],
    ["Events", days === undefined ? "" : `For ${duration(days * 86400)}`],
    ["Free on the disk", free === undefined ? "" : bytes(free)],
  ]);
}

function facts(rows) {
  return h("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value))));
}
