// SPDX-License-Identifier: MIT
// Sign-in: by name, or by token if the service requires one.

import { byId } from './dom.js';
import { problemOfName } from './names.js';
import { isForeign, pageAddress, serviceName } from './service.js';
import { forget, kept } from './storage.js';

/** @typedef {{ userId: string } | { token: string, userClaim?: string }} Identity */

/**
 * Calls `start` with the identity from the address or this tab's storage; without one, when the form was submitted.
 *
 * @param {(identity: Identity) => void} start
 */
export function signIn(start) {
  const token = takeToken() ?? kept('token');
  addEventListener('hashchange', () => {
    if (takeToken()) location.reload();
  });
  byId('name-service').textContent = isForeign ? `You connect to ${serviceName}.` : '';
  byId('token-service').textContent = serviceName;
  byId('back-to-name').href = pageAddress();
  byId('back-to-name').onclick = forget;
  byId('name-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = byId('name').value.trim();
    const problem = problemOfName(name);
    byId('name-error').textContent = problem;
    if (!problem) startWithName(name, start);
  });
  byId('token-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const entered = byId('token').value.trim();
    const problem = problemOfToken(entered);
    byId('token-error').textContent = problem;
    if (problem) return;
    kept('token', entered);
    location.reload();
  });
  if (!token) return signInByName(start);
  const problem = problemOfToken(token);
  if (problem) askForToken(problem);
  else start({ token, userClaim: kept('claim') || undefined });
}

/** @param {string} token */
const problemOfToken = (token) =>
  /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)
    ? ''
    : 'This is not a token. A token begins with “eyJ” and has three parts, separated by dots.';

/** @param {(identity: Identity) => void} start */
function signInByName(start) {
  const name = new URLSearchParams(location.search).get('userId') ?? kept('name') ?? '';
  const problem = problemOfName(name);
  if (!problem) return startWithName(name, start);
  byId('name-form').hidden = false;
  if (name) {
    byId('name').value = name;
    byId('name-error').textContent = problem;
  }
  byId('name').focus();
}

/**
 * @param {string} userId
 * @param {(identity: Identity) => void} start
 */
function startWithName(userId, start) {
  kept('name', userId);
  byId('name-form').hidden = true;
  start({ userId });
}

/**
 * Moves a token from the address's fragment, which browsers do not send to servers, to this tab's storage. So it is
 * neither in the history nor on the screen.
 */
function takeToken() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get('token')?.trim();
  if (token === undefined) return undefined;
  history.replaceState(null, '', location.pathname + location.search);
  kept('token', token);
  kept('claim', fragment.get('claim') ?? '');
  return token;
}

/**
 * Shows the form for a token instead of the conversations.
 *
 * @param {string} reason why the last token was refused; empty without one
 */
export function askForToken(reason) {
  byId('messenger').hidden = true;
  byId('name-form').hidden = true;
  byId('token-form').hidden = false;
  byId('token-error').textContent = reason;
  byId('token').focus();
}

/** Shows the conversations instead of the form for a token. */
export function showMessenger() {
  byId('token-form').hidden = true;
  byId('messenger').hidden = false;
}
