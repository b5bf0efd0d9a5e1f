// Sending: what is queued is repeated until it is acknowledged, in order for each person, and stored once.

import { ChatError, is, isOfTheConnection, passes, rest } from './trouble.js';

/**
 * @typedef {import('./conversation.js').Conversation} Conversation
 * @typedef {import('./conversation.js').Message} Message
 * @typedef {import('./conversation.js').Entry} Entry
 * @typedef {import('../chat-client.js').Status} Status
 */

export class Sender {
  /** Own messages on their way, and who waits for them. @type {Map<string, { entry: Entry, waiters: PromiseWithResolvers<Message>[] }>} */
  #underway = new Map();
  /** Those that have arrived, in case the outbox can't forget them. @type {Set<string>} */
  #settled = new Set();
  /** @type {import('./outbox.js').Outbox | undefined} */
  #outbox;

  /**
   * @param {import('./core.js').Core} core
   * @param {import('./receiver.js').Receiver} receiver
   * @param {Promise<import('./outbox.js').Outbox>} outbox
   */
  constructor(core, receiver, outbox) {
    this.core = core;
    this.receiver = receiver;
    /** Resolves when what an earlier page left is known. */
    this.ready = outbox.then((opened) => this.#begin(opened));
  }

  get isDurable() {
    return this.#outbox?.isDurable ?? false;
  }

  /** @param {import('./outbox.js').Outbox} outbox */
  async #begin(outbox) {
    if (this.core.isClosed) return outbox.close();
    this.#outbox = outbox;
    for (const entry of await outbox.all()) this.expect(entry).catch(() => {});
    this.pumpAll();
  }

