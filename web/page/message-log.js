// SPDX-License-Identifier: MIT
// The messages of one conversation on the screen. Each keeps its node, so that nothing jumps and selections last.

import { icon, make } from './dom.js';
import { visible } from './names.js';
import { dayOf, isEmojiOnly, linked, timeOf } from './text.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Conversation} Conversation */
/** @typedef {import('../chat-client.js').Message} Message */
/** @typedef {import('../chat-client.js').Entry} Entry */

/**
 * A message, or an own one that is not acknowledged yet.
 *
 * @typedef {object} Row
 * @property {Message | Entry} m
 * @property {string} sender
 * @property {boolean} isMine
 * @property {number} at in milliseconds since the Unix epoch
 * @property {string} day
 */

/** Messages of one sender within this many milliseconds form a group. */
const GROUP_SPAN = 5 * 60_000;

/**
 * Whether it would fill the screen of a phone.
 *
 * @param {string} content
 */
const isLong = (content) => content.length > 900 || content.split('\n', 17).length > 16;

export const TICKS = {
  queued: { path: 'M10 5v5l3 2M17 10a7 7 0 1 1-14 0 7 7 0 0 1 14 0', name: 'waiting to be sent' },
  sent: { path: 'M4 10l4 4 8-8', name: 'sent' },
  read: { path: 'M1 10l4 4 8-8M9 13l1 1 8-8', name: 'read' },
  failed: { path: 'M10 6v5M10 14v.1M17 10a7 7 0 1 1-14 0 7 7 0 0 1 14 0', name: 'not sent' },
};

export class MessageLog {
  /**
   * By messageId, clientMessageId or day.
   *
   * @type {Map<string, HTMLElement>}
   */
  #nodes = new Map();
  /** The nodes of the drawing before. */
  #before = this.#nodes;

  /** @param {ChatClient} chat */
  constructor(chat) {
    this.chat = chat;
  }

  /**
   * Keeps the nodes of these messages only.
   *
   * @param {Pick<Conversation, 'messages' | 'pending'>} section
   * @returns {HTMLElement[]} the messages, and a heading for each day
   */
  nodes({ messages, pending }) {
    this.#before = this.#nodes;
    this.#nodes = new Map();
    const rows = [...messages, ...pending].map((m) => this.#row(m));
    return rows.flatMap((row, index) => {
      const before = rows[index - 1];
      const node = this.#message(row);
      node.classList.toggle('first', !isOneGroup(before, row));
      node.classList.toggle('last', !isOneGroup(row, rows[index + 1]));
      return row.day === before?.day ? [node] : [this.#day(row.day), node];
    });
  }

  /**
   * @param {Message | Entry} m
   * @returns {Row}
   */
  #row(m) {
    const me = this.chat.userId ?? '';
    const sender = 'senderId' in m ? m.senderId : me;
    const at = 'createdAt' in m ? m.createdAt : (m.sent?.createdAt ?? m.queuedAt);
    return { m, sender, isMine: sender === me, at, day: dayOf(at) };
  }

  /** @param {string} day */
  #day(day) {
    return this.#keep(`day ${day}`, () => make('li', 'day', day));
  }

  /** @param {Row} row */
  #message(row) {
    const { m, isMine } = row;
    const key = m.clientMessageId && isMine ? m.clientMessageId : 'messageId' in m ? m.messageId : '';
    const node = this.#keep(key, () => this.#makeMessage(row));
    this.#drawState(node, row);
    return node;
  }

  /** @param {Row} row */
  #makeMessage({ m, sender, isMine }) {
    const about = make('span', 'about');
    about.dir = 'ltr';
    const bubble = make('div', 'bubble', make('p', '', ...linked(m.content)), about);
    bubble.dir = 'auto';
    const name = make('span', 'sr', isMine ? 'You:' : `${visible(sender)}:`);
    const node = make('li', `message ${isMine ? 'mine' : ''} ${isEmojiOnly(m.content) ? 'big' : ''}`, name, bubble);
    if (isLong(m.content)) about.before(this.#fold(node));
    return node;
  }

  /**
   * Shows the beginning of a long message only.
   *
   * @param {HTMLElement} node
   * @returns {HTMLElement} the button that shows the rest
   */
  #fold(node) {
    const button = /** @type {HTMLButtonElement} */ (make('button', 'more', 'Show more'));
    button.type = 'button';
    button.setAttribute('aria-expanded', 'false');
    node.classList.add('long', 'folded');
    button.onclick = () => {
      const isFolded = node.classList.toggle('folded');
      button.textContent = isFolded ? 'Show more' : 'Show less';
      button.setAttribute('aria-expanded', String(!isFolded));
      if (isFolded) node.scrollIntoView({ block: 'nearest' });
    };
    return button;
  }

  /**
   * Draws what can change: the time, the ticks, and the failure.
   *
   * @param {HTMLElement} node
   * @param {Row} row
   */
  #drawState(node, { m, isMine, at }) {
    const failed = 'failed' in m ? m.failed : undefined;
    const state = isMine ? this.#stateOf(m) : undefined;
    const shown = `${state} ${at} ${failed?.message ?? ''}`;
    if (node.dataset.shown === shown) return;
    node.dataset.shown = shown;
    node.dataset.state = state ?? '';
    const time = make('time', '', timeOf(at));
    time.setAttribute('datetime', new Date(at).toISOString());
    const tick = state ? [icon(TICKS[state].path, TICKS[state].name)] : [];
    node.querySelector('.about')?.replaceChildren(time, ...tick);
    node.classList.toggle('failed', state === 'failed');
    node.querySelector('.failure')?.remove();
    if (failed && m.clientMessageId) node.append(this.#failure(m.clientMessageId, failed.message));
  }

  /**
   * @param {Message | Entry} m an own one
   * @returns {keyof typeof TICKS}
   */
  #stateOf(m) {
    if ('seq' in m) return this.chat.stateOf(m);
    if (m.failed) return 'failed';
    return m.sent ? 'sent' : 'queued';
  }

  /**
   * @param {string} clientMessageId
   * @param {string} reason
   */
  #failure(clientMessageId, reason) {
    const retry = make('button', '', 'Try again');
    retry.onclick = () => this.chat.retry(clientMessageId);
    const discard = make('button', '', 'Delete');
    discard.onclick = () => this.chat.discard(clientMessageId);
    return make('div', 'failure', `Not sent: ${reason}`, retry, discard);
  }

  /**
   * @param {string} key
   * @param {() => HTMLElement} create
   */
  #keep(key, create) {
    const node = this.#nodes.get(key) ?? this.#before.get(key) ?? create();
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
