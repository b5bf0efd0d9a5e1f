// SPDX-License-Identifier: MIT
// The focus, across drawings.

import { byId } from './dom.js';

/**
 * Draws the log. If what had the focus disappears, its message gets the focus, or else the log.
 *
 * @param {() => void} draw
 */
export function keepFocus(draw) {
  const log = byId('log');
  const active = document.activeElement;
  const message = log.contains(active) ? active?.closest('.message') : undefined;
  draw();
  if (message === undefined || (active?.isConnected && document.activeElement === active)) return;
  const next = message?.isConnected ? (message.querySelector('.act') ?? message) : byId('scroll');
  /** @type {HTMLElement} */ (next).focus({ preventScroll: true });
}
