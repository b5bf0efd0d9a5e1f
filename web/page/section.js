// SPDX-License-Identifier: MIT
// `Section`: the part of a conversation that is in the document, so that long conversations stay fast.

/** @typedef {import('../chat-client.js').Conversation} Conversation */

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
   * Whether the client holds a message of the section. If the service has lost messages, it may not.
   *
   * @param {Conversation} c
   */
  isIn({ low, high }) {
    return this.#first <= (high ?? 0) && (this.#last ?? Infinity) >= low;
  }

  /** @param {Conversation} c */
  moveToEnd({ high }) {
    this.#first = (high ?? 0) - LENGTH + 1;
    this.#last = null;
  }

  /**
   * Adds earlier messages.
   *
   * @param {Conversation} c
   * @returns {boolean} false if the client holds none
   */
  extendUp({ low, high }) {
    if (this.#first <= low) return false;
    this.#first = Math.max(low, this.#first - STEP);
    const last = Math.min(this.#last ?? high ?? 0, this.#first + LONGEST - 1);
    this.#last = last === high ? null : last;
    return true;
  }

  /**
   * Adds later messages.
   *
   * @param {Conversation} c
   * @returns {boolean} false if there are none
   */
  extendDown({ high }) {
    if (this.#last === null) return false;
    const last = Math.min(high ?? 0, this.#last + STEP);
    this.#first = Math.max(this.#first, last - LONGEST + 1);
    this.#last = last === high ? null : last;
    return true;
  }

  /**
   * @param {Conversation} c
   * @returns {Pick<Conversation, 'messages' | 'pending'>}
   */
  of({ messages, pending, low }) {
    const from = Math.max(0, this.#first - low);
    if (this.#last === null) return { messages: messages.slice(from), pending };
    return { messages: messages.slice(from, Math.max(from, this.#last + 1 - low)), pending: [] };
  }
}
