// SPDX-License-Identifier: MIT
// `Reactions`: the reactions below a message. Each keeps its button, so that the focus stays.

import { hasReacted } from './changes.js';
import { make, place, setText } from './dom.js';
import { namesOf } from './group-sentences.js';
import { visible } from './names.js';

/** @typedef {import('../chat-client.js').Message} Message */

const EMOJI = /\p{Extended_Pictographic}|\p{Regional_Indicator}|\u20E3/u;

/**
 * A reaction as the page shows it. In an emoji, invisible characters have a meaning.
 *
 * @param {string} reaction
 */
export const shownReaction = (reaction) => (EMOJI.test(reaction) ? reaction : visible(reaction));

export class Reactions {
  node = make('div', 'reactions');
  /** @type {Map<string, HTMLElement>} */
  #buttons = new Map();

  /**
   * @param {string} me
   * @param {(reaction: string) => void} onToggle
   */
  constructor(me, onToggle) {
    this.me = me;
    this.onToggle = onToggle;
    this.node.setAttribute('role', 'group');
    this.node.setAttribute('aria-label', 'Reactions');
  }

  /**
   * @param {Message['reactions']} reactions
   * @param {Set<string>} waiting reactions of which a change is not stored yet
   * @param {boolean} mayReact
   * @returns {boolean} whether there are any
   */
  draw(reactions = {}, waiting, mayReact) {
    // The service gives them in no useful order. This one never changes.
    const shown = Object.entries(reactions).sort(([a], [b]) => (a < b ? -1 : 1));
    const buttons = shown.map(([reaction, users]) => this.#button(reaction, users, waiting.has(reaction)));
    for (const button of buttons) button.toggleAttribute('disabled', !mayReact);
    for (const reaction of this.#buttons.keys())
      if (!Object.hasOwn(reactions, reaction)) this.#buttons.delete(reaction);
    place(this.node, buttons);
    return shown.length > 0;
  }

  /**
   * @param {string} reaction
   * @param {string[]} users
   * @param {boolean} isWaiting
   */
  #button(reaction, users, isWaiting) {
    const button = this.#buttons.get(reaction) ?? this.#make(reaction);
    const isOwn = hasReacted({ [reaction]: users }, reaction, this.me);
    const who = namesOf(users, this.me);
    button.setAttribute('aria-pressed', String(isOwn));
    button.setAttribute('aria-label', `${shownReaction(reaction)} ${users.length}: ${who}`);
    button.title = `${shownReaction(reaction)}: ${who}`;
    button.toggleAttribute('data-waiting', isWaiting);
    setText(/** @type {Element} */ (button.lastElementChild), String(users.length));
    return button;
  }

  /** @param {string} reaction */
  #make(reaction) {
    const button = make('button', 'reaction', make('bdi', '', shownReaction(reaction)), make('span'));
    Object.assign(button, { type: 'button', tabIndex: -1, onclick: () => this.onToggle(reaction) });
    this.#buttons.set(reaction, button);
    return button;
  }
}
