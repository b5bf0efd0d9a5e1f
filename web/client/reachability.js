// SPDX-License-Identifier: MIT
// Reachability of the service over HTTP, which tells a refused upgrade from a network failure.

/**
 * Requests `address` without credentials, user or token.
 *
 * @param {string} address
 * @param {typeof globalThis.fetch | undefined} get
 * @param {number} limit in milliseconds
 * @returns {Promise<boolean>}
 */
export async function isReachable(address, get, limit) {
  if (!get || globalThis.navigator?.onLine === false) return false;
  try {
    const signal = AbortSignal.timeout(limit);
    const response = await get(address, { mode: 'no-cors', cache: 'no-store', credentials: 'omit', signal });
    return response.type === 'opaque' || (response.status < 500 && response.status !== 429);
  } catch {
    return false;
  }
}
