// SPDX-License-Identifier: MIT
// `Session`: the state that receiving and sending share: user, connection, conversations, and running tasks.

import { Conversation } from './conversation.js';
import { delayAfter, isRetryable, pause } from './errors.js';
import { keyOfValue, NEW_GROUP, nameOf } from './peers.js';

/** @typedef {import('../chat-client.js').Events} Events */

export class Session {
  /**
   * By their keys.
   *
   * @type {Map<string, Conversation>}
   */
  conversations = new Map();
  /** Holds the groups that are queued. It is no conversation: no caller gets it, and the service does not know it. */
  newGroups = new Conversation(NEW_GROUP, '');
  isClosed = false;
  /** Whether all conversations of the user were known at some time. One that appears later is new. */
  knowsAll = false;
  totalUnread = 0;
  /** @type {() => void} */
  #resolveClosed = () => {};
  /**
   * Resolves when the client is closed.
   *
   * @type {Promise<void>}
   */
  whenClosed = new Promise((resolve) => {
    this.#resolveClosed = resolve;
  });
  /** @type {Map<string, Promise<void>>} */
  #running = new Map();
  /** @type {Map<string, Promise<void>>} */
  #waiting = new Map();

  /**
   * @param {string | undefined} userId undefined until the first token tells it
   * @param {import('./connection.js').Connection} connection
   * @param {<K extends keyof Events>(type: K, detail: Events[K]) => void} emit
   */
  constructor(userId, connection, emit) {
    this.userId = userId;
    this.connection = connection;
    this.emit = emit;
  }

  /**
   * Returns the conversation with a key; it is created if it does not exist.
   *
   * @param {string} key
   */
  conversation(key) {
    let c = key === NEW_GROUP ? this.newGroups : this.conversations.get(key);
    if (!c) {
      c = new Conversation(key, this.userId ?? '');
      this.conversations.set(key, c);
    }
    return c;
  }

  /**
   * Returns the conversation of an entry, or of a row of the inbox.
   *
   * @param {Parameters<typeof keyOfValue>[0]} value
   */
  conversationOf(value) {
    return this.conversation(keyOfValue(value, this.userId));
  }

  /** @param {string} userId */
  identify(userId) {
    this.userId = userId;
    for (const c of this.conversations.values()) c.me = userId;
  }

  /**
   * Repeats `work` after retryable errors. An error of the connection ends it, because the next connection starts most
   * work again.
   *
   * @template T
   * @param {() => Promise<T>} work
   * @param {(error: unknown) => boolean} [isTemporary] whether it is repeated after an error
   * @returns {Promise<T>}
   */
  async persist(work, isTemporary = isRetryable) {
    for (let failures = 0; ; failures += 1) {
      try {
        return await work();
      } catch (error) {
        if (!isTemporary(error) || this.isClosed) throw error;
        await this.backOff(error, failures);
      }
    }
  }

  /**
   * Waits before the next attempt, but not longer than the client lives.
   *
   * @param {unknown} error
   * @param {number} failures number of failed attempts so far
   */
  backOff(error, failures) {
    return Promise.race([pause(delayAfter(error, failures)), this.whenClosed]);
  }

  close() {
    this.isClosed = true;
    this.#resolveClosed();
  }

  /**
   * Runs one task of a name at a time. Calls during a run share one more run after it, so that each caller gets a run
   * that began after its call.
   *
   * @param {string} name
   * @param {() => Promise<unknown>} work
   * @returns {Promise<void>}
   */
  run(name, work) {
    const waiting = this.#waiting.get(name);
    if (waiting) return waiting;
    const running = this.#running.get(name);
    if (!running) return this.#start(name, work);
    const next = running
      .catch(() => {})
      .then(() => {
        this.#waiting.delete(name);
        return this.run(name, work);
      });
    this.#waiting.set(name, next);
    return next;
  }

  /**
   * @param {string} name
   * @param {() => Promise<unknown>} work
   * @returns {Promise<void>}
   */
  #start(name, work) {
    const run = Promise.resolve()
      .then(work)
      .then(() => {})
      .finally(() => this.#running.delete(name));
    this.#running.set(name, run);
    return run;
  }

  /**
   * Reports that a conversation has changed, and its unread count if that is another one.
   *
   * @param {Conversation} c
   */
  changed(c) {
    if (c === this.newGroups) return;
    const { unread } = c;
    if (unread !== c.reportedUnread) {
      this.totalUnread += unread - c.reportedUnread;
      c.reportedUnread = unread;
      this.emit('unread', { ...nameOf(c.key), unread, total: this.totalUnread });
    }
    this.emit('conversation', c.snapshot);
  }
}
