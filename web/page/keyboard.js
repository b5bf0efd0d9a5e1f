// SPDX-License-Identifier: MIT
// The keyboard: whether it is on the screen, and what an input method does with its keys.

/** What `keydown` reports for keys that the input method handles. Safari does so after the composition has ended. */
const HANDLED_BY_INPUT_METHOD = 229;

/**
 * Whether an input method handles the key.
 *
 * @param {KeyboardEvent} event
 */
export const isComposing = (event) => event.isComposing || event.keyCode === HANDLED_BY_INPUT_METHOD;

/** Whether the keyboard is on the screen, as on a phone. It has no Shift+Enter, and covers half of the messages. */
export const hasKeyboardOnScreen = () => matchMedia('(hover: none) and (pointer: coarse)').matches;
