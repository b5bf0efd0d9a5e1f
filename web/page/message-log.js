// SPDX-License-Identifier: MIT
// The messages of one conversation on the screen, and the changes of its group. Each keeps its node, so that nothing jumps
// and selections last.

import { changesByTarget, withChanges } from './changes.js';
import { make } from './dom.js';
import { failureOfChange, viewOfGroupChange } from './failures.js';
import { sentenceOf } from './group-sentences.js';
import { MessageView } from './message-view.js';
import { quoteOf } from './quote.js';
import { reasonNotToSend } from './rights.js';
import { dayOf, timeOf } from './text.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Conversation} Conversation */
/** @typedef {import('../chat-client.js').Message} Message */
/** @typedef {import('../chat-client.js').PendingChange} PendingChange */
/** @typedef {import('../chat-client.js').PendingGroupChange} PendingGroupChange */
/** @typedef {import('../chat-client.js').GroupEntry} GroupEntry */
/** @typedef {import('./message-view.js').Row} Row */
/** @typedef {{ notice: GroupEntry, day: string }} NoticeRow a change of the group */

/** Messages of one sender within this many milliseconds form a block. */
const BLOCK_SPAN = 5 * 60_000;

export class MessageLog {
  /**
   * By messageId or clientMessageId.
   *
   * @type {Map<string, MessageView>}
   */
  #views = new Map();
  /**
   * The days, the changes of the group, and the failures of changes whose messages are not shown.
   *
   * @type {Map<string, HTMLElement>}
   */
  #nodes = new Map();

  /**
   * @param {ChatClient} chat
   * @param {import('./message-view.js').Reactors} reactors
   */
  constructor(chat, reactors) {
    this.chat = chat;
    this.reactors = reactors;
  }

