// SPDX-License-Identifier: MIT
// `Delivery`: repeats one queued message or change until the server acknowledges or refuses it. The server stores it
// once, because all attempts carry the same `clientMessageId` and name the same entry that it follows.

import { hasCode, isConnectionError, isRetryable } from './errors.js';
import { entryOf } from './group.js';
import { recipientOf, targetOf } from './peers.js';

/**
 * @typedef {import('./conversation.js').Conversation} Conversation
 * @typedef {import('./conversation.js').Entry} Entry
 */

/** The actions of changes. */
const ACTIONS = {
  edit: 'editMessage',
  delete: 'deleteMessage',
  react: 'react',
  group: 'changeGroup',
  create: 'createGroup',
};

/**
 * The action of an entry of the outbox, and what is special about its fields. Each kind of entry has some of them.
 *
 * @param {Entry} entry
 * @returns {[string, object]}
 */
const actionOf = (entry) => {
  const { kind, target: seq, content, reaction, on, replyTo, mentions, group } = entry;
  const name = kind ? targetOf(entry) : recipientOf(entry);
  return [kind ? ACTIONS[kind] : 'sendMessage', { ...group, ...name, seq, content, reaction, on, replyTo, mentions }];
};

/** More than the clocks of a device and of the service differ, in milliseconds. */
const DAY = 24 * 60 * 60_000;

export class Delivery {
  /**
   * @param {import('./session.js').Session} session
   * @param {import('./receiver.js').Receiver} receiver
   * @param {object} options
   * @param {() => import('./outbox.js').Outbox | undefined} options.outbox
   * @param {(entry: Entry) => boolean} options.isPending whether the entry is not settled or discarded yet
   * @param {(entry: Entry) => boolean} options.isForeign whether another tab or an earlier page may have attempted it
   * @param {(entry: Entry, error: unknown) => Promise<void>} options.onRefused marks it as failed
   */
  constructor(session, receiver, { outbox, isPending, isForeign, onRefused }) {
    this.session = session;
    this.receiver = receiver;
    this.outbox = outbox;
    this.isPending = isPending;
    this.isForeign = isForeign;
    this.onRefused = onRefused;
  }

