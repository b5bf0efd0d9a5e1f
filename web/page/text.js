// SPDX-License-Identifier: MIT
// Text as the page shows it: links and dates.

import { make } from './dom.js';
import { visible } from './names.js';

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
 * A link that shows what it opens. It is isolated from the direction of the text around it.
 *
 * @param {string} address
 * @returns {HTMLAnchorElement | null} null if it is not an address
 */
function linkTo(address) {
  const url = parse(address);
  if (!url) return null;
  // What stands before an @ looks like the host, and is not.
  url.username = '';
  url.password = '';
  const [, host] = /^https?:\/\/([^/?#]*)/iu.exec(address) ?? [];
  const isHonest = host?.toLowerCase() === url.host;
  const link = /** @type {HTMLAnchorElement} */ (make('a', '', visible(isHonest ? address : url.href)));
  return Object.assign(link, { href: url.href, dir: 'ltr', target: '_blank', rel: 'noopener noreferrer nofollow' });
}

/** @param {string} address */
function parse(address) {
  try {
    return new URL(address);
  } catch {
    return null;
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
    const link = linkTo(address);
    if (!link) continue;
    parts.push(text.slice(from, match.index), link);
    from = match.index + address.length;
  }
  return [...parts, text.slice(from)].filter((part) => part !== '');
}

/** @param {string} text */
export const isEmojiOnly = (text) => EMOJI_ONLY.test(text) && !/^[\d#*\s]+$/u.test(text);

const time = new Intl.DateTimeFormat([], { hour: 'numeric', minute: '2-digit' });
const timestamp = new Intl.DateTimeFormat([], { dateStyle: 'long', timeStyle: 'short' });
const weekday = new Intl.DateTimeFormat([], { weekday: 'long' });
const date = new Intl.DateTimeFormat([], { day: 'numeric', month: 'long', year: 'numeric' });
const shortDate = new Intl.DateTimeFormat([], { day: 'numeric', month: 'short' });
const relative = new Intl.RelativeTimeFormat([], { numeric: 'auto' });

/** In English, because it stands in a sentence. */
const ago = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** @param {number} at in milliseconds since the Unix epoch */
const startOfDay = (at) => new Date(at).setHours(0, 0, 0, 0);

/** @param {number} at */
const calendarDaysAgo = (at) => Math.round((startOfDay(Date.now()) - startOfDay(at)) / 86_400_000);

/** @param {number} days */
function relativeDay(days) {
  const text = relative.format(-days, 'day');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * "just now", "5 minutes ago", "3 hours ago", "yesterday", or "12 days ago".
 *
 * @param {number} at
 */
export function agoOf(at) {
  const minutes = Math.floor((Date.now() - at) / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return ago.format(-minutes, 'minute');
  const days = calendarDaysAgo(at);
  const hours = Math.floor(minutes / 60);
  return days === 0 || hours < 6 ? ago.format(-hours, 'hour') : ago.format(-days, 'day');
}

/** @param {number} at */
export const timeOf = (at) => time.format(at);

/**
 * The day and the time.
 *
 * @param {number} at
 */
export const timestampOf = (at) => timestamp.format(at);

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
