// SPDX-License-Identifier: MIT
// `Actions`: reactions and deletions. The log shows those that are queued, and those that the service refuses.

import { hasReacted, shownMessage } from './changes.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').PendingChange} PendingChange */

export class Actions {
  /**
   * @param {ChatClient} chat
   * @param {(peer: string, message: string) => void} onProblem is called with what could not even be queued
   */
  constructor(chat, onProblem) {
    this.chat = chat;
    this.onProblem = onProblem;
  }

  /**
   * Adds an own reaction, or removes it if the user sees it as added.
   *
   * @param {string} peer
   * @param {number} seq
   * @param {string} reaction
   */
  toggleReaction(peer, seq, reaction) {
    const { chat } = this;
    const me = chat.userId ?? '';
    const shown = shownMessage(chat.conversation(peer), seq, me);
    if (!shown) return;
    const isOn = hasReacted(shown.reactions, reaction, me);
    this.#follow(peer, seq, 'react', chat.react(peer, seq, reaction, !isOn));
  }

  /**
   * @param {string} peer
   * @param {number} seq
   */
  delete(peer, seq) {
    this.#follow(peer, seq, 'delete', this.chat.delete(peer, seq));
  }

  /**
   * @param {string} peer
   * @param {number} seq
   * @param {PendingChange['kind']} kind
   * @param {Promise<unknown>} change
   */
  async #follow(peer, seq, kind, change) {
    try {
      await change;
    } catch (error) {
      const { code, message } = /** @type {import('../chat-client.js').ChatError} */ (error);
      if (code === 'closed' || code === 'discarded' || isShown(this.chat, peer, seq, kind)) return;
      this.onProblem(peer, message);
    }
  }
}

/**
 * Whether the log shows that a change was refused.
 *
 * @param {ChatClient} chat
 * @param {string} peer
 * @param {number} seq
 * @param {PendingChange['kind']} kind
 */
export const isShown = (chat, peer, seq, kind) =>
  chat.conversation(peer).changes.some((change) => change.target === seq && change.kind === kind && change.failed);
