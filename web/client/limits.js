// SPDX-License-Identifier: MIT
// Limits of the service, checked before a request is sent.

/** Of a message's content, in bytes of UTF-8. */
const MAX_BYTES = 16 * 1024;
/**
 * Of a message's content, in bytes of JSON. API Gateway closes the connection after a frame of more than 32 KB, and
 * would do so at every retry; the rest is for the other fields of the frame.
 */
const MAX_JSON_BYTES = 24_000;
/** Of a reaction, in bytes of UTF-8. */
export const MAX_REACTION_BYTES = 64;
/** Of a group's name, in bytes of UTF-8. */
const MAX_NAME_BYTES = 256;
/** Of a user id, in bytes of UTF-8. */
const MAX_USER_ID_BYTES = 128;

/** @param {string} text */
export const byteLength = (text) => new TextEncoder().encode(text).length;

/**
 * @param {string} content
 * @returns {number} by how many characters a message is too long, approximately; 0 if it is not
 */
export function excessOf(content) {
  const share = Math.max(byteLength(content) / MAX_BYTES, byteLength(JSON.stringify(content)) / MAX_JSON_BYTES);
  return share > 1 ? Math.ceil([...content].length * (1 - 1 / share)) : 0;
}

/** @param {unknown} name of a group */
export const isName = (name) =>
  typeof name === 'string' && /\S/.test(name) && !/\p{Cc}/u.test(name) && byteLength(name) <= MAX_NAME_BYTES;

/**
 * @param {unknown} id
 * @param {string} [what] the subject of the sentence
 * @returns {string} a sentence that says why a user id is not valid; empty if it is
 */
export function problemOf(id, what = 'A user id') {
  if (typeof id !== 'string' || !id) return `${what} has at least one character.`;
  if (/\p{Cc}/u.test(id)) return `${what} has no control characters.`;
  // In UTF-8, half of a surrogate pair becomes U+FFFD, and the server refuses that.
  if (/[\ufffd\p{Cs}]/u.test(id)) return `${what} has no U+FFFD and no half of a surrogate pair.`;
  if (/^\p{White_Space}|\p{White_Space}$/u.test(id)) return `${what} neither begins nor ends with white space.`;
  const { length } = [...id];
  const share = byteLength(id) / MAX_USER_ID_BYTES;
  if (share <= 1) return '';
  return `${what} like this has at most ${Math.floor(length / share)} characters; this one has ${length}.`;
}
