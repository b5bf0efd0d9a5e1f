// SPDX-License-Identifier: MIT
// `Conversation`: what the client knows of one conversation. It holds a range of entries without a gap, the entries that
// arrived ahead of it, the read positions, and of a group what these entries say about it. Of each message the newest
// version counts, however it arrives. Callers get snapshots, which never change, so that frameworks that compare
// objects draw what is new.

import { isMessage, isNotice, newestOf, versionOf } from './entries.js';
import { adds, Group } from './group.js';
import { nameOf } from './peers.js';

/**
 * @typedef {import('./entries.js').Message} Message
 * @typedef {import('./entries.js').LogEntry} LogEntry
 *
 * @typedef {object} Entry an own message, or an own change of a message or a group, that is not acknowledged yet
 * @property {string} clientMessageId
 * @property {string} [peer] the recipient
 * @property {string} [groupId] the group, in place of the recipient
 * @property {'edit' | 'delete' | 'react' | 'group' | 'create'} [kind] of a change
 * @property {number} [target] `seq` of the message to change
 * @property {string} [content] of a message or an edit
 * @property {string} [reaction]
 * @property {boolean} [on] whether the reaction is added
 * @property {number} [replyTo]
 * @property {string[]} [mentions]
 * @property {Partial<import('../chat-client.js').NewGroup> & import('../chat-client.js').GroupChanges} [group] what a new group is
 *   like, or what changes in a group
 * @property {number} queuedAt in milliseconds since the Unix epoch
 * @property {number} n position in the outbox
 * @property {number} [lastSeq] it is stored after this entry; every attempt says the same
 * @property {string} [position] of that entry; the server then need not look it up
 * @property {{ code: import('../chat-client.js').ErrorCode, message: string }} [failed] why the service refuses it
 * @property {Message} [sent] the stored message
 *
 * @typedef {Entry & { content: string }} PendingMessage
 * @typedef {Entry & { kind: 'edit' | 'delete' | 'react', target: number }} PendingChange
 * @typedef {Entry & import('../chat-client.js').PendingGroupChange} PendingGroupChange
 */

/**
 * The first list, if the second one has the same entries.
 *
 * @template T
 * @param {readonly T[]} before
 * @param {readonly T[]} now
 */
const sameOr = (before, now) => (now.length === before.length && now.every((m, n) => m === before[n]) ? before : now);

/** The fields of a snapshot. */
const SHOWN = /** @type {const} */ ([
  'key',
  'peer',
  'groupId',
  'group',
  'messages',
  'notices',
  'pending',
  'changes',
  'groupChanges',
  'lastMessage',
  'unread',
  'readSeq',
  'peerReadSeq',
  'isTyping',
  'typing',
  'loaded',
  'hasOlder',
  'low',
  'high',
]);

/** @typedef {Readonly<Pick<Conversation, (typeof SHOWN)[number]>>} Snapshot */

