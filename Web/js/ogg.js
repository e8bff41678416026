// Recorded sound as everybody can play it: takes the Opus packets out of a WebM file, as `MediaRecorder` makes it, and puts them into Ogg
// (RFC 3533, RFC 7845). Nothing is encoded again.

const ids = { segment: 0x18538067, cluster: 0x1f43b675, tracks: 0x1654ae6b, track: 0xae, codec: 0x86, codecPrivate: 0x63a2, blockGroup: 0xa0, block: 0xa1, simpleBlock: 0xa3, trackNumber: 0xd7 };
const containers = new Set([ids.segment, ids.cluster, ids.tracks, ids.blockGroup]);
const VENDOR = "DSIP";
const PAGE_SECONDS = 1;
const RATE = 48_000;
const DEEPEST = 8;

/** `{head, packets}`: the OpusHead and the packets of the first Opus track, in order. Throws when there is none. */
export function readWebM(bytes) {
  const found = { head: null, number: null, packets: [] };
  walk(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.byteLength, found, 0);
  if (!found.head || found.packets.length === 0) throw new Error("This recording holds no Opus sound.");
  return found;
}

function walk(view, start, end, found, depth) {
  if (depth > DEEPEST) throw new Error("This recording is damaged.");
  for (let at = start; at < end;) {
    const id = identifier(view, at, end);
    if (!id) return;
    const length = number(view, at + id.length, end);
    if (!length) return;
    const body = at + id.length + length.length;
    // A live recording does not know the size of its segment and clusters: they last until the end, or until their parent goes on.
    const stop = length.value === null ? end : Math.min(end, body + length.value);
    if (containers.has(id.value)) walk(view, body, stop, found, depth + 1);
    else if (id.value === ids.track) track(view, body, stop, found);
    else if (id.value === ids.simpleBlock || id.value === ids.block) block(view, body, stop, found);
    at = stop;
  }
}

function track(view, start, end, found) {
  const entry = {};
  for (let at = start; at < end;) {
    const id = identifier(view, at, end);
    const length = id && number(view, at + id.length, end);
    if (!length || length.value === null) return;
    const body = at + id.length + length.length;
    const stop = Math.min(end, body + length.value);
    entry[id.value] = new Uint8Array(view.buffer, view.byteOffset + body, stop - body);
    at = stop;
  }
  if (found.head || text(entry[ids.codec]) !== "A_OPUS") return;
  found.head = entry[ids.codecPrivate]?.length >= 19 && text(entry[ids.codecPrivate].subarray(0, 8)) === "OpusHead" ? entry[ids.codecPrivate].slice() : opusHead(1);
  found.number = (entry[ids.trackNumber] ?? []).reduce((sum, byte) => sum * 256 + byte, 0);
}

//  track number (vint) | timecode (2) | flags (1) | frame
function block(view, start, end, found) {
  const owner = number(view, start, end);
  if (!owner || owner.value !== found.number || start + owner.length + 3 >= end) return;
  const flags = view.getUint8(start + owner.length + 2);
  if (flags & 0x06) throw new Error("This recording is laced, which recorders of browsers do not do.");
  const body = start + owner.length + 3;
  found.packets.push(new Uint8Array(view.buffer, view.byteOffset + body, end - body).slice());
}

function identifier(view, at, end) {
  const length = at < end ? Math.clz32(view.getUint8(at)) - 23 : 9;
  if (length > 4 || at + length > end) return null;
  let value = 0;
  for (let i = 0; i < length; i++) value = value * 256 + view.getUint8(at + i);
  return { value, length };
}

function number(view, at, end) {
  const length = at < end ? Math.clz32(view.getUint8(at)) - 23 : 9;
  if (length > 8 || at + length > end) return null;
  let value = view.getUint8(at) & (0xff >> length);
  let unknown = value === 0xff >> length;
  for (let i = 1; i < length; i++) {
    const byte = view.getUint8(at + i);
    unknown &&= byte === 0xff;
    value = value * 256 + byte;
  }
  return { value: unknown || value > Number.MAX_SAFE_INTEGER ? null : value, length };
}

