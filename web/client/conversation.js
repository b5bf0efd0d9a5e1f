// SPDX-License-Identifier: MIT
// `Conversation`: what the client knows of one conversation. It holds a range of messages without a gap, the messages
// that arrived ahead of it, and both read positions. Callers get snapshots of it, which never change, so that frameworks
// that compare objects draw what is new.

/**
 * @typedef {object} Message
 * @property {string} messageId
 * @property {string} conversationId
 * @property {number} seq sequence number in the conversation: 1, 2, 3, …
 * @property {string} senderId
 * @property {string} recipientId
 * @property {string} content
 * @property {number} createdAt in milliseconds since the Unix epoch
 * @property {string} [clientMessageId]
 *
 * @typedef {object} Entry an own message that is not acknowledged yet
 * @property {string} clientMessageId
 * @property {string} peer the recipient
 * @property {string} content
 * @property {number} queuedAt in milliseconds since the Unix epoch
 * @property {number} n position in the outbox
 * @property {number} [lastSeq] the message is stored after this one; every attempt says the same
 * @property {string} [position] of that message; the server then need not look it up
 * @property {{ code: import('../chat-client.js').ErrorCode, message: string }} [failed] why the service refuses it
 * @property {Message} [sent] the stored message
 */

/**
 * @param {any} m
 * @returns {m is Message}
 */
export const isMessage = (m) =>
  Number.isSafeInteger(m?.seq) &&
  m.seq > 0 &&
  Number.isFinite(m.createdAt) &&
  [m.messageId, m.senderId, m.recipientId, m.content].every((field) => typeof field === 'string');

/** The fields of a snapshot. */
const SHOWN = /** @type {const} */ ([
  'peer',
  'messages',
  'pending',
  'lastMessage',
  'unread',
  'readSeq',
  'peerReadSeq',
  'loaded',
  'hasOlder',
  'low',
  'high',
]);

/** @typedef {Readonly<Pick<Conversation, (typeof SHOWN)[number]>>} Snapshot */

export class Conversation {
  /** @type {string | undefined} */
  id;
  /**
   * The messages `low` to `high`, in order and without a gap. Replaced by each change.
   *
   * @type {readonly Message[]}
   */
  messages = [];
  /**
   * Own messages that are not in `messages` yet: queued, failed, or just stored. Replaced by each change.
   *
   * @type {readonly Entry[]}
   */
  pending = [];
  low = 1;
  /**
   * The newest `seq` that was received without a gap; null before the first contact.
   *
   * @type {number | null}
   */
  high = null;
  /** Up to where this user has read. */
  readSeq = 0;
  /** Up to where the peer has read. */
  peerReadSeq = 0;
  /** Whether the newest page was read, so that `older` is known. */
  loaded = false;
  /**
   * The cursor of the next older page; undefined if there is none.
   *
   * @type {unknown}
   */
  older = undefined;

  // The rest is the client's own bookkeeping.

  /** Whether `open` was called: its newest page is loaded, and again after a reset. */
  isOpened = false;
  /** Whether messages may have been missed. */
  stale = true;
  /** Whether it was known once, so that an unknown one is not new. */
  wasReset = false;
  /** Whether the server holds other messages than the client, because its data was lost or replaced. */
  contradicted = false;
  /** The newest own message, or what the inbox reports: the server counts everything up to here as read. */
  impliedReadSeq = 0;
  /** The newest message at the first contact: counts as read until the inbox reports the read position. */
  assumedReadSeq = 0;
  /** The last read position that the server has acknowledged. */
  acknowledgedReadSeq = 0;
  /** The unread count of the last event `unread`. */
  reportedUnread = 0;
  /**
   * The newest position that the server gave, with the `seq` of its message. It proves what the client holds.
   *
   * @type {{ seq: number, position: string } | undefined}
   */
  proof;
  /** @type {Map<number, Message>} */
  #ahead = new Map();
  /**
   * `seq` of messages that do not fit to those held, until a catch-up tells whether the server has lost the latter.
   *
   * @type {Set<number>}
   */
  #doubtful = new Set();
  /** The first message that was new when the client began again; Infinity if there was none. */
  #newsFrom = Infinity;
  /** @type {Snapshot | undefined} */
  #snapshot;

