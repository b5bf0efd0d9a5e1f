// SPDX-License-Identifier: MIT
// What the page shows in place of messages.

import { byId } from './dom.js';
import { titleOf } from './titles.js';

/**
 * The text in an empty log; empty if the log shows something.
 *
 * @param {import('../chat-client.js').ChatClient} chat
 * @param {import('../chat-client.js').Conversation} c
 * @param {boolean} usesToken
 */
export function hintOf(chat, c, usesToken) {
  if (c.messages.length || c.notices.length || c.pending.length) return '';
  const isOffline = !byId('notice').hidden;
  if (c.hasOlder) return isOffline ? 'Earlier messages appear once you are connected.' : 'Loading …';
  if (c.peer === chat.userId) return 'Notes to yourself. Only you can see them.';
  if (c.peer === undefined) return 'No messages yet.';
  const peer = titleOf(c);
  if (usesToken) return `No messages yet. ${peer} sees your messages after signing in.`;
  return `No messages yet. Anyone who opens this page as “${peer}” can see what you write.`;
}

/** Says how to begin while no conversation is open. */
export function drawPlaceholder() {
  const [heading, text] = byId('list').childElementCount
    ? ['Choose a conversation', 'Or type a name to start a new one.']
    : ['Start a conversation', 'Type a name on the left. Anyone who opens this page with that name can reply.'];
  byId('placeholder-heading').textContent = heading;
  byId('placeholder-text').textContent = text;
}
