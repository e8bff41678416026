// The text of a message: plain text in which web addresses can be followed and mentions stand out. Nothing else is made of it.

import { h } from "../dom.js";

const ADDRESS = /\bhttps?:\/\/[^\s<>"'“”]+/giu;
const emoji = /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|\u200d|\ufe0f|\s)+$/u;
const graphemes = globalThis.Intl?.Segmenter ? new Intl.Segmenter() : null;

/** Nodes of a text; `mentions` are `{did, start, length}` in Unicode scalars, and one outside the text is passed over. */
export function richText(text, mentions, nameFor) {
  const scalars = [...text];
  const nodes = [];
  let at = 0;
  for (const { did, start, length } of [...(mentions ?? [])].sort((a, b) => a.start - b.start)) {
    if (!Number.isInteger(start) || !Number.isInteger(length) || start < at || length < 1 || start + length > scalars.length) continue;
    nodes.push(...linked(scalars.slice(at, start).join("")), h("span", { key: `m${start}`, class: "mention", title: nameFor(did) }, scalars.slice(start, start + length).join("")));
    at = start + length;
  }
  return [...nodes, ...linked(scalars.slice(at).join(""))];
}

function linked(text) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = match[0].replace(/[.,;:!?)\]}]+$/u, "");
    if (!URL.canParse(address)) continue;
    nodes.push(text.slice(at, match.index), h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, address));
    at = match.index + address.length;
  }
  return [...nodes, text.slice(at)];
}

/** One to three emoji and nothing else: shown large. */
export function isJumbo(text) {
  return text.length <= 40 && emoji.test(text) && graphemes !== null && [...graphemes.segment(text.replace(/\s/g, ""))].length <= 3;
}

/** A snippet of the search, with what matched marked: matches stand between U+0002 and U+0003. */
export function marked(snippet) {
  return snippet.split("\u0002").flatMap((part, index) => {
    if (index === 0) return [part];
    const [match, rest = ""] = part.split("\u0003");
    return [h("mark", { key: index }, match), rest];
  });
}