export class Conversation {
  /** @type {string | undefined} */
  id;
  /** @type {string | undefined} */
  peer;
  /** @type {string | undefined} */
  groupId;
  /**
   * The messages among the entries, in order. Replaced by each change.
   *
   * @type {readonly Message[]}
   */
  messages = [];
  /**
   * The entries that say what has changed in the group, in order. Replaced by each change.
   *
   * @type {readonly import('../chat-client.js').GroupEntry[]}
   */
  notices = [];
  /**
   * Own messages that are not in `messages` yet: queued, failed, or just stored. Replaced by each change.
   *
   * @type {readonly PendingMessage[]}
   */
  pending = [];
  /**
   * Own changes that are queued or failed. Replaced by each change.
   *
   * @type {readonly PendingChange[]}
   */
  changes = [];
  /**
   * Own changes of the group that are queued or failed. Replaced by each change.
   *
   * @type {readonly PendingGroupChange[]}
   */
  groupChanges = [];
  low = 1;
  /**
   * The newest entry that was received without a gap; null before the first contact.
   *
   * @type {number | null}
   */
  high = null;
  /** Up to where this user has read. */
  readSeq = 0;
  /**
   * The other users who are typing. Replaced by each change.
   *
   * @type {readonly string[]}
   */
  typing = [];
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
  /** The newest entry that counts for the order of conversations, as the inbox says, in milliseconds since the Unix epoch. */
  listedAt = 0;
  /** Whether this user became a member while the client knew all conversations: what follows that is new. */
  isNewGroup = false;
  /**
   * What is known of the group.
   *
   * @type {Group | undefined}
   */
  state;
  /**
   * Up to where each other user has read.
   *
   * @type {Map<string, number>}
   */
  readBy = new Map();
  /** Whether it was known once, so that an unknown one is not new. */
  wasReset = false;
  /** Whether the server holds other messages than the client, because its data was lost or replaced. */
  contradicted = false;
  /** The newest own entry, or what the inbox reports: the server counts everything up to here as read. */
  impliedReadSeq = 0;
  /** The newest entry at the first contact: counts as read until the inbox reports the read position. */
  assumedReadSeq = 0;
  /** The last read position that the server has acknowledged. */
  acknowledgedReadSeq = 0;
  /** The unread count of the last event `unread`. */
  reportedUnread = 0;
  /**
   * The newest position that the server gave, with the `seq` of its entry. It proves what the client holds.
   *
   * @type {{ seq: number, position: string } | undefined}
   */
  proof;
  /**
   * The entries `low` to `high`, in order and without a gap.
   *
   * @type {LogEntry[]}
   */
  #entries = [];
  /** @type {Map<number, LogEntry>} */
  #ahead = new Map();
  /**
   * New versions of messages that are not held yet. The page that brings such a message may have been read before it
   * changed.
   *
   * @type {Map<number, Message>}
   */
  #aside = new Map();
  /**
   * Messages in `messages` that have changed since {@link takeChanged}.
   *
   * @type {Map<number, Message>}
   */
  #changed = new Map();
  /** The newest entry when the inbox was read, and the unread messages up to there. */
  #listed = { seq: 0, unread: 0 };
  /**
   * `seq` of entries that do not fit to those held, until a catch-up tells whether the server has lost the latter.
   *
   * @type {Set<number>}
   */
  #doubtful = new Set();
  /** The first entry that was new when the client began again; Infinity if there was none. */
  #newsFrom = Infinity;
  /** @type {Snapshot | undefined} */
  #snapshot;

  /**
   * @param {string} key
   * @param {string} me
   */
  constructor(key, me) {
    this.key = key;
    this.me = me;
    Object.assign(this, nameOf(key));
    if (this.groupId) this.state = new Group(this.readBy);
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

  get group() {
    return this.state?.view;
  }

  /** Up to where the peer has read; in a group, the member who has read most. */
  get peerReadSeq() {
    return Math.max(0, ...this.readBy.values());
  }

  get isTyping() {
    return this.typing.length > 0;
  }

  get hasOlder() {
    return !this.loaded || this.older !== undefined;
  }

  /** Whether entries have arrived that can't be shown before others arrive. */
  get hasGap() {
    return this.#ahead.size > 0;
  }

  get lastMessage() {
    return this.messages.at(-1);
  }

  /**
   * After the newest own entry, and the entry that made this user a member, all messages are those of others. Those before
   * `low` are not held: of them, the client knows the number that the inbox reported.
   */
  get unread() {
    if (this.peer === this.me) return 0;
    const read = Math.max(this.readSeq, this.impliedReadSeq, this.assumedReadSeq);
    const { seq, unread } = this.#listed;
    const listed = unread - this.messages.filter((m) => m.seq <= seq && m.seq > read).length;
    const missing = Math.max(0, Math.min(listed, this.low - 1 - read));
    return missing + this.messages.filter((m) => m.seq > read).length;
  }

  /**
   * The message with this number, if it is held.
   *
   * @param {number | undefined} seq
   */
  message(seq) {
    const held = this.#entries[(seq ?? 0) - this.low];
    return held && isMessage(held) ? held : undefined;
  }

  /**
   * Adds an entry, once.
   *
   * @param {LogEntry} m
   * @returns {LogEntry[]} the entries that are new at the end, in order
   */
  add(m) {
    this.id ??= m.conversationId;
    // What follows that is new, unless something before it was pushed, too.
    if (this.high === null && !this.hasGap && adds(m, this.me)) {
      this.low = m.seq;
      this.high = m.seq - 1;
    }
    if (this.high !== null && m.seq <= this.high) {
      this.#compare(m);
      return [];
    }
    this.#addAhead(m);
    return this.#advance();
  }

  /** @param {LogEntry} m */
  #addAhead(m) {
    this.#ahead.set(m.seq, newestOf(this.#newest(m), this.#ahead.get(m.seq)));
  }