  /**
   * @param {string} peer
   * @param {string} me
   */
  constructor(peer, me) {
    this.peer = peer;
    this.me = me;
  }

  /**
   * What callers see. The same object until something in it changes.
   *
   * @returns {Snapshot}
   */
  get snapshot() {
    const last = this.#snapshot;
    if (!last || SHOWN.some((field) => last[field] !== this[field])) {
      const fields = SHOWN.map((field) => [field, this[field]]);
      this.#snapshot = Object.freeze(/** @type {Snapshot} */ (Object.fromEntries(fields)));
    }
    return /** @type {Snapshot} */ (this.#snapshot);
  }

  get hasOlder() {
    return !this.loaded || this.older !== undefined;
  }

  /** Whether messages have arrived that can't be shown before others arrive. */
  get hasGap() {
    return this.#ahead.size > 0;
  }

  get lastMessage() {
    return this.messages.at(-1);
  }

  /** After the newest own message all messages are the peer's, so the count is a difference of sequence numbers. */
  get unread() {
    const read = Math.max(this.readSeq, this.impliedReadSeq, this.assumedReadSeq);
    return this.peer === this.me ? 0 : Math.max(0, (this.high ?? 0) - read);
  }

  /**
   * Adds a message, once.
   *
   * @param {Message} m
   * @returns {Message[]} the messages that are new at the end, in order
   */
  add(m) {
    this.id ??= m.conversationId;
    if (this.high !== null && m.seq <= this.high) {
      this.#compare(m);
      return [];
    }
    this.#ahead.set(m.seq, m);
    return this.#advance();
  }

  /**
   * Notices that the server has another message than the client, because its data was lost or replaced. If the client
   * does not hold that message, the next catch-up compares the newest one.
   *
   * @param {Message} m at `high` or before it
   */
  #compare(m) {
    const held = this.messages[m.seq - this.low];
    if (held?.messageId === m.messageId) return;
    if (held) this.contradicted = true;
    this.stale = true;
    this.#doubtful.add(m.seq);
  }

  /**
   * Adds a page of the messages from `held` on. Without that one, the server has lost what the client holds.
   *
   * @param {Message[]} page oldest first
   * @param {number} held `seq` of the newest message held when the page was requested; 0 if there was none
   * @returns {Message[]} as {@link add}
   */
  addNext(page, held) {
    if (held && page[0]?.seq !== held) this.contradicted = true;
    const news = page.flatMap((m) => (this.contradicted ? [] : this.add(m)));
    if (!this.contradicted) this.#doubtful.clear();
    return news;
  }

