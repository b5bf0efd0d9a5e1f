// `Receiver`: takes every message in once and in order, fills gaps, and asks for what was missed.

import { isMessage } from './conversation.js';
import { ChatError } from './errors.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/** @typedef {import('./conversation.js').Message} Message */

/** Milliseconds before a gap is asked for, because pushes overtake each other. */
const GAP_DELAY = 200;

export class Receiver {
  /**
   * Whether the inbox was read on this connection; undefined before that.
   *
   * @type {true | undefined}
   */
  hasInbox;

  /**
   * @param {import('./session.js').Session} session
   * @param {object} options
   * @param {number} options.pageSize of a page of history
   * @param {(m: Message) => void} options.onReceived is called with each message before it is taken in
   */
  constructor(session, { pageSize, onReceived }) {
    this.session = session;
    this.pageSize = pageSize;
    this.onReceived = onReceived;
  }

  /**
   * Catches up after the connection was opened.
   *
   * @param {Promise<unknown>} ready resolves when the outbox was read
   */
  refresh(ready) {
    const { session } = this;
    this.hasInbox = undefined;
    for (const c of session.conversations.values()) c.stale = isFollowed(c);
    session
      .run('refresh', async () => {
        await ready;
        const newest = await session.persist(() => this.#readInbox());
        this.hasInbox = true;
        for (const c of session.conversations.values()) {
          const isComplete = (c.high ?? 0) >= (newest.get(c) ?? Infinity);
          if (isComplete && !needsNewestPage(c)) c.stale = false;
          if (c.stale && isFollowed(c)) this.catchUp(c).catch(() => {});
          this.sendReadPosition(c);
          // Now known not to exist on the server.
          if (!newest.has(c)) session.changed(c);
        }
      })
      .catch(() => {});
  }

  /** @returns {Promise<Map<Conversation, number>>} the newest `seq` of each conversation */
  async #readInbox() {
    /** @type {Map<Conversation, number>} */
    const newest = new Map();
    let startKey;
    do {
      const page = await this.session.connection.request('getConversations', { limit: 100, startKey });
      for (const row of page.conversations ?? []) {
        const c = this.session.conversation(row.peerId);
        newest.set(c, row.lastMessage?.seq ?? 0);
        if (isMessage(row.lastMessage)) this.onReceived(row.lastMessage);
        this.#announce(c, c.addInboxEntry(row));
        this.session.changed(c);
      }
      startKey = page.lastEvaluatedKey;
    } while (startKey !== undefined);
    return newest;
  }

  /**
   * Handles a frame that is not a reply.
   *
   * @param {any} frame
   */
  onFrame({ type, value }) {
    const { userId, conversations } = this.session;
    if (type === 'message' && isMessage(value)) {
      const { senderId, recipientId } = value;
      if (senderId !== userId && recipientId !== userId) return;
      this.receive(this.session.conversation(senderId === userId ? recipientId : senderId), value);
    } else if (type === 'read' && Number.isSafeInteger(value?.seq)) {
      for (const c of conversations.values()) if (c.id === value.conversationId) this.#receiveReadPosition(c, value);
    }
  }