  /**
   * The newest known version of an entry that is held from now on.
   *
   * @param {LogEntry} m
   */
  #newest(m) {
    const aside = this.#aside.get(m.seq);
    this.#aside.delete(m.seq);
    return newestOf(m, aside);
  }

  /**
   * Takes in the new version of a message, which may not be held.
   *
   * @param {Message} m
   */
  update(m) {
    const isOlder = (/** @type {Entry} */ { sent }) => sent?.seq === m.seq && versionOf(sent) < versionOf(m);
    if (this.pending.some(isOlder))
      this.pending = this.pending.map((e) => (isOlder(e) ? { ...e, content: m.content, sent: m } : e));
    if (this.#entries[m.seq - this.low]) this.#compare(m);
    else if (this.#ahead.has(m.seq)) this.#addAhead(m);
    else this.#aside.set(m.seq, newestOf(m, this.#aside.get(m.seq)));
  }

  /** The messages in `messages` that have changed since the last call. */
  takeChanged() {
    const changed = [...this.#changed.values()];
    this.#changed.clear();
    return changed;
  }

  /**
   * Takes in an entry that is held: a larger version replaces it. Notices that the server has another entry than the client,
   * because its data was lost or replaced. If the client does not hold that entry, the next catch-up compares the newest one.
   *
   * @param {LogEntry} m at `high` or before it
   */
  #compare(m) {
    const index = m.seq - this.low;
    const held = this.#entries[index];
    if (held && (held.messageId ?? m.messageId) === m.messageId) {
      // What the client only knows to be there is replaced by what it is.
      if (held.messageId && versionOf(m) <= versionOf(held)) return;
      this.#entries[index] = m;
      if (isMessage(m)) this.#changed.set(m.seq, m);
      this.#recordMember(m);
      this.#show();
    } else {
      if (held) this.contradicted = true;
      this.stale = true;
      this.#doubtful.add(m.seq);
    }
  }

  /**
   * Adds a page of the entries from `held` on. Without that one, the server has lost what the client holds.
   *
   * @param {LogEntry[]} page oldest first
   * @param {number} held `seq` of the newest entry held when the page was requested; 0 if there was none
   * @returns {LogEntry[]} as {@link add}
   */
  addNext(page, held) {
    if (held && held >= this.low && page[0]?.seq !== held) this.contradicted = true;
    const news = page.flatMap((m) => (this.contradicted ? [] : this.add(m)));
    if (!this.contradicted) this.#doubtful.clear();
    return news;
  }

  /**
   * Adds the newest page.
   *
   * @param {LogEntry[]} page oldest first
   * @param {unknown} cursor of the next older page
   * @param {boolean} isWhole whether `cursor` continues the entries held
   * @returns {LogEntry[]} as {@link add}; at the first contact, what had been pushed before
   */
  addNewest(page, cursor, isWhole) {
    if (isWhole) {
      this.loaded = true;
      this.older = cursor;
    }
    if (this.high !== null) return this.addOlder(page);
    const joined = (this.isNewGroup && page.filter((m) => adds(m, this.me)).at(-1)?.seq) || Infinity;
    const before = [...this.#ahead.keys(), joined].map((seq) => seq - 1);
    this.#newsFrom = Math.min(this.#newsFrom, joined);
    // What the inbox has reported is exact.
    if (!this.#listed.seq)
      this.assumedReadSeq = Math.max(this.assumedReadSeq, Math.min(page.at(-1)?.seq ?? 0, ...before));
    return this.#start(page);
  }

  /**
   * The first contact. Entries that were pushed before it, and those that follow them, are new.
   *
   * @param {LogEntry[]} page the newest ones, oldest first
   */
  #start(page) {
    const first = page[0]?.seq ?? 1;
    const end = first + page.length;
    const firstPushed = Math.min(...this.#ahead.keys(), this.#newsFrom, end);
    this.#newsFrom = Infinity;
    const old = (firstPushed < first ? [] : page.slice(0, firstPushed - first)).map((m) => this.#newest(m));
    // Not those of which only the number is known: they may have changed what was pushed.
    for (const m of page) if (m.seq >= firstPushed && m.messageId) this.#addAhead(m);
    this.#entries = old;
    this.high = firstPushed - 1;
    this.low = firstPushed - old.length;
    this.#show();
    for (const m of old) this.#record(m);
    return this.#advance();
  }

  /**
   * Adds a page of older entries, and newer ones if the page has any.
   *
   * @param {LogEntry[]} page oldest first
   */
  addOlder(page) {
    /** @type {LogEntry[]} */
    const before = [];
    for (const m of [...page].reverse()) {
      if (m.seq === this.low - 1 - before.length && this.high !== null) before.push(this.#newest(m));
      else if (this.high === null || m.seq > this.high) this.#addAhead(m);
      else if (m.seq >= this.low) this.#compare(m);
    }
    this.low -= before.length;
    this.#entries.unshift(...before.reverse());
    for (const m of before) this.#recordMember(m);
    if (before.length) this.#show();
    return this.#advance();
  }

  /**
   * Adds what the inbox reports.
   *
   * @param {{ conversationId: string, lastMessage?: Message, seq?: number, readSeq: number, peerReadSeq?: number,
   *   unread: number, name?: string, members?: number, left?: boolean, listedAt?: number }} row
   */
  addInboxEntry({ conversationId, lastMessage, seq, readSeq, peerReadSeq = 0, unread, listedAt = 0, ...row }) {
    this.id = conversationId;
    const last = isMessage(lastMessage) ? lastMessage : undefined;
    const end = seq ?? last?.seq ?? 0;
    this.#listed = { seq: end, unread };
    this.impliedReadSeq = Math.max(this.impliedReadSeq, readSeq);
    this.assumedReadSeq = 0;
    this.readSeq = Math.max(this.readSeq, readSeq);
    if (this.peer) this.addReadPosition(this.peer, peerReadSeq);
    this.listedAt = listedAt;
    // Otherwise the entries that follow say it.
    if (this.state && !this.state.isKnown)
      this.addGroup(end, { name: row.name, count: row.members, left: Boolean(row.left) });
    // What follows the newest message is not shown as a message, and the message is as it is after that. A group may have
    // no message.
    const first = last?.seq ?? (this.state ? end - 1 : end);
    /** @type {LogEntry[]} */
    const page = Array.from({ length: end - first }, (_, n) => ({ seq: first + n + 1, kind: 'change' }));
    if (last) page.unshift(last);
    // What is new in it is on the newest page.
    if (this.high === null && this.isNewGroup) return [];
    if (this.high !== null) {
      // A smaller one may have been read before the newest entry was pushed; the catch-up tells.
      this.stale ||= end !== this.high;
      if (last && last.seq < this.low) return this.addOlder(page.filter(({ seq }) => seq < this.low));
      if (last && last.seq <= this.high) this.#compare(last);
      return [];
    }
    const news = this.#start(page);
    this.stale = (this.high ?? 0) < end;
    return news;
  }

  /**
   * @param {number} seq
   * @param {unknown} position of that entry
   */
  addPosition(seq, position) {
    if (typeof position === 'string' && seq >= (this.proof?.seq ?? 0)) this.proof = { seq, position };
  }

  /**
   * What the client holds, for what is queued now.
   *
   * @returns {Pick<Entry, 'lastSeq' | 'position'>}
   */
  get end() {
    if (this.high === null) return {};
    const { seq, position } = this.proof ?? {};
    return seq === this.high ? { lastSeq: seq, position } : { lastSeq: this.high };
  }

  /**
   * Takes in what the service says about the group. The entries held that are newer change it.
   *
   * @param {Parameters<Group['load']>} state
   */
  addGroup(...state) {
    this.state?.load(...state);
    for (const m of this.#entries) this.state?.fold(m, this.me);
  }

  /**
   * Drops the entries below `floor`. They are not for this user, who became a member again after them.
   *
   * @param {number} [floor]
   */
  raise(floor = 0) {
    if (this.high === null || floor <= this.low) return;
    if (floor > this.high + 1) {
      this.#forgetGroup();
      this.high = floor - 1;
      this.stale = true;
    }
    this.#entries.splice(0, floor - this.low);
    for (const seq of this.#ahead.keys()) if (seq < floor) this.#ahead.delete(seq);
    this.low = floor;
    this.older = undefined;
    this.#show();
  }

  /** The group may be different now. Its old name is shown until more is known. */
  #forgetGroup() {
    if (this.state) this.state = new Group(this.readBy, this.state.view.name);
  }

  /** Takes an unknown conversation as new, because it did not exist when the client knew all of them. */
  startEmpty() {
    if (this.high !== null || this.wasReset) return;
    // A group may be older than the membership.
    if (this.groupId) {
      this.isNewGroup = true;
      return;
    }
    this.high = 0;
    this.stale = false;
  }

  /** Forgets all entries, because the server does not have them any more. */
  reset() {
    this.#ahead.clear();
    this.#aside.clear();
    this.#changed.clear();
    this.#entries = [];
    this.#listed = { seq: 0, unread: 0 };
    // What did not fit is new, if the server still has it.
    this.#newsFrom = Math.min(...this.#doubtful, Infinity);
    this.#doubtful.clear();
    this.wasReset = true;
    this.proof = undefined;
    this.messages = [];
    this.notices = [];
    this.isNewGroup = false;
    this.#forgetGroup();
    this.readBy.clear();
    this.low = 1;
    this.high = null;
    this.older = undefined;
    this.loaded = false;
    this.readSeq = 0;
    this.impliedReadSeq = 0;
    this.assumedReadSeq = 0;
    this.acknowledgedReadSeq = 0;
    this.stale = true;
    this.contradicted = false;
  }

  #advance() {
    /** @type {LogEntry[]} */
    const news = [];
    while (this.high !== null) {
      const m = this.#ahead.get(this.high + 1);
      if (!m || this.#isAheadOfTarget(m)) break;
      this.#ahead.delete(m.seq);
      this.high = m.seq;
      this.#entries.push(m);
      this.#record(m);
      news.push(m);
    }
    if (news.length) this.#show();
    return news;
  }

  /**
   * Whether an entry announces a version that a held message does not have yet: the newest page, and another tab, may bring
   * a change without its message. The entry then waits for a page that has both.
   *
   * @param {LogEntry} m
   */
  #isAheadOfTarget(m) {
    const target = m.kind === 'change' && this.message(m.target);
    return target && versionOf(target) < m.seq;
  }

  #show() {
    this.messages = sameOr(
      this.messages,
      this.#entries.filter((m) => m.kind === undefined),
    );
    this.notices = sameOr(this.notices, this.#entries.filter(isNotice));
  }

  /**
   * A user who writes an entry has read everything before it. A backend that changes a group need not be a member.
   *
   * @param {LogEntry} m
   */
  #record(m) {
    const { senderId, seq, kind } = m;
    this.#recordMember(m);
    this.state?.fold(m, this.me);
    if (senderId === this.me) this.impliedReadSeq = Math.max(this.impliedReadSeq, seq);
    else if (senderId && (kind !== 'group' || this.state?.has(senderId))) this.addReadPosition(senderId, seq);
  }

  /**
   * What was there before this user became a member is not unread.
   *
   * @param {LogEntry} m
   */
  #recordMember(m) {
    if (adds(m, this.me)) this.impliedReadSeq = Math.max(this.impliedReadSeq, m.seq);
  }

  /**
   * Takes in up to where another user has read.
   *
   * @param {string} userId
   * @param {number} seq
   */
  addReadPosition(userId, seq) {
    if (seq <= (this.readBy.get(userId) ?? 0)) return;
    this.readBy.set(userId, seq);
    this.state?.show();
  }
}
