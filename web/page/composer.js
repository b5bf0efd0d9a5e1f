// SPDX-License-Identifier: MIT
// `Composer`: the form that sends messages. It keeps a draft for each conversation.

import { excessOf } from '../client/limits.js';
import { byId } from './dom.js';
import { Drafts } from './drafts.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */

const TOO_LONG = 'Too long by about ';

/** Shorter texts are within the limit, so they are not measured. */
const SURELY_SHORT = 4_000;

/** What `keydown` reports for keys that the input method handles. Safari does so after the composition has ended. */
const HANDLED_BY_INPUT_METHOD = 229;

/** Whether the keyboard is on the screen, as on a phone. It has no Shift+Enter, and covers half of the messages. */
const hasKeyboardOnScreen = () => matchMedia('(hover: none) and (pointer: coarse)').matches;

export class Composer {
  /** @type {string | null} */
  #peer = null;
  /** @type {Drafts | undefined} */
  #drafts;

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
    byId('text').addEventListener('input', () => this.#onInput());
    byId('text').addEventListener('keydown', (event) => {
      if (!isSending(event)) return;
      event.preventDefault();
      this.#send();
    });
  }

  /** @param {string | null} peer of the open conversation */
  open(peer) {
    this.#peer = peer;
    if (peer === null) return;
    // With a token, the user is known only now.
    this.#drafts ??= new Drafts(this.chat.userId ?? '');
    this.showError('');
    byId('text').value = this.#drafts.of(peer);
    this.#check();
    this.#explainKeys();
    if (!hasKeyboardOnScreen()) byId('text').focus({ preventScroll: true });
  }

  /** @param {string} text */
  showError(text) {
    byId('error').textContent = text;
  }

  #explainKeys() {
    const keys = hasKeyboardOnScreen() ? 'The button sends it.' : 'Enter sends it. Shift and Enter start a new line.';
    byId('text-label').textContent = `Message. ${keys}`;
    byId('text').enterKeyHint = hasKeyboardOnScreen() ? 'enter' : 'send';
  }

  #onInput() {
    this.#check();
    if (this.#peer !== null) this.#drafts?.set(this.#peer, byId('text').value);
  }

  /** @param {string} text */
  #fill(text) {
    byId('text').value = text;
    this.#onInput();
  }

  /** Makes the box as high as its text, in browsers that can't do so by a style, such as Firefox. */
  #fit() {
    if (CSS.supports('field-sizing', 'content')) return;
    const box = byId('text');
    box.style.height = 'auto';
    const border = box.offsetHeight - box.clientHeight;
    box.style.height = `${box.scrollHeight + border}px`;
  }

  /** Enables the button, or says why the text can't be sent. */
  #check() {
    this.#fit();
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
    this.showError('');
    this.#fill('');
    this.onSend();
    try {
      await this.chat.send(peer, text);
    } catch (error) {
      const { code, message } = /** @type {import('../chat-client.js').ChatError} */ (error);
      // A queued message shows its failure in the log. Another one goes back to the form.
      const isQueued = this.chat.conversation(peer).pending.some((entry) => entry.content === text);
      if (isQueued || code === 'closed') return;
      if (peer !== this.#peer) return this.#drafts?.set(peer, text);
      this.showError(message);
      this.#fill(text);
    }
  }
}

/**
 * Whether a key sends the message. Control or Command with Enter does so with every keyboard.
 *
 * @param {KeyboardEvent} event
 */
function isSending({ key, keyCode, isComposing, shiftKey, ctrlKey, metaKey }) {
  if (key !== 'Enter' || isComposing || keyCode === HANDLED_BY_INPUT_METHOD) return false;
  return ctrlKey || metaKey || !(shiftKey || hasKeyboardOnScreen());
}
