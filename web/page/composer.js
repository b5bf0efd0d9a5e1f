// SPDX-License-Identifier: MIT
// `Composer`: the form that sends messages, and new texts of messages. It keeps a draft for each conversation.

import { excessOf } from '../client/limits.js';
import { nameOf } from '../client/peers.js';
import { isShown } from './actions.js';
import { shownMessage } from './changes.js';
import { drawContext } from './context.js';
import { byId, setText } from './dom.js';
import { Drafts } from './drafts.js';
import { isGivenUp } from './failures.js';
import { hasKeyboardOnScreen, isComposing } from './keyboard.js';
import { MentionSuggestions } from './mention-suggestions.js';
import { hasAt, mentionsIn } from './mentions.js';
import { isLeaving, reasonNotToSend } from './rights.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */

const TOO_LONG = 'Too long by about ';

/** Shorter texts are within the limit, so they are not measured. */
const SURELY_SHORT = 4_000;

export class Composer {
  /**
   * The key of the open conversation.
   *
   * @type {string | null}
   */
  #key = null;
  /** @type {Drafts | undefined} */
  #known;
  #suggestions = new MentionSuggestions(() => this.#suggested);

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
      const isInText = event.target === byId('text');
      if (isInText && !isComposing(event) && this.#suggestions.onKey(event)) event.stopPropagation();
      else if (isInText && isSending(event)) this.#submit();
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
    return this.#drafts.of(this.#key ?? '');
  }

  /** @param {string | null} key of the open conversation */
  open(key) {
    this.#key = key;
    if (key === null) return;
    this.showError('');
    this.#fill();
    if (!hasKeyboardOnScreen()) byId('text').focus({ preventScroll: true });
    // In a narrow window, the list with the focused row is hidden now.
    const hasFocus = document.activeElement === byId('text');
    if (!hasFocus && document.activeElement !== document.body) byId('scroll').focus({ preventScroll: true });
  }

  /** @param {string} text */
  showError(text) {
    byId('error').textContent = text;
  }