  /**
   * Repeats one message until it is acknowledged or refused.
   *
   * @param {Conversation} c
   * @param {Entry} entry
   */
  async run(c, entry) {
    for (let failures = 0; this.isPending(entry) && !entry.failed; failures += 1) {
      try {
        // A new group follows nothing.
        if (entry.lastSeq === undefined && entry.kind !== 'create') await this.#chooseLastSeq(c, entry);
        if (!this.isPending(entry)) return;
        await this.#attempt(c, entry);
      } catch (error) {
        if (isConnectionError(error) || this.session.isClosed) throw error;
        if (isRetryable(error)) await this.session.backOff(error, failures);
        else if (hasCode(error, 'out_of_date')) await this.#catchUpEntry(c, entry);
        else if (!(await this.#explain(c, entry, error))) await this.onRefused(entry, error);
      }
    }
  }

  /**
   * Looks for a reason of a refusal that is none of the entry.
   *
   * @param {Conversation} c
   * @param {Entry} entry
   * @param {unknown} error
   * @returns {Promise<boolean>} whether the entry is stored, or is to be sent again
   */
  async #explain(c, entry, error) {
    if (hasCode(error, 'bad_request')) return this.#restartNumbering(c, entry);
    if (!hasCode(error, 'forbidden') || !c.state || c.state.view.left) return false;
    // If this user is not a member any more, the entries up to there tell whether an earlier attempt has stored it.
    await this.receiver.catchUp(c).catch((failure) => {
      if (isConnectionError(failure)) throw failure;
    });
    return !this.isPending(entry);
  }

  /**
   * Decides which message all attempts name as the one before.
   *
   * @param {Conversation} c
   * @param {Entry} entry
   */
  async #chooseLastSeq(c, entry) {
    if (this.session.knowsAll) c.startEmpty();
    if (c.high === null) await this.receiver.catchUp(c);
    const isForeign = this.isForeign(entry);
    const end = isForeign ? { lastSeq: await this.#search(c, entry) } : c.end;
    if (!this.isPending(entry)) return;
    const isStored = await this.outbox()?.begin(entry, end);
    if (!isStored && !isForeign) Object.assign(entry, { lastSeq: await this.#search(c, entry), position: undefined });
  }

  /**
   * Looks for an entry that another tab or an earlier page may have sent: reads back to the day before it was queued. What
   * is read settles it.
   *
   * @param {Conversation} c
   * @param {Entry} entry
   * @returns {Promise<number>} the newest `seq` at the beginning of the search
   */
  async #search(c, entry) {
    let newest;
    let startKey;
    do {
      const { entries, next } = await this.receiver.page(c, { limit: 100, startKey });
      newest ??= entries[0]?.seq ?? 0;
      const mayBeOlder = (entries.at(-1)?.createdAt ?? 0) > entry.queuedAt - DAY;
      startKey = mayBeOlder ? next : undefined;
    } while (startKey !== undefined && this.isPending(entry));
    return newest;
  }

  /**
   * @param {Conversation} c
   * @param {Entry} entry
   */
  async #attempt(c, entry) {
    const { kind, target, content, replyTo, mentions, group, clientMessageId, lastSeq, position } = entry;
    const [action, fields] = actionOf(entry);
    // A position that newer entries follow would cost the server a write.
    const end = position && (c.high ?? lastSeq) === lastSeq ? { position } : { lastSeq };
    const reply = await this.session.connection.request(action, { ...fields, clientMessageId, ...end });
    const { duplicate: _, position: next, changed, ...sent } = reply;
    const change = group ? entryOf(entry) : { kind: 'change', target };
    const said = kind ? change : { content, replyTo, mentions };
    const stored = { ...recipientOf(entry), ...sent, senderId: this.session.userId, clientMessageId, ...said };
    // A new group has its conversation from now on.
    this.receiver.receive(this.session.conversationOf(stored), stored, changed, next);
  }

  /**
   * More than 1,000 messages follow `lastSeq`: looks for the message among them, and continues at their end.
   *
   * @param {Conversation} c
   * @param {Entry} entry
   */
  async #catchUpEntry(c, entry) {
    const newest = await this.session.persist(() => this.#scan(c, entry, entry.lastSeq ?? 0));
    if (!this.isPending(entry)) return;
    await this.#restart(entry, newest);
  }

  /**
   * Reads the messages after `seq`, until one of them is the entry: each page that is read settles what it holds.
   *
   * @param {Conversation} c
   * @param {Entry} entry
   * @param {number} seq
   * @returns {Promise<number>} the last `seq` that was read
   */
  async #scan(c, entry, seq) {
    let hasMore = true;
    while (hasMore && this.isPending(entry)) {
      const { entries, next } = await this.receiver.page(c, { limit: 100, after: seq });
      seq = entries.at(-1)?.seq ?? seq;
      hasMore = next !== undefined;
    }
    return seq;
  }

  /**
   * Catches up, because the server knows more than the client, or has lost messages that the client holds. The client then
   * begins again.
   *
   * @param {Conversation} c
   * @param {Entry} entry
   * @returns {Promise<boolean>} whether the entry is to be sent again
   */
  async #restartNumbering(c, entry) {
    if (!entry.lastSeq) return false;
    await this.receiver.catchUp(c);
    const end = c.high ?? 0;
    if (end >= entry.lastSeq) return false;
    await this.#restart(entry, end);
    return true;
  }

  /**
   * From now on, all attempts name another message as the one before, because the entry is not among those up to there.
   *
   * @param {Entry} entry
   * @param {number} lastSeq
   */
  async #restart(entry, lastSeq) {
    Object.assign(entry, { lastSeq, position: undefined });
    await this.outbox()?.put(entry);
  }
}
