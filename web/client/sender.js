// SPDX-License-Identifier: MIT
// `Sender`: own messages and changes, from the call to their settlement: queued in the outbox, shared with the other tabs,
// and delivered in order for each conversation.

import { Delivery } from './delivery.js';
import { ChatError } from './errors.js';
import { newId } from './id.js';
import { keyOf, nameOf } from './peers.js';

/**
 * @typedef {import('./conversation.js').Conversation} Conversation
 * @typedef {import('./entries.js').Message} Message
 * @typedef {import('./entries.js').LogEntry} LogEntry
 * @typedef {import('./conversation.js').Entry} Entry
 * @typedef {import('./outbox.js').Outbox} Outbox
 * @typedef {import('../chat-client.js').Status} Status
 *
 * @typedef {object} Waiter a caller that waits for its message to be stored or changed
 * @property {(message: any) => void} resolve
 * @property {(error: ChatError) => void} reject
 */

/**
 * Changes the list of a conversation in which an entry is shown.
 *
 * @param {Conversation} c
 * @param {Entry} entry
 * @param {(shown: readonly Entry[]) => Entry[]} change
 */
const changeList = (c, entry, change) => {
  const list = entry.group ? 'groupChanges' : entry.kind ? 'changes' : 'pending';
  c[list] = /** @type {any} */ (change(c[list]));
};

export class Sender {
  /**
   * Own messages and changes that are queued or failed.
   *
   * @type {Map<string, { entry: Entry, waiters: Waiter[] }>}
   */
  #pending = new Map();
  /**
   * Stored messages, in case the outbox could not remove them.
   *
   * @type {Set<string>}
   */
  #settled = new Set();
  /**
   * Entries of other tabs and earlier pages, which may have attempted them without a trace.
   *
   * @type {Set<string>}
   */
  #foreign = new Set();
  /** @type {Outbox | undefined} */
  #outbox;
  #delivery;