  /**
   * @param {Conversation} c
   * @param {{ userId: string, seq: number }} position
   */
  #receiveReadPosition(c, { userId, seq }) {
    if (userId === this.session.userId) {
      c.readSeq = Math.max(c.readSeq, seq);
    } else {
      const before = c.peerReadSeq;
      c.peerReadSeq = Math.max(before, seq);
      this.#reportRead(c, before);
    }
    this.session.changed(c);
  }

  /**
   * Reports each own message that the peer has read since.
   *
   * @param {Conversation} c
   * @param {number} before the peer's earlier read position
   */
  #reportRead(c, before) {
    const index = (/** @type {number} */ seq) => Math.max(0, seq + 1 - c.low);
    for (const { senderId, clientMessageId, seq } of c.messages.slice(index(before), index(c.peerReadSeq))) {
      if (senderId !== this.session.userId || !clientMessageId) continue;
      this.session.emit('status', { clientMessageId, peer: c.peer, state: 'read', seq });
    }
  }

  /**
   * Takes in a message that the server pushed, or has stored.
   *
   * @param {Conversation} c
   * @param {Message} m
   */
  receive(c, m) {
    this.onReceived(m);
    const before = c.peerReadSeq;
    this.#announce(c, c.add(m));
    this.#afterUpdate(c, before);
    const isBehind = () => c.high === null || c.hasGap;
    if (!isBehind()) return;
    // The missing ones may be on their way.
    const delay = c.high === null ? 0 : GAP_DELAY;
    setTimeout(() => {
      if (isBehind()) this.catchUp(c).catch(() => {});
    }, delay);
  }

  /**
   * @param {Conversation} c
   * @param {number} before the peer's earlier read position
   */
  #afterUpdate(c, before) {
    if (c.peerReadSeq > before) this.#reportRead(c, before);
    if (c.contradicted) c.reset();
  }

  /**
   * @param {Conversation} c
   * @param {Message[]} news
   */
  #announce(c, news) {
    const high = c.high ?? 0;
    const pendingBefore = c.pending.length;
    c.pending = c.pending.filter(({ sent }) => !sent || sent.seq > high);
    for (const m of news) this.session.emit('message', m);
    if (news.length || pendingBefore !== c.pending.length) this.session.changed(c);
  }

  /**
   * Loads what came after the messages held, and the newest page of an opened conversation.
   *
   * @param {Conversation} c
   */
  catchUp(c) {
    c.stale = true;
    return this.session.run(`catch up ${c.peer}`, async () => {
      while (c.stale || c.hasGap || needsNewestPage(c)) {
        await this.session.persist(() =>
          c.high === null || needsNewestPage(c) ? this.#loadNewest(c) : this.#loadNext(c),
        );
      }
      this.session.changed(c);
    });
  }

  /** @param {Conversation} c */
  async #loadNewest(c) {
    const before = c.peerReadSeq;
    const { messages, next } = await this.page(c.peer, { limit: c.isOpened ? this.pageSize : 1 });
    const wasKnown = c.high !== null;
    this.#announce(c, c.addNewest(messages.reverse(), next, c.isOpened));
    c.stale = wasKnown && c.hasGap;
    this.#afterUpdate(c, before);
  }

  /** @param {Conversation} c */
  async #loadNext(c) {
    const { high, peerReadSeq } = c;
    const { messages, next } = await this.page(c.peer, { limit: 100, after: high });
    c.stale = next !== undefined;
    for (const m of messages) this.#announce(c, c.add(m));
    if (c.high === high && (c.stale || c.hasGap)) throw new ChatError('unavailable', 'Some messages are missing.');
    this.#afterUpdate(c, peerReadSeq);
  }

  /**
   * @param {string} peer
   * @param {object} fields of `getMessages`
   * @returns {Promise<{ messages: Message[], next: unknown }>}
   */
  async page(peer, fields) {
    const page = await this.session.connection.request('getMessages', { targetId: peer, ...fields });
    /** @type {Message[]} */
    const messages = page.messages.filter(isMessage);
    for (const m of messages) this.onReceived(m);
    return { messages, next: page.lastEvaluatedKey };
  }

  /**
   * Sends the read position to the server, unless the server knows it.
   *
   * @param {Conversation} c
   */
  sendReadPosition(c) {
    let sent = 0;
    const send = async () => {
      while (c.readSeq > Math.max(sent, c.impliedReadSeq, c.acknowledgedReadSeq)) {
        sent = c.readSeq;
        await this.session.persist(() => this.session.connection.request('markRead', { targetId: c.peer, seq: sent }));
        c.acknowledgedReadSeq = sent;
      }
    };
    // After the next connection it is sent again.
    this.session.run(`read ${c.peer}`, send).catch(() => {});
  }

  /**
   * Loads one page of older messages.
   *
   * @param {Conversation} c
   */
  async older(c) {
    const { low } = c;
    await this.session.run(`older ${c.peer}`, async () => {
      while (c.low === low && c.older !== undefined) {
        const { messages, next } = await this.page(c.peer, { limit: this.pageSize, startKey: c.older });
        c.older = next;
        this.#announce(c, c.addOlder(messages.reverse()));
      }
    });
    return c.messages.slice(0, low - c.low);
  }
}

/**
 * Whether the client keeps a conversation up to date.
 *
 * @param {Conversation} c
 */
const isFollowed = (c) => c.isOpened || c.high !== null || c.hasGap;

/** @param {Conversation} c */
const needsNewestPage = (c) => c.isOpened && !c.loaded;
