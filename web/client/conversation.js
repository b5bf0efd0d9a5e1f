// What is known of one conversation: a row of messages without a hole, what came ahead of it, and who has read how far.

/**
 * @typedef {object} Message
 * @property {string} messageId
 * @property {string} conversationId
 * @property {number} seq its place in the conversation: 1, 2, 3, …
 * @property {string} senderId
 * @property {string} recipientId
 * @property {string} content
 * @property {number} createdAt in milliseconds since 1970
 * @property {string} [clientMessageId]
 *
 * @typedef {object} Entry a message on its way
 * @property {string} clientMessageId
 * @property {string} peer for whom
 * @property {string} content
 * @property {number} queuedAt in milliseconds since 1970
 * @property {number} n its place in the outbox
 * @property {number} [lastSeq] of the first attempt, which every repeat names too
 * @property {{ code: string, message: string }} [failed] why the service does not take it
 * @property {Message} [sent] what it has become
 */

/** @param {any} m @returns {m is Message} */
export const isMessage = (m) => Number.isSafeInteger(m?.seq) && m.seq > 0 && Number.isFinite(m.createdAt) &&
  [m.messageId, m.senderId, m.recipientId, m.content].every((field) => typeof field === 'string');

export class Conversation {
  /** @type {string | undefined} */
  id;
  /** Those held, in order and without a hole: `low` to `high`. @type {Message[]} */
  messages = [];
  /** Own messages that are not among `messages` yet: queued, failed, or just stored. @type {Entry[]} */
  pending = [];
  low = 1;
  /** The newest message below which none is missing; null while nothing is known. @type {number | null} */
  high = null;
  /** How far this user has read, and the peer. */
  readSeq = 0;
  peerReadSeq = 0;
  /** How far the server was told that this user has read, and how many unread ones were last told of. */
  toldSeq = 0;
  saidUnread = 0;
  /** Whether the newest page was read, so that what is older can be asked for by `older`. */
  loaded = false;
  /** The cursor of the next older page. @type {unknown} */
  older = undefined;
  /** Whether something may have been missed. */
  stale = true;
  /** Whether somebody looks at it, and a page should be loaded. */
  wanted = false;
  /** The server has other messages than we hold: its data was lost or changed. */
  contradicted = false;
  /** Below which everything counts as read by the server itself: the newest own message, or what it counted. */
  floor = 0;
  /** What was there before somebody looked, and counts as read until the server says better. */
  assumed = 0;
  /** @type {Map<number, Message>} */
  #ahead = new Map();

  /** @param {string} peer @param {string} me */
  constructor(peer, me) {
    this.peer = peer;
    this.me = me;
  }

  get hasOlder() {
    return !this.loaded || this.older !== undefined;
  }

  /** Whether messages have come that can't be shown before others are here. */
  get hasHole() {
    return this.#ahead.size > 0;
  }

  get lastMessage() {
    return this.messages.at(-1);
  }

  /** Messages of the peer after what this user has read or answered: after the newest own message all are the peer's. */
  get unread() {
    return this.peer === this.me ? 0 : Math.max(0, (this.high ?? 0) - Math.max(this.readSeq, this.floor, this.assumed));
  }

  /**
   * Takes a message in, once.
   *
   * @param {Message} m
   * @returns {Message[]} those that are new at the end of the row, in order
   */
  take(m) {
    this.id ??= m.conversationId;
    if (this.high !== null && m.seq <= this.high) {
      const held = this.messages[m.seq - this.low];
      if (held && held.messageId !== m.messageId) this.contradicted = true;
      return [];
    }
    this.#ahead.set(m.seq, m);
    return this.#advance();
  }

  /**
   * Takes the newest page in.
   *
   * @param {Message[]} page oldest first
   * @param {unknown} cursor of the next older page
   * @param {boolean} whole whether older pages follow from this one
   * @returns {Message[]} as {@link take}: of a page that is the first contact, what had been pushed already
   */
  begin(page, cursor, whole) {
    if (whole) [this.loaded, this.older] = [true, cursor];
    if (this.high !== null) return this.prepend(page);
    this.assumed = Math.max(this.assumed, Math.min(page.at(-1)?.seq ?? 0, ...[...this.#ahead.keys()].map((seq) => seq - 1)));
    return this.#found(page);
  }

  /**
   * The first contact: what has been pushed already, and follows, is news.
   *
   * @param {Message[]} page the newest ones, oldest first
   */
  #found(page) {
    const first = page[0]?.seq ?? 1, newest = first + page.length - 1, pushed = Math.min(...this.#ahead.keys(), newest + 1);
    const old = pushed < first ? [] : page.slice(0, pushed - first);
    for (const m of page) if (m.seq >= pushed) this.#ahead.set(m.seq, m);
    this.messages = old;
    this.high = pushed - 1;
    this.low = pushed - old.length;
    old.forEach((m) => this.#tally(m));
    return this.#advance();
  }

  /**
   * Takes in what is older; and what is newer, if the page holds such.
   *
   * @param {Message[]} page oldest first
   */
  prepend(page) {
    const before = [];
    for (const m of page.toReversed()) {
      if (m.seq === this.low - 1 - before.length && this.high !== null) before.push(m);
      else if (this.high === null || m.seq > this.high) this.#ahead.set(m.seq, m);
    }
    this.low -= before.length;
    this.messages = [...before.reverse(), ...this.messages];
    return this.#advance();
  }

  /**
   * What the server's list says of it.
   *
   * @param {{ conversationId: string, lastMessage?: Message, readSeq: number, peerReadSeq: number, unread: number }} row
   */
  preview({ conversationId, lastMessage, readSeq, peerReadSeq, unread }) {
    this.id = conversationId;
    const seq = isMessage(lastMessage) ? lastMessage.seq : 0;
    this.floor = Math.max(this.floor, seq - unread);
    this.assumed = 0;
    this.readSeq = Math.max(this.readSeq, readSeq);
    this.peerReadSeq = Math.max(this.peerReadSeq, peerReadSeq);
    if (this.high !== null) {
      this.stale ||= seq > this.high;
      return [];
    }
    this.stale = false;
    return this.#found(isMessage(lastMessage) ? [lastMessage] : []);
  }

  /** Forgets what the server does not have any more. */
  reset() {
    this.#ahead.clear();
    [this.messages, this.low, this.high, this.older, this.loaded] = [[], 1, null, undefined, false];
    [this.readSeq, this.peerReadSeq, this.floor, this.toldSeq] = [0, 0, 0, 0];
    [this.stale, this.contradicted, this.assumed] = [true, false, 0];
  }

  #advance() {
    const news = [];
    for (let m; this.high !== null && (m = this.#ahead.get(this.high + 1)); news.push(m)) {
      this.#ahead.delete(m.seq);
      this.messages.push(m);
      this.high = m.seq;
      this.#tally(m);
    }
    return news;
  }

  /** Who writes has read everything before it. @param {Message} m */
  #tally(m) {
    if (m.senderId === this.me) this.floor = Math.max(this.floor, m.seq);
    else this.peerReadSeq = Math.max(this.peerReadSeq, m.seq);
  }
}
