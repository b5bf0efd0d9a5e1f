// Sign-in: by name, or by token if the service requires one.

import { problemOf } from '../client/limits.js';
import { byId } from './dom.js';
import { stored } from './storage.js';

/** @typedef {{ userId: string } | { token: string, userClaim?: string }} Identity */

/**
 * Calls `start` with the identity from the address or this tab's storage; without one, when the form was submitted.
 *
 * @param {(identity: Identity) => void} start
 */
export function signIn(start) {
  const token = takeToken() ?? stored('sessionStorage', 'token');
  addEventListener('hashchange', () => {
    if (takeToken()) location.reload();
  });
  byId('name-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = byId('name').value.trim();
    const problem = problemOf(name, 'A name');
    byId('name-error').textContent = problem;
    if (!problem) startWithName(name, start);
  });
  byId('token-form').addEventListener('submit', (event) => {
    event.preventDefault();
    stored('sessionStorage', 'token', byId('token').value.trim());
    location.reload();
  });
  if (token) start({ token, userClaim: stored('sessionStorage', 'claim') || undefined });
  else signInByName(start);
}

/** @param {(identity: Identity) => void} start */
function signInByName(start) {
  const name = new URLSearchParams(location.search).get('userId') ?? stored('sessionStorage', 'name') ?? '';
  const problem = problemOf(name, 'A name');
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
  stored('sessionStorage', 'name', userId);
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
  stored('sessionStorage', 'token', token);
  stored('sessionStorage', 'claim', fragment.get('claim') ?? '');
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

/** Forgets the identity. The caller reloads the page. */
export function signOut() {
  for (const key of ['name', 'token', 'claim']) stored('sessionStorage', key, '');
}
