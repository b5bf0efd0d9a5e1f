// The messages of one conversation on the screen. A node, once made, stays, so that nothing jumps and selections last.

import { dayOf, icon, isEmojiOnly, linked, make, seen, timeOf } from './text.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Conversation} Conversation */
/** @typedef {import('../chat-client.js').Message} Message */
/** @typedef {import('../chat-client.js').Entry} Entry */

/** Messages of one person within this many milliseconds belong together. */
const TOGETHER = 5 * 60_000;

/** Whether it would fill a telephone's screen. @param {string} content */
const isLong = (content) => content.length > 900 || content.split('\n', 17).length > 16;

export const TICKS = {
  queued: { path: 'M10 5v5l3 2M17 10a7 7 0 1 1-14 0 7 7 0 0 1 14 0', name: 'waiting to be sent' },
  sent: { path: 'M4 10l4 4 8-8', name: 'sent' },
  read: { path: 'M1 10l4 4 8-8M9 13l1 1 8-8', name: 'read' },
  failed: { path: 'M10 6v5M10 14v.1M17 10a7 7 0 1 1-14 0 7 7 0 0 1 14 0', name: 'not sent' },
};

/** Makes `nodes` the children of `parent` without touching those that are there already. @param {Node} parent @param {Node[]} nodes */
export function place(parent, nodes) {
  let at = parent.firstChild;
  for (const node of nodes)
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  while (at) {
    const next = at.nextSibling;
    parent.removeChild(at);
    at = next;
  }
}

export class Log {
  /** By messageId, clientMessageId or day. @type {Map<string, HTMLElement>} */
  #nodes = new Map();

  /** @param {ChatClient} chat @param {Conversation} conversation */
  constructor(chat, conversation) {
    this.chat = chat;
    this.conversation = conversation;
  }

  /** @returns {HTMLElement[]} */
  nodes() {
    const { messages, pending } = this.conversation,
      me = this.chat.userId;
    /** @type {(Message | Entry)[]} */
    const all = [...messages, ...pending];
    const sender = (/** @type {Message | Entry} */ m) => ('senderId' in m ? m.senderId : me);
    const at = (/** @type {Message | Entry} */ m) =>
      'createdAt' in m ? m.createdAt : (m.sent?.createdAt ?? m.queuedAt);
    /** @type {HTMLElement[]} */
    const nodes = [];
    let day = '';
    all.forEach((m, index) => {
      const before = all[index - 1],
        after = all[index + 1],
        today = dayOf(at(m));
      const newDay = today !== day;
      if (newDay) nodes.push(this.#day((day = today)));
      const joins = (/** @type {Message | Entry | undefined} */ one) =>
        one && sender(one) === sender(m) && Math.abs(at(one) - at(m)) < TOGETHER;
      const node = this.#message(m, sender(m) === me, at(m));
      node.classList.toggle('first', newDay || !joins(before));
      node.classList.toggle('last', !joins(after) || dayOf(at(after)) !== today);
      nodes.push(node);
    });
    return nodes;
  }

  /** @param {string} day */
  #day(day) {
    return this.#keep(`day ${day}`, () => make('li', 'day', day));
  }

  /** @param {Message | Entry} m @param {boolean} mine @param {number} at */
  #message(m, mine, at) {
    const key = m.clientMessageId && mine ? m.clientMessageId : 'messageId' in m ? m.messageId : '';
    const node = this.#keep(key, () => {
      const about = make('span', 'about'),
        bubble = make('div', 'bubble', make('p', '', ...linked(m.content)), about);
      bubble.dir = 'auto';
      about.dir = 'ltr';
      const name = make('span', 'sr', mine ? 'You:' : `${seen(/** @type {Message} */ (m).senderId)}:`);
      const node = make('li', `message ${mine ? 'mine' : ''} ${isEmojiOnly(m.content) ? 'big' : ''}`, name, bubble);
      if (isLong(m.content)) about.before(this.#fold(node));
      return node;
    });
    this.#describe(node, m, mine, at);
    return node;
  }

  /** Shows the beginning only, until somebody wants more. @param {HTMLElement} node */
  #fold(node) {
    const button = /** @type {HTMLButtonElement} */ (make('button', 'more', 'Show more'));
    button.type = 'button';
    button.setAttribute('aria-expanded', 'false');
    node.classList.add('long', 'folded');
    button.onclick = () => {
      const folded = node.classList.toggle('folded');
      button.textContent = folded ? 'Show more' : 'Show less';
      button.setAttribute('aria-expanded', String(!folded));
      if (folded) node.scrollIntoView({ block: 'nearest' });
    };
    return button;
  }

  /** The time, the ticks, and what went wrong. @param {HTMLElement} node @param {Message | Entry} m @param {boolean} mine @param {number} at */
  #describe(node, m, mine, at) {
    const failed = 'failed' in m ? m.failed : undefined;
    const state = !mine
      ? undefined
      : failed
        ? 'failed'
        : 'seq' in m
          ? this.chat.stateOf(m)
          : 'sent' in m && m.sent
            ? 'sent'
            : 'queued';
    const shown = `${state} ${at} ${failed?.message ?? ''}`;
    if (node.dataset.shown === shown) return;
    node.dataset.shown = shown;
    node.dataset.state = state ?? '';
    const time = make('time', '', timeOf(at));
    time.setAttribute('datetime', new Date(at).toISOString());
    node.querySelector('.about')?.replaceChildren(time, ...(state ? [icon(TICKS[state].path, TICKS[state].name)] : []));
    node.classList.toggle('failed', state === 'failed');
    node.querySelector('.failure')?.remove();
    if (!failed || !m.clientMessageId) return;
    const id = m.clientMessageId,
      again = make('button', '', 'Try again'),
      away = make('button', '', 'Delete');
    again.onclick = () => this.chat.retry(id);
    away.onclick = () => this.chat.discard(id);
    node.append(make('div', 'failure', `Not sent: ${failed.message}`, again, away));
  }

  /** @param {string} key @param {() => HTMLElement} make */
  #keep(key, make) {
    let node = this.#nodes.get(key);
    if (!node) this.#nodes.set(key, (node = make()));
    return node;
  }
}
