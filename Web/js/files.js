// Files that are about to be sent: their kind, a small picture of them, and pictures without the place and time their camera wrote into them.

import { size } from "./format.js";
import { measure } from "./recorder.js";
import { strings } from "./strings.js";

export const LARGEST = 100 * 1024 * 1024;
export const MOST = 10;
const THUMBNAIL_EDGE = 96;
const THUMBNAIL_BYTES = 8_000;
const pictures = /^image\/(png|jpeg|gif|webp|avif)$/i;

/** Everything `messages.attach` wants to know about a file, with a `url` to show it by; throws a sentence when it is too large. */
export async function prepare(file, number) {
  if (file.size > LARGEST) throw new Error(strings.composer.tooLarge(file.name, size(LARGEST)));
  const name = file.name && file.name !== "image.png" ? file.name : `${strings.composer.pasted} ${number}.png`;
  const item = { id: crypto.randomUUID(), blob: file, name, kind: kindOf(file.type), content_type: file.type || "application/octet-stream", url: null, progress: null };
  if (item.kind === "image") await picture(item);
  else if (item.kind === "audio") Object.assign(item, await measure(file, 0));
  else if (item.kind === "video") await film(item);
  return item;
}

/** What goes with the upload's id into `messages.attach`. */
export function facts({ kind, name, content_type, duration_ms, width, height, thumbnail, waveform, purpose }) {
  const all = { kind, name, content_type, duration_ms, width, height, thumbnail, waveform, purpose };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null && value !== undefined));
}

function kindOf(type) {
  if (pictures.test(type)) return "image";
  if (/^audio\//i.test(type)) return "audio";
  return /^video\/(webm|mp4|ogg|quicktime)/i.test(type) ? "video" : "file";
}

async function picture(item) {
  try {
    const bitmap = await createImageBitmap(item.blob, { imageOrientation: "from-image" });
    if (item.content_type === "image/jpeg") item.blob = await withoutMetadata(item.blob, bitmap);
    Object.assign(item, { width: bitmap.width, height: bitmap.height, thumbnail: await thumbnail(bitmap, bitmap.width, bitmap.height), url: URL.createObjectURL(item.blob) });
    bitmap.close();
  } catch {
    item.kind = "file";
  }
}

function film(item) {
  return new Promise((resolve) => {
    const video = document.createElement("video");
    const url = URL.createObjectURL(item.blob);
    const done = async (readable) => {
      clearTimeout(timer);
      if (readable && video.videoWidth) {
        const seconds = Number.isFinite(video.duration) ? video.duration : 0;
        Object.assign(item, { width: video.videoWidth, height: video.videoHeight, duration_ms: Math.round(seconds * 1000), thumbnail: await thumbnail(video, video.videoWidth, video.videoHeight) });
      }
      video.removeAttribute("src");
      URL.revokeObjectURL(url);
      resolve();
    };
    const timer = setTimeout(() => done(false), 4000);
    video.muted = true;
    video.onloadeddata = () => done(true);
    video.onerror = () => done(false);
    video.src = url;
  });
}

async function thumbnail(source, width, height) {
  const scale = Math.min(1, THUMBNAIL_EDGE / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  for (const quality of [0.7, 0.4, 0.2]) {
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality });
    if (blob.size <= THUMBNAIL_BYTES) return btoa(String.fromCharCode(...new Uint8Array(await blob.arrayBuffer())));
  }
  return undefined;
}

// Markers of a JPEG that say where, when and with what it was taken: APP1 (Exif, XMP), APP13 (IPTC) and comments. Where Exif also turned the
// picture, leaving it out would turn it back, so that picture is drawn afresh.
async function withoutMetadata(blob, bitmap) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const view = new DataView(bytes.buffer);
  if (bytes.length < 4 || view.getUint16(0) !== 0xffd8) return blob;
  const kept = [bytes.subarray(0, 2)];
  let removed = false;
  for (let at = 2; at + 4 <= bytes.length;) {
    const marker = view.getUint16(at);
    if (marker < 0xff01 || marker === 0xffda) {
      kept.push(bytes.subarray(at));
      break;
    }
    const end = at + 2 + view.getUint16(at + 2);
    if ([0xffe1, 0xffed, 0xfffe].includes(marker)) removed = true;
    else kept.push(bytes.subarray(at, end));
    at = end;
  }
  if (!removed) return blob;
  const stripped = new Blob(kept, { type: blob.type });
  const plain = await createImageBitmap(stripped).catch(() => null);
  if (plain && plain.width === bitmap.width && plain.height === bitmap.height && !turned(bytes)) return stripped;
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
}

// The orientation tag (0x0112) of Exif, when it is there and not 1. Searched in the first segment only, which is where cameras put it.
function turned(bytes) {
  for (let at = 2; at < Math.min(bytes.length - 12, 65_536); at++) {
    if (bytes[at] === 0x01 && bytes[at + 1] === 0x12 && bytes[at + 2] === 0 && bytes[at + 3] === 3) return bytes[at + 9] !== 1;
    if (bytes[at] === 0x12 && bytes[at + 1] === 0x01 && bytes[at + 2] === 3 && bytes[at + 3] === 0) return bytes[at + 8] !== 1;
  }
  return false;
}
