// QR codes. Drawing: the agent's SVG is rebuilt from an allow-list of shapes, never inserted as markup. Reading: the browser's
// BarcodeDetector, where there is one.

import { h } from "../dom.js";
import { capture } from "../media.js";

const shapes = new Set(["svg", "g", "path", "rect"]);
const attributes = new Set(["viewBox", "d", "x", "y", "width", "height", "transform", "fill-rule"]);
const cache = new Map();

/** The code as nodes drawn in the current colour on white, with a name for assistive technology. */
export function qrCode(svg, label) {
  if (!cache.has(svg)) {
    if (cache.size > 16) cache.clear();
    cache.set(svg, parse(svg));
  }
  return h("div", { class: "qr", role: "img", "aria-label": label }, copy(cache.get(svg)));
}

function parse(svg) {
  const root = new DOMParser().parseFromString(svg ?? "", "image/svg+xml").documentElement;
  return root.localName === "svg" ? read(root, 0) : null;
}

function read(element, depth) {
  if (!shapes.has(element.localName) || depth > 4) return null;
  const props = {};
  for (const { name, value } of element.attributes) if (attributes.has(name)) props[name] = value;
  for (const paint of ["fill", "stroke"]) {
    const value = element.getAttribute(paint);
    if (value) props.class = `${props.class ?? ""} ${paint}-${/^(#fff(fff)?|white)$/i.test(value) ? "light" : value === "none" ? "none" : "dark"}`;
  }
  if (element.localName === "svg" && !props.viewBox && props.width && props.height) props.viewBox = `0 0 ${parseFloat(props.width)} ${parseFloat(props.height)}`;
  if (element.localName === "svg") props["aria-hidden"] = "true";
  return { tag: element.localName, props, children: [...element.children].slice(0, 20_000).map((child) => read(child, depth + 1)).filter(Boolean) };
}

const copy = (node) => node && h(node.tag, node.props, node.children.map(copy));

export const canScan = () => "BarcodeDetector" in globalThis;

/** Reads codes from the camera until `stop` of the result is called; `found(text)` for each. */
export async function startScanner(video, found) {
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  const track = await capture("camera");
  video.srcObject = new MediaStream([track]);
  await video.play();
  const timer = setInterval(async () => {
    try {
      for (const code of await detector.detect(video)) found(code.rawValue);
    } catch {
      // A frame that cannot be read is followed by another.
    }
  }, 250);
  return { stop: () => { clearInterval(timer); track.stop(); } };
}
