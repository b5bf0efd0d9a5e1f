// SPDX-License-Identifier: MIT
// `Receiver`: takes every entry in once and in order, fills gaps, and asks for what was missed.

import { isEntry, isMessage, isNotice } from './entries.js';
import { ChatError, isConnectionError, isRetryable } from './errors.js';
import { nameOf, targetOf } from './peers.js';
import { Walk } from './walk.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/** @typedef {import('./entries.js').Message} Message */
/** @typedef {import('./entries.js').LogEntry} LogEntry */

/** Milliseconds before a gap is asked for, because pushes overtake each other. */
const GAP_DELAY = 200;
/** Messages that an opened conversation has at least, if there are so many: a page may hold many changes and few messages. */
const FEW = 20;
/** Pages that are loaded for them at most, after the first one. */
const MORE_PAGES = 5;

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
   * @param {(m: LogEntry, changed?: Message) => void} options.onReceived is called with each entry before it is taken in, and
   *   with the message that it is about
   * @param {(m: LogEntry) => void} options.onShown is called with each new message, and each entry about the group
   */
  constructor(session, { pageSize, onReceived, onShown }) {
    this.session = session;
    this.pageSize = pageSize;
    this.onReceived = onReceived;
    this.onShown = onShown;
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
          if (walk.keys.has(c.key)) continue;
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
    const c = session.conversationOf(row);
    if (session.knowsAll) c.startEmpty();
    if (isMessage(row.lastMessage)) this.onReceived(row.lastMessage);
    const before = c.peerReadSeq;
    this.#announce(c, c.addInboxEntry(row));
    this.#afterUpdate(c, before);
    const isComplete = c.high === (row.seq ?? row.lastMessage?.seq ?? 0);
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
  onFrame({ type, value, changed, position }) {
    const { userId, conversations } = this.session;
    if (type === 'message' && isEntry(value)) {
      const isOwn = value.groupId || value.senderId === userId || value.recipientId === userId;
      if (isOwn) this.receive(this.session.conversationOf(value), value, changed, position);
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
      c.addReadPosition(userId, seq);
      this.#reportRead(c, before);
    }
    this.session.changed(c);
  }

  /**
   * Reports each own message that another user has read since.
   *
   * @param {Conversation} c
   * @param {number} before up to where it was read earlier
   */
  #reportRead(c, before) {
    for (const { senderId, clientMessageId, seq } of c.messages) {
      if (seq <= before || seq > c.peerReadSeq) continue;
      if (senderId !== this.session.userId || !clientMessageId) continue;
      this.session.emit('status', { clientMessageId, ...nameOf(c.key), state: 'read', seq });
    }
  }

  /**
   * Takes in an entry that the server pushed, or has stored.
   *
   * @param {Conversation} c
   * @param {LogEntry} m
   * @param {unknown} [changed] the message that the entry is about
   * @param {unknown} [position] of the entry
   */
  receive(c, m, changed, position) {
    const message = isMessage(changed) ? changed : undefined;
    if (message) c.update(message);
    this.onReceived(m, message);
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
   * @param {readonly LogEntry[]} news
   */
  #announce(c, news) {
    const high = c.high ?? 0;
    const pendingBefore = c.pending.length;
    c.pending = c.pending.filter(({ sent }) => !sent || sent.seq > high);
    const changed = c.takeChanged();
    for (const m of news) {
      if (isNotice(m)) this.#show('group', m);
      if (m.kind === undefined) this.#show('message', m);
    }
    for (const m of changed) this.session.emit('change', m);
    if (news.length || changed.length || pendingBefore !== c.pending.length) this.session.changed(c);
  }

  /**
   * @template {'message' | 'group'} K
   * @param {K} type
   * @param {import('../chat-client.js').Events[K]} entry
   */
  #show(type, entry) {
    this.onShown(entry);
    this.session.emit(type, entry);
  }

  /**
   * Loads what came after the entries held, and the newest page of an opened conversation.
   *
   * @param {Conversation} c
   */
  catchUp(c) {
    c.stale = true;
    return this.session.run(`catch up ${c.key}`, async () => {
      while (c.stale || c.hasGap || needsNewestPage(c)) {
        await this.session.persist(() =>
          c.high === null || needsNewestPage(c) ? this.#loadNewest(c) : this.#loadNext(c),
        );
      }
      this.session.changed(c);
      if (needsGroup(c)) this.loadGroup(c).catch(() => {});
    });
  }

  /**
   * Asks what the group is like. From then on its entries keep that up to date.
   *
   * @param {Conversation} c
   * @param {boolean} [readPositions] whether it asks up to where the members have read, too
   */
  async loadGroup(c, readPositions) {
    // What follows the answer must be held, so that no entry between is missed.
    if (c.high === null) await this.catchUp(c);
    await this.session.run(`group ${readPositions} ${c.key}`, async () => {
      for (let isLoaded = false; !isLoaded; ) {
        const { state } = c;
        const pages = await this.session.persist(() => this.#groupPages(c, readPositions));
        const [{ seq, name, count, history, posting, adding, you }] = pages;
        // An answer to an earlier question says nothing about the state now.
        isLoaded = c.state === state && pages.every((page) => page.seq === seq);
        if (!isLoaded) continue;
        const before = c.peerReadSeq;
        const members = pages.flatMap((page) => page.members);
        for (const { userId, readSeq = 0 } of members)
          if (userId !== this.session.userId) c.addReadPosition(userId, readSeq);
        c.addGroup(seq, { name, count, history, posting, adding, left: false, you: you.role }, members);
        this.#afterUpdate(c, before);
      }
      this.session.changed(c);
    });
  }

  /**
   * @param {Conversation} c
   * @param {boolean} [readPositions]
   * @returns {Promise<any[]>}
   */
  async #groupPages({ groupId }, readPositions) {
    const pages = [];
    let startKey;
    do {
      const page = await this.session.connection.request('getGroup', { groupId, readPositions, startKey });
      pages.push(page);
      startKey = page.lastEvaluatedKey;
    } while (startKey !== undefined);
    return pages;
  }

  /** @param {Conversation} c */
  async #loadNewest(c) {
    const before = c.peerReadSeq;
    const isWhole = c.isOpened || c.isNewGroup;
    const { entries, next } = await this.page(c, { limit: isWhole ? this.pageSize : 1 });
    const wasKnown = c.high !== null;
    this.#announce(c, c.addNewest(entries.reverse(), next, isWhole));
    c.stale = wasKnown && c.hasGap;
    this.#afterUpdate(c, before);
    const few = Math.min(FEW, this.pageSize);
    for (let n = 0; n < MORE_PAGES && c.older !== undefined && c.messages.length < few; n += 1)
      await this.#loadOlder(c);
  }

  /** @param {Conversation} c */
  async #loadNext(c) {
    const { high, peerReadSeq } = c;
    const held = (high ?? 0) >= c.low ? (high ?? 0) : 0;
    let { entries, next } = await this.page(c, { limit: 100, after: held ? held - 1 : high });
    // A long entry may fill a page alone.
    if (entries.at(-1)?.seq === high && next !== undefined) {
      const more = await this.page(c, { limit: 100, after: high });
      entries = [...entries, ...more.entries];
      next = more.next;
    }
    if (c.high === null) return; // reset meanwhile
    c.stale = next !== undefined;
    this.#announce(c, c.addNext(entries, held));
    this.#afterUpdate(c, peerReadSeq);
    if (c.high === high && (c.stale || c.hasGap)) throw new ChatError('unavailable', 'Some messages are missing.');
  }

  /**
   * @param {Conversation} c
   * @param {object} fields of `getMessages`
   * @returns {Promise<{ entries: LogEntry[], next: unknown }>}
   */
  async page(c, fields) {
    const page = await this.session.connection.request('getMessages', { ...targetOf(c), ...fields });
    c.raise(page.floor);
    /** @type {Message[]} */
    const changed = (page.changed ?? []).filter(isMessage);
    for (const m of changed) c.update(m);
    /** @type {(LogEntry & { createdAt: number })[]} */
    const entries = page.messages.filter(isEntry);
    const now = [...entries, ...changed];
    for (const m of entries) {
      const target = m.kind && now.find(({ seq }) => seq === m.target);
      this.onReceived(m, isMessage(target) ? target : undefined);
    }
    c.addPosition(Math.max(...entries.map((m) => m.seq)), page.position);
    return { entries, next: page.lastEvaluatedKey };
  }

  /**
   * A message as it is now. Nothing else asks for it on the next connection.
   *
   * @param {Conversation} c
   * @param {number} seq
   * @returns {Promise<LogEntry | undefined>} undefined if it is not for this user any more
   */
  async message(c, seq) {
    const load = () => this.page(c, { limit: 1, after: seq - 1 });
    const { entries } = await this.session.persist(load, (error) => isRetryable(error) || isConnectionError(error));
    return entries.find((m) => m.seq === seq);
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
    this.session.run(`read ${c.key}`, send).catch(() => {});
  }

  /**
   * Loads older messages: one page, or more if a page has none.
   *
   * @param {Conversation} c
   */
  async older(c) {
    const { low } = c;
    const older = () => c.messages.filter((m) => m.seq < low);
    await this.session.run(`older ${c.key}`, async () => {
      while (!older().length && c.older !== undefined) await this.#loadOlder(c);
    });
    return older();
  }

  /** @param {Conversation} c */
  async #loadOlder(c) {
    const startKey = c.older;
    const load = () => this.page(c, { limit: this.pageSize, startKey });
    const { entries, next } = await this.session.persist(load);
    // What was older before is not, if it began again meanwhile.
    if (c.older !== startKey) return c.stale ? this.#catchUpLater(c) : undefined;
    c.older = next;
    this.#announce(c, c.addOlder(entries.reverse()));
    this.session.changed(c);
  }
}

/**
 * The fields of `markRead`. With the position of this message or a later one, the server need not look for the message.
 *
 * @param {Conversation} c
 * @param {number} seq
 */
const readMark = (c, seq) => ({
  ...targetOf(c),
  seq,
  position: c.proof && c.proof.seq >= seq ? c.proof.position : undefined,
});

/**
 * Whether the client keeps a conversation up to date.
 *
 * @param {Conversation} c
 */
const isFollowed = (c) => c.isOpened || c.high !== null || c.hasGap || c.isNewGroup;

/** @param {Conversation} c */
const isBehind = (c) => (c.stale && isFollowed(c)) || c.hasGap;

/** @param {Conversation} c */
const needsNewestPage = (c) => c.isOpened && !c.loaded;

/**
 * The inbox and the entries tell what the list shows of a group. Of an opened one, the members and settings are needed, too.
 *
 * @param {Conversation} c
 */
const needsGroup = ({ state, isOpened }) =>
  state && !state.view.left && !(isOpened ? state.view.members : state.isKnown);
