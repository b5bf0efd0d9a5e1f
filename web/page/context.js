// SPDX-License-Identifier: MIT
// What the composer's text is: a message, a reply, or another text for a message. The line above the box shows it.

import { changesByTarget } from './changes.js';
import { byId, setText } from './dom.js';
import { quoteOf } from './quote.js';

/** @typedef {import('./drafts.js').Draft} Draft */

const ARROW = 'M10 16V4M4 10l6-6 6 6';
const CHECK = 'M4 10l4 4 8-8';

/**
 * @param {import('../chat-client.js').Conversation} c
 * @param {Readonly<Draft>} draft
 * @param {string} me
 * @param {boolean} hasKeyboardOnScreen
 */
export function drawContext(c, { replyTo, edit }, me, hasKeyboardOnScreen) {
  const seq = edit?.seq ?? replyTo;
  byId('context').hidden = seq === undefined;
  const quote = seq === undefined ? undefined : quoteOf(c, seq, changesByTarget(c.changes), me);
  // An own message is "you" in the middle of a sentence.
  const name = quote?.name === 'You' ? 'yourself' : quote?.name;
  const title = edit ? 'Edit message' : quote ? `Reply${name ? ` to ${name}` : ''}` : 'Message';
  setText(byId('context-title'), title);
  setText(byId('context-text'), quote?.text ?? '');
  byId('context-text').classList.toggle('soft-text', quote?.isText === false);
  byId('context-cancel').setAttribute('aria-label', edit ? 'Cancel editing' : 'Cancel the reply');
  const verb = edit ? 'Save' : 'Send';
  byId('send').setAttribute('aria-label', verb);
  byId('send')
    .querySelector('path')
    ?.setAttribute('d', edit ? CHECK : ARROW);
  setText(byId('text-label'), `${title}. ${keysOf(verb, seq !== undefined, hasKeyboardOnScreen)}`);
  byId('text').enterKeyHint = hasKeyboardOnScreen ? 'enter' : edit ? 'done' : 'send';
}

/**
 * @param {string} verb
 * @param {boolean} canCancel
 * @param {boolean} hasKeyboardOnScreen
 */
function keysOf(verb, canCancel, hasKeyboardOnScreen) {
  if (hasKeyboardOnScreen) return `The button ${verb.toLowerCase()}s it.`;
  const cancelling = canCancel ? ' Escape cancels.' : '';
  return `Enter ${verb.toLowerCase()}s it. Shift+Enter starts a new line.${cancelling}`;
}
