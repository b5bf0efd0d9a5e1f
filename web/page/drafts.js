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
  /** @type {Map<string, Draft>} by conversation key */
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
   * @param {string} key
   * @returns {Readonly<Draft>}
   */
  of(key) {
    return this.#drafts.get(key) ?? { text: '' };
  }

  /**
   * @param {string} key
   * @param {Partial<Draft>} news the fields that change; without a value, a field is removed
   */
  update(key, news) {
    const draft = { ...this.of(key), ...news };
    if (draft.text || draft.replyTo !== undefined || draft.edit) this.#drafts.set(key, draft);
    else this.#drafts.delete(key);
    kept(this.#key, JSON.stringify([...this.#drafts]));
  }
}
