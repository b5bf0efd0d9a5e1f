// The list of conversations.

import { place, TICKS } from './log.js';
import { icon, make, momentOf, paintAvatar, seen } from './text.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Conversation} Conversation */

export class List {
  /** @type {Map<string, HTMLElement>} */
  #items = new Map();

  /** @param {HTMLElement} node @param {ChatClient} chat @param {(peer: string) => void} onChoice */
  constructor(node, chat, onChoice) {
    this.node = node;
    this.chat = chat;
    this.onChoice = onChoice;
  }

  /** @param {string | null} current whose conversation is open */
  draw(current) {
    // What the server doesn't know, and nobody looks at or writes into, is no conversation (any more).
    const there = this.chat.conversations.filter(
      (c) => c.peer === current || c.lastMessage || c.pending.length || this.chat.hasInbox !== true,
    );
    place(
      this.node,
      there.map((c) => this.#item(c, c.peer === current)),
    );
  }

  /** @param {Conversation} c @param {boolean} isCurrent */
  #item(c, isCurrent) {
    let item = this.#items.get(c.peer);
    if (!item) {
      const button = make(
        'button',
        '',
        paintAvatar(make('span', 'avatar'), c.peer),
        make('bdi', 'name', seen(c.peer), ...(c.peer === this.chat.userId ? [make('span', 'soft', ' (you)')] : [])),
        make('time'),
        make('span', 'last'),
      );
      /** @type {HTMLElement} */ (button.firstChild).setAttribute('aria-hidden', 'true');
      button.onclick = () => this.onChoice(c.peer);
      this.#items.set(c.peer, (item = make('li', '', button)));
    }
    const button = /** @type {HTMLElement} */ (item.firstChild),
      entry = c.pending.at(-1),
      last = c.lastMessage;
    button.setAttribute('aria-current', String(isCurrent));
    const mine = entry ?? (last?.senderId === this.chat.userId ? last : undefined),
      content = (entry ?? last)?.content ?? '';
    const state = entry ? (entry.failed ? 'failed' : 'queued') : mine && last ? this.chat.stateOf(last) : undefined;
    // What is not loaded may only not be here yet.
    const isEmpty = !entry && !last && c.loaded;
    const at = entry?.queuedAt ?? last?.createdAt,
      shown = JSON.stringify([state, content.slice(0, 120), at && momentOf(at), c.unread, isEmpty]);
    if (button.dataset.shown === shown) return item;
    button.dataset.shown = shown;
    const [, , time, line] = button.children;
    time.textContent = at ? momentOf(at) : '';
    line.replaceChildren(
      ...(state ? [icon(TICKS[state].path, TICKS[state].name)] : []),
      make('bdi', '', isEmpty ? 'No messages yet' : content.slice(0, 120)),
    );
    button.querySelector('.mark')?.remove();
    if (c.unread)
      button.append(make('span', 'mark', c.unread > 99 ? '99+' : String(c.unread), make('span', 'sr', ' unread')));
    return item;
  }
}
