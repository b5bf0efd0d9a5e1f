// Names: which ones are valid, and how the page shows them.

import { problemOf } from '../client/limits.js';

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
