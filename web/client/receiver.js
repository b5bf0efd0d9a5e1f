// Receiving: every message once and in order, holes filled, and what was missed asked for.

import { isMessage } from './conversation.js';
import { ChatError, is } from './trouble.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/** @typedef {import('./conversation.js').Message} Message */

/** Milliseconds until a hole is asked for: pushes overtake each other. */
const HOLE = 200;

export class Receiver {
  /** Whether this server has an inbox; undefined until it is asked, once for each connection. @type {boolean | undefined} */
  hasInbox;
  /** Set once, right after it is made. @type {import('./sender.js').Sender} */
  sender = /** @type {any} */ (undefined);

  /** @param {import('./core.js').Core} core @param {number} pageSize */
  constructor(core, pageSize) {
    this.core = core;
    this.pageSize = pageSize;
  }

  /** What has happened while there was no connection. */
  refresh() {
    this.hasInbox = undefined;
    for (const c of this.core.conversations.values()) c.stale = c.wanted || c.high !== null || c.hasHole;
    this.core.run('refresh', async () => {
      await this.sender.ready;
      const listed = await this.core.persist(() => this.#readInbox());
      this.hasInbox = listed !== undefined;
      for (const c of this.core.conversations.values()) {
        const newest = listed?.get(c);
        if (newest !== undefined && (c.high ?? 0) >= newest && c.loaded >= c.wanted) c.stale = false;
        if (c.stale && (c.wanted || c.high !== null || c.hasHole)) this.catchUp(c).catch(() => {});
        this.tellRead(c);
      }
    }).catch(() => {});
    this.sender.pumpAll();
  }

  /** @returns {Promise<Map<Conversation, number> | undefined>} the newest message of each; undefined where there is no inbox */
  async #readInbox() {
    /** @type {Map<Conversation, number>} */
    const listed = new Map();
    try {
      for (let startKey; ;) {
        const page = await this.core.connection.request('getConversations', { limit: 100, startKey });
        for (const row of page.conversations ?? []) {
          const c = this.core.conversation(row.peerId);
          listed.set(c, row.lastMessage?.seq ?? 0);
          if (isMessage(row.lastMessage)) this.sender.recognise(row.lastMessage);
          this.announce(c, c.preview(row));
          this.core.changed(c);
        }
        startKey = page.lastEvaluatedKey;
        if (startKey === undefined) return listed;
      }
    } catch (error) {
      if (is(error, 'unknown_action')) return undefined;
      throw error;
    }
  }

  /** A frame that nobody asked for. @param {any} frame */
  hear({ type, value }) {
    if (type === 'message' && isMessage(value)) {
      const { senderId, recipientId } = value, me = this.core.userId;
      if (senderId !== me && recipientId !== me) return;
      this.take(this.core.conversation(senderId === me ? recipientId : senderId), value);
    } else if (type === 'read' && Number.isSafeInteger(value?.seq)) {
      for (const c of this.core.conversations.values()) if (c.id === value.conversationId) this.#heardRead(c, value);
    }
  }

  /** @param {Conversation} c @param {{ userId: string, seq: number }} value */
  #heardRead(c, { userId, seq }) {
    if (userId === this.core.userId) c.readSeq = Math.max(c.readSeq, seq);
    else this.#peerHasRead(c, seq);
    this.core.changed(c);
  }

  /** @param {Conversation} c @param {number} seq */
  #peerHasRead(c, seq) {
    const before = c.peerReadSeq;
    c.peerReadSeq = Math.max(before, seq);
    this.#sayRead(c, before);
  }

  /** Says of each own message that the peer has read since. @param {Conversation} c @param {number} before */
  #sayRead(c, before) {
    for (const m of c.messages.slice(Math.max(0, before + 1 - c.low), Math.max(0, c.peerReadSeq + 1 - c.low)))
      if (m.senderId === this.core.userId && m.clientMessageId)
        this.core.emit('status', { clientMessageId: m.clientMessageId, peer: c.peer, state: 'read', seq: m.seq });
  }

  /** @param {Conversation} c @param {Message} m */
  take(c, m) {
    this.sender.recognise(m);
    const before = c.peerReadSeq;
    this.announce(c, c.take(m));
    if (c.peerReadSeq > before) this.#sayRead(c, before);
    if (c.contradicted) c.reset();
    // Pushes overtake each other: what is missing may be about to come.
    const isBehind = () => c.high === null || c.hasHole;
    if (isBehind()) setTimeout(() => { if (isBehind()) this.catchUp(c).catch(() => {}); }, c.high === null ? 0 : HOLE);
  }

  /** @param {Conversation} c @param {Message[]} news */
  announce(c, news) {
    const high = c.high ?? 0, shown = c.pending.length;
    c.pending = c.pending.filter(({ sent }) => !sent || sent.seq > high);
    for (const m of news) this.core.emit('message', m);
    if (news.length || shown !== c.pending.length) this.core.changed(c);
  }

  /**
   * Loads what came after the messages held. Its callers share one run.
   *
   * @param {Conversation} c
   */
  catchUp(c) {
    c.stale = true;
    return this.core.run(`catch up ${c.peer}`, async () => {
      while (c.stale || c.hasHole || (c.wanted && !c.loaded)) await this.core.persist(() => this.#step(c));
      this.core.changed(c);
    });
  }

  /** @param {Conversation} c */
  async #step(c) {
    const { high } = c, before = c.peerReadSeq;
    if (high === null || (c.wanted && !c.loaded)) {
      const { messages, next } = await this.page(c.peer, { limit: c.wanted ? this.pageSize : 1 });
      const wasKnown = c.high !== null;
      this.announce(c, c.begin(messages.reverse(), next, c.wanted));
      c.stale = wasKnown && c.hasHole;
    } else {
      const { messages, next } = await this.page(c.peer, { limit: 100, after: high });
      c.stale = next !== undefined;
      for (const m of messages) this.announce(c, c.take(m));
      if (c.high === high && (c.stale || c.hasHole)) throw new ChatError('unavailable', 'Some messages are missing.');
    }
    if (c.peerReadSeq > before) this.#sayRead(c, before);
    if (c.contradicted) c.reset();
  }

  /** @param {string} peer @param {object} fields @returns {Promise<{ messages: Message[], next: unknown }>} */
  async page(peer, fields) {
    const page = await this.core.connection.request('getMessages', { targetId: peer, ...fields });
    const messages = page.messages.filter(isMessage);
    messages.forEach((/** @type {Message} */ m) => this.sender.recognise(m));
    return { messages, next: page.lastEvaluatedKey };
  }

  /** Lets the server know how far this user has read, where it wants to. @param {Conversation} c */
  tellRead(c) {
    if (this.hasInbox === false) return;
    let told = 0;
    this.core.run(`read ${c.peer}`, async () => {
      while (c.readSeq > Math.max(told, c.floor, c.toldSeq)) {
        told = c.readSeq;
        await this.core.persist(() => this.core.connection.request('markRead', { targetId: c.peer, seq: told }));
        c.toldSeq = told;
      }
    }).catch((error) => { if (is(error, 'unknown_action')) this.hasInbox = false; });
  }

  /** Loads one page of what is older. @param {Conversation} c */
  async older(c) {
    const { low } = c;
    await this.core.run(`older ${c.peer}`, async () => {
      while (c.low === low && c.older !== undefined) {
        const { messages, next } = await this.page(c.peer, { limit: this.pageSize, startKey: c.older });
        c.older = next;
        this.announce(c, c.prepend(messages.reverse()));
      }
    });
    return c.messages.slice(0, low - c.low);
  }
}
