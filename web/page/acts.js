// SPDX-License-Identifier: MIT
// Tells slow work that the user has done something else meanwhile.

/**
 * @returns {AbortSignal} aborted at the next act of the user
 */
export function nextAct() {
  const next = new AbortController();
  const { signal } = next;
  for (const type of ['pointerdown', 'keydown', 'input', 'wheel', 'popstate']) {
    addEventListener(type, () => next.abort(), { capture: true, passive: true, signal });
  }
  return signal;
}
