// SPDX-License-Identifier: MIT
// `MessageMenu`: what a user can do with a message.

import { byteLength, MAX_REACTION_BYTES } from '../client/limits.js';
import { nameOf } from '../client/peers.js';
import { hasReacted, shownMessage } from './changes.js';
import { make } from './dom.js';
import { visible } from './names.js';
import { mayDeleteOfOthers, reasonNotToSend } from './rights.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Message} Message */
/** @typedef {import('./actions.js').Actions} Actions */

/** The reactions that the menu offers, with their names for screen readers. */
const OFFERED = [
  ['👍', 'thumbs up'],
  ['❤️', 'heart'],
  ['😂', 'tears of joy'],
  ['🎉', 'party'],
  ['😮', 'surprised'],
  ['😢', 'sad'],
  ['🙏', 'thank you'],
];

export class MessageMenu {
  #popup;

  /**
   * @param {ChatClient} chat
   * @param {Actions} actions
   * @param {import('./composer.js').Composer} composer
   * @param {import('./popup.js').Popup} popup
   */
  constructor(chat, actions, composer, popup) {
    this.chat = chat;
    this.#popup = popup;
    this.actions = actions;
    this.composer = composer;
  }

  /**
   * Opens the menu, or closes it if it is open.
   *
   * @param {HTMLElement} anchor the button of the message
   * @param {string} key of the conversation
   * @param {number} seq
   */
  toggle(anchor, key, seq) {
    const shown = shownMessage(this.chat.conversation(nameOf(key)), seq, this.chat.userId ?? '');
    if (this.#popup.isOpenAt(anchor) || !shown) return this.#popup.close();
    this.#show(anchor, key, shown);
  }

  /** Follows the message after a drawing; closes if it has no menu any more. */
  follow() {
    this.#popup.place();
  }

  close() {
    this.#popup.close();
  }

  /**
   * @param {HTMLElement} anchor
   * @param {string} key of the conversation
   * @param {Message} m
   */
  #show(anchor, key, m) {
    const { seq, senderId, reactions } = m;
    const me = this.chat.userId ?? '';
    const c = this.chat.conversation(nameOf(key));
    const { group } = c;
    /**
     * @param {string} label
     * @param {() => void} act
     */
    const item = (label, act) => {
      const button = make('button', '', label);
      button.setAttribute('role', 'menuitem');
      button.onclick = act;
      return button;
    };
    const picker = make('div', 'picker');
    picker.setAttribute('role', 'group');
    picker.setAttribute('aria-label', 'React');
    for (const [reaction, name] of OFFERED) {
      const button = item(reaction, () => this.#react(key, seq, reaction));
      button.setAttribute('role', 'menuitemcheckbox');
      button.setAttribute('aria-checked', String(hasReacted(reactions, reaction, me)));
      button.setAttribute('aria-label', name);
      button.title = name;
      picker.append(button);
    }
    const isMine = senderId === me;
    const items = [picker, item('Other reaction …', () => this.#askForReaction(anchor, key, seq))];
    if (!reasonNotToSend(c, me)) items.push(item('Reply', () => this.#compose(() => this.composer.reply(seq))));
    if (group && isMine) items.push(item('Read by …', () => this.#showReaders(anchor, key, m)));
    if (isMine) items.push(item('Edit', () => this.#compose(() => this.composer.edit(seq))));
    if (isMine || mayDeleteOfOthers(group)) items.push(item('Delete', () => this.#askForDeletion(anchor, key, seq)));
    const buttons = items.flatMap((node) => (node === picker ? [...node.children] : [node]));
    for (const node of items) node.onkeydown = (event) => moveIn(/** @type {HTMLElement[]} */ (buttons), event);
    for (const button of buttons) /** @type {HTMLElement} */ (button).tabIndex = -1;
    const focus = /** @type {HTMLElement} */ (buttons[0]);
    this.#popup.show(anchor, { role: 'menu', label: 'Message', children: items, focus });
  }

  /**
   * @param {string} key of the conversation
   * @param {number} seq
   * @param {string} reaction
   */
  #react(key, seq, reaction) {
    this.#popup.close();
    this.actions.toggleReaction(key, seq, reaction);
  }

  /** @param {() => void} work which moves the focus to the box */
  #compose(work) {
    this.#popup.close();
    work();
  }

  /**
   * @param {HTMLElement} anchor
   * @param {string} key of the conversation
   * @param {number} seq
   */
  #askForReaction(anchor, key, seq) {
    const input = /** @type {HTMLInputElement} */ (make('input'));
    Object.assign(input, { id: 'reaction', autocomplete: 'off', dir: 'auto', required: true });
    const label = make('label', '', 'React with an emoji or a short text');
    label.setAttribute('for', 'reaction');
    const error = make('p', 'error');
    error.setAttribute('role', 'alert');
    const form = make('form', 'ask', label, input, make('button', 'primary', 'React'), error);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const reaction = input.value.trim();
      if (byteLength(reaction) <= MAX_REACTION_BYTES) {
        if (reaction) this.#react(key, seq, reaction);
        return;
      }
      error.textContent = 'Too long. Shorten it to a few words.';
      this.#popup.place();
    });
    this.#popup.show(anchor, { role: 'dialog', label: 'Reaction', children: [form], focus: input });
  }

  /**
   * Shows which members have read an own message. In a large group, the service tells it only when it is asked.
   *
   * @param {HTMLElement} anchor
   * @param {string} key of the conversation
   * @param {Message} m
   */
  async #showReaders(anchor, key, m) {
    const heading = make('strong', '', 'Read by');
    const readers = make('ul');
    const close = make('button', '', 'Close');
    close.onclick = () => this.#popup.close();
    const content = make('div', 'ask', heading, readers, close);
    this.#popup.show(anchor, { role: 'dialog', label: 'Read by', children: [content], focus: close });
    const draw = (/** @type {string} */ none) => {
      const names = this.chat
        .readersOf(m)
        .sort()
        .map((user) => make('bdi', '', visible(user)));
      readers.replaceChildren(
        ...(names.length ? names.map((name) => make('li', '', name)) : [make('li', 'soft', none)]),
      );
      this.#popup.place();
    };
    draw('Loading …');
    try {
      await this.chat.loadGroup(nameOf(key), { readPositions: true });
      draw('No one yet');
    } catch (error) {
      draw(/** @type {Error} */ (error).message);
    }
  }

  /**
   * @param {HTMLElement} anchor
   * @param {string} key of the conversation
   * @param {number} seq
   */
  #askForDeletion(anchor, key, seq) {
    const cancel = make('button', '', 'Cancel');
    cancel.onclick = () => this.#popup.close();
    const remove = make('button', 'danger', 'Delete');
    remove.onclick = () => {
      this.#popup.close();
      this.actions.delete(key, seq);
    };
    const { peer } = nameOf(key);
    const forWhom = peer === this.chat.userId ? '' : peer === undefined ? ' for all members' : ' for both of you';
    const question = make('div', '', `Delete this message${forWhom}?`);
    const form = make('div', 'ask', question, cancel, remove);
    const label = question.textContent ?? '';
    this.#popup.show(anchor, { role: 'alertdialog', label, children: [form], focus: cancel });
  }
}

/** How far each key moves in a menu. */
const STEPS = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 });

/**
 * Moves the focus in a menu, from its end to its beginning, too.
 *
 * @param {HTMLElement[]} buttons
 * @param {KeyboardEvent} event
 */
function moveIn(buttons, event) {
  const at = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const { length } = buttons;
  const step = STEPS[event.key];
  const next = { Home: 0, End: length - 1 }[event.key] ?? (step && (at + step + length) % length);
  if (next === undefined) return;
  event.preventDefault();
  buttons[next].focus();
}
