// SPDX-License-Identifier: MIT
// Reads the claims of a JWT, without checking its signature: the service does that.

import { ChatError } from './errors.js';

/**
 * Checks what the option `token` returned.
 *
 * @param {unknown} token
 * @returns {string}
 */
export function checkedToken(token) {
  let problem = '';
  if (typeof token !== 'string' || !token) problem = `is ${token === '' ? 'empty' : `of type ${typeof token}`}`;
  else if (/^Bearer\s/i.test(token)) problem = 'begins with "Bearer"';
  else if (/\s/.test(token)) problem = 'contains white space';
  if (problem) throw new ChatError('bad_request', `The token ${problem}. Return the JWT and nothing else.`);
  return /** @type {string} */ (token);
}

/**
 * @param {string} token
 * @returns {Record<string, any>} empty if the token is not a JWT
 */
export function claimsOf(token) {
  try {
    const part = atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(part, (c) => c.charCodeAt(0)))) ?? {};
  } catch {
    return {};
  }
}
