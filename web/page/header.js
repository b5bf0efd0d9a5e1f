// SPDX-License-Identifier: MIT
// The header of the open conversation.

import { byId, setText } from './dom.js';
import { drawPeerState } from './peer-state.js';
import { paintAvatarOf, titleOf } from './titles.js';

/**
 * @param {import('../chat-client.js').ChatClient} chat
 * @param {import('../chat-client.js').Conversation} c
 * @param {import('./presence.js').Known | undefined} known of the peer
 */
export function drawHeader(chat, c, known) {
  const title = titleOf(c);
  setText(byId('peer'), c.peer === chat.userId ? `${title} (you)` : title);
  paintAvatarOf(byId('peer-avatar'), c);
  byId('group').hidden = c.groupId === undefined;
  drawPeerState(chat, c, known);
}
