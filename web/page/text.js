// Text as the page shows it: links, names, dates.

import { make } from './dom.js';

const LINK = /\bhttps?:\/\/[^\s<>"'`]+/giu;
const TRAILING_PUNCTUATION = /[.,:;!?)\]}»”’…]$/u;
const EMOJI_ONLY = /^(?:\p{Emoji_Presentation}|\p{Emoji}\uFE0F|\p{Emoji_Modifier}|\u200D|\s){1,12}$/u;

/**
 * Removes the punctuation that ends the sentence. A closing bracket stays if the address has an opening one.
 *
 * @param {string} address
 */
function withoutPunctuation(address) {
  let text = address;
  for (;;) {
    const end = TRAILING_PUNCTUATION.exec(text)?.[0];
    if (!end || (end === ')' && text.split('(').length >= text.split(')').length)) return text;
    text = text.slice(0, -end.length);
  }
}

/**
 * Splits a text into plain parts and links to its http and https addresses.
 *
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function linked(text) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const address = withoutPunctuation(match[0]);
    if (!URL.canParse(address)) continue;
    const link = /** @type {HTMLAnchorElement} */ (make('a', '', address));
    Object.assign(link, { href: address, target: '_blank', rel: 'noopener noreferrer nofollow' });
    parts.push(text.slice(from, match.index), link);
    from = match.index + address.length;
  }
  return [...parts, text.slice(from)].filter((part) => part !== '');
}

/** @param {string} text */
export const isEmojiOnly = (text) => EMOJI_ONLY.test(text) && !/^[\d#*\s]+$/u.test(text);

// Characters without a shape of their own, or that reorder others, except the joiner within an emoji sequence.
const INVISIBLE =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: each one is matched alone
  /(?!(?<=\p{Emoji}\uFE0F?\p{Emoji_Modifier}?)\u200D(?=\p{Extended_Pictographic}))[\p{Cf}\p{Zl}\p{Zp}\u00A0\u034F\u115F\u1160\u17B4\u17B5\u2000-\u200A\u202F\u205F\u2800\u3000\u3164\uFFA0]/gu;

/**
 * A name with its invisible characters written out, so that two different names never look the same.
 *
 * @param {string} name
 */
export const visibleName = (name) =>
  name.replace(INVISIBLE, (c) => `[U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`);

/**
 * Shows the first letter of a name on a colour that depends on the name.
 *
 * @param {HTMLElement} node
 * @param {string} name
 */
export function paintAvatar(node, name) {
  const first = [...new Intl.Segmenter().segment(name)][0]?.segment ?? '?';
  node.textContent = first.toUpperCase();
  // FNV-1a, because it gives similar names different colours.
  const hash =
    new TextEncoder().encode(name).reduce((sum, byte) => Math.imul(sum ^ byte, 0x01000193), 0x811c9dc5) >>> 0;
  node.dataset.hue = String(hash % 8);
  return node;
}

const time = new Intl.DateTimeFormat([], { hour: 'numeric', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat([], { weekday: 'long' });
const date = new Intl.DateTimeFormat([], { day: 'numeric', month: 'long', year: 'numeric' });
const shortDate = new Intl.DateTimeFormat([], { day: 'numeric', month: 'short' });
const relative = new Intl.RelativeTimeFormat([], { numeric: 'auto' });

/** @param {number} at in milliseconds since the Unix epoch */
const startOfDay = (at) => new Date(at).setHours(0, 0, 0, 0);

/** @param {number} at */
const calendarDaysAgo = (at) => Math.round((startOfDay(Date.now()) - startOfDay(at)) / 86_400_000);

/** @param {number} days */
function relativeDay(days) {
  const text = relative.format(-days, 'day');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {number} at */
export const timeOf = (at) => time.format(at);

/**
 * "Today", "Yesterday", "Monday", or "3 March 2026".
 *
 * @param {number} at
 */
export function dayOf(at) {
  const days = calendarDaysAgo(at);
  if (days === 0 || days === 1) return relativeDay(days);
  return days > 1 && days < 7 ? weekday.format(at) : date.format(at);
}

/**
 * The time if it is today, "Yesterday", or "3 Mar".
 *
 * @param {number} at
 */
export function momentOf(at) {
  const days = calendarDaysAgo(at);
  if (days <= 0) return timeOf(at);
  return days === 1 ? relativeDay(1) : shortDate.format(at);
}
