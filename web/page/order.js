// SPDX-License-Identifier: MIT
// Messages by number. Messages are in the order of `seq`, but not dense, because changes have numbers, too.

/** @typedef {import('../chat-client.js').Message} Message */

/**
 * @param {readonly Message[]} messages
 * @param {number} seq
 * @returns {number} the index of the first message with this number or a larger one
 */
export function indexFrom(messages, seq) {
  let low = 0;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (messages[middle].seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * @param {readonly Message[]} messages
 * @param {number} seq
 * @returns {Message | undefined} the message with this number, if it is held
 */
export function messageAt(messages, seq) {
  const m = messages[indexFrom(messages, seq)];
  return m?.seq === seq ? m : undefined;
}
