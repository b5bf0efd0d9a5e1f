// SPDX-License-Identifier: MIT
// `Drawing`: draws the list and the open conversation, scrolls it, and marks as read what was seen.

import { keyOfValue, nameOf } from '../client/peers.js';
import { announceChange, announceMessage, announceNotice, announceTyping } from './announcements.js';
import { ConversationList } from './conversation-list.js';
import { byId, place } from './dom.js';
import { drawPlaceholder, hintOf } from './empty.js';
import { keepFocus } from './focus.js';
import { drawHeader } from './header.js';
import { LogKeys } from './log-keys.js';
import { MessageLog } from './message-log.js';
import { paintAvatar, visible } from './names.js';
import { sentenceOf } from './notices.js';
import { messageAt } from './order.js';
import { Section } from './section.js';
import { titleOf } from './titles.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Conversation} Conversation */
/** @typedef {import('../chat-client.js').Message} Message */

/** Pages of older messages that are loaded to find the message that a reply quotes. */
const MOST_PAGES = 20;

/** This many pixels from its end, the log counts as scrolled to the end. */
const END_TOLERANCE = 60;

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
  /** Whether the log follows new messages. */
  #isAtEnd = true;
  /** The scroll position that the page has set to show the end, in pixels; 0 before the next drawing sets it. */
  #endTop = 0;
  /** Number of new messages below the visible ones. */
  #newBelow = 0;
  #isLoadingOlder = false;
  #isScheduled = false;
  #scroll = byId('scroll');
  #keys = new LogKeys();

  /**
   * @param {ChatClient} chat
   * @param {object} options
   * @param {boolean} options.usesToken
   * @param {import('./presence.js').Presence} options.presence
   * @param {(key: string) => void} options.onChoice of a conversation in the list
   * @param {(key: string, button: HTMLElement, seq: number) => void} options.onMenu of a message
   * @param {(key: string, seq: number, reaction: string) => void} options.onReaction
   * @param {() => void} options.onDraw is called after each drawing of the open conversation
   * @param {(message: string) => void} options.onProblem
   */
  constructor(chat, { usesToken, presence, onChoice, ...reactors }) {
    this.chat = chat;
    this.presence = presence;
    this.usesToken = usesToken;
    this.reactors = reactors;
    this.list = new ConversationList(byId('list'), chat, presence, { onChoice, onChange: () => this.schedule() });
    byId('latest').onclick = () => this.scrollToEnd();
    this.#scroll.onscroll = () => this.#onScroll();
    new ResizeObserver(() => {
      if (!this.#hasLeftEnd) this.#followEnd();
    }).observe(this.#scroll);
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
    this.#key = key;
    this.#newBelow = 0;
    this.scrollToEnd();
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
    this.#isAtEnd = true;
    this.#endTop = 0;
    this.#draw();
  }

  /** Whether the user has scrolled up from the end, which the browser reports in the next frame only. */
  get #hasLeftEnd() {
    return this.#scroll.scrollTop < this.#endTop && this.#below >= END_TOLERANCE;
  }

  #followEnd() {
    if (!this.#isAtEnd) return;
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#endTop = this.#scroll.scrollTop;
  }

  /** The height of what follows the visible part of the log, in pixels. */
  get #below() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
    return scrollHeight - scrollTop - clientHeight;
  }

  #draw() {
    const total = this.chat.unread;
    document.title = `${total ? `(${total}) ` : ''}Chat · ${visible(this.chat.userId ?? '')}`;
    this.list.draw(this.#key);
    drawPlaceholder();
    if (this.#key === null) return;
    const c = this.chat.conversation(nameOf(this.#key));
    drawHeader(this.chat, c, c.peer === undefined ? undefined : this.presence.of(c.peer));
    if (this.#hasLeftEnd) this.#isAtEnd = false;
    this.#isAtEnd ||= !this.#section.isIn(c);
    if (this.#isAtEnd) this.#section.moveToEnd(c);
    const log = this.#logOf(this.#key);
    keepFocus(() => place(byId('log'), log.nodes(this.#section.of(c), c, this.#section.isAtEnd)));
    this.#keys.follow();
    byId('hint').textContent = hintOf(this.chat, c, this.usesToken);
    this.#followEnd();
    this.#drawLatest();
    this.#markRead(c);
    this.reactors.onDraw();
    // Without a scroll bar, the user can't scroll. A page may consist of changes, which take no place.
    if (this.#isAtEnd && this.#scroll.scrollHeight <= this.#scroll.clientHeight) this.#extendUp();
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
      if (key !== this.#key) return;
    }
    const c = this.chat.conversation(peer);
    if (!messageAt(c.messages, seq)) return this.reactors.onProblem('That message is not loaded. Scroll up to it.');
    this.#section.moveTo(c, seq);
    this.#isAtEnd = false;
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
      const { onMenu, onReaction } = this.reactors;
      log = new MessageLog(this.chat, {
        onMenu: (button, seq) => onMenu(key, button, seq),
        onReaction: (seq, reaction) => onReaction(key, seq, reaction),
        onShow: (seq) => this.show(seq),
      });
      this.#logs.set(key, log);
    }
    return log;
  }

  #drawLatest() {
    const count = this.#newBelow;
    byId('latest').hidden = this.#isAtEnd;
    byId('latest-count').textContent = count ? `${count} new` : '';
    byId('latest').setAttribute(
      'aria-label',
      count ? `${count} new messages: go to the newest` : 'Go to the newest message',
    );
  }

  /** @param {Conversation} c */
  #markRead(c) {
    // A visible window without the focus may lie behind another one.
    if (!c.loaded || !this.#isAtEnd || document.hidden || !document.hasFocus()) return;
    this.#newBelow = 0;
    this.chat.markRead(c);
  }

  /** @param {Message} m */
  #announce(m) {
    const key = keyOfValue(m);
    const isOpen = key === this.#key;
    if (isOpen && !this.#isAtEnd) this.#newBelow += 1;
    announceMessage(m, { isOpen, group: m.groupId ? titleOf(this.chat.conversation(nameOf(key))) : '' });
  }

  #onScroll() {
    const below = this.#below;
    const isAtEnd = below < END_TOLERANCE && this.#section.isAtEnd;
    if (isAtEnd !== this.#isAtEnd) {
      this.#isAtEnd = isAtEnd;
      this.schedule();
    }
    if (this.#key === null) return;
    const c = this.chat.conversation(nameOf(this.#key));
    if (below < this.#scroll.clientHeight && !isAtEnd) this.#redraw(() => this.#section.extendDown(c));
    this.#extendUp();
  }

  /**
   * Draws after a change of the section, without moving what is on the screen.
   *
   * @param {() => boolean} change returns whether it has changed
   */
  #redraw(change) {
    const top = this.#scroll.getBoundingClientRect().top;
    const anchor = [...byId('log').children].find((node) => node.getBoundingClientRect().bottom > top);
    const before = anchor?.getBoundingClientRect().top ?? 0;
    if (!change()) return false;
    this.#draw();
    if (anchor && !this.#isAtEnd) this.#scroll.scrollTop += anchor.getBoundingClientRect().top - before;
    return true;
  }

  /** Draws or loads older messages when the oldest ones are near. */
  async #extendUp() {
    const key = this.#key;
    const scroll = this.#scroll;
    if (scroll.scrollTop >= scroll.clientHeight) return;
    if (key === null || this.#isLoadingOlder) return;
    const peer = nameOf(key);
    const c = this.chat.conversation(peer);
    if (!this.#isAtEnd && this.#redraw(() => this.#section.extendUp(c))) return;
    if (!c.loaded || !c.hasOlder) return;
    this.#isLoadingOlder = true;
    try {
      await this.chat.older(peer);
    } catch {
      // The service refuses it, or the client is closed.
      return;
    } finally {
      this.#isLoadingOlder = false;
    }
    if (key !== this.#key) return;
    this.#redraw(() => true);
    this.#extendUp();
  }
}