const text = (bytes) => String.fromCharCode(...(bytes ?? []).subarray?.(0, 32) ?? []);

function opusHead(channels) {
  const head = new Uint8Array(19);
  head.set(new TextEncoder().encode("OpusHead"));
  head.set([1, channels], 8);
  new DataView(head.buffer).setUint32(12, RATE, true);
  return head;
}

/** Samples at 48 kHz of one Opus packet, from its first two bytes (RFC 6716 §3.1). */
export function packetSamples(packet) {
  const config = packet[0] >> 3;
  const silk = [480, 960, 1920, 2880];
  const frame = config < 12 ? silk[config & 3] : config < 16 ? [480, 960][config & 1] : [120, 240, 480, 960][config & 3];
  const code = packet[0] & 3;
  const frames = code === 0 ? 1 : code < 3 ? 2 : (packet[1] ?? 0) & 63;
  return frame * frames;
}

/** An Ogg file of these packets. `serial` is any 32-bit number. */
export function writeOgg({ head, packets }, serial) {
  const pages = [page([head], 0n, 0x02, serial, 0), page([opusTags()], 0n, 0, serial, 1)];
  let samples = 0n;
  let waiting = [];
  let laces = 0;
  let since = 0;
  const flush = (last) => {
    pages.push(page(waiting, samples, last ? 0x04 : 0, serial, pages.length));
    [waiting, laces, since] = [[], 0, 0];
  };
  packets.forEach((packet, index) => {
    const needs = Math.floor(packet.length / 255) + 1;
    if (needs > 255) throw new Error("This recording is damaged.");
    if (laces + needs > 255) flush(false);
    waiting.push(packet);
    laces += needs;
    const length = packetSamples(packet);
    samples += BigInt(length);
    since += length;
    const last = index === packets.length - 1;
    if (last || since >= RATE * PAGE_SECONDS) flush(last);
  });
  return new Blob(pages, { type: "audio/ogg; codecs=opus" });
}

function opusTags() {
  const vendor = new TextEncoder().encode(VENDOR);
  const tags = new Uint8Array(16 + vendor.length);
  tags.set(new TextEncoder().encode("OpusTags"));
  new DataView(tags.buffer).setUint32(8, vendor.length, true);
  tags.set(vendor, 12);
  return tags;
}

//  "OggS" | version 0 | flags | granule (8) | serial (4) | sequence (4) | checksum (4) | segments (1) | lacing values | packets
function page(packets, granule, flags, serial, sequence) {
  const lacing = packets.flatMap((packet) => [...Array(Math.floor(packet.length / 255)).fill(255), packet.length % 255]);
  const size = packets.reduce((sum, packet) => sum + packet.length, 0);
  const bytes = new Uint8Array(27 + lacing.length + size);
  const view = new DataView(bytes.buffer);
  bytes.set([0x4f, 0x67, 0x67, 0x53, 0, flags]);
  view.setBigUint64(6, granule, true);
  view.setUint32(14, serial >>> 0, true);
  view.setUint32(18, sequence, true);
  bytes[26] = lacing.length;
  bytes.set(lacing, 27);
  let at = 27 + lacing.length;
  for (const packet of packets) {
    bytes.set(packet, at);
    at += packet.length;
  }
  view.setUint32(22, checksum(bytes), true);
  return bytes;
}

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index << 24;
  for (let bit = 0; bit < 8; bit++) value = (value << 1) ^ (value & 0x80000000 ? 0x04c11db7 : 0);
  return value >>> 0;
});

function checksum(bytes) {
  let value = 0;
  for (const byte of bytes) value = ((value << 8) ^ table[((value >>> 24) ^ byte) & 0xff]) >>> 0;
  return value;
}

/** A recording of this browser as a blob that goes out: Ogg where it is WebM with Opus, as it is otherwise. */
export async function toOgg(blob) {
  if (!/webm/i.test(blob.type)) return blob;
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return writeOgg(readWebM(bytes), crypto.getRandomValues(new Uint32Array(1))[0]);
}
