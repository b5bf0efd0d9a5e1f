// SPDX-License-Identifier: MIT
// What the user does, for work that ends later and must not disturb them then.

/**
 * Is aborted when the user does something.
 *
 * @returns {AbortSignal}
 */
export function nextAct() {
  const next = new AbortController();
  const { signal } = next;
  for (const type of ['pointerdown', 'keydown', 'input', 'wheel', 'popstate']) {
    addEventListener(type, () => next.abort(), { capture: true, passive: true, signal });
  }
  return signal;
}
