// SPDX-License-Identifier: MIT
// `Popup`: a small box beside the button that opens it. There is one at a time.

import { byId } from './dom.js';
import { isComposing } from './keyboard.js';

/** Pixels between the box and its button, and the edges of the window. */
const GAP = 6;

export class Popup {
  #node = byId('popup');
  /** @type {HTMLElement | undefined} */
  #anchor;

  constructor() {
    this.#node.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || isComposing(event)) return;
      event.preventDefault();
      this.close();
    });
    this.#node.addEventListener('focusout', ({ relatedTarget }) => {
      // Without a target, the window has lost the focus, or a child was replaced.
      if (relatedTarget && !this.#node.contains(/** @type {Node} */ (relatedTarget))) this.close();
    });
    document.addEventListener('pointerdown', ({ target }) => {
      const isInside = [this.#node, this.#anchor].some((node) => node?.contains(/** @type {Node} */ (target)));
      if (!isInside) this.close();
    });
    byId('scroll').addEventListener('scroll', () => this.#onScroll());
    addEventListener('resize', () => this.place());
  }

  /** @param {HTMLElement} anchor */
  isOpenAt(anchor) {
    return this.#anchor === anchor;
  }

  /**
   * Shows these nodes beside a button, and moves the focus to one of them.
   *
   * @param {HTMLElement} anchor
   * @param {{ role: string, label: string, children: HTMLElement[], focus: HTMLElement | undefined }} content
   */
  show(anchor, { role, label, children, focus }) {
    if (this.#anchor !== anchor) this.close();
    this.#anchor = anchor;
    anchor.setAttribute('aria-expanded', 'true');
    this.#node.setAttribute('role', role);
    this.#node.setAttribute('aria-label', label);
    this.#node.hidden = false;
    this.#node.replaceChildren(...children);
    this.place();
    focus?.focus({ preventScroll: true });
  }

  /** The button gets the focus, if the box has it. */
  close() {
    const anchor = this.#anchor;
    if (!anchor) return;
    this.#anchor = undefined;
    anchor.setAttribute('aria-expanded', 'false');
    // Before the box is hidden, so that the focus never falls to the document.
    if (this.#node.contains(document.activeElement)) {
      (anchor.isConnected ? anchor : byId('scroll')).focus({ preventScroll: true });
    }
    this.#node.hidden = true;
    this.#node.replaceChildren();
  }

  /** A menu closes when its button leaves the screen. A question stays: the keyboard of a phone scrolls the log, too. */
  #onScroll() {
    const button = this.#anchor?.getBoundingClientRect();
    const area = byId('scroll').getBoundingClientRect();
    const isOff = button && (button.bottom < area.top || button.top > area.bottom);
    if (isOff && this.#node.getAttribute('role') === 'menu') this.close();
    else this.place();
  }

  /** Follows the button. Without it, the box closes. */
  place() {
    if (!this.#anchor) return;
    if (!this.#anchor.isConnected) return this.close();
    const button = this.#anchor.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.#node;
    const below = button.bottom + GAP;
    const top = below + height > innerHeight - GAP ? button.top - GAP - height : below;
    const left = button.left + button.width / 2 - width / 2;
    const { style } = this.#node;
    style.top = `${Math.max(GAP, Math.min(top, innerHeight - GAP - height))}px`;
    style.left = `${Math.max(GAP, Math.min(left, innerWidth - GAP - width))}px`;
  }
}