  /** Shows what the text is for, as that message is now. */
  draw() {
    if (this.#key === null) return;
    const { edit } = this.#draft;
    if (edit && this.#shown(this.#key, edit.seq)?.deleted) {
      this.#cancel();
      this.showError('The message that you were editing was deleted.');
      return;
    }
    this.#suggestions.refresh();
    const c = this.chat.conversation(nameOf(this.#key));
    drawContext(c, this.#draft, this.chat.userId ?? '', hasKeyboardOnScreen());
    this.#drawRight(c);
    this.#drawMembersHint(c);
  }

  /**
   * Without the right to send, the form says why. A member may still edit what they wrote.
   *
   * @param {import('../chat-client.js').Conversation} c
   */
  #drawRight(c) {
    const me = this.chat.userId ?? '';
    const mayEdit = this.#draft.edit !== undefined && !isLeaving(c, me);
    const reason = mayEdit ? '' : reasonNotToSend(c, me);
    const form = byId('compose');
    // The focus must not fall to the document.
    if (reason && form.contains(document.activeElement)) byId('scroll').focus({ preventScroll: true });
    form.toggleAttribute('data-closed', reason !== '');
    setText(byId('compose-closed'), reason);
  }

  /**
   * Without the members of a group, a text mentions no one. An edit never mentions anyone.
   *
   * @param {import('../chat-client.js').Conversation} c
   */
  #drawMembersHint({ group }) {
    const isLoading = group !== undefined && !group.left && !group.members;
    const isMissed = isLoading && !this.#draft.edit && hasAt(byId('text').value);
    setText(byId('members-hint'), isMissed ? 'Members are still loading, so @ does not mention anyone yet.' : '');
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
    if (this.#key === null) return;
    const { edit } = this.#draft;
    const text = edit?.seq === seq ? edit.text : (this.#shown(this.#key, seq)?.content ?? '');
    this.#update({ edit: { seq, text } });
    putCursor(text.length);
  }

  /**
   * A message that was refused goes back into the box, before what is written there.
   *
   * @param {string} key of the conversation
   * @param {import('../chat-client.js').Entry} entry
   */
  async takeBack(key, { clientMessageId, content, replyTo }) {
    // Another tab may have sent or discarded it.
    if (!(await this.chat.discard(clientMessageId))) return;
    const draft = this.#drafts.of(key);
    const text = draft.text ? `${content}\n${draft.text}` : content;
    this.#drafts.update(key, { text, replyTo: replyTo ?? draft.replyTo, edit: undefined });
    if (key !== this.#key) return;
    this.#fill();
    putCursor(content.length);
  }

  /**
   * @param {string} key of the conversation
   * @param {number} seq
   */
  #shown(key, seq) {
    return shownMessage(this.chat.conversation(nameOf(key)), seq, this.chat.userId ?? '');
  }

  #cancel() {
    this.showError('');
    this.#update(this.#draft.edit ? { edit: undefined } : { replyTo: undefined });
    byId('text').focus();
  }

  /** @param {Partial<import('./drafts.js').Draft>} news */
  #update(news) {
    if (this.#key === null) return;
    this.#drafts.update(this.#key, news);
    this.#fill();
  }

  #onInput() {
    this.#check();
    if (this.#key === null) return;
    const text = byId('text').value;
    const { edit } = this.#draft;
    this.#drafts.update(this.#key, edit ? { edit: { ...edit, text } } : { text });
    this.#drawMembersHint(this.chat.conversation(nameOf(this.#key)));
    if (!edit && text.trim()) this.chat.typing(nameOf(this.#key));
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
    if (this.#key === null || byId('send').disabled) return;
    this.showError('');
    const { edit } = this.#draft;
    if (edit) this.#save(this.#key, { seq: edit.seq, text });
    else this.#send(this.#key, text);
  }

  /**
   * @param {string} key of the conversation
   * @param {string} text
   */
  async #send(key, text) {
    const { replyTo } = this.#draft;
    this.#update({ text: '', replyTo: undefined });
    this.onSend();
    try {
      await this.chat.send(nameOf(key), text, { replyTo, mentions: this.#mentions(key, text) });
    } catch (error) {
      // A queued message shows its failure in the log. Another one goes back to the form.
      const isQueued = this.chat.conversation(nameOf(key)).pending.some((entry) => entry.content === text);
      if (!isQueued) this.#restore(key, error, { text, replyTo });
    }
  }

  /**
   * @param {string} key of the conversation
   * @param {string} text
   */
  #mentions(key, text) {
    return mentionsIn(text, this.#mentionable(key));
  }

  /** @param {string} key of the conversation */
  #mentionable(key) {
    const { peer, group } = this.chat.conversation(nameOf(key));
    return peer === undefined ? (group?.members ?? []).map(({ userId }) => userId) : [peer];
  }

  /** The other members. An edit has no mentions of its own. */
  get #suggested() {
    if (this.#key === null || nameOf(this.#key).groupId === undefined || this.#draft.edit) return [];
    return this.#mentionable(this.#key).filter((user) => user !== this.chat.userId);
  }

  /**
   * @param {string} key of the conversation
   * @param {{ seq: number, text: string }} edit
   */
  async #save(key, edit) {
    const { seq, text } = edit;
    this.#update({ edit: undefined });
    if (this.#shown(key, seq)?.content === text) return;
    try {
      await this.chat.edit(nameOf(key), seq, text);
    } catch (error) {
      if (!isShown(this.chat, key, seq, 'edit')) this.#restore(key, error, { edit });
    }
  }

  /**
   * @param {string} key of the conversation
   * @param {unknown} error
   * @param {Partial<import('./drafts.js').Draft>} draft that was not even queued
   */
  #restore(key, error, draft) {
    const refusal = /** @type {import('../chat-client.js').ChatError} */ (error);
    if (isGivenUp(refusal)) return;
    this.#drafts.update(key, draft);
    if (key !== this.#key) return;
    this.#fill();
    this.showError(refusal.message);
  }
}

/**
 * Focuses the box, with the cursor at a place.
 *
 * @param {number} place
 */
function putCursor(place) {
  byId('text').focus();
  byId('text').setSelectionRange(place, place);
}

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
