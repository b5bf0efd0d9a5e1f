// SPDX-License-Identifier: MIT
// Errors of the client, and the delays between attempts.

/**
 * The reason why an operation failed.
 *
 * `code` is one of the service's codes (`bad_request`, `too_large`, `forbidden`, …) or one of the client's own:
 * `offline` (there is no connection), `timeout` (no reply came in time), `closed` (`close()` was called), `discarded`
 * (`discard()` was called).
 */
export class ChatError extends Error {
  /**
   * @param {string} code
   * @param {string} message what to change, or what happened
   * @param {number} [retryAfter] milliseconds after which the request may be repeated, if the service gave them
   */
  constructor(code, message, retryAfter) {
    super(message);
    this.name = 'ChatError';
    this.code = /** @type {import('../chat-client.js').ErrorCode} */ (code);
    if (retryAfter !== undefined) this.retryAfter = retryAfter;
  }
}

/** The same request may succeed a moment later, on the same connection. */
const RETRYABLE = ['unavailable', 'internal', 'timeout', 'rate_limited'];

/** The request needs a new connection, which the client opens by itself. */
const CONNECTION = ['offline', 'token_expired', 'unauthenticated', 'closed'];

/**
 * @param {unknown} error
 * @param {...string} codes
 */
export const hasCode = (error, ...codes) => error instanceof ChatError && codes.includes(error.code);

/** @param {unknown} error */
export const isRetryable = (error) => hasCode(error, ...RETRYABLE);

/** @param {unknown} error */
export const isConnectionError = (error) => hasCode(error, ...CONNECTION);

/**
 * Exponential backoff with jitter: doubles from `first` up to `longest`. The delay is random within its upper half, so
 * that clients that lost their connections together do not reconnect together.
 *
 * @param {number} failures number of failed attempts so far
 * @param {number} [first] in milliseconds
 * @param {number} [longest] in milliseconds
 * @returns {number} in milliseconds
 */
export const backoffDelay = (failures, first = 500, longest = 30_000) =>
  Math.min(longest, first * 2 ** Math.min(failures, 20)) * (0.5 + Math.random() / 2);

/**
 * The delay before the next attempt: the service's `retryAfter` plus up to a quarter, or exponential backoff.
 *
 * @param {unknown} error
 * @param {number} failures number of failed attempts so far
 * @returns {number} in milliseconds
 */
export const delayAfter = (error, failures) => {
  const retryAfter = error instanceof ChatError ? error.retryAfter : undefined;
  return retryAfter === undefined ? backoffDelay(failures) : retryAfter * (1 + Math.random() / 4);
};

/**
 * @param {number} milliseconds
 * @returns {Promise<void>}
 */
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * @template T
 * @param {number} limit in milliseconds
 * @param {Promise<T>} work
 * @param {string} [message] of the error if it takes longer
 * @returns {Promise<T>}
 */
export const within = (limit, work, message = 'It took too long.') =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new ChatError('timeout', message)), limit);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
