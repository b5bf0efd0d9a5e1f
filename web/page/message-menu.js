// SPDX-License-Identifier: MIT
// `MessageMenu`: what a user can do with a message.

import { hasReacted, shownMessage } from './changes.js';
import { make } from './dom.js';

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

/** Of a reaction, in bytes of UTF-8. */
const MAX_REACTION_BYTES = 64;

/** @param {string} reaction */
const byteLength = (reaction) => new TextEncoder().encode(reaction).length;

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
   * @param {string} peer
   * @param {number} seq
   */
  toggle(anchor, peer, seq) {
    const shown = shownMessage(this.chat.conversation(peer), seq, this.chat.userId ?? '');
    if (this.#popup.isOpenAt(anchor) || !shown) return this.#popup.close();
    this.#show(anchor, peer, shown);
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
   * @param {string} peer
   * @param {Message} m
   */
  #show(anchor, peer, { seq, senderId, reactions }) {
    const me = this.chat.userId ?? '';
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
      const button = item(reaction, () => this.#react(peer, seq, reaction));
      button.setAttribute('role', 'menuitemcheckbox');
      button.setAttribute('aria-checked', String(hasReacted(reactions, reaction, me)));
      button.setAttribute('aria-label', name);
      button.title = name;
      picker.append(button);
    }
    const other = item('Other reaction …', () => this.#askForReaction(anchor, peer, seq));
    const items = [picker, other, item('Reply', () => this.#compose(() => this.composer.reply(seq)))];
    if (senderId === me) {
      items.push(
        item('Edit', () => this.#compose(() => this.composer.edit(seq))),
        item('Delete', () => this.#askForDeletion(anchor, peer, seq)),
      );
    }
    const buttons = items.flatMap((node) => (node === picker ? [...node.children] : [node]));
    for (const node of items) node.onkeydown = (event) => moveIn(/** @type {HTMLElement[]} */ (buttons), event);
    for (const button of buttons) /** @type {HTMLElement} */ (button).tabIndex = -1;
    const focus = /** @type {HTMLElement} */ (buttons[0]);
    this.#popup.show(anchor, { role: 'menu', label: 'Message', children: items, focus });
  }

  /**
   * @param {string} peer
   * @param {number} seq
   * @param {string} reaction
   */
  #react(peer, seq, reaction) {
    this.#popup.close();
    this.actions.toggleReaction(peer, seq, reaction);
  }

  /** @param {() => void} work which moves the focus to the box */
  #compose(work) {
    this.#popup.close();
    work();
  }

  /**
   * @param {HTMLElement} anchor
   * @param {string} peer
   * @param {number} seq
   */
  #askForReaction(anchor, peer, seq) {
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
        if (reaction) this.#react(peer, seq, reaction);
        return;
      }
      error.textContent = 'Too long. Shorten it to a few words.';
      this.#popup.place();
    });
    this.#popup.show(anchor, { role: 'dialog', label: 'Reaction', children: [form], focus: input });
  }

  /**
   * @param {HTMLElement} anchor
   * @param {string} peer
   * @param {number} seq
   */
  #askForDeletion(anchor, peer, seq) {
    const cancel = make('button', '', 'Cancel');
    cancel.onclick = () => this.#popup.close();
    const remove = make('button', 'danger', 'Delete');
    remove.onclick = () => {
      this.#popup.close();
      this.actions.delete(peer, seq);
    };
    const whose = peer === this.chat.userId ? '' : ' for both of you';
    const question = make('div', '', `Delete this message${whose}?`);
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
