// SPDX-License-Identifier: MIT
// Entries of a conversation: messages, what announces that a message has changed, and changes of a group. Of two versions
// of a message, the larger one is newer.

/**
 * @typedef {object} Message
 * @property {string} messageId
 * @property {string} conversationId
 * @property {number} seq number of the entry in the conversation: 1, 2, 3, …
 * @property {string} senderId
 * @property {string} [recipientId] of a message to one user
 * @property {string} [groupId] of a message to a group
 * @property {string} content empty if the message is deleted
 * @property {number} createdAt in milliseconds since the Unix epoch
 * @property {string} [clientMessageId]
 * @property {number} [replyTo] `seq` of the entry that it replies to
 * @property {string[]} [mentions] user ids
 * @property {number} [version] `seq` of its newest change; the larger one is newer
 * @property {number} [editedAt] in milliseconds since the Unix epoch
 * @property {{ at: number, by: string }} [deleted]
 * @property {Record<string, string[]>} [reactions] the users of each reaction
 *
 * @typedef {object} Announcement an entry that is not a message
 * @property {string} kind
 * @property {number} seq
 * @property {string} [messageId] absent if the client only knows that the entry is there
 * @property {string} [conversationId]
 * @property {string} [senderId]
 * @property {string} [recipientId]
 * @property {string} [groupId]
 * @property {number} [createdAt]
 * @property {string} [clientMessageId]
 * @property {number} [target] `seq` of the message that has changed
 * @property {boolean} [created] the first entry of a group; the rest is what has changed in the group
 * @property {string} [name]
 * @property {'all' | 'joined'} [history]
 * @property {'all' | 'admins'} [posting]
 * @property {'all' | 'admins'} [adding]
 * @property {string[]} [added] user ids
 * @property {string[]} [removed] user ids
 * @property {Record<string, import('../chat-client.js').Role>} [roles] by user id
 *
 * @typedef {(Message & { kind?: undefined }) | Announcement} LogEntry an entry of a conversation
 */

/**
 * @param {any} m
 * @returns {m is LogEntry & { messageId: string, senderId: string, createdAt: number }}
 */
export const isEntry = (m) =>
  Number.isSafeInteger(m?.seq) &&
  m.seq > 0 &&
  Number.isFinite(m.createdAt) &&
  [m.messageId, m.senderId, m.groupId ?? m.recipientId, m.kind ?? m.content].every(
    (field) => typeof field === 'string',
  );

/**
 * @param {any} m
 * @returns {m is Message}
 */
export const isMessage = (m) => isEntry(m) && m.kind === undefined;

/**
 * Whether an entry says what has changed in a group, and not only that it is there.
 *
 * @param {LogEntry} m
 * @returns {m is import('../chat-client.js').GroupEntry}
 */
export const isNotice = (m) => m.kind === 'group' && m.messageId !== undefined;

/** @param {LogEntry} m */
export const versionOf = (m) => (m.kind === undefined && m.version) || 0;

/**
 * @template {LogEntry} M
 * @param {M} m
 * @param {M | undefined} other
 */
export const newestOf = (m, other) => (other && versionOf(other) > versionOf(m) ? other : m);
