// SPDX-License-Identifier: MIT
// `Section`: the part of a conversation that is in the document, so that long conversations stay fast.

import { indexFrom } from './order.js';

/** @typedef {import('../chat-client.js').Conversation} Conversation */
/** @typedef {Pick<Conversation, 'messages' | 'notices' | 'pending'>} Content */

/** Messages in the document while the log follows the end. */
const LENGTH = 200;
/** Messages that are added when an end of the section comes near the screen. */
const STEP = 100;
/** The most messages in the document, unless new ones arrive while the user reads earlier ones. */
const LONGEST = 400;

export class Section {
  /** `seq` of the first message. */
  #first = 1;
  /**
   * `seq` of the last message; null for the end of the conversation, with the messages that are not acknowledged yet.
   *
   * @type {number | null}
   */
  #last = null;

  get isAtEnd() {
    return this.#last === null;
  }

  /**
   * Whether the section still fits the messages. It does not if the service has lost them.
   *
   * @param {Conversation} c
   */
  isIn({ messages }) {
    const [from, to] = this.#range(messages);
    // Without messages, the end can still show changes of a group and queued messages.
    return from < to || (this.isAtEnd && !messages.length);
  }

  /** @param {Conversation} c */
  moveToEnd({ messages }) {
    this.#set(messages, messages.length - LENGTH, messages.length);
  }

  /**
   * Moves to a message, and those around it.
   *
   * @param {Conversation} c
   * @param {number} seq
   */
  moveTo({ messages }, seq) {
    const index = indexFrom(messages, seq);
    this.#set(messages, index - STEP, index + STEP);
  }

  /**
   * Adds earlier messages.
   *
   * @param {Conversation} c
   * @returns {boolean} false if the client holds none
   */
  extendUp({ messages }) {
    const [from, to] = this.#range(messages);
    if (from === 0) return false;
    const start = Math.max(0, from - STEP);
    this.#set(messages, start, Math.min(to, start + LONGEST));
    return true;
  }

  /**
   * Adds later messages.
   *
   * @param {Conversation} c
   * @returns {boolean} false if there are none
   */
  extendDown({ messages }) {
    if (this.#last === null) return false;
    const [from, to] = this.#range(messages);
    const end = Math.min(messages.length, to + STEP);
    this.#set(messages, Math.max(from, end - LONGEST), end);
    return true;
  }

  /**
   * @param {Conversation} c
   * @returns {Content}
   */
  of({ messages, notices, pending }) {
    const [from, to] = this.#range(messages);
    const after = messages[from - 1]?.seq ?? 0;
    const before = messages[to]?.seq ?? Infinity;
    return {
      messages: messages.slice(from, to),
      notices: notices.filter(({ seq }) => seq > after && seq < before),
      pending: this.#last === null ? pending : [],
    };
  }

  /**
   * The indices of the section: from the first one to before the second one.
   *
   * @param {Conversation['messages']} messages
   * @returns {[number, number]}
   */
  #range(messages) {
    const from = indexFrom(messages, this.#first);
    return [from, this.#last === null ? messages.length : Math.max(from, indexFrom(messages, this.#last + 1))];
  }

  /**
   * @param {Conversation['messages']} messages
   * @param {number} from index of the first message
   * @param {number} to index after the last one
   */
  #set(messages, from, to) {
    this.#first = messages[Math.max(0, from)]?.seq ?? 1;
    this.#last = to >= messages.length ? null : messages[to - 1].seq;
  }
}
