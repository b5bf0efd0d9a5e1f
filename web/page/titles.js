// SPDX-License-Identifier: MIT
// The title of a conversation, and its avatar.

import { paintAvatar, visible } from './names.js';

/** @typedef {import('../chat-client.js').Conversation} Conversation */

/** @param {Conversation} c */
const nameIn = ({ peer, group }) => peer ?? group?.name ?? 'Group';

/**
 * The name of the peer or the group, with invisible characters written out.
 *
 * @param {Conversation} c
 */
export const titleOf = (c) => visible(nameIn(c));

/**
 * Two groups can have the same name, so the colour depends on the key.
 *
 * @param {HTMLElement} node
 * @param {Conversation} c
 */
export const paintAvatarOf = (node, c) => paintAvatar(node, nameIn(c), c.key);
