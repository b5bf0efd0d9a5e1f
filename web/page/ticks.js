// SPDX-License-Identifier: MIT
// The state of an own message, as an icon with a name.

import { icon } from './dom.js';

const TICKS = {
  queued: { path: 'M10 5v5l3 2M17 10a7 7 0 1 1-14 0 7 7 0 0 1 14 0', name: 'waiting to be sent' },
  sent: { path: 'M4 10l4 4 8-8', name: 'sent' },
  read: { path: 'M1 10l4 4 8-8M9 13l1 1 8-8', name: 'read' },
  failed: { path: 'M10 6v5M10 14v.1M17 10a7 7 0 1 1-14 0 7 7 0 0 1 14 0', name: 'not sent' },
};

/** @typedef {keyof typeof TICKS} State */

/** @param {State} state */
export const tick = (state) => icon(TICKS[state].path, TICKS[state].name);
