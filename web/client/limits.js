// What the service takes, found out before it is asked.

/** As the service counts: UTF-8. */
const MAX_BYTES = 16 * 1024;
/** Past 32 KB in one frame API Gateway closes the connection, at every repeat. The rest of the frame has its place. */
const MAX_JSON = 24_000;
const MAX_ID = 128;

/** @param {string} text */
const bytes = (text) => new TextEncoder().encode(text).length;

/** How many characters of a message are too many, or a few less. @param {string} content */
export function excessOf(content) {
  const part = Math.max(bytes(content) / MAX_BYTES, bytes(JSON.stringify(content)) / MAX_JSON);
  return part > 1 ? Math.ceil([...content].length * (1 - 1 / part)) : 0;
}

/**
 * What is wrong with a user id, in a sentence; nothing, if all is well.
 *
 * @param {unknown} id @param {string} what it is called
 */
export function problemOf(id, what = 'A user id') {
  if (typeof id !== 'string' || !id) return `${what} has at least one character.`;
  if (/\p{Cc}/u.test(id)) return `${what} has no control characters.`;
  if (/^\p{White_Space}|\p{White_Space}$/u.test(id)) return `${what} neither begins nor ends with white space.`;
  const length = [...id].length, part = bytes(id) / MAX_ID;
  return part > 1 ? `${what} like this has at most ${Math.floor(length / part)} characters; this one has ${length}.` : '';
}
