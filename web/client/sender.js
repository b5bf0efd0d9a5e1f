// SPDX-License-Identifier: MIT
// `Sender`: retries each queued message until the server acknowledges it, in order for each recipient. The server stores
// it once, because all attempts carry the same `clientMessageId` and `lastSeq`.

import { ChatError, hasCode, isConnectionError, isRetryable } from './errors.js';

/**
 * @typedef {import('./conversation.js').Conversation} Conversation
 * @typedef {import('./conversation.js').Message} Message
 * @typedef {import('./conversation.js').Entry} Entry
 * @typedef {import('./outbox.js').Outbox} Outbox
 * @typedef {import('../chat-client.js').Status} Status
 *
 * @typedef {object} Waiter a caller of `send` that waits for its message
 * @property {(message: Message) => void} resolve
 * @property {(error: ChatError) => void} reject
 */

export class Sender {
  /**
   * Own messages that are queued or failed.
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

  /**
   * @param {import('./session.js').Session} session
   * @param {import('./receiver.js').Receiver} receiver
   * @param {Promise<Outbox>} outbox
   */
  constructor(session, receiver, outbox) {
    this.session = session;
    this.receiver = receiver;
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
   * Queues a message.
   *
   * @param {string} peer
   * @param {string} content
   * @returns {Promise<Message>} resolves when the message is stored
   */
  async add(peer, content) {
    await this.ready;
    if (this.session.isClosed || !this.#outbox) throw new ChatError('closed', 'The client was closed.');
    const clientMessageId = newId();
    // All attempts in any tab name the same `lastSeq`: the message is stored after it. So it is stored with the entry, if
    // the conversation is known by now.
    const lastSeq = this.session.conversation(peer).high ?? undefined;
    const entry = await this.#outbox.add({ clientMessageId, peer, content, queuedAt: Date.now(), lastSeq });
    if (this.session.isClosed) {
      throw new ChatError('closed', 'The client was closed. The message stays queued if the outbox is durable.');
    }
    const stored = this.#settlement(entry);
    this.#outbox.broadcast({ kind: 'queued', entry });
    this.pump(peer);
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
    this.pump(entry.peer);
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
   * Adds an entry to the conversation's pending messages, once.
   *
   * @param {Entry} entry
   */
  #track(entry) {
    let tracked = this.#pending.get(entry.clientMessageId);
    if (!tracked) {
      tracked = { entry, waiters: [] };
      this.#pending.set(entry.clientMessageId, tracked);
      const c = this.session.conversation(entry.peer);
      c.pending = [...c.pending, entry].sort((a, b) => a.n - b.n);
      this.#report(entry, entry.failed ? 'failed' : 'queued');
    }
    return tracked;
  }

  /**
   * Adds an entry that another tab or an earlier page has queued, unless the server has stored it.
   *
   * @param {Entry} entry
   */
  #trackForeign(entry) {
    const { clientMessageId } = entry;
    if (this.#settled.has(clientMessageId)) return void this.#outbox?.remove(entry);
    if (!this.#pending.has(clientMessageId)) this.#foreign.add(clientMessageId);
    this.#track(entry);
  }

  /**
   * @param {Entry} entry
   * @returns {Promise<Message>} resolves when the message is stored
   */
  #settlement(entry) {
    return new Promise((resolve, reject) => {
      this.#track(entry).waiters.push({ resolve, reject });
    });
  }

  /** Sends what is queued, to every recipient. */
  pumpAll() {
    for (const peer of new Set([...this.#pending.values()].map(({ entry }) => entry.peer))) this.pump(peer);
  }

  /**
   * Sends what is queued for one recipient, one message after the other.
   *
   * @param {string} peer
   */
  pump(peer) {
    if (!this.session.connection.isOpen) return;
    const work = async () => {
      await this.ready;
      await this.#outbox?.exclusively(peer, () => this.#sendQueued(peer));
    };
    // After a lost connection, the next one pumps again.
    this.session.run(`pump ${peer}`, work).catch(() => {});
  }

  /** @param {string} peer */
  async #sendQueued(peer) {
    while (this.session.connection.isOpen && this.#outbox) {
      const stored = await this.#outbox.all();
      for (const entry of stored ?? []) if (entry.peer === peer) this.#trackForeign(entry);
      const queued = [...this.#pending.values()].map(({ entry }) => entry).filter((e) => e.peer === peer && !e.failed);
      if (stored) await this.#restore(queued, stored);
      const [next] = queued.sort((a, b) => a.n - b.n);
      if (!next) break;
      await this.#deliver(this.session.conversation(peer), next);
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

  /**
   * Repeats one message until it is acknowledged or refused.
   *
   * @param {Conversation} c
   * @param {Entry} entry
   */
  async #deliver(c, entry) {
    for (let failures = 0; this.#isPending(entry) && !entry.failed; failures += 1) {
      try {
        if (entry.lastSeq === undefined) await this.#chooseLastSeq(c, entry);
        if (!this.#isPending(entry)) return;
        await this.#attempt(c, entry);
      } catch (error) {
        if (isConnectionError(error) || this.session.isClosed) throw error;
        if (isRetryable(error)) await this.session.backOff(error, failures);
        else if (hasCode(error, 'out_of_date')) await this.#catchUpEntry(entry);
        else if (!hasCode(error, 'bad_request') || !(await this.#restartNumbering(c, entry)))
          await this.#fail(entry, error);
      }
    }
  }

  /**
   * Decides which `lastSeq` all attempts name.
   *
   * @param {Conversation} c
   * @param {Entry} entry
   */
  async #chooseLastSeq(c, entry) {
    if (this.session.knowsAll) c.startEmpty();
    if (c.high === null) await this.receiver.catchUp(c);
    let lastSeq = c.high ?? 0;
    const isForeign = this.#foreign.has(entry.clientMessageId);
    if (isForeign) lastSeq = await this.#search(entry);
    if (!this.#isPending(entry)) return;
    const isStored = await this.#outbox?.begin(entry, lastSeq);
    if (!isStored && !isForeign) entry.lastSeq = await this.#search(entry);
  }

  /**
   * Looks for an entry that another tab or an earlier page may have sent: reads back to the day before it was queued. What
   * is read settles it.
   *
   * @param {Entry} entry
   * @returns {Promise<number>} the newest `seq` at the beginning of the search
   */
  async #search(entry) {
    let newest;
    let startKey;
    do {
      const { messages, next } = await this.receiver.page(entry.peer, { limit: 100, startKey });
      newest ??= messages[0]?.seq ?? 0;
      const mayBeOlder = (messages.at(-1)?.createdAt ?? 0) > entry.queuedAt - DAY;
      startKey = mayBeOlder ? next : undefined;
    } while (startKey !== undefined && this.#isPending(entry));
    return newest;
  }

  /** @param {Entry} entry */
  #isPending({ clientMessageId }) {
    return this.#pending.has(clientMessageId);
  }

  /**
   * @param {Conversation} c
   * @param {Entry} entry
   */
  async #attempt(c, { peer, content, clientMessageId, lastSeq }) {
    const fields = { recipientId: peer, content, clientMessageId, lastSeq };
    const { duplicate: _, ...sent } = await this.session.connection.request('sendMessage', fields);
    this.receiver.receive(c, { ...sent, senderId: this.session.userId, recipientId: peer, content, clientMessageId });
  }

  /**
   * More than 1,000 messages follow `lastSeq`: looks for the message among them, and continues at their end.
   *
   * @param {Entry} entry
   */
  async #catchUpEntry(entry) {
    const newest = await this.session.persist(() => this.#scan(entry, entry.lastSeq ?? 0));
    if (!this.#isPending(entry)) return;
    entry.lastSeq = newest;
    await this.#outbox?.put(entry);
  }

  /**
   * Reads the messages after `seq`, until one of them is the entry: each page that is read settles what it holds.
   *
   * @param {Entry} entry
   * @param {number} seq
   * @returns {Promise<number>} the last `seq` that was read
   */
  async #scan(entry, seq) {
    let hasMore = true;
    while (hasMore && this.#isPending(entry)) {
      const { messages, next } = await this.receiver.page(entry.peer, { limit: 100, after: seq });
      seq = messages.at(-1)?.seq ?? seq;
      hasMore = next !== undefined;
    }
    return seq;
  }

  /**
   * Resets the conversation if the server has lost messages that the client holds.
   *
   * @param {Conversation} c
   * @param {Entry} entry
   * @returns {Promise<boolean>} whether it has
   */
  #restartNumbering(c, entry) {
    return this.session.persist(async () => {
      if (!entry.lastSeq) return false;
      const { messages } = await this.receiver.page(c.peer, { limit: 1 });
      const end = messages[0]?.seq ?? 0;
      if (end >= entry.lastSeq) return false;
      c.reset();
      await this.receiver.catchUp(c);
      entry.lastSeq = end;
      await this.#outbox?.put(entry);
      return true;
    });
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
   * Settles the entry of a message that the server has stored, if it is one of this user's.
   *
   * @param {Message} m
   */
  settle(m) {
    if (m.senderId !== this.session.userId || !m.clientMessageId) return;
    const { clientMessageId } = m;
    const tracked = this.#pending.get(clientMessageId);
    if (!tracked) return;
    const { entry, waiters } = tracked;
    this.#pending.delete(clientMessageId);
    this.#settled.add(clientMessageId);
    entry.sent = m;
    this.#outbox?.remove(entry);
    this.#outbox?.broadcast({ kind: 'sent', clientMessageId, message: m });
    this.#report(entry, 'sent');
    for (const { resolve } of waiters) resolve(m);
  }

  /** @param {string} clientMessageId */
  #drop(clientMessageId) {
    const tracked = this.#pending.get(clientMessageId);
    if (!tracked) return;
    this.#pending.delete(clientMessageId);
    const c = this.session.conversation(tracked.entry.peer);
    c.pending = c.pending.filter((entry) => entry.clientMessageId !== clientMessageId);
    for (const { reject } of tracked.waiters) reject(new ChatError('discarded', 'The message was discarded.'));
    this.session.changed(c);
  }

  /**
   * Handles what another tab of this user reports.
   *
   * @param {import('./outbox.js').TabMessage} message
   */
  onTabMessage(message) {
    if (message.kind === 'gone') return this.#drop(message.clientMessageId);
    if (message.kind === 'sent') {
      const { message: stored } = message;
      return this.receiver.receive(this.session.conversation(stored.recipientId), stored);
    }
    this.#trackForeign(message.entry);
    const entry = this.#pending.get(message.entry.clientMessageId)?.entry;
    if (!entry) return;
    entry.failed = message.entry.failed;
    if (message.kind === 'failed') return this.#reportFailure(entry);
    this.#show(entry);
    this.session.changed(this.session.conversation(entry.peer));
    this.pump(entry.peer);
  }

  /**
   * Shows the entry as it is now. What callers hold does not change.
   *
   * @param {Entry} entry
   */
  #show(entry) {
    const c = this.session.conversation(entry.peer);
    c.pending = c.pending.map((shown) => (shown.clientMessageId === entry.clientMessageId ? { ...entry } : shown));
  }

  /**
   * @param {Entry} entry
   * @param {Status['state']} state
   */
  #report(entry, state) {
    const { clientMessageId, peer, failed, sent } = entry;
    this.#show(entry);
    /** @type {Status} */
    const status = { clientMessageId, peer, state };
    if (sent) status.seq = sent.seq;
    if (failed) Object.assign(status, { code: failed.code, reason: failed.message });
    this.session.emit('status', status);
    this.session.changed(this.session.conversation(peer));
  }
}

/** More than the clocks of a device and of the service differ, in milliseconds. */
const DAY = 24 * 60 * 60_000;

/** `randomUUID` does not exist on pages over plain HTTP. */
export const newId = () =>
  globalThis.crypto.randomUUID?.() ??
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
