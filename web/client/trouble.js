// What can go wrong, and how long to wait before the next attempt.

/**
 * Why something was not done.
 *
 * `code` is one of the service's (`bad_request`, `too_large`, `forbidden`, …) or of the client itself: `offline` (there
 * is no connection), `timeout` (no answer came), `closed` (`close()` was called), `discarded`.
 */
export class ChatError extends Error {
  /**
   * @param {string} code
   * @param {string} message what to change, or what happened
   * @param {number} [retryAfter] when the same may come again, in milliseconds, where the service has said so
   */
  constructor(code, message, retryAfter) {
    super(message);
    this.name = 'ChatError';
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** Worth the same again in a moment, on the same connection. */
const PASSING = ['unavailable', 'internal', 'timeout', 'rate_limited'];

/** The connection has to be made anew first, which happens by itself. */
const OF_THE_CONNECTION = ['offline', 'token_expired', 'unauthenticated', 'closed'];

/** @param {unknown} error @returns {string} */
const codeOf = (error) => (error instanceof ChatError ? error.code : '');

/** @param {unknown} error */
export const passes = (error) => PASSING.includes(codeOf(error));

/** @param {unknown} error */
export const isOfTheConnection = (error) => OF_THE_CONNECTION.includes(codeOf(error));

/** @param {unknown} error @param {string} code */
export const is = (error, code) => codeOf(error) === code;

/**
 * Doubles from `first` to `longest` milliseconds; somewhere in the upper half of it, so that clients that were thrown out
 * together do not come back together.
 *
 * @param {number} tries how often it has failed already
 * @param {number} first @param {number} longest
 */
export const backoff = (tries, first = 500, longest = 30_000) =>
  Math.min(longest, first * 2 ** Math.min(tries, 20)) * (0.5 + Math.random() / 2);

/**
 * Waits before the next attempt: as long as the service has said, or longer after each failure.
 *
 * @param {unknown} error @param {number} tries how often it has failed already
 */
export const rest = (error, tries) => {
  const told = error instanceof ChatError ? error.retryAfter : undefined;
  return pause(told === undefined ? backoff(tries) : told * (1 + Math.random() / 4));
};

/** @param {number} time in milliseconds @returns {Promise<void>} */
export const pause = (time) => new Promise((done) => { setTimeout(done, time); });
