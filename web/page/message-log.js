// SPDX-License-Identifier: MIT
// The messages of one conversation on the screen. Each keeps its node, so that nothing jumps and selections last.

import { changesByTarget, withChanges } from './changes.js';
import { make } from './dom.js';
import { failureOfChange } from './failures.js';
import { MessageView } from './message-view.js';
import { quoteOf } from './quote.js';
import { dayOf } from './text.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Conversation} Conversation */
/** @typedef {import('../chat-client.js').Message} Message */
/** @typedef {import('../chat-client.js').PendingChange} PendingChange */
/** @typedef {import('./message-view.js').Row} Row */

/** Messages of one sender within this many milliseconds form a group. */
const GROUP_SPAN = 5 * 60_000;

export class MessageLog {
  /**
   * By messageId or clientMessageId.
   *
   * @type {Map<string, MessageView>}
   */
  #views = new Map();
  /**
   * The days, and the failures of changes whose messages are not shown.
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
   * Keeps the nodes of these messages only.
   *
   * @param {Pick<Conversation, 'messages' | 'pending'>} section
   * @param {Conversation} c
   * @param {boolean} isAtEnd whether the section contains the newest message
   * @returns {HTMLElement[]} the messages, and a heading for each day
   */
  nodes({ messages, pending }, c, isAtEnd) {
    const [views, nodes] = [this.#views, this.#nodes];
    [this.#views, this.#nodes] = [new Map(), new Map()];
    const changes = changesByTarget(c.changes);
    const rows = [...messages, ...pending].map((m) => this.#row(m, c, changes));
    const drawn = rows.flatMap((row, index) => {
      const before = rows[index - 1];
      const { node } = this.#draw(row, views);
      node.classList.toggle('first', !isOneGroup(before, row));
      node.classList.toggle('last', !isOneGroup(row, rows[index + 1]));
      if (row.day === before?.day) return [node];
      return [this.#keep(`day ${row.day}`, nodes, () => make('li', 'day', row.day)), node];
    });
    if (!isAtEnd) return drawn;
    const failed = c.changes.filter((change) => change.failed && !messages.some((m) => m.seq === change.target));
    return [...drawn, ...failed.map((change) => this.#failure(change, nodes))];
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
   * A message of the peer, as it was at the last drawing.
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
    return { m, shown, sender, isMine: sender === me, at, day: dayOf(at), changes: own ?? [], quote };
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
      node.firstElementChild?.append(show);
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
 * @param {Row | undefined} one
 * @param {Row | undefined} next
 */
const isOneGroup = (one, next) =>
  one !== undefined &&
  next !== undefined &&
  one.sender === next.sender &&
  one.day === next.day &&
  Math.abs(one.at - next.at) < GROUP_SPAN;