  /**
   * @param {import('./session.js').Session} session
   * @param {import('./receiver.js').Receiver} receiver
   * @param {Promise<Outbox>} outbox
   */
  constructor(session, receiver, outbox) {
    this.session = session;
    this.receiver = receiver;
    this.#delivery = new Delivery(session, receiver, {
      outbox: () => this.#outbox,
      isPending: (entry) => this.#isPending(entry),
      isForeign: (entry) => this.#foreign.has(entry.clientMessageId),
      onRefused: (entry, error) => this.#fail(entry, error),
    });
    /** Resolves when the outbox was read, or the client was closed. */
    this.ready = Promise.race([outbox.then((opened) => this.#begin(opened)), session.whenClosed]);
  }

  get isDurable() {
    return this.#outbox?.isDurable ?? false;
  }

  /** @param {Outbox} outbox */
  async #begin(outbox) {
    if (this.session.isClosed) return outbox.close();
    this.#outbox = outbox;
    if (!(await this.readOutbox())) this.#readOutboxLater();
  }

  /**
   * Sends what other tabs and earlier pages have queued, too.
   *
   * @returns {Promise<boolean>} false if it could not be read
   */
  async readOutbox() {
    const stored = await this.#outbox?.all();
    for (const entry of stored ?? []) this.#trackForeign(entry);
    this.pumpAll();
    return stored !== undefined || !this.#outbox?.indexedDB;
  }

  async #readOutboxLater() {
    for (let failures = 0; !this.session.isClosed; failures += 1) {
      await this.session.backOff(undefined, failures);
      if (await this.readOutbox()) return;
    }
  }

  /**
   * Queues a message or a change.
   *
   * @param {string} key of the conversation
   * @param {Pick<Entry, 'kind' | 'target' | 'content' | 'reaction' | 'on' | 'replyTo' | 'mentions' | 'group'>} fields
   * @returns {Promise<any>} resolves when it is stored: with the message as it then is, or the entry of a group
   */
  async add(key, fields) {
    await this.ready;
    if (this.session.isClosed || !this.#outbox) throw new ChatError('closed', 'The client was closed.');
    const clientMessageId = newId();
    // All attempts in any tab name the same entry of the conversation, after which this one is stored. So it is stored with
    // the entry, if the conversation is known by now.
    const { end } = this.session.conversation(key);
    const entry = await this.#outbox.add({ clientMessageId, ...nameOf(key), ...fields, queuedAt: Date.now(), ...end });
    if (this.session.isClosed) {
      throw new ChatError('closed', 'The client was closed. The message stays queued if the outbox is durable.');
    }
    const stored = this.#settlement(entry);
    this.#outbox.broadcast({ kind: 'queued', entry });
    this.pump(key);
    return stored;
  }

  /**
   * Queues a failed message again.
   *
   * @param {string} clientMessageId
   */
  async retry(clientMessageId) {
    const entry = this.#failedEntry(clientMessageId);
    if (!entry) return false;
    delete entry.failed;
    await this.#outbox?.put(entry);
    this.#outbox?.broadcast({ kind: 'queued', entry });
    this.#report(entry, 'queued');
    this.pump(keyOf(entry));
    return true;
  }

  /**
   * Removes a failed message.
   *
   * @param {string} clientMessageId
   */
  async discard(clientMessageId) {
    const entry = this.#failedEntry(clientMessageId);
    if (!entry) return false;
    await this.#outbox?.remove(entry);
    this.#outbox?.broadcast({ kind: 'gone', clientMessageId });
    this.#drop(clientMessageId);
    return true;
  }

  /** @param {string} clientMessageId */
  #failedEntry(clientMessageId) {
    const entry = this.#pending.get(clientMessageId)?.entry;
    return entry?.failed ? entry : undefined;
  }

  close() {
    this.#outbox?.close();
    const error = () => new ChatError('closed', 'The client was closed. The message stays queued.');
    for (const { waiters } of this.#pending.values()) for (const { reject } of waiters) reject(error());
    this.#pending.clear();
  }

  /**
   * Adds an entry to the conversation's pending messages or changes, once.
   *
   * @param {Entry} entry
   */
  #track(entry) {
    let tracked = this.#pending.get(entry.clientMessageId);
    if (!tracked) {
      tracked = { entry, waiters: [] };
      this.#pending.set(entry.clientMessageId, tracked);
      const c = this.#conversationOf(entry);
      changeList(c, entry, (shown) => [...shown, entry].sort((a, b) => a.n - b.n));
      this.#report(entry, entry.failed ? 'failed' : 'queued');
    }
    return tracked;
  }

  /**
   * Adds an entry that another tab or an earlier page has queued, unless the server has stored it.
   *
   * @param {Entry} entry
   * @returns {Entry | undefined} the tracked entry
   */
  #trackForeign(entry) {
    const { clientMessageId } = entry;
    if (this.#settled.has(clientMessageId)) {
      this.#outbox?.remove(entry);
      return undefined;
    }
    if (!this.#pending.has(clientMessageId)) this.#foreign.add(clientMessageId);
    return this.#track(entry).entry;
  }

  /**
   * @param {Entry} entry
   * @returns {Promise<any>} resolves when it is stored
   */
  #settlement(entry) {
    return new Promise((resolve, reject) => {
      this.#track(entry).waiters.push({ resolve, reject });
    });
  }

  /** Sends what is queued, to every conversation. */
  pumpAll() {
    for (const key of new Set([...this.#pending.values()].map(({ entry }) => keyOf(entry)))) this.pump(key);
  }

  /** @param {Entry} entry */
  #conversationOf(entry) {
    return this.session.conversation(keyOf(entry));
  }

  /**
   * Sends what is queued for one conversation, one message after the other.
   *
   * @param {string} key
   */
  pump(key) {
    if (!this.session.connection.isOpen) return;
    const work = async () => {
      await this.ready;
      await this.#outbox?.exclusively(key, () => this.#sendQueued(key));
    };
    // After a lost connection, the next one pumps again.
    this.session.run(`pump ${key}`, work).catch(() => {});
  }

  /** @param {string} key */
  async #sendQueued(key) {
    while (this.session.connection.isOpen && this.#outbox) {
      const stored = await this.#outbox.all();
      for (const entry of stored ?? []) if (keyOf(entry) === key) this.#trackForeign(entry);
      const queued = [...this.#pending.values()].map(({ entry }) => entry).filter((e) => keyOf(e) === key && !e.failed);
      if (stored) await this.#restore(queued, stored);
      const [next] = queued.sort((a, b) => a.n - b.n);
      if (!next) break;
      await this.#delivery.run(this.session.conversation(key), next);
    }
  }

  /**
   * Stores what this tab holds and the storage does not, because it was deleted or because another tab has sent it. The
   * next attempt tells: the server recognises a message that it has stored.
   *
   * @param {Entry[]} queued
   * @param {Entry[]} stored
   */
  async #restore(queued, stored) {
    const ids = new Set(stored.map((e) => e.clientMessageId));
    for (const entry of queued) {
      if (ids.has(entry.clientMessageId) || !this.#isPending(entry)) continue;
      if (entry.lastSeq === undefined) this.#foreign.add(entry.clientMessageId);
      await this.#outbox?.put(entry);
    }
  }

  /** @param {Entry} entry */
  #isPending({ clientMessageId }) {
    return this.#pending.has(clientMessageId);
  }

  /**
   * @param {Entry} entry
   * @param {unknown} error
   */
  async #fail(entry, error) {
    const { code, message } = /** @type {ChatError} */ (error);
    entry.failed = { code, message };
    await this.#outbox?.put(entry);
    this.#outbox?.broadcast({ kind: 'failed', entry });
    this.#reportFailure(entry);
  }

  /** @param {Entry} entry */
  #reportFailure(entry) {
    this.#report(entry, 'failed');
    const { code = '', message = '' } = entry.failed ?? {};
    const waiters = this.#pending.get(entry.clientMessageId)?.waiters.splice(0) ?? [];
    for (const { reject } of waiters) reject(new ChatError(code, message));
  }

  /**
   * Settles what the server has stored, if it is this user's.
   *
   * @param {LogEntry} m
   * @param {Message} [changed] the message that the entry is about
   */
  settle(m, changed) {
    if (m.senderId !== this.session.userId || !m.clientMessageId) return;
    const { clientMessageId } = m;
    const tracked = this.#pending.get(clientMessageId);
    if (!tracked) return;
    const { entry, waiters } = tracked;
    this.#pending.delete(clientMessageId);
    this.#settled.add(clientMessageId);
    this.#outbox?.remove(entry);
    this.#outbox?.broadcast({ kind: 'sent', clientMessageId, message: m, changed });
    const c = this.#conversationOf(entry);
    if (m.kind === undefined) entry.sent = m;
    else this.#hide(entry);
    // From now on, a new group has an id.
    if (entry.kind === 'create') entry.groupId = m.groupId;
    this.#report(entry, 'sent', m.seq);
    const stored =
      m.kind === 'change' ? (changed ?? c.message(m.target) ?? (waiters.length ? this.#load(c, entry) : undefined)) : m;
    for (const { resolve, reject } of waiters) Promise.resolve(stored).then(resolve, reject);
  }

  /**
   * @param {Conversation} c
   * @param {Entry} entry of a change
   */
  #load(c, { target = 0 }) {
    return this.receiver.message(c, target);
  }

  /** @param {string} clientMessageId */
  #drop(clientMessageId) {
    const tracked = this.#pending.get(clientMessageId);
    if (!tracked) return;
    this.#pending.delete(clientMessageId);
    this.#hide(tracked.entry);
    this.#report(tracked.entry, 'discarded');
    for (const { reject } of tracked.waiters) reject(new ChatError('discarded', 'The message was discarded.'));
  }

  /**
   * Handles what another tab of this user reports.
   *
   * @param {import('./outbox.js').TabMessage} message
   */
  onTabMessage(message) {
    if (message.kind === 'gone') return this.#drop(message.clientMessageId);
    if (message.kind === 'sent') {
      const { message: stored, changed } = message;
      return this.receiver.receive(this.session.conversationOf(stored), stored, changed);
    }
    const entry = this.#trackForeign(message.entry);
    if (!entry) return;
    const hadFailed = entry.failed !== undefined;
    entry.failed = message.entry.failed;
    if (message.kind === 'failed') return this.#reportFailure(entry);
    if (hadFailed) this.#report(entry, 'queued');
    this.pump(keyOf(entry));
  }

  /**
   * Shows the entry as it is now. What callers hold does not change.
   *
   * @param {Entry} entry
   */
  #show(entry) {
    const c = this.#conversationOf(entry);
    const isShown = (/** @type {Entry} */ shown) => shown.clientMessageId === entry.clientMessageId;
    changeList(c, entry, (list) => list.map((shown) => (isShown(shown) ? { ...entry } : shown)));
  }

  /** @param {Entry} entry */
  #hide(entry) {
    const c = this.#conversationOf(entry);
    changeList(c, entry, (list) => list.filter((shown) => shown.clientMessageId !== entry.clientMessageId));
  }

  /**
   * @param {Entry} entry
   * @param {Status['state']} state
   * @param {number} [seq] of what is stored
   */
  #report(entry, state, seq) {
    const { clientMessageId, kind, target, failed } = entry;
    this.#show(entry);
    /** @type {Status} */
    const status = { clientMessageId, ...nameOf(keyOf(entry)), state };
    if (seq) status.seq = seq;
    if (kind) Object.assign(status, { kind, target });
    if (failed && state === 'failed') Object.assign(status, { code: failed.code, reason: failed.message });
    this.session.emit('status', status);
    this.session.changed(this.#conversationOf(entry));
  }
}
