// SPDX-License-Identifier: MIT
// What screen readers announce: new messages, new texts and deletions of other users, and changes of the group that is open.
// Reactions are silent.

import { byId, setText } from './dom.js';
import { visible } from './names.js';

/** @typedef {import('../chat-client.js').Message} Message */

/** What was announced of a message before it changed: a deleted text must not stay. */
let announced = '';
/** Whose typing was announced since the last message: again and again would disturb. */
let typist = '';

/**
 * @param {Message} m a new one of another user
 * @param {{ isOpen: boolean, group: string }} where whether its conversation is open; and the name of the group, empty without
 *   one
 */
export function announceMessage({ messageId, senderId, content, deleted }, { isOpen, group }) {
  const sender = visible(senderId);
  announced = messageId;
  typist = '';
  const text = isOpen && !deleted ? `${sender}: ${content}` : `New message from ${sender}${group && ` in ${group}`}`;
  byId('announcement').textContent = text;
}

/**
 * @param {string} user of the open conversation
 * @param {boolean} isTyping
 */
export function announceTyping(user, isTyping) {
  const node = byId('announcement');
  const text = `${visible(user)} is typing`;
  if (isTyping && typist !== user) node.textContent = text;
  // What is over must not stay.
  else if (!isTyping && node.textContent === text) node.textContent = '';
  if (isTyping) typist = user;
}

/** @param {string} sentence what has changed in the group that is open */
export function announceNotice(sentence) {
  announced = '';
  byId('announcement').textContent = sentence;
}

/**
 * @param {Message} m which has changed
 * @param {Message | undefined} before the same message at the last drawing
 * @param {boolean} isOfOther whether another user wrote it, in the conversation that is open
 */
export function announceChange(m, before, isOfOther) {
  const sender = visible(m.senderId);
  const hasNewText = before !== undefined && (before.content !== m.content || !before.deleted !== !m.deleted);
  if (isOfOther && hasNewText) {
    announced = m.messageId;
    const text = m.deleted ? `${sender} deleted a message` : `${sender} edited a message: ${m.content}`;
    setText(byId('announcement'), text);
  } else if (m.deleted && m.messageId === announced) {
    byId('announcement').textContent = '';
  }
}
