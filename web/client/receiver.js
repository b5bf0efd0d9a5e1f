// SPDX-License-Identifier: MIT
// `Receiver`: takes every message in once and in order, fills gaps, and asks for what was missed.

import { isMessage } from './conversation.js';
import { ChatError } from './errors.js';
import { Walk } from './walk.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/** @typedef {import('./conversation.js').Message} Message */

/** Milliseconds before a gap is asked for, because pushes overtake each other. */
const GAP_DELAY = 200;

export class Receiver {
  /**
   * The walk through the inbox that has begun and not ended, on this connection or an earlier one.
   *
   * @type {Walk | undefined}
   */
  #walk;
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
        // What the user looks at comes first.
        for (const c of session.conversations.values()) if (c.isOpened) this.#catchUpLater(c);
        const walk = Walk.after(this.#walk);
        this.#walk = walk;
        while (!walk.isDone) {
          const page = await session.persist(() => session.connection.request('getConversations', walk.next));
          walk.add(page);
          for (const row of page.conversations ?? []) this.#takeInboxEntry(row);
        }
        this.#walk = undefined;
        this.hasInbox = true;
        session.knowsAll = true;
        for (const c of session.conversations.values()) {
          if (walk.peers.has(c.peer)) continue;
          if (isBehind(c)) this.#catchUpLater(c);
          // Now known not to exist on the server.
          session.changed(c);
        }
      })
      .catch(() => {});
  }

  /** @param {Conversation} c */
  #catchUpLater(c) {
    this.catchUp(c).catch(() => {});
  }

  /** @param {any} row of the inbox */
  #takeInboxEntry(row) {
    const { session } = this;
    const c = session.conversation(row.peerId);
    if (session.knowsAll) c.startEmpty();
    if (isMessage(row.lastMessage)) this.onReceived(row.lastMessage);
    const before = c.peerReadSeq;
    this.#announce(c, c.addInboxEntry(row));
    this.#afterUpdate(c, before);
    const isComplete = c.high === (row.lastMessage?.seq ?? 0);
    if (isComplete && !needsNewestPage(c)) c.stale = false;
    if (isBehind(c)) this.#catchUpLater(c);
    this.sendReadPosition(c);
    session.changed(c);
  }

  /**
   * Handles a frame that is not a reply.
   *
   * @param {any} frame
   */
  onFrame({ type, value, position }) {
    const { userId, conversations } = this.session;
    if (type === 'message' && isMessage(value)) {
      const { senderId, recipientId } = value;
      if (senderId !== userId && recipientId !== userId) return;
      this.receive(this.session.conversation(senderId === userId ? recipientId : senderId), value, position);
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
   * @param {unknown} [position] of the message
   */
  receive(c, m, position) {
    this.onReceived(m);
    const before = c.peerReadSeq;
    if (this.session.knowsAll) c.startEmpty();
    c.addPosition(m.seq, position);
    this.#announce(c, c.add(m));
    this.#afterUpdate(c, before);
    const needsMore = () => c.high === null || c.hasGap || c.stale;
    if (!needsMore()) return;
    // The missing ones may be on their way.
    const delay = c.high === null ? 0 : GAP_DELAY;
    setTimeout(() => {
      if (needsMore()) this.#catchUpLater(c);
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
   * @param {readonly Message[]} news
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
    const held = c.lastMessage?.seq ?? 0;
    const { messages, next } = await this.page(c.peer, { limit: 100, after: held ? held - 1 : high });
    if (c.high === null) return; // reset meanwhile
    c.stale = next !== undefined;
    this.#announce(c, c.addNext(messages, held));
    this.#afterUpdate(c, peerReadSeq);
    if (c.high === high && (c.stale || c.hasGap)) throw new ChatError('unavailable', 'Some messages are missing.');
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
    this.session.conversation(peer).addPosition(Math.max(...messages.map((m) => m.seq)), page.position);
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
        await this.session.persist(() => this.session.connection.request('markRead', readMark(c, sent)));
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
 * The fields of `markRead`. With the position of this message or a later one, the server need not look for the message.
 *
 * @param {Conversation} c
 * @param {number} seq
 */
const readMark = ({ peer, proof }, seq) => ({
  targetId: peer,
  seq,
  position: proof && proof.seq >= seq ? proof.position : undefined,
});

/**
 * Whether the client keeps a conversation up to date.
 *
 * @param {Conversation} c
 */
const isFollowed = (c) => c.isOpened || c.high !== null || c.hasGap;

/** @param {Conversation} c */
const isBehind = (c) => (c.stale && isFollowed(c)) || c.hasGap;

/** @param {Conversation} c */
const needsNewestPage = (c) => c.isOpened && !c.loaded;
