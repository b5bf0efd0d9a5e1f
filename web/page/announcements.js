// SPDX-License-Identifier: MIT
// What screen readers announce: new messages, and new texts and deletions of the peer. Reactions are silent.

import { byId, setText } from './dom.js';
import { visible } from './names.js';

/** @typedef {import('../chat-client.js').Message} Message */

/** What was announced of a message before it changed: a deleted text must not stay. */
let announced = '';
/** Whose typing was announced since the last message: again and again would disturb. */
let typist = '';

/**
 * @param {Message} m a new one of the peer
 * @param {boolean} isOpen whether its conversation is open
 */
export function announceMessage({ messageId, senderId, content, deleted }, isOpen) {
  const sender = visible(senderId);
  announced = messageId;
  typist = '';
  const text = isOpen && !deleted ? `${sender}: ${content}` : `New message from ${sender}`;
  byId('announcement').textContent = text;
}

/**
 * @param {string} peer of the open conversation
 * @param {boolean} isTyping
 */
export function announceTyping(peer, isTyping) {
  const node = byId('announcement');
  const text = `${visible(peer)} is typing`;
  if (isTyping && typist !== peer) node.textContent = text;
  // What is over must not stay.
  else if (!isTyping && node.textContent === text) node.textContent = '';
  if (isTyping) typist = peer;
}

/**
 * @param {Message} m which has changed
 * @param {Message | undefined} before the same message at the last drawing
 * @param {boolean} isOfPeer whether the peer wrote it, in the conversation that is open
 */
export function announceChange(m, before, isOfPeer) {
  const sender = visible(m.senderId);
  const hasNewText = before !== undefined && (before.content !== m.content || !before.deleted !== !m.deleted);
  if (isOfPeer && hasNewText) {
    announced = m.messageId;
    const text = m.deleted ? `${sender} deleted a message` : `${sender} edited a message: ${m.content}`;
    setText(byId('announcement'), text);
  } else if (m.deleted && m.messageId === announced) {
    byId('announcement').textContent = '';
  }
}
