// SPDX-License-Identifier: MIT
// `Typing`: tells other users that this one is typing, and keeps which of them are.

import { moment, since } from './clock.js';
import { hasCode } from './errors.js';
import { keyOfValue, nameOf, targetOf } from './peers.js';

/** @typedef {import('./clock.js').Moment} Moment */
/** @typedef {import('./conversation.js').Conversation} Conversation */

/** Milliseconds between two frames in the same conversation. */
const PAUSE = 8_000;
/** Milliseconds for which one frame of a user counts. */
const LASTING = 10_000;
/** Milliseconds after a message or the removal of a user. A frame that arrives meanwhile is older: pushes overtake each other. */
const LATE = 1_000;

export class Typing {
  /**
   * Conversations in which the service has refused it on this connection: its operator has turned it off, or the group is
   * large.
   *
   * @type {Set<Conversation>}
   */
  refused = new Set();
  /**
   * The last frame in each conversation, by its key.
   *
   * @type {Map<string, Moment>}
   */
  #sent = new Map();
  /**
   * The last message of each user in each conversation, or their removal.
   *
   * @type {Map<string, Moment>}
   */
  #received = new Map();
  /**
   * Those who are typing in each conversation.
   *
   * @type {Map<string, ReturnType<typeof setTimeout>>}
   */
  #timers = new Map();

  /**
   * @param {import('./session.js').Session} session
   * @param {{ typing?: boolean }} options
   */
  constructor(session, options) {
    this.session = session;
    this.options = options;
  }

  /** @param {string} key of the conversation */
  send(key) {
    const { connection, conversations, userId } = this.session;
    const c = conversations.get(key);
    // The service refuses it before the first message.
    if (!c?.high || c.group?.left || key === userId || this.refused.has(c)) return;
    const last = this.#sent.get(key);
    if (this.options.typing === false || !connection.isOpen || (last && since(last) < PAUSE)) return;
    this.#sent.set(key, moment());
    connection.request('typing', targetOf(c), undefined, true).catch((error) => {
      if (hasCode(error, 'forbidden', 'unknown_action')) this.refused.add(c);
    });
  }

  /**
   * Handles a pushed frame.
   *
   * @param {any} frame
   */
  onFrame({ type, value }) {
    if (type !== 'typing' || this.options.typing === false) return;
    const { userId, conversationId } = value ?? {};
    if (typeof userId !== 'string' || userId === this.session.userId) return;
    const c = this.session.conversations.get(keyOfValue(value));
    if (!c || c.id !== conversationId) return;
    const last = this.#received.get(idOf(c, userId));
    if (!last || since(last) >= LATE) this.#set(c, userId, true);
  }

  /**
   * A message of a user ends it, and so does their removal.
   *
   * @param {import('./entries.js').LogEntry} entry a message, or a change of a group
   */
  onEntry(entry) {
    const c = this.session.conversations.get(keyOfValue(entry, this.session.userId));
    if (!c) return;
    for (const user of entry.kind === undefined ? [entry.senderId] : (entry.removed ?? [])) {
      this.#received.set(idOf(c, user), moment());
      this.#set(c, user, false);
    }
  }

  /**
   * @param {Conversation} c
   * @param {string} userId
   * @param {boolean} isTyping
   */
  #set(c, userId, isTyping) {
    const id = idOf(c, userId);
    clearTimeout(this.#timers.get(id));
    if (isTyping)
      this.#timers.set(
        id,
        setTimeout(() => this.#set(c, userId, false), LASTING),
      );
    if (c.typing.includes(userId) === isTyping) return;
    c.typing = isTyping ? [...c.typing, userId] : c.typing.filter((other) => other !== userId);
    this.session.emit('typing', { ...nameOf(c.key), ...(c.groupId && { userId }), isTyping });
    this.session.changed(c);
  }

  close() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }
}

/**
 * @param {Conversation} c
 * @param {string} userId
 */
const idOf = ({ key }, userId) => `${key}\n${userId}`;
