// SPDX-License-Identifier: MIT
// Names of conversations. Inside the client each conversation has one key: the user id of the peer, or a line feed and the
// id of the group. A user id has no control character, so no user can be mistaken for a group.

/**
 * @typedef {import('../chat-client.js').Peer} Peer
 *
 * @typedef {{ peer?: string | undefined, groupId?: string | undefined }} Name of a conversation, for callers and in the
 *   outbox: the one or the other
 */

/** The key of what is queued for a group that does not exist yet. */
export const NEW_GROUP = '\n';

/**
 * @param {Peer} peer
 * @returns {string}
 */
export const keyOf = (peer) =>
  typeof peer === 'object' && peer ? (peer.peer ?? NEW_GROUP + (peer.groupId ?? '')) : /** @type {string} */ (peer);

/**
 * @param {string} key
 * @returns {Name}
 */
export const nameOf = (key) => (/^\n/.test(key) ? { groupId: key.slice(1) || undefined } : { peer: key });

/**
 * The key of the conversation of an entry, a row of the inbox, or another value in a frame.
 *
 * @param {{ groupId?: string, senderId?: string, recipientId?: string, userId?: string, peerId?: string }} value
 * @param {string} [me] this user
 * @returns {string}
 */
export const keyOfValue = ({ groupId, senderId, recipientId, userId, peerId = userId ?? senderId }, me) =>
  groupId === undefined ? keyOf({ peer: (senderId === me && recipientId) || peerId }) : keyOf({ groupId });

/**
 * The conversation, as `sendMessage` names it.
 *
 * @param {Name} name
 */
export const recipientOf = ({ peer, groupId }) => ({ recipientId: peer, groupId });

/**
 * The conversation, as every other action names it.
 *
 * @param {Name} name
 */
export const targetOf = ({ peer, groupId }) => ({ targetId: peer, groupId });
