// SPDX-License-Identifier: MIT
// The list of conversations.

import { changesByTarget, withChanges } from './changes.js';
import { byId, make, place } from './dom.js';
import { failureOfNewGroup } from './failures.js';
import { keepFocus } from './focus.js';
import { sentenceOf } from './group-sentences.js';
import { hasKeyboardOnScreen } from './keyboard.js';
import { makeAvatar, paintAvatar, visible } from './names.js';
import { isTypingIn, stateOfGroup, typingLine } from './peer-state.js';
import { DELETED } from './quote.js';
import { momentOf } from './text.js';
import { tick } from './ticks.js';
import { paintAvatarOf, titleOf } from './titles.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Conversation} Conversation */

export class ConversationList {
  /** @type {Map<string, HTMLElement>} */
  #items = new Map();
  /** @type {Map<string, HTMLElement>} */
  #newGroups = new Map();

  /**
   * @param {HTMLElement} node
   * @param {ChatClient} chat
   * @param {import('./presence.js').Presence} presence
   * @param {(key: string) => void} onChoice
   */
  constructor(node, chat, presence, onChoice) {
    this.node = node;
    this.chat = chat;
    this.presence = presence;
    this.onChoice = onChoice;
  }

  /** @param {string | null} current key of the open conversation */
  draw(current) {
    // Once the inbox is known, a remembered peer without messages is not listed, and no group that the service does not name.
    const listed = this.chat.conversations.filter(
      (c) =>
        c.key === current || c.group?.name !== undefined || c.lastMessage || c.pending.length || !this.chat.hasInbox,
    );
    keepFocus(
      this.node,
      () => {
        const before = this.#newGroups;
        this.#newGroups = new Map();
        const newGroups = this.chat.newGroups.map((change) => this.#newGroup(change, before));
        place(this.node, [...newGroups, ...listed.map((c) => this.#item(c, c.key === current))]);
      },
      (row) => (row.isConnected ? row : (this.node.querySelector('button') ?? byId('new-group-open'))),
    );
  }

  /**
   * Gives the focus to the row of a conversation, or else to the control that begins a new one. The keyboard of a phone stays closed.
   *
   * @param {string} key
   */
  focus(key) {
    const row = this.#items.get(key);
    const other = byId(hasKeyboardOnScreen() ? 'new-group-open' : 'new-chat-name');
    const button = row?.isConnected ? /** @type {HTMLElement} */ (row.firstChild) : other;
    button.focus({ preventScroll: true });
  }

  /**
   * A group that is not created yet.
   *
   * @param {import('../chat-client.js').PendingGroupChange} change
   * @param {Map<string, HTMLElement>} before the nodes of the drawing before
   */
  #newGroup({ clientMessageId, group: { name = '' }, failed }, before) {
    let item = before.get(clientMessageId);
    if (!item) {
      item = make('li', 'new-group', paintAvatar(makeAvatar(), name), make('bdi', 'name', visible(name)), make('span'));
      // It takes the focus when its buttons disappear.
      item.tabIndex = -1;
    }
    this.#newGroups.set(clientMessageId, item);
    const shown = failed?.message ?? '';
    if (item.dataset.shown === shown) return item;
    item.dataset.shown = shown;
    const state = failed
      ? failureOfNewGroup(this.chat, clientMessageId, shown)
      : make('span', 'last', tick('queued'), 'Waiting to be created');
    item.lastChild?.replaceWith(state);
    return item;
  }

  /**
   * @param {Conversation} c
   * @param {boolean} isCurrent
   */
  #item(c, isCurrent) {
    let item = this.#items.get(c.key);
    if (!item) {
      item = this.#makeItem(c);
      this.#items.set(c.key, item);
    }
    const button = /** @type {HTMLElement} */ (item.firstChild);
    button.setAttribute('aria-current', String(isCurrent));
    this.#drawTitle(button, c);
    this.#drawPreview(button, c);
    return item;
  }

  /** @param {Conversation} c */
  #makeItem(c) {
    const button = make('button', '', makeAvatar(), make('bdi', 'name'), make('time'), make('span', 'last'));
    button.onclick = () => this.onChoice(c.key);
    const item = make('li', '', button);
    if (c.peer !== undefined) this.presence.observe(item, c.peer);
    return item;
  }

  /**
   * A group can get another name.
   *
   * @param {HTMLElement} button
   * @param {Conversation} c
   */
  #drawTitle(button, c) {
    const title = titleOf(c);
    if (button.dataset.title === title) return;
    button.dataset.title = title;
    const [avatar, name] = /** @type {HTMLElement[]} */ ([...button.children]);
    paintAvatarOf(avatar, c);
    name.textContent = title;
    if (c.peer === this.chat.userId) name.append(make('span', 'soft', ' (you)'));
  }

  /**
   * @param {HTMLElement} button
   * @param {Conversation} c
   */
  #drawPreview(button, c) {
    const { state, content, at } = this.#preview(c);
    // What is not loaded may just not have arrived.
    const isEmpty = !at && c.loaded;
    const typing = isTypingIn(this.chat, c) ? c.typing : [];
    const isOnline = (c.peer !== undefined && this.presence.of(c.peer)?.online) ?? false;
    const shown = JSON.stringify([state, content, at && momentOf(at), c.unread, isEmpty, typing, isOnline]);
    if (button.dataset.shown === shown) return;
    button.dataset.shown = shown;
    const [, , time, line] = button.children;
    time.textContent = at ? momentOf(at) : '';
    const text = make('bdi', '', isEmpty ? 'No messages yet' : content);
    if (typing.length) line.replaceChildren(...typingLine(typing));
    else line.replaceChildren(...(state ? [tick(state)] : []), text);
    line.classList.toggle('typing', typing.length > 0);
    for (const node of button.querySelectorAll('.unread, .online')) node.remove();
    if (isOnline) button.append(make('span', 'online', make('span', 'sr', ' online')));
    if (!c.unread) return;
    const count = c.unread > 99 ? '99+' : String(c.unread);
    button.append(make('span', 'unread', count, make('span', 'sr', ' unread')));
  }

  /**
   * The newest message, or the newest change of the group; `state` only of an own message.
   *
   * @param {Conversation} c
   * @returns {{ state?: import('./ticks.js').State, content: string, at?: number }}
   */
  #preview(c) {
    const entry = c.pending.at(-1);
    if (entry) {
      return { state: entry.failed ? 'failed' : 'queued', content: entry.content.slice(0, 120), at: entry.queuedAt };
    }
    const me = this.chat.userId ?? '';
    const notice = c.notices.at(-1);
    if (notice && notice.seq > (c.lastMessage?.seq ?? 0))
      return { content: sentenceOf(notice, me), at: notice.createdAt };
    if (c.group?.left) return { content: 'You are not a member', at: c.lastMessage?.createdAt };
    if (!c.lastMessage) return { content: c.group ? stateOfGroup(c.group) : '' };
    const last = withChanges(c.lastMessage, changesByTarget(c.changes).get(c.lastMessage.seq), me);
    if (last.deleted) return { content: DELETED, at: last.createdAt };
    const content = last.content.slice(0, 120);
    if (last.senderId === me) return { state: this.chat.stateOf(last), content, at: last.createdAt };
    return { content: c.group ? `${visible(last.senderId)}: ${content}` : content, at: last.createdAt };
  }
}
