// SPDX-License-Identifier: MIT
// Entries of a conversation: messages, and what announces that a message has changed. Of two versions of a message, the
// larger one is newer.

/**
 * @typedef {object} Message
 * @property {string} messageId
 * @property {string} conversationId
 * @property {number} seq number of the entry in the conversation: 1, 2, 3, …
 * @property {string} senderId
 * @property {string} recipientId
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
 * @property {number} [createdAt]
 * @property {string} [clientMessageId]
 * @property {number} [target] `seq` of the message that has changed
 *
 * @typedef {(Message & { kind?: undefined }) | Announcement} LogEntry an entry of a conversation
 */

/**
 * @param {any} m
 * @returns {m is LogEntry & { messageId: string, senderId: string, recipientId: string, createdAt: number }}
 */
export const isEntry = (m) =>
  Number.isSafeInteger(m?.seq) &&
  m.seq > 0 &&
  Number.isFinite(m.createdAt) &&
  [m.messageId, m.senderId, m.recipientId, m.kind ?? m.content].every((field) => typeof field === 'string');

/**
 * @param {any} m
 * @returns {m is Message}
 */
export const isMessage = (m) => isEntry(m) && m.kind === undefined;

/** @param {LogEntry} m */
export const versionOf = (m) => (m.kind === undefined && m.version) || 0;

/**
 * @template {LogEntry} M
 * @param {M} m
 * @param {M | undefined} other
 */
export const newestOf = (m, other) => (other && versionOf(other) > versionOf(m) ? other : m);
