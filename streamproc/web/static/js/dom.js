// Builds elements. Text always becomes text nodes: a name that looks like HTML stays a name.

const SVG = "http://www.w3.org/2000/svg";

/** An element: h("p", { class: "quiet" }, "text", child). on… adds listeners; null children vanish. */
export function h(tag, members = {}, ...children) {
  return dressed(document.createElement(tag), members, children);
}

/** The same for SVG, where every member is an attribute. */
export function svg(tag, members = {}, ...children) {
  return dressed(document.createElementNS(SVG, tag), members, children);
}

function dressed(element, members, children) {
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "srcObject") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets text only where it differs, so that screen readers and selections are left in peace. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(2).filter(Boolean));
}

/**
 * Holds parent's children to items: one element per key, kept while its key is there, so that
 * focus and pictures survive an update. make(item) answers [element, update].
 */
export function keyed(parent, keyOf, make) {
  const kept = new Map();
  return (items) => {
    const wanted = new Set(items.map(keyOf));
    for (const [key, [element]] of kept) {
      if (wanted.has(key)) continue;
      element.remove();
      kept.delete(key);
    }
    let before = parent.firstChild;
    for (const item of items) {
      const key = keyOf(item);
      if (!kept.has(key)) kept.set(key, make(item));
      const [element, update] = kept.get(key);
      update(item);
      if (element === before) before = before.nextSibling;
      else parent.insertBefore(element, before);
    }
  };
}

const ICONS = {
  now: "M12 5c5 0 8.5 4 9.5 7-1 3-4.500 7-9.500 7S3.500 15 2.500 12c1-3 4.500-7 9.500-7Zm0 4a3 3 0 1 0 0 6 3 3 0 0 0 0-6Z",
  people: "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7 9c0-4 3-6.500 7-6.500S16 16 16 20M16 4a3.500 3.500 0 0 1 0 7m2.500 3c2.300.8 3.500 3 3.500 6",
  jobs: "M4 5h16v14H4ZM4 9h16M8 5l-2 4m7-4-2 4m7-4-2 4M10 12l4 2.500-4 2.500Z",
  system: "M4 6h10m4 0h2M4 12h2m4 0h10M4 18h8m4 0h4M14 4v4M6 10v4M12 16v4",
  add: "M12 5v14M5 12h14",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-8 9c0-4 3.500-6.500 8-6.500s8 2.500 8 6.500",
};

export function icon(name) {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: ICONS[name] }),
  );
}
