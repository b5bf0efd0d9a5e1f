// SPDX-License-Identifier: MIT
// The list of conversations.

import { changesByTarget, withChanges } from './changes.js';
import { make, place } from './dom.js';
import { paintAvatar, visible } from './names.js';
import { isTypingIn, typingLine } from './peer-state.js';
import { DELETED } from './quote.js';
import { momentOf } from './text.js';
import { tick } from './ticks.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Conversation} Conversation */

export class ConversationList {
  /** @type {Map<string, HTMLElement>} */
  #items = new Map();

  /**
   * @param {HTMLElement} node
   * @param {ChatClient} chat
   * @param {import('./presence.js').Presence} presence
   * @param {(peer: string) => void} onChoice
   */
  constructor(node, chat, presence, onChoice) {
    this.node = node;
    this.chat = chat;
    this.presence = presence;
    this.onChoice = onChoice;
  }

  /** @param {string | null} current peer of the open conversation */
  draw(current) {
    // Once the inbox is known, a remembered peer without messages is not listed.
    const listed = this.chat.conversations.filter(
      (c) => c.peer === current || c.lastMessage || c.pending.length || !this.chat.hasInbox,
    );
    // The page does not show groups yet.
    const items = listed.flatMap((c) => (c.peer === undefined ? [] : this.#item(c, c.peer, c.peer === current)));
    place(this.node, items);
  }

  /**
   * @param {Conversation} c
   * @param {string} peer
   * @param {boolean} isCurrent
   */
  #item(c, peer, isCurrent) {
    let item = this.#items.get(peer);
    if (!item) {
      item = this.#makeItem(peer);
      this.#items.set(peer, item);
    }
    const button = /** @type {HTMLElement} */ (item.firstChild);
    button.setAttribute('aria-current', String(isCurrent));
    this.#drawPreview(button, c, peer);
    return item;
  }

  /** @param {string} peer */
  #makeItem(peer) {
    const avatar = paintAvatar(make('span', 'avatar'), peer);
    avatar.setAttribute('aria-hidden', 'true');
    const name = make('bdi', 'name', visible(peer));
    if (peer === this.chat.userId) name.append(make('span', 'soft', ' (you)'));
    const button = make('button', '', avatar, name, make('time'), make('span', 'last'));
    button.onclick = () => this.onChoice(peer);
    const item = make('li', '', button);
    this.presence.observe(item, peer);
    return item;
  }

  /**
   * @param {HTMLElement} button
   * @param {Conversation} c
   * @param {string} peer
   */
  #drawPreview(button, c, peer) {
    const { state, content, at } = this.#preview(c);
    // What is not loaded may just not have arrived.
    const isEmpty = !at && c.loaded;
    const isTyping = isTypingIn(this.chat, c);
    const isOnline = this.presence.of(peer)?.online ?? false;
    const shown = JSON.stringify([state, content, at && momentOf(at), c.unread, isEmpty, isTyping, isOnline]);
    if (button.dataset.shown === shown) return;
    button.dataset.shown = shown;
    const [, , time, line] = button.children;
    time.textContent = at ? momentOf(at) : '';
    const text = make('bdi', '', isEmpty ? 'No messages yet' : content);
    if (isTyping) line.replaceChildren(...typingLine(peer));
    else line.replaceChildren(...(state ? [tick(state)] : []), text);
    line.classList.toggle('typing', isTyping);
    for (const node of button.querySelectorAll('.unread, .online')) node.remove();
    if (isOnline) button.append(make('span', 'online', make('span', 'sr', ' online')));
    if (!c.unread) return;
    const count = c.unread > 99 ? '99+' : String(c.unread);
    button.append(make('span', 'unread', count, make('span', 'sr', ' unread')));
  }

  /**
   * The newest message; `state` only if it is an own one.
   *
   * @param {Conversation} c
   * @returns {{ state?: import('./ticks.js').State, content: string, at?: number }}
   */
  #preview(c) {
    const entry = c.pending.at(-1);
    if (entry) {
      return { state: entry.failed ? 'failed' : 'queued', content: entry.content.slice(0, 120), at: entry.queuedAt };
    }
    if (!c.lastMessage) return { content: '' };
    const me = this.chat.userId ?? '';
    const last = withChanges(c.lastMessage, changesByTarget(c.changes).get(c.lastMessage.seq), me);
    if (last.deleted) return { content: DELETED, at: last.createdAt };
    const state = last.senderId === me ? this.chat.stateOf(last) : undefined;
    return { state, content: last.content.slice(0, 120), at: last.createdAt };
  }
}