  /**
   * Keeps the nodes of this section only.
   *
   * @param {import('./section.js').Content} section
   * @param {Conversation} c
   * @param {boolean} isAtEnd whether the section contains the newest message
   * @returns {HTMLElement[]} the messages and the changes of the group, and a heading for each day
   */
  nodes({ messages, notices, pending }, c, isAtEnd) {
    const [views, nodes] = [this.#views, this.#nodes];
    [this.#views, this.#nodes] = [new Map(), new Map()];
    const changes = changesByTarget(c.changes);
    const entries = [...messages, ...notices].sort((a, b) => a.seq - b.seq);
    const rows = [...entries, ...pending].map((m) => (isNotice(m) ? noticeRow(m) : this.#row(m, c, changes)));
    /** @type {Map<string, number>} headings so far for each day: a failed message stays below newer days, so its day can come twice */
    const headings = new Map();
    const drawn = rows.flatMap((row, index) => {
      const before = rows[index - 1];
      const node = 'notice' in row ? this.#notice(row.notice, nodes) : this.#draw(row, views).node;
      node.classList.toggle('first', !isOneBlock(before, row));
      node.classList.toggle('last', !isOneBlock(row, rows[index + 1]));
      if (row.day === before?.day) return [node];
      const count = (headings.get(row.day) ?? 0) + 1;
      headings.set(row.day, count);
      return [this.#keep(`day ${row.day} ${count}`, nodes, () => make('li', 'day', row.day)), node];
    });
    if (!isAtEnd) return drawn;
    const failed = c.changes.filter((change) => change.failed && !messages.some((m) => m.seq === change.target));
    return [
      ...drawn,
      ...c.groupChanges.map((change) => this.#groupChange(change, nodes)),
      ...failed.map((change) => this.#failure(change, nodes)),
    ];
  }

  /**
   * The node of a message of the last drawing.
   *
   * @param {number} seq
   */
  nodeOf(seq) {
    for (const { message, node } of this.#views.values()) if ('seq' in message && message.seq === seq) return node;
    return undefined;
  }

  /**
   * A message of another user, as it was at the last drawing.
   *
   * @param {string} messageId
   */
  drawn(messageId) {
    return /** @type {Message | undefined} */ (this.#views.get(messageId)?.message);
  }

  /**
   * @param {Message | import('../chat-client.js').Entry} m
   * @param {Conversation} c
   * @param {Map<number, PendingChange[]>} changes by target
   * @returns {Row}
   */
  #row(m, c, changes) {
    const me = this.chat.userId ?? '';
    const sender = 'senderId' in m ? m.senderId : me;
    const at = 'createdAt' in m ? m.createdAt : (m.sent?.createdAt ?? m.queuedAt);
    const own = 'seq' in m ? changes.get(m.seq) : undefined;
    const shown = 'seq' in m ? withChanges(m, own, me) : m;
    const quote = shown.replyTo === undefined ? undefined : quoteOf(c, shown.replyTo, changes, me);
    const isEditable = 'failed' in m && !reasonNotToSend(c, me);
    const about = { sender, isMine: sender === me, at, day: dayOf(at), isEditable };
    return { m, shown, ...about, changes: own ?? [], quote, group: c.group };
  }

  /**
   * @param {GroupEntry} notice
   * @param {Map<string, HTMLElement>} before the nodes of the drawing before
   */
  #notice(notice, before) {
    return this.#keep(`notice ${notice.messageId}`, before, () => {
      const node = make('li', 'event', sentenceOf(notice, this.chat.userId ?? ''));
      node.title = timeOf(notice.createdAt);
      return node;
    });
  }

  /**
   * An own change of the group that is queued or was refused.
   *
   * @param {PendingGroupChange} change
   * @param {Map<string, HTMLElement>} before the nodes of the drawing before
   */
  #groupChange(change, before) {
    const key = `${change.clientMessageId} ${change.failed?.message}`;
    const className = change.failed ? 'note' : 'event';
    return this.#keep(key, before, () => make('li', className, ...viewOfGroupChange(this.chat, change)));
  }

  /**
   * @param {Row} row
   * @param {Map<string, MessageView>} before the views of the drawing before
   */
  #draw(row, before) {
    const { m, isMine } = row;
    const key = m.clientMessageId && isMine ? m.clientMessageId : 'messageId' in m ? m.messageId : '';
    const view = before.get(key) ?? new MessageView(this.chat, this.reactors, row);
    this.#views.set(key, view);
    view.draw(row);
    return view;
  }

  /**
   * A refused change of a message that is not shown here.
   *
   * @param {PendingChange} change
   * @param {Map<string, HTMLElement>} before the nodes of the drawing before
   */
  #failure(change, before) {
    const key = `${change.clientMessageId} ${change.failed?.message}`;
    return this.#keep(key, before, () => {
      const node = make('li', 'note', failureOfChange(this.chat, change));
      const show = make('button', '', 'Show message');
      show.onclick = () => this.reactors.onShow(change.target);
      node.querySelector('.choices')?.append(show);
      return node;
    });
  }

  /**
   * @param {string} key
   * @param {Map<string, HTMLElement>} before the nodes of the drawing before
   * @param {() => HTMLElement} create
   */
  #keep(key, before, create) {
    const node = before.get(key) ?? create();
    this.#nodes.set(key, node);
    return node;
  }
}

/**
 * @param {object} m
 * @returns {m is GroupEntry}
 */
const isNotice = (m) => 'kind' in m && m.kind === 'group';

/** @param {GroupEntry} notice @returns {NoticeRow} */
const noticeRow = (notice) => ({ notice, day: dayOf(notice.createdAt) });

/**
 * @param {Row | NoticeRow | undefined} one
 * @param {Row | NoticeRow | undefined} next
 */
const isOneBlock = (one, next) =>
  one !== undefined &&
  next !== undefined &&
  'sender' in one &&
  'sender' in next &&
  one.sender === next.sender &&
  one.day === next.day &&
  Math.abs(one.at - next.at) < BLOCK_SPAN;
