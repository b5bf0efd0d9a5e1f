// SPDX-License-Identifier: MIT
// `Drawing`: draws the list and the open conversation, scrolls it, and marks as read what was seen.

import { keyOfValue, nameOf } from '../client/peers.js';
import { nextAct } from './acts.js';
import { announceChange, announceMessage, announceNotice, announceTyping } from './announcements.js';
import { ConversationList } from './conversation-list.js';
import { byId, place } from './dom.js';
import { drawPlaceholder, hintOf } from './empty.js';
import { isFocusInChat, keepFocus } from './focus.js';
import { sentenceOf } from './group-sentences.js';
import { drawHeader } from './header.js';
import { LogKeys } from './log-keys.js';
import { MessageLog } from './message-log.js';
import { paintAvatar, visible } from './names.js';
import { messageAt } from './order.js';
import { Scrolling } from './scrolling.js';
import { Section } from './section.js';
import { titleOf } from './titles.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Conversation} Conversation */
/** @typedef {import('../chat-client.js').Message} Message */

/** Pages of older messages that are loaded to find the message that a reply quotes. */
const MOST_PAGES = 20;

export class Drawing {
  /**
   * The key of the open conversation.
   *
   * @type {string | null}
   */
  #key = null;
  /**
   * By key.
   *
   * @type {Map<string, MessageLog>}
   */
  #logs = new Map();
  #section = new Section();
  /** Number of new messages below the visible ones. */
  #newBelow = 0;
  /**
   * The conversations whose older messages are being loaded, by key.
   *
   * @type {Set<string>}
   */
  #loading = new Set();
  #isScheduled = false;
  #scrolling = new Scrolling();
  #keys = new LogKeys();

  /**
   * @param {ChatClient} chat
   * @param {object} options
   * @param {boolean} options.usesToken
   * @param {import('./presence.js').Presence} options.presence
   * @param {(key: string) => void} options.onChoice of a conversation in the list
   * @param {(key: string, button: HTMLElement, seq: number) => void} options.onMenu of a message
   * @param {(key: string, seq: number, reaction: string) => void} options.onReaction
   * @param {(key: string, entry: import('../chat-client.js').Entry) => void} options.onEdit of a message that was refused
   * @param {() => void} options.onDraw is called after each drawing of the open conversation
   * @param {(message: string) => void} options.onProblem
   */
  constructor(chat, { usesToken, presence, onChoice, ...reactors }) {
    this.chat = chat;
    this.presence = presence;
    this.usesToken = usesToken;
    this.reactors = reactors;
    this.list = new ConversationList(byId('list'), chat, presence, onChoice);
    byId('latest').onclick = () => this.scrollToEnd();
    byId('scroll').onscroll = () => this.#onScroll();
    document.addEventListener('visibilitychange', () => this.schedule());
    addEventListener('focus', () => this.schedule());
  }

  /** Shows who the user is, and follows the conversations from now on. */
  start() {
    const { chat } = this;
    const userId = chat.userId ?? '';
    byId('me').textContent = visible(userId);
    paintAvatar(byId('my-avatar'), userId);
    chat.addEventListener('conversation', () => this.schedule());
    chat.addEventListener('message', ({ detail }) => {
      if (detail.senderId !== userId) this.#announce(detail);
    });
    chat.addEventListener('group', ({ detail }) => {
      if (detail.senderId !== userId && keyOfValue(detail) === this.#key) announceNotice(sentenceOf(detail, userId));
    });
    chat.addEventListener('typing', ({ detail }) => {
      const { peer, userId: user = peer ?? '', isTyping } = detail;
      if (keyOfValue({ ...detail, peerId: user }) === this.#key) announceTyping(user, isTyping);
    });
    chat.addEventListener('connection', () => this.schedule());
    // Of a new group, which is no conversation yet.
    chat.addEventListener('status', () => this.schedule());
    chat.addEventListener('change', ({ detail }) => {
      const key = keyOfValue(detail, userId);
      const isOfOther = detail.senderId !== userId && key === this.#key;
      announceChange(detail, this.#logs.get(key)?.drawn(detail.messageId), isOfOther);
    });
  }

  /** @param {string | null} key of the open conversation */
  open(key) {
    const before = this.#key;
    this.#key = key;
    this.#newBelow = 0;
    this.scrollToEnd();
    // The conversation is hidden now.
    if (key === null && before !== null && isFocusInChat()) this.list.focus(before);
  }

  /** Draws once for all changes of this turn of the event loop. */
  schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#draw();
    });
  }

  scrollToEnd() {
    this.#scrolling.goToEnd();
    this.#draw();
  }

