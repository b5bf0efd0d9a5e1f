// `Composer`: the form that sends messages. It keeps a draft for each conversation.

import { excessOf } from '../client/limits.js';
import { byId } from './dom.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */

const TOO_LONG = 'Too long by about ';

/** Shorter texts are within the limit, so they are not measured. */
const SURELY_SHORT = 4_000;

export class Composer {
  /** @type {string | null} */
  #peer = null;
  /**
   * By peer.
   *
   * @type {Map<string, string>}
   */
  #drafts = new Map();

  /**
   * @param {ChatClient} chat
   * @param {() => void} onSend is called before each message is queued
   */
  constructor(chat, onSend) {
    this.chat = chat;
    this.onSend = onSend;
    byId('compose').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send();
    });
    byId('text').addEventListener('input', () => this.#check());
    byId('text').addEventListener('keydown', (event) => {
      // During composition, Enter chooses a word of the input method.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
  }

  /** @param {string | null} peer of the open conversation */
  open(peer) {
    if (this.#peer !== null) this.#drafts.set(this.#peer, byId('text').value);
    this.#peer = peer;
    if (peer === null) return;
    byId('text').value = this.#drafts.get(peer) ?? '';
    this.showError('');
    this.#check();
    // On a phone, the keyboard would cover half of the messages.
    const isPhone = matchMedia('(hover: none) and (pointer: coarse)').matches;
    if (!isPhone) byId('text').focus({ preventScroll: true });
  }

  /** @param {string} text */
  showError(text) {
    byId('error').textContent = text;
  }

  /** Enables the button, or says why the text can't be sent. */
  #check() {
    const text = byId('text').value;
    const excess = text.length > SURELY_SHORT ? excessOf(text) : 0;
    byId('send').disabled = !text.trim() || excess > 0;
    if (excess) this.showError(`${TOO_LONG}${excess.toLocaleString()} characters. Shorten it, or send it in parts.`);
    else if (byId('error').textContent?.startsWith(TOO_LONG)) this.showError('');
  }

  async #send() {
    const peer = this.#peer;
    const text = byId('text').value;
    if (peer === null || byId('send').disabled) return;
    byId('text').value = '';
    this.showError('');
    this.#check();
    this.onSend();
    try {
      await this.chat.send(peer, text);
    } catch (error) {
      const { code, message } = /** @type {import('../chat-client.js').ChatError} */ (error);
      // A queued message shows its failure in the log. Another one goes back to the form.
      const isQueued = this.chat.conversation(peer).pending.some((entry) => entry.content === text);
      if (peer !== this.#peer || isQueued || code === 'closed') return;
      byId('text').value = text;
      this.showError(message);
      this.#check();
    }
  }
}
