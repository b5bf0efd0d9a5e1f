// SPDX-License-Identifier: MIT
// `Scrolling`: the scroll position of the log. It follows the end, or keeps what the user reads in its place.

import { byId } from './dom.js';

/** This many pixels from its end, the log counts as scrolled to the end. */
const END_TOLERANCE = 60;

export class Scrolling {
  #box = byId('scroll');
  /** Whether the log follows new messages. */
  isAtEnd = true;
  /** The scroll position that was set to show the end, in pixels; 0 before the next drawing sets it. */
  #endTop = 0;

  constructor() {
    new ResizeObserver(() => {
      if (this.isAtEnd && !this.#hasLeftEnd) this.#showEnd();
    }).observe(this.#box);
  }

  /** The height of what follows the visible part of the log, in pixels. */
  get #below() {
    const { scrollHeight, scrollTop, clientHeight } = this.#box;
    return scrollHeight - scrollTop - clientHeight;
  }

  /** Whether the user has scrolled up from the end, which the browser reports in the next frame only. */
  get #hasLeftEnd() {
    return this.#box.scrollTop < this.#endTop && !this.#isNearEnd;
  }

  get #isNearEnd() {
    return this.#below < END_TOLERANCE;
  }

  /** Whether less than a screen precedes what is visible. */
  get isNearTop() {
    return this.#box.scrollTop < this.#box.clientHeight;
  }

  /** Whether less than a screen follows what is visible. */
  get isNearBottom() {
    return this.#below < this.#box.clientHeight;
  }

  /** Whether the user can scroll. */
  get hasBar() {
    return this.#box.scrollHeight > this.#box.clientHeight;
  }

  /** The next drawing shows the end. */
  goToEnd() {
    this.isAtEnd = true;
    this.#endTop = 0;
  }

  /**
   * Takes in where the user has scrolled to, when the browser reports it.
   *
   * @param {boolean} hasEnd whether the newest message is in the document
   * @returns {boolean} whether the log begins or ceases to follow new messages
   */
  onScroll(hasEnd) {
    const wasAtEnd = this.isAtEnd;
    this.isAtEnd = hasEnd && this.#isNearEnd;
    return this.isAtEnd !== wasAtEnd;
  }

  /** Takes in where the user has scrolled to, before a drawing that does not wait for the report. */
  beforeDrawing() {
    if (this.#hasLeftEnd) this.isAtEnd = false;
  }

  /**
   * Draws the log, then shows its end if it follows new messages, or else keeps what is on the screen in its place.
   *
   * @param {() => void} draw
   */
  during(draw) {
    const anchor = this.isAtEnd ? undefined : this.#firstVisible;
    const before = anchor?.getBoundingClientRect().top ?? 0;
    draw();
    if (this.isAtEnd) this.#showEnd();
    else if (anchor?.isConnected) this.#box.scrollTop += anchor.getBoundingClientRect().top - before;
  }

  /** The first visible row. Not a heading: older messages are added below it, so it does not move with what is read. */
  get #firstVisible() {
    const { top } = this.#box.getBoundingClientRect();
    const rows = [...this.#box.querySelectorAll('#log > :not(.day)')];
    return rows.find((row) => row.getBoundingClientRect().bottom > top);
  }

  #showEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#endTop = this.#box.scrollTop;
  }
}
