// SPDX-License-Identifier: MIT
// The client's time limits and delays.

/** In milliseconds. API Gateway ends a connection after two hours, or after ten minutes without a frame. */
export const TIMES = {
  /** Limit of an upgrade, with cold starts of the authorizer and of `$connect`. */
  open: 15_000,
  /** Limit of a reply. */
  answer: 15_000,
  /** Limit of the reply to a ping that checks the connection. */
  check: 5_000,
  /** Without a frame, until a ping. Routers forget a connection after five minutes. */
  idle: 4 * 60_000,
  /** Of a connection, until it is renewed. */
  life: 110 * 60_000,
  /** Before the token expires, when the connection is renewed. */
  early: 60_000,
  /** Without a frame, until a sign of life of the user or the device checks the connection. */
  fresh: 30_000,
  /** Longest delay before the first attempt after a loss. Random, so that not all clients come back at once. */
  first: 3_000,
  /** Longest delay between attempts. */
  longest: 30_000,
  /** First delay after a refusal. */
  refused: 15_000,
  /** Longest delay after a refusal. */
  refusedLongest: 60_000,
  /** Limit of an answer of the browser's storage; without it, entries are kept in memory. */
  storage: 1_500,
};