  #draw() {
    const total = this.chat.unread;
    document.title = `${total ? `(${total}) ` : ''}Chat · ${visible(this.chat.userId ?? '')}`;
    this.list.draw(this.#key);
    drawPlaceholder();
    if (this.#key === null) return;
    const c = this.chat.conversation(nameOf(this.#key));
    drawHeader(this.chat, c, c.peer === undefined ? undefined : this.presence.of(c.peer));
    const [scrolling, section] = [this.#scrolling, this.#section];
    scrolling.beforeDrawing();
    scrolling.isAtEnd ||= !section.isIn(c);
    if (scrolling.isAtEnd) section.moveToEnd(c);
    const log = this.#logOf(this.#key);
    scrolling.during(() => drawLog(() => log.nodes(section.of(c), c, section.isAtEnd)));
    this.#keys.follow();
    byId('hint').textContent = hintOf(this.chat, c, this.usesToken);
    this.#drawLatest();
    this.#markRead(c);
    this.reactors.onDraw();
    // A page may consist of changes, which take no space.
    if (scrolling.isAtEnd && !scrolling.hasBar) this.#extendUp();
  }

  /**
   * Scrolls to a message, and loads older ones to find it.
   *
   * @param {number} seq
   */
  async show(seq) {
    const key = this.#key;
    if (key === null) return;
    const peer = nameOf(key);
    const acted = nextAct();
    for (let pages = 0; pages < MOST_PAGES; pages += 1) {
      const c = this.chat.conversation(peer);
      if (seq >= c.low || !c.hasOlder) break;
      byId('scroll').setAttribute('aria-busy', 'true');
      try {
        await this.chat.older(peer);
      } catch {
        // The service refuses it, or the client is closed.
        break;
      } finally {
        byId('scroll').removeAttribute('aria-busy');
      }
      // The user has done something else, and must not lose sight of it.
      if (acted.aborted || key !== this.#key) return;
    }
    const c = this.chat.conversation(peer);
    if (!messageAt(c.messages, seq)) {
      const isEarlier = c.hasOlder && seq < c.low;
      return this.reactors.onProblem(
        isEarlier ? 'That message is not loaded. Scroll up to it.' : 'That message can’t be shown.',
      );
    }
    this.#section.moveTo(c, seq);
    this.#scrolling.isAtEnd = false;
    this.#draw();
    const node = this.#logOf(key).nodeOf(seq);
    node?.scrollIntoView({ block: 'center' });
    node?.focus({ preventScroll: true });
    node?.classList.remove('found');
    // In a later frame, so that the animation begins again.
    requestAnimationFrame(() => node?.classList.add('found'));
    // Without any scrolling, there is no event.
    this.#onScroll();
  }

  /** @param {string} key */
  #logOf(key) {
    let log = this.#logs.get(key);
    if (!log) {
      const { onMenu, onReaction, onEdit } = this.reactors;
      log = new MessageLog(this.chat, {
        onMenu: (button, seq) => onMenu(key, button, seq),
        onReaction: (seq, reaction) => onReaction(key, seq, reaction),
        onShow: (seq) => this.show(seq),
        onEdit: (entry) => onEdit(key, entry),
      });
      this.#logs.set(key, log);
    }
    return log;
  }

  #drawLatest() {
    const count = this.#newBelow;
    byId('latest').hidden = this.#scrolling.isAtEnd;
    byId('latest-count').textContent = count ? `${count} new` : '';
    byId('latest').setAttribute(
      'aria-label',
      count ? `${count} new messages: go to the newest` : 'Go to the newest message',
    );
  }

  /** @param {Conversation} c */
  #markRead(c) {
    // A visible window without the focus may lie behind another one.
    if (!c.loaded || !this.#scrolling.isAtEnd || document.hidden || !document.hasFocus()) return;
    this.#newBelow = 0;
    this.chat.markRead(c);
  }

  /** @param {Message} m */
  #announce(m) {
    const key = keyOfValue(m);
    const isOpen = key === this.#key;
    if (isOpen && !this.#scrolling.isAtEnd) this.#newBelow += 1;
    announceMessage(m, { isOpen, group: m.groupId ? titleOf(this.chat.conversation(nameOf(key))) : '' });
  }

  #onScroll() {
    const scrolling = this.#scrolling;
    if (scrolling.onScroll(this.#section.isAtEnd)) this.schedule();
    if (this.#key === null) return;
    const c = this.chat.conversation(nameOf(this.#key));
    if (scrolling.isNearBottom && !scrolling.isAtEnd && this.#section.extendDown(c)) this.#draw();
    this.#extendUp();
  }

  /** Draws or loads older messages when the oldest ones are near. */
  async #extendUp() {
    const key = this.#key;
    if (key === null || !this.#scrolling.isNearTop) return;
    const peer = nameOf(key);
    const c = this.chat.conversation(peer);
    if (!this.#scrolling.isAtEnd && this.#section.extendUp(c)) return this.#draw();
    if (!c.loaded || !c.hasOlder || this.#loading.has(key)) return;
    this.#loading.add(key);
    try {
      await this.chat.older(peer);
    } catch {
      // The service refuses it, or the client is closed.
      return;
    } finally {
      this.#loading.delete(key);
    }
    if (key === this.#key) this.#extendUp();
  }
}

/**
 * If what had the focus disappears, its message gets it, or else the log.
 *
 * @param {() => HTMLElement[]} nodes
 */
const drawLog = (nodes) =>
  keepFocus(
    byId('log'),
    () => place(byId('log'), nodes()),
    (message) => (message.isConnected ? (message.querySelector('.act') ?? message) : byId('scroll')),
  );
