// SPDX-License-Identifier: MIT
// What a reply quotes: the first line of the other message, as it is now.

import { withChanges } from './changes.js';
import { visible } from './names.js';
import { messageAt } from './order.js';

/** @typedef {import('../chat-client.js').Conversation} Conversation */
/** @typedef {import('../chat-client.js').PendingChange} PendingChange */

/**
 * @typedef {object} Quote
 * @property {string} name of the author; empty if it is not known
 * @property {string} text
 * @property {boolean} isText whether `text` is the author's, and not the page's
 * @property {boolean} canOpen whether there is, or may be, a message to go to
 */

/** Longer lines are cut, because only their beginning is on the screen. */
const LONGEST = 200;

export const DELETED = 'Message deleted';

/** @param {string} content */
const firstLine = (content) =>
  content
    .split('\n')
    .find((line) => line.trim())
    ?.trim()
    .slice(0, LONGEST) ?? '';

/**
 * @param {Conversation} c
 * @param {number} seq of the quoted message
 * @param {Map<number, PendingChange[]>} changes by target
 * @param {string} me
 * @returns {Quote}
 */
export function quoteOf(c, seq, changes, me) {
  const held = messageAt(c.messages, seq);
  if (!held) {
    const canOpen = seq < c.low && c.hasOlder;
    return { name: '', text: canOpen ? 'Earlier message' : 'Message not available', isText: false, canOpen };
  }
  const m = withChanges(held, changes.get(seq), me);
  const name = m.senderId === me ? 'You' : visible(m.senderId);
  if (m.deleted) return { name, text: DELETED, isText: false, canOpen: true };
  return { name, text: firstLine(m.content), isText: true, canOpen: true };
}
