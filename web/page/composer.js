// SPDX-License-Identifier: MIT
// `Composer`: the form that sends messages, and new texts of messages. It keeps a draft for each conversation.

import { excessOf } from '../client/limits.js';
import { isShown } from './actions.js';
import { shownMessage } from './changes.js';
import { drawContext } from './context.js';
import { byId } from './dom.js';
import { Drafts } from './drafts.js';
import { mentionsIn } from './mentions.js';

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
  #known;

  /**
   * @param {ChatClient} chat
   * @param {() => void} onSend is called before each message is queued
   */
  constructor(chat, onSend) {
    this.chat = chat;
    this.onSend = onSend;
    byId('compose').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    byId('text').addEventListener('input', () => this.#onInput());
    byId('compose').addEventListener('keydown', (event) => {
      if (event.target === byId('text') && isSending(event)) this.#submit();
      else if (event.key === 'Escape' && !isComposing(event) && !byId('context').hidden) this.#cancel();
      else return;
      event.preventDefault();
    });
    byId('context-cancel').onclick = () => this.#cancel();
  }

  /** With a token, the user is known only when a conversation is open. */
  get #drafts() {
    this.#known ??= new Drafts(this.chat.userId ?? '');
    return this.#known;
  }

  get #draft() {
    return this.#drafts.of(this.#peer ?? '');
  }

  /** @param {string | null} peer of the open conversation */
  open(peer) {
    this.#peer = peer;
    if (peer === null) return;
    this.showError('');
    this.#fill();
    if (!hasKeyboardOnScreen()) byId('text').focus({ preventScroll: true });
  }

  /** @param {string} text */
  showError(text) {
    byId('error').textContent = text;
  }

  /** Shows what the text is for, as that message is now. */
  draw() {
    if (this.#peer === null) return;
    const { edit } = this.#draft;
    if (edit && this.#shown(this.#peer, edit.seq)?.deleted) {
      this.#cancel();
      this.showError('The message that you were editing was deleted.');
      return;
    }
    const c = this.chat.conversation(this.#peer);
    drawContext(c, this.#draft, this.chat.userId ?? '', hasKeyboardOnScreen());
  }

  /**
   * The next message replies to this one.
   *
   * @param {number} seq
   */
  reply(seq) {
    this.#update({ replyTo: seq, edit: undefined });
    byId('text').focus();
  }

  /**
   * The box gets the text of an own message. What was written in it comes back afterwards.
   *
   * @param {number} seq
   */
  edit(seq) {
    if (this.#peer === null) return;
    const text = this.#shown(this.#peer, seq)?.content ?? '';
    this.#update({ edit: { seq, text } });
    byId('text').focus();
    byId('text').setSelectionRange(text.length, text.length);
  }

  /**
   * @param {string} peer
   * @param {number} seq
   */
  #shown(peer, seq) {
    return shownMessage(this.chat.conversation(peer), seq, this.chat.userId ?? '');
  }

  #cancel() {
    this.showError('');
    this.#update(this.#draft.edit ? { edit: undefined } : { replyTo: undefined });
    byId('text').focus();
  }

  /** @param {Partial<import('./drafts.js').Draft>} news */
  #update(news) {
    if (this.#peer === null) return;
    this.#drafts.update(this.#peer, news);
    this.#fill();
  }

  #onInput() {
    this.#check();
    if (this.#peer === null) return;
    const text = byId('text').value;
    const { edit } = this.#draft;
    this.#drafts.update(this.#peer, edit ? { edit: { ...edit, text } } : { text });
    if (!edit && text.trim()) this.chat.typing(this.#peer);
  }

  /** Puts the draft into the box. */
  #fill() {
    const { text, edit } = this.#draft;
    const shown = edit?.text ?? text;
    // The cursor jumps to the end of a text that is replaced.
    if (byId('text').value !== shown) byId('text').value = shown;
    this.#check();
    this.draw();
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

  #submit() {
    const text = byId('text').value;
    if (this.#peer === null || byId('send').disabled) return;
    this.showError('');
    const { edit } = this.#draft;
    if (edit) this.#save(this.#peer, { seq: edit.seq, text });
    else this.#send(this.#peer, text);
  }

  /**
   * @param {string} peer
   * @param {string} text
   */
  async #send(peer, text) {
    const { replyTo } = this.#draft;
    this.#update({ text: '', replyTo: undefined });
    this.onSend();
    try {
      await this.chat.send(peer, text, { replyTo, mentions: mentionsIn(text, peer) });
    } catch (error) {
      // A queued message shows its failure in the log. Another one goes back to the form.
      const isQueued = this.chat.conversation(peer).pending.some((entry) => entry.content === text);
      if (!isQueued) this.#restore(peer, error, { text, replyTo });
    }
  }

  /**
   * @param {string} peer
   * @param {{ seq: number, text: string }} edit
   */
  async #save(peer, edit) {
    const { seq, text } = edit;
    this.#update({ edit: undefined });
    if (this.#shown(peer, seq)?.content === text) return;
    try {
      await this.chat.edit(peer, seq, text);
    } catch (error) {
      if (!isShown(this.chat, peer, seq, 'edit')) this.#restore(peer, error, { edit });
    }
  }

  /**
   * @param {string} peer
   * @param {unknown} error
   * @param {Partial<import('./drafts.js').Draft>} draft that was not even queued
   */
  #restore(peer, error, draft) {
    const { code, message } = /** @type {import('../chat-client.js').ChatError} */ (error);
    if (code === 'closed' || code === 'discarded') return;
    this.#drafts.update(peer, draft);
    if (peer !== this.#peer) return;
    this.#fill();
    this.showError(message);
  }
}

/**
 * Whether an input method handles the key.
 *
 * @param {KeyboardEvent} event
 */
const isComposing = (event) => event.isComposing || event.keyCode === HANDLED_BY_INPUT_METHOD;

/**
 * Whether a key sends the message. Control or Command with Enter does so with every keyboard.
 *
 * @param {KeyboardEvent} event
 */
function isSending(event) {
  const { key, shiftKey, ctrlKey, metaKey } = event;
  if (key !== 'Enter' || isComposing(event)) return false;
  return ctrlKey || metaKey || !(shiftKey || hasKeyboardOnScreen());
}
