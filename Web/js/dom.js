// A small virtual DOM: views are pure functions that return nodes made by `h`, and `mount` keeps a container equal to what its view
// returns. Elements are reused, so focus, typed text and playing video survive an update.
//
// Props: `on…` are event handlers, `key` gives identity among siblings, `created(element)` and `removed(element)` run once each, `style` is
// an object of CSS properties; `value`, `checked`, `srcObject`, … are set as properties, everything else as an attribute.
// Nothing is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";
const properties = new Set(["value", "checked", "srcObject", "muted", "selected", "open", "indeterminate"]);
const roots = new Set();
let scheduled = false;

export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, key: props?.key ?? null, children: flatten(children, []), element: null };
}

function flatten(list, into) {
  for (const child of list) {
    if (Array.isArray(child)) flatten(child, into);
    else if (child === null || child === undefined || child === false || child === true || child === "") continue;
    else if (typeof child === "object") into.push(child);
    else into.push({ tag: null, text: String(child), key: null, element: null });
  }
  return into;
}

const kept = new WeakMap();

/** The node that `view()` made for `owner` the last time, as long as `facts` are the same; a node seen again is not compared. One place for each owner. */
export function memo(owner, facts, view) {
  const known = kept.get(owner);
  if (known && known.facts.length === facts.length && known.facts.every((fact, index) => Object.is(fact, facts[index]))) return known.node;
  const node = view();
  kept.set(owner, { facts, node });
  return node;
}

/** Keeps `container` equal to `view()`. Returns a function that takes it down. */
export function mount(container, view) {
  const root = { container, view, children: [] };
  roots.add(root);
  draw(root);
  return () => {
    roots.delete(root);
    root.children = patchChildren(container, root.children, [], false);
  };
}

/** Redraws every mounted view soon; calls within one turn are joined. A microtask, because hidden pages get no animation frames. */
export function update() {
  if (scheduled) return;
  scheduled = true;
  queueMicrotask(() => {
    scheduled = false;
    for (const root of [...roots]) if (roots.has(root)) draw(root);
  });
}

function draw(root) {
  root.children = patchChildren(root.container, root.children, flatten([root.view()], []), false);
}

function patchChildren(parent, before, after, svg) {
  const keyed = new Map();
  const loose = [];
  for (const node of before) node.key !== null ? keyed.set(node.key, node) : loose.push(node);
  const pairs = after.map((node) => {
    if (node.key !== null) {
      const match = keyed.get(node.key);
      if (match?.tag !== node.tag) return null;
      keyed.delete(node.key);
      return match;
    }
    const index = loose.findIndex((candidate) => candidate.tag === node.tag);
    return index < 0 ? null : loose.splice(index, 1)[0];
  });
  for (const node of [...keyed.values(), ...loose]) remove(node);
  after.forEach((node, index) => {
    pairs[index] ? patch(pairs[index], node, svg) : create(node, svg);
    const current = parent.childNodes[index] ?? null;
    if (current !== node.element) parent.insertBefore(node.element, current);
  });
  after.forEach((node, index) => { if (!pairs[index]) node.props?.created?.(node.element); });
  return after;
}

function create(node, svg) {
  if (node.tag === null) {
    node.element = document.createTextNode(node.text);
    return;
  }
  const inSVG = svg || node.tag === "svg";
  node.element = inSVG ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag);
  node.children = patchChildren(node.element, [], node.children, inSVG);
  setProps(node.element, {}, node.props);
}

function patch(old, node, svg) {
  if (old === node) return;
  node.element = old.element;
  if (node.tag === null) {
    if (old.text !== node.text) node.element.data = node.text;
    return;
  }
  const inSVG = svg || node.tag === "svg";
  node.children = patchChildren(node.element, old.children, node.children, inSVG);
  setProps(node.element, old.props, node.props);
}

function remove(node) {
  node.props?.removed?.(node.element);
  for (const child of node.children ?? []) remove(child);
  node.element.remove();
}

function setProps(element, old, props) {
  for (const name of Object.keys(old)) if (!(name in props)) setProp(element, name, old[name], undefined);
  for (const [name, value] of Object.entries(props)) setProp(element, name, old[name], value);
}

function setProp(element, name, old, value) {
  if (name === "key" || name === "created" || name === "removed") return;
  if (name.startsWith("on")) {
    element[name] = value ?? null;
  } else if (name === "style") {
    for (const property of Object.keys(old ?? {})) if (!(property in (value ?? {}))) element.style.removeProperty(property);
    for (const [property, text] of Object.entries(value ?? {})) element.style.setProperty(property, text);
  } else if (properties.has(name)) {
    if (element[name] !== (value ?? "")) element[name] = value ?? (name === "srcObject" ? null : "");
  } else if (old !== value) {
    if (value === undefined || value === null || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}
