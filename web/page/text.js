// Text as it is shown: nothing in it is ever markup.

const LINK = /\bhttps?:\/\/[^\s<>"'`]+/giu;
const TRAILING = /[.,:;!?)\]}»”’…]$/u;
const EMOJI_ONLY = /^(?:\p{Emoji_Presentation}|\p{Emoji}\uFE0F|\p{Emoji_Modifier}|\u200D|\s){1,12}$/u;

/**
 * @param {string} tag @param {string} [className] @param {...(Node | string)} children strings become text
 * @returns {HTMLElement}
 */
export function make(tag, className = '', ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** A drawing of `page.css`'s kind. @param {string} path @param {string} name what it means, read out */
export function icon(path, name) {
  const space = 'http://www.w3.org/2000/svg',
    svg = document.createElementNS(space, 'svg'),
    line = document.createElementNS(space, 'path');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', name);
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

/** Without what ends the sentence; a bracket that was opened within the address belongs to it. @param {string} address */
function trimmed(address) {
  for (let end; (end = TRAILING.exec(address)?.[0]); ) {
    if (end === ')' && address.split('(').length >= address.split(')').length) break;
    address = address.slice(0, -end.length);
  }
  return address;
}

/** The text with its http and https addresses as links. @param {string} text @returns {(Node | string)[]} */
export function linked(text) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const address = trimmed(match[0]);
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

// What has no shape of its own, or turns the order of others: two names that look the same must not be told apart by it.
const UNSEEN =
  /(?!(?<=\p{Emoji}\uFE0F?\p{Emoji_Modifier}?)\u200D(?=\p{Extended_Pictographic}))[\p{Cf}\p{Zl}\p{Zp}\u00A0\u034F\u115F\u1160\u17B4\u17B5\u2000-\u200A\u202F\u205F\u2800\u3000\u3164\uFFA0]/gu;

/** A name with what can't be seen of it as a mark. @param {string} name */
export const seen = (name) =>
  name.replace(UNSEEN, (c) => `[U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`);

/** A circle with somebody's first letter. @param {HTMLElement} node @param {string} name */
export function paintAvatar(node, name) {
  const first = [...new Intl.Segmenter().segment(name)][0]?.segment ?? '?';
  node.textContent = first.toUpperCase();
  // FNV-1a: names that are alike get colours that are not.
  const hash =
    new TextEncoder().encode(name).reduce((sum, byte) => Math.imul(sum ^ byte, 0x01000193), 0x811c9dc5) >>> 0;
  node.dataset.hue = String(hash % 8);
  return node;
}

const clock = new Intl.DateTimeFormat([], { hour: 'numeric', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat([], { weekday: 'long' });
const date = new Intl.DateTimeFormat([], { day: 'numeric', month: 'long', year: 'numeric' });
const short = new Intl.DateTimeFormat([], { day: 'numeric', month: 'short' });
const words = new Intl.RelativeTimeFormat([], { numeric: 'auto' });

/** Days between now and then, by the calendar. @param {number} at in milliseconds since 1970 */
const daysAgo = (at) => Math.round((new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 86_400_000);
/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {number} at */
export const timeOf = (at) => clock.format(at);

/** "Today", "Yesterday", "Monday", "3 March 2026". @param {number} at */
export function dayOf(at) {
  const days = daysAgo(at);
  return days < 2 && days >= 0
    ? capital(words.format(-days, 'day'))
    : days < 7 && days > 0
      ? weekday.format(at)
      : date.format(at);
}

/** As short as a list wants it. @param {number} at */
export const momentOf = (at) =>
  daysAgo(at) <= 0 ? timeOf(at) : daysAgo(at) === 1 ? capital(words.format(-1, 'day')) : short.format(at);
