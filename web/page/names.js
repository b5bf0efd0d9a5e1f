// SPDX-License-Identifier: MIT
// Names: which ones are valid, and how the page shows them.

import { isName, problemOf } from '../client/limits.js';
import { make, setText } from './dom.js';

/** Browsers put this character in the place of bytes that are not UTF-8, for example in an address. */
const REPLACEMENT = '\u{FFFD}';

/**
 * @param {string} name
 * @returns {string} a sentence that says why a name is not valid; empty if it is
 */
export function problemOfName(name) {
  if (name.includes(REPLACEMENT)) return 'This name is damaged: one of its characters could not be read.';
  return problemOf(name, 'A name');
}

/**
 * @param {string} name of a group
 * @returns {string} a sentence that says why it is not valid; empty if it is
 */
export function problemOfGroupName(name) {
  if (isName(name)) return '';
  if (!name.trim()) return 'Enter a name.';
  return /\p{Cc}/u.test(name) ? 'A name has no control characters.' : 'This name is too long. Shorten it.';
}

// Characters without a shape of their own, or that reorder others. A joiner shows between emojis, and a non-joiner between two
// Arabic letters that would otherwise join, as in Persian: https://www.rfc-editor.org/rfc/rfc5892#appendix-A.1
const JOINING =
  '[\\u0626\\u0628\\u062A-\\u062E\\u0633-\\u063F\\u0641-\\u0647\\u0649\\u064A\\u0679\\u067E\\u0686\\u06A9\\u06AF\\u06BE\\u06C1\\u06CC]';
const NON_JOINER = `${JOINING}\\u200C(?=[\\u0622-\\u064A\\u0671-\\u06D3])`;
const EMOJI = '\\p{Extended_Pictographic}\\uFE0F?\\p{Emoji_Modifier}?';
const INVISIBLE =
  '[\\p{Cf}\\p{Zl}\\p{Zp}\\u00A0\\u034F\\u115F\\u1160\\u17B4\\u17B5\\u2000-\\u200A\\u202F\\u205F\\u2800\\u3000\\u3164\\uFFA0]';
const SHOWN_OR_INVISIBLE = new RegExp(`(${EMOJI}(?:\\u200D${EMOJI})+|${NON_JOINER})|${INVISIBLE}`, 'gu');

/**
 * A text with its invisible characters written out, so that two different texts never look the same.
 *
 * @param {string} text
 */
export const visible = (text) =>
  text.replace(SHOWN_OR_INVISIBLE, (c, shown) => shown ?? `[U+${hexadecimal(c.codePointAt(0) ?? 0)}]`);

/** @param {number} codePoint */
const hexadecimal = (codePoint) => codePoint.toString(16).toUpperCase().padStart(4, '0');

/** A place for an avatar. Screen readers skip it. */
export function makeAvatar() {
  const node = make('span', 'avatar');
  node.setAttribute('aria-hidden', 'true');
  return node;
}

/**
 * Shows the first letter of a name on a colour.
 *
 * @param {HTMLElement} node
 * @param {string} name
 * @param {string} [seed] of the colour
 */
export function paintAvatar(node, name, seed = name) {
  setText(node, firstLetter(name).toUpperCase());
  node.dataset.hue = hueOf(seed);
  return node;
}

/**
 * The number of one of eight colours. Similar texts have different ones.
 *
 * @param {string} seed
 */
export function hueOf(seed) {
  // FNV-1a
  const hash =
    new TextEncoder().encode(seed).reduce((sum, byte) => Math.imul(sum ^ byte, 0x01000193), 0x811c9dc5) >>> 0;
  return String(hash % 8);
}

/**
 * What a user takes for the first letter. Firefox before 125 knows code points only.
 *
 * @param {string} name
 */
function firstLetter(name) {
  const letters = Intl.Segmenter ? Array.from(new Intl.Segmenter().segment(name), (s) => s.segment) : [...name];
  return letters[0] ?? '?';
}
