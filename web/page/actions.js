// SPDX-License-Identifier: MIT
// `Actions`: reactions and deletions. The log shows those that are queued, and those that the service refuses.

import { nameOf } from '../client/peers.js';
import { hasReacted, shownMessage } from './changes.js';
import { isGivenUp } from './failures.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').PendingChange} PendingChange */

export class Actions {
  /**
   * @param {ChatClient} chat
   * @param {(key: string, message: string) => void} onProblem is called with what could not even be queued
   */
  constructor(chat, onProblem) {
    this.chat = chat;
    this.onProblem = onProblem;
  }

  /**
   * Adds an own reaction, or removes it if the user sees it as added.
   *
   * @param {string} key of the conversation
   * @param {number} seq
   * @param {string} reaction
   */
  toggleReaction(key, seq, reaction) {
    const { chat } = this;
    const me = chat.userId ?? '';
    const shown = shownMessage(chat.conversation(nameOf(key)), seq, me);
    if (!shown) return;
    const isOn = hasReacted(shown.reactions, reaction, me);
    this.#follow(key, seq, 'react', chat.react(nameOf(key), seq, reaction, !isOn));
  }

  /**
   * @param {string} key of the conversation
   * @param {number} seq
   */
  delete(key, seq) {
    this.#follow(key, seq, 'delete', this.chat.delete(nameOf(key), seq));
  }

  /**
   * @param {string} key of the conversation
   * @param {number} seq
   * @param {PendingChange['kind']} kind
   * @param {Promise<unknown>} change
   */
  async #follow(key, seq, kind, change) {
    try {
      await change;
    } catch (error) {
      const refusal = /** @type {import('../chat-client.js').ChatError} */ (error);
      if (isGivenUp(refusal) || isShown(this.chat, key, seq, kind)) return;
      this.onProblem(key, refusal.message);
    }
  }
}

/**
 * Whether the log shows that a change was refused.
 *
 * @param {ChatClient} chat
 * @param {string} key of the conversation
 * @param {number} seq
 * @param {PendingChange['kind']} kind
 */
export const isShown = (chat, key, seq, kind) =>
  chat
    .conversation(nameOf(key))
    .changes.some((change) => change.target === seq && change.kind === kind && change.failed);
