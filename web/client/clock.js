// SPDX-License-Identifier: MIT
// Elapsed time. A clock may be set back, and a timer may stand still while a device sleeps, so both are asked.

/** @typedef {{ date: number, ticks: number }} Moment */

/** @returns {Moment} */
export const moment = () => ({ date: Date.now(), ticks: performance.now() });

/**
 * @param {Moment} then
 * @returns {number} milliseconds
 */
export const since = (then) => Math.max(Date.now() - then.date, performance.now() - then.ticks);