  /** Queues a message, and resolves when it is stored. @param {string} peer @param {string} content @returns {Promise<Message>} */
  async add(peer, content) {
    await this.ready;
    if (this.core.isClosed || !this.#outbox) throw new ChatError('closed', 'The client was closed.');
    const entry = await this.#outbox.add({ clientMessageId: newId(), peer, content, queuedAt: Date.now() });
    if (this.core.isClosed) throw new ChatError('closed', 'The client was closed; the message is queued, where that survives.');
    const stored = this.expect(entry);
    this.#outbox.tell({ kind: 'queued', entry });
    this.pump(peer);
    return stored;
  }

  /** Tries a failed message again. @param {string} clientMessageId */
  async retry(clientMessageId) {
    const entry = this.#underway.get(clientMessageId)?.entry;
    if (!entry?.failed) return false;
    delete entry.failed;
    await this.#outbox?.put(entry);
    this.#outbox?.tell({ kind: 'queued', entry });
    this.say(entry, 'queued');
    this.pump(entry.peer);
    return true;
  }

  /** Forgets a failed message. @param {string} clientMessageId */
  async discard(clientMessageId) {
    const entry = this.#underway.get(clientMessageId)?.entry;
    if (!entry?.failed) return false;
    await this.#outbox?.remove(entry);
    this.#outbox?.tell({ kind: 'gone', clientMessageId });
    this.forget(clientMessageId);
    return true;
  }

  close() {
    this.#outbox?.close();
    for (const { waiters } of this.#underway.values())
      for (const waiter of waiters) waiter.reject(new ChatError('closed', 'The client was closed; the message is still queued.'));
    this.#underway.clear();
  }

  /** Remembers a message that is on its way. @param {Entry} entry @returns {Promise<Message>} */
  expect(entry) {
    const known = this.#underway.get(entry.clientMessageId);
    /** @type {PromiseWithResolvers<Message>} */
    const waiter = /** @type {any} */ ({});
    waiter.promise = new Promise((resolve, reject) => Object.assign(waiter, { resolve, reject }));
    if (known) {
      known.waiters.push(waiter);
      return waiter.promise;
    }
    this.#underway.set(entry.clientMessageId, { entry, waiters: [waiter] });
    const c = this.core.conversation(entry.peer);
    c.pending = [...c.pending, entry].sort((a, b) => a.n - b.n);
    this.say(entry, entry.failed ? 'failed' : 'queued');
    return waiter.promise;
  }

  pumpAll() {
    for (const peer of new Set([...this.#underway.values()].map(({ entry }) => entry.peer))) this.pump(peer);
  }

  /** Sends what is queued for one person, one after the other so that the order stays. @param {string} peer */
  pump(peer) {
    if (!this.core.connection.isOpen) return;
    this.core.run(`pump ${peer}`, () => this.ready.then(() => this.#outbox?.alone(peer, async () => {
      while (this.core.connection.isOpen && this.#outbox) {
        const entry = (await this.#outbox.all()).find((one) => one.peer === peer && !one.failed && !this.#settled.has(one.clientMessageId));
        if (!entry) break;
        this.expect(entry).catch(() => {});
        await this.#deliver(this.core.conversation(peer), this.#underway.get(entry.clientMessageId)?.entry ?? entry);
      }
      await this.#missing(peer);
    }))).catch(() => {});
  }

  /** Repeats one message until it is acknowledged or refused. @param {Conversation} c @param {Entry} entry */
  async #deliver(c, entry) {
    for (let tries = 0; this.#underway.has(entry.clientMessageId); tries += 1) {
      try {
        if (entry.lastSeq === undefined) {
          if (c.high === null) await this.receiver.catchUp(c);
          // Before the first attempt, so that every repeat, by whatever page, names the same: it is stored after this one.
          if (!await this.#outbox?.begin(entry, c.high ?? 0) || !this.#underway.has(entry.clientMessageId)) return;
        }
        const { peer, content, clientMessageId, lastSeq } = entry;
        const sent = await this.core.connection.request('sendMessage', { recipientId: peer, content, clientMessageId, lastSeq });
        const { duplicate, ...place } = sent;
        void duplicate;
        this.receiver.take(c, { ...place, senderId: this.core.userId, recipientId: peer, content, clientMessageId });
      } catch (error) {
        if (isOfTheConnection(error) || this.core.isClosed) throw error;
        if (passes(error)) await rest(error, tries);
        else if (is(error, 'out_of_date')) await this.#advance(entry);
        else if (!(is(error, 'bad_request') && await this.core.persist(() => this.#hasForgotten(c, entry)))) await this.#fail(entry, error);
        if (entry.failed) return;
      }
    }
  }

  /** Too much has followed the first attempt: looks through all of it, and goes on from there. @param {Entry} entry */
  async #advance(entry) {
    const newest = await this.core.persist(() => this.#scan(entry, entry.lastSeq ?? 0));
    if (!this.#underway.has(entry.clientMessageId)) return;
    entry.lastSeq = newest;
    await this.#outbox?.put(entry);
  }

  /**
   * Looks for what an attempt may have stored. (Every page that is read settles what it finds.)
   *
   * @param {Entry} entry @param {number} seq after which it would be
   * @returns {Promise<number>} up to which all was looked at
   */
  async #scan(entry, seq) {
    for (let more = true; more && this.#underway.has(entry.clientMessageId);) {
      const { messages, next } = await this.receiver.page(entry.peer, { limit: 100, after: seq });
      seq = messages.at(-1)?.seq ?? seq;
      more = next !== undefined;
    }
    return seq;
  }

  /** Whether the server has lost what we hold: then it counts anew. @param {Conversation} c @param {Entry} entry */
  async #hasForgotten(c, entry) {
    if (!entry.lastSeq) return false;
    const { messages } = await this.receiver.page(c.peer, { limit: 1 });
    if ((messages[0]?.seq ?? 0) >= entry.lastSeq) return false;
    c.reset();
    entry.lastSeq = undefined;
    return true;
  }

  /** @param {Entry} entry @param {unknown} error */
  async #fail(entry, error) {
    const { code, message } = /** @type {ChatError} */ (error);
    entry.failed = { code, message };
    await this.#outbox?.put(entry);
    this.#outbox?.tell({ kind: 'failed', entry });
    this.#hasFailed(entry);
  }

  /** @param {Entry} entry */
  #hasFailed(entry) {
    this.say(entry, 'failed');
    const known = this.#underway.get(entry.clientMessageId);
    for (const { reject } of known?.waiters.splice(0) ?? []) reject(new ChatError(entry.failed?.code ?? '', entry.failed?.message ?? ''));
  }

  /** It is stored. @param {string} clientMessageId @param {Message} message */
  settle(clientMessageId, message) {
    const known = this.#underway.get(clientMessageId);
    if (!known) return;
    const { entry, waiters } = known;
    this.#underway.delete(clientMessageId);
    this.#settled.add(clientMessageId);
    entry.sent = message;
    this.#outbox?.remove(entry);
    this.#outbox?.tell({ kind: 'sent', clientMessageId, message });
    this.say(entry, 'sent');
    for (const { resolve } of waiters) resolve(message);
  }

  /** Those that another tab has dealt with without our having heard of it. @param {string} peer */
  async #missing(peer) {
    const queued = [...this.#underway.values()].map(({ entry }) => entry).filter((entry) => entry.peer === peer && !entry.failed);
    if (!queued.length) return;
    const kept = new Set((await this.#outbox?.all())?.map((one) => one.clientMessageId));
    for (const entry of queued.filter(({ clientMessageId }) => !kept.has(clientMessageId))) {
      await this.core.persist(() => this.#scan(entry, entry.lastSeq ?? this.core.conversation(peer).low - 1));
      this.forget(entry.clientMessageId);
    }
  }

  /** @param {string} clientMessageId */
  forget(clientMessageId) {
    const known = this.#underway.get(clientMessageId);
    if (!known) return;
    this.#underway.delete(clientMessageId);
    const c = this.core.conversation(known.entry.peer);
    c.pending = c.pending.filter((entry) => entry.clientMessageId !== clientMessageId);
    for (const { reject } of known.waiters) reject(new ChatError('discarded', 'The message was discarded.'));
    this.core.changed(c);
  }

  /** Another tab of this user says something. @param {import('./outbox.js').Word} word */
  told(word) {
    if (word.kind === 'gone') this.forget(word.clientMessageId);
    else if (word.kind === 'sent') {
      const { message } = word;
      this.receiver.take(this.core.conversation(message.recipientId), message);
    } else if (!this.#settled.has(word.entry.clientMessageId)) {
      this.expect(word.entry).catch(() => {});
      const known = this.#underway.get(word.entry.clientMessageId)?.entry ?? word.entry;
      Object.assign(known, { failed: word.entry.failed });
      if (word.kind === 'failed') return this.#hasFailed(known);
      this.core.changed(this.core.conversation(known.peer));
      this.pump(known.peer);
    }
  }

  /** Whether it is one of those on their way, which has then arrived. @param {Message} m */
  recognise(m) {
    if (m.senderId === this.core.userId && m.clientMessageId) this.settle(m.clientMessageId, m);
  }

  /** @param {Entry} entry @param {Status['state']} state */
  say(entry, state) {
    const { clientMessageId, peer, failed, sent } = entry;
    this.core.emit('status', { clientMessageId, peer, state, seq: sent?.seq, code: failed?.code, reason: failed?.message });
    this.core.changed(this.core.conversation(peer));
  }
}

const newId = () => globalThis.crypto.randomUUID?.() ??   // which pages over plain http don't have
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
