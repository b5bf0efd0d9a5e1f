// What receiving and sending share: the conversations, the connection, and the runs of work on them.

import { Conversation } from './conversation.js';
import { passes, rest } from './trouble.js';

/**
 * @typedef {import('./conversation.js').Entry} Entry
 * @typedef {import('../chat-client.js').Events} Events
 */

export class Core {
  /** By the other one's user id. @type {Map<string, Conversation>} */
  conversations = new Map();
  /** Who this is, once that is known. @type {string | undefined} */
  userId;
  isClosed = false;
  totalUnread = 0;
  /** One run of each name. @type {Map<string, Promise<void>>} */
  #runs = new Map();
  /** @type {Set<string>} */
  #again = new Set();

  /** @param {<K extends keyof Events>(type: K, detail: Events[K]) => void} emit */
  constructor(emit) {
    this.emit = emit;
  }

  /** Set once, right after it is made. @type {import('./connection.js').Connection} */
  connection = /** @type {any} */ (undefined);

  /** The conversation with somebody, whether there is one yet or not. @param {string} peer */
  conversation(peer) {
    let c = this.conversations.get(peer);
    if (!c) this.conversations.set(peer, c = new Conversation(peer, this.userId ?? ''));
    return c;
  }

  /** @param {string} userId */
  know(userId) {
    this.userId = userId;
    for (const c of this.conversations.values()) c.me = userId;
  }

  /**
   * Repeats `work` while what stops it will pass. A lost connection ends it: the next one begins everything again.
   *
   * @template T @param {() => Promise<T>} work @returns {Promise<T>}
   */
  async persist(work) {
    for (let tries = 0; ; tries += 1) {
      try {
        return await work();
      } catch (error) {
        if (!passes(error) || this.isClosed) throw error;
        await rest(error, tries);
      }
    }
  }

  /**
   * One run of a name at a time; who asks meanwhile shares one more run after it.
   *
   * @param {string} name @param {() => Promise<unknown>} work @returns {Promise<void>}
   */
  run(name, work) {
    const running = this.#runs.get(name);
    if (running) {
      if (this.#again.has(name)) return /** @type {Promise<void>} */ (this.#runs.get(`${name} again`));
      this.#again.add(name);
      const next = running.catch(() => {}).then(() => {
        this.#again.delete(name);
        this.#runs.delete(`${name} again`);
        return this.run(name, work);
      });
      this.#runs.set(`${name} again`, next);
      return next;
    }
    const run = Promise.resolve().then(work).then(() => {}).finally(() => this.#runs.delete(name));
    this.#runs.set(name, run);
    return run;
  }

  /** @param {Conversation} c */
  changed(c) {
    const { unread } = c;
    if (unread !== c.saidUnread) {
      this.totalUnread += unread - c.saidUnread;
      c.saidUnread = unread;
      this.emit('unread', { peer: c.peer, unread, total: this.totalUnread });
    }
    this.emit('conversation', c);
  }
}
