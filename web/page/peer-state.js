// SPDX-License-Identifier: MIT
// What a peer is doing: typing, online, or away. The list and the header of the conversation show it.

import { byId, make } from './dom.js';
import { visible } from './names.js';
import { agoOf, timestampOf } from './text.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Conversation} Conversation */

/**
 * Whether the page shows that the peer is typing.
 *
 * @param {ChatClient} chat
 * @param {Conversation} c
 */
export const isTypingIn = (chat, { isTyping }) => isTyping && chat.options.typing !== false;

/**
 * "Maya is typing …". A long name is cut, and not the rest.
 *
 * @param {string} peer
 */
export const typingLine = (peer) => [make('bdi', '', visible(peer)), make('span', '', '\u00a0is typing …')];

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
  const state = isTyping ? 'typing' : online ? 'online' : lastSeenAt !== undefined ? 'away' : '';
  const text = online ? 'online' : lastSeenAt !== undefined ? `last seen ${agoOf(lastSeenAt)}` : '';
  const shown = JSON.stringify([c.peer, state, text]);
  if (node.dataset.shown === shown) return;
  node.dataset.shown = shown;
  node.dataset.state = state;
  node.title = state === 'away' && lastSeenAt !== undefined ? timestampOf(lastSeenAt) : '';
  node.replaceChildren(...(isTyping ? typingLine(c.peer ?? '') : text ? [text] : []));
}
