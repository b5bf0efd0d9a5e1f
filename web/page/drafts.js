// SPDX-License-Identifier: MIT
// `Drafts`: what a user has written but not sent, by conversation. It survives a reload of the tab.

import { kept } from './storage.js';

/**
 * @typedef {object} Draft
 * @property {string} text of the next message
 * @property {number} [replyTo] `seq` of the message that it replies to
 * @property {{ seq: number, text: string }} [edit] a message that is being edited; `text` stays for afterwards
 */

export class Drafts {
  #key;
  /** @type {Map<string, Draft>} by peer */
  #drafts;

  /** @param {string} userId */
  constructor(userId) {
    this.#key = `drafts ${userId}`;
    /** @type {[string, Draft | string][]} */
    const stored = JSON.parse(kept(this.#key) || '[]');
    // Earlier versions of the page stored texts.
    this.#drafts = new Map(stored.map(([peer, draft]) => [peer, typeof draft === 'string' ? { text: draft } : draft]));
  }

  /**
   * @param {string} peer
   * @returns {Readonly<Draft>}
   */
  of(peer) {
    return this.#drafts.get(peer) ?? { text: '' };
  }

  /**
   * @param {string} peer
   * @param {Partial<Draft>} news the fields that change; without a value, a field is removed
   */
  update(peer, news) {
    const draft = { ...this.of(peer), ...news };
    if (draft.text || draft.replyTo !== undefined || draft.edit) this.#drafts.set(peer, draft);
    else this.#drafts.delete(peer);
    kept(this.#key, JSON.stringify([...this.#drafts]));
  }
}