  /**
   * Adds the newest page.
   *
   * @param {Message[]} page oldest first
   * @param {unknown} cursor of the next older page
   * @param {boolean} isWhole whether `cursor` continues the messages held
   * @returns {Message[]} as {@link add}; at the first contact, what had been pushed before
   */
  addNewest(page, cursor, isWhole) {
    if (isWhole) {
      this.loaded = true;
      this.older = cursor;
    }
    if (this.high !== null) return this.addOlder(page);
    const pushed = [...this.#ahead.keys()].map((seq) => seq - 1);
    this.assumedReadSeq = Math.max(this.assumedReadSeq, Math.min(page.at(-1)?.seq ?? 0, ...pushed));
    return this.#start(page);
  }

  /**
   * The first contact. Messages that were pushed before it, and those that follow them, are new.
   *
   * @param {Message[]} page the newest ones, oldest first
   */
  #start(page) {
    const first = page[0]?.seq ?? 1;
    const end = first + page.length;
    const firstPushed = Math.min(...this.#ahead.keys(), this.#newsFrom, end);
    this.#newsFrom = Infinity;
    const old = firstPushed < first ? [] : page.slice(0, firstPushed - first);
    for (const m of page) if (m.seq >= firstPushed) this.#ahead.set(m.seq, m);
    this.messages = old;
    this.high = firstPushed - 1;
    this.low = firstPushed - old.length;
    for (const m of old) this.#recordSender(m);
    return this.#advance();
  }

  /**
   * Adds a page of older messages, and newer ones if the page has any.
   *
   * @param {Message[]} page oldest first
   */
  addOlder(page) {
    /** @type {Message[]} */
    const before = [];
    for (const m of [...page].reverse()) {
      if (m.seq === this.low - 1 - before.length && this.high !== null) before.push(m);
      else if (this.high === null || m.seq > this.high) this.#ahead.set(m.seq, m);
      else if (m.seq >= this.low) this.#compare(m);
    }
    this.low -= before.length;
    if (before.length) this.messages = [...before.reverse(), ...this.messages];
    return this.#advance();
  }

  /**
   * Adds what the inbox reports.
   *
   * @param {{ conversationId: string, lastMessage?: Message, readSeq: number, peerReadSeq: number, unread: number }} row
   */
  addInboxEntry({ conversationId, lastMessage, readSeq, peerReadSeq, unread }) {
    this.id = conversationId;
    const seq = isMessage(lastMessage) ? lastMessage.seq : 0;
    this.impliedReadSeq = Math.max(this.impliedReadSeq, seq - unread);
    this.assumedReadSeq = 0;
    this.readSeq = Math.max(this.readSeq, readSeq);
    this.peerReadSeq = Math.max(this.peerReadSeq, peerReadSeq);
    if (this.high !== null) {
      // A smaller one may have been read before the newest message was pushed; the catch-up tells.
      this.stale ||= seq !== this.high;
      if (seq && seq <= this.high) this.#compare(/** @type {Message} */ (lastMessage));
      return [];
    }
    this.stale = false;
    return this.#start(isMessage(lastMessage) ? [lastMessage] : []);
  }

  /**
   * @param {number} seq
   * @param {unknown} position of that message
   */
  addPosition(seq, position) {
    if (typeof position === 'string' && seq >= (this.proof?.seq ?? 0)) this.proof = { seq, position };
  }

  /**
   * What the client holds, for a message that is queued now.
   *
   * @returns {Pick<Entry, 'lastSeq' | 'position'>}
   */
  get end() {
    if (this.high === null) return {};
    const { seq, position } = this.proof ?? {};
    return seq === this.high ? { lastSeq: seq, position } : { lastSeq: this.high };
  }

  /** Takes an unknown conversation as new, because it did not exist when the client knew all of them. */
  startEmpty() {
    if (this.high !== null || this.wasReset) return;
    this.high = 0;
    this.stale = false;
  }

  /** Forgets all messages, because the server does not have them any more. */
  reset() {
    this.#ahead.clear();
    // What did not fit is new, if the server still has it.
    this.#newsFrom = Math.min(...this.#doubtful, Infinity);
    this.#doubtful.clear();
    this.wasReset = true;
    this.proof = undefined;
    this.messages = [];
    this.low = 1;
    this.high = null;
    this.older = undefined;
    this.loaded = false;
    this.readSeq = 0;
    this.peerReadSeq = 0;
    this.impliedReadSeq = 0;
    this.assumedReadSeq = 0;
    this.acknowledgedReadSeq = 0;
    this.stale = true;
    this.contradicted = false;
  }

  #advance() {
    /** @type {Message[]} */
    const news = [];
    while (this.high !== null) {
      const m = this.#ahead.get(this.high + 1);
      if (!m) break;
      this.#ahead.delete(m.seq);
      this.high = m.seq;
      this.#recordSender(m);
      news.push(m);
    }
    if (news.length) this.messages = [...this.messages, ...news];
    return news;
  }

  /**
   * A user who sends a message has read everything before it.
   *
   * @param {Message} m
   */
  #recordSender(m) {
    if (m.senderId === this.me) this.impliedReadSeq = Math.max(this.impliedReadSeq, m.seq);
    else this.peerReadSeq = Math.max(this.peerReadSeq, m.seq);
  }
}
