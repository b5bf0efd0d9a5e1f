// SPDX-License-Identifier: MIT
// `Typing`: tells peers that this user is typing, and keeps which of them are.

import { moment, since } from './clock.js';
import { hasCode } from './errors.js';

/** @typedef {import('./clock.js').Moment} Moment */
/** @typedef {import('./conversation.js').Conversation} Conversation */

/** Milliseconds between two frames to the same peer. */
const PAUSE = 8_000;
/** Milliseconds for which one frame of a peer counts. */
const LASTING = 10_000;
/** Milliseconds after a message of a peer. A frame that arrives meanwhile is older: pushes overtake each other. */
const LATE = 1_000;

export class Typing {
  /** Whether the service has refused it on this connection, because its operator has turned it off. */
  isRefused = false;
  /**
   * The last frame to each peer.
   *
   * @type {Map<string, Moment>}
   */
  #sent = new Map();
  /**
   * The last message of each peer.
   *
   * @type {Map<string, Moment>}
   */
  #received = new Map();
  /**
   * Those who are typing.
   *
   * @type {Map<Conversation, ReturnType<typeof setTimeout>>}
   */
  #timers = new Map();

  /**
   * @param {import('./session.js').Session} session
   * @param {{ typing?: boolean }} options
   */
  constructor(session, options) {
    this.session = session;
    this.options = options;
  }

  /** @param {string} peer */
  send(peer) {
    const { connection, conversations, userId } = this.session;
    // The service refuses it before the first message.
    const isNew = !conversations.get(peer)?.high;
    if (this.options.typing === false || this.isRefused || isNew || peer === userId || !connection.isOpen) return;
    const last = this.#sent.get(peer);
    if (last && since(last) < PAUSE) return;
    this.#sent.set(peer, moment());
    connection.request('typing', { targetId: peer }, undefined, true).catch((error) => {
      if (hasCode(error, 'forbidden', 'unknown_action')) this.isRefused = true;
    });
  }

  /**
   * Handles a pushed frame.
   *
   * @param {any} frame
   */
  onFrame({ type, value }) {
    if (type !== 'typing' || this.options.typing === false) return;
    const c = this.session.conversations.get(value?.userId);
    const last = this.#received.get(value?.userId);
    if (c?.id === value?.conversationId && !(last && since(last) < LATE)) this.#set(c, true);
  }

  /**
   * A message of a peer ends it.
   *
   * @param {string} senderId
   */
  onMessage(senderId) {
    this.#received.set(senderId, moment());
    this.#set(this.session.conversations.get(senderId), false);
  }

  /**
   * @param {Conversation | undefined} c
   * @param {boolean} isTyping
   */
  #set(c, isTyping) {
    if (!c) return;
    clearTimeout(this.#timers.get(c));
    if (isTyping)
      this.#timers.set(
        c,
        setTimeout(() => this.#set(c, false), LASTING),
      );
    if (c.isTyping === isTyping) return;
    c.isTyping = isTyping;
    this.session.emit('typing', { peer: c.peer, isTyping });
    this.session.changed(c);
  }

  close() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }
}
