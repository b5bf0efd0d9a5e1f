// SPDX-License-Identifier: MIT
// What a peer is doing: typing, online, or away; and of a group, how large it is and who is typing. The list and the header of
// the conversation show it.

import { byId, make } from './dom.js';
import { visible } from './names.js';
import { agoOf, timestampOf } from './text.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Conversation} Conversation */

/**
 * Whether the page shows that another user is typing.
 *
 * @param {ChatClient} chat
 * @param {Conversation} c
 */
export const isTypingIn = (chat, { isTyping, group }) => isTyping && !group?.left && chat.options.typing !== false;

/**
 * "Maya is typing …", or "Maya and Bob are typing …". Long names are cut, and not the rest.
 *
 * @param {readonly string[]} users at least one
 */
export const typingLine = (users) => [
  make('bdi', '', users.length > 2 ? `${users.length} people` : users.map(visible).join(' and ')),
  make('span', '', `\u00a0${users.length > 1 ? 'are' : 'is'} typing …`),
];

/**
 * The line below the name of a group.
 *
 * @param {import('../chat-client.js').GroupView} group
 */
export function stateOfGroup({ left, count }) {
  if (left) return 'You are not a member';
  return count === undefined ? '' : `${count} ${count === 1 ? 'member' : 'members'}`;
}

/**
 * Draws the line below the name.
 *
 * @param {ChatClient} chat
 * @param {Conversation} c
 * @param {import('./presence.js').Known | undefined} known
 */
export function drawPeerState(chat, c, known) {
  const node = byId('peer-state');
  const { online, lastSeenAt } = known ?? {};
  const isTyping = isTypingIn(chat, c);
  const isAway = !online && lastSeenAt !== undefined;
  const state = isTyping ? 'typing' : online ? 'online' : isAway ? 'away' : '';
  const ofPeer = online ? 'online' : isAway ? `last seen ${agoOf(lastSeenAt)}` : '';
  const text = c.group ? stateOfGroup(c.group) : ofPeer;
  const shown = JSON.stringify([c.key, state, text, c.typing]);
  if (node.dataset.shown === shown) return;
  node.dataset.shown = shown;
  node.dataset.state = state;
  node.title = isAway ? timestampOf(lastSeenAt) : '';
  node.replaceChildren(...(isTyping ? typingLine(c.typing) : text ? [text] : []));
}
