// SPDX-License-Identifier: MIT
// Signs that the device or the network came back, or that the user is there. After a sleep the connection may be dead
// without a word.

import { moment, since } from './clock.js';

/** A timer that is late by this much means that the device slept, in milliseconds. */
const SLEEP = 20_000;

/**
 * Reports signs until the returned function is called.
 *
 * @param {object} options
 * @param {() => void} options.onSign of the device or the network
 * @param {() => void} options.onAct of the user, on a visible page
 * @param {() => void} options.onOffline is called when the browser reports that the network is gone
 * @returns {() => void}
 */
export function listenForSigns({ onSign, onAct, onOffline }) {
  /** @type {(() => void)[]} */
  const removals = [];
  /**
   * @param {EventTarget | undefined} target
   * @param {string} type
   * @param {() => void} listener
   */
  const on = (target, type, listener) => {
    target?.addEventListener?.(type, listener);
    removals.push(() => target?.removeEventListener?.(type, listener));
  };
  const act = () => {
    if (!globalThis.document?.hidden) onAct();
  };
  const global = /** @type {any} */ (globalThis); // in Node.js it is no EventTarget
  on(global, 'online', onSign);
  on(global, 'offline', onOffline);
  on(globalThis.document, 'resume', onSign);
  on(globalThis.document, 'visibilitychange', act);
  for (const type of ['pageshow', 'focus', 'pointerdown', 'keydown']) on(global, type, act);
  let last = moment();
  const timer = setInterval(() => {
    if (since(last) > SLEEP) onSign();
    last = moment();
  }, SLEEP / 4);
  /** @type {any} */ (timer).unref?.(); // otherwise Node.js does not exit
  removals.push(() => clearInterval(timer));
  return () => {
    for (const remove of removals) remove();
  };
}
