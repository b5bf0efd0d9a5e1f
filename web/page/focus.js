// SPDX-License-Identifier: MIT
// The focus, across drawings.

import { byId } from './dom.js';

/**
 * Draws a list. The focused element keeps the focus, even if it moves. If it disappears, `heirOf` chooses the next one.
 *
 * @param {HTMLElement} list
 * @param {() => void} draw
 * @param {(row: HTMLElement, active: HTMLElement) => Element | null} heirOf returns what gets the focus instead; the row may be
 *   gone, too
 */
export function keepFocus(list, draw, heirOf) {
  const active = /** @type {HTMLElement} */ (document.activeElement);
  const row = list.contains(active) ? active.closest('li') : null;
  draw();
  if (!row || document.activeElement === active) return;
  active.focus({ preventScroll: true });
  if (document.activeElement === active) return;
  /** @type {HTMLElement | null} */ (heirOf(row, active))?.focus({ preventScroll: true });
}

/** Whether the focus is in the conversation, or nowhere. */
export const isFocusInChat = () =>
  document.activeElement === document.body || byId('chat').contains(document.activeElement);
