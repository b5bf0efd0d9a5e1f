// Who comes in: by a name, or by a token where the service asks for one.

import { problemOf } from '../client/limits.js';

const $ = (/** @type {string} */ id) => /** @type {HTMLElement & HTMLInputElement} */ (document.getElementById(id));

/** Storage may be forbidden; the page works without it. @param {'localStorage' | 'sessionStorage'} store @param {string} key @param {string} [value] */
export function stored(store, key, value) {
  try {
    return value === undefined ? window[store].getItem(key) : window[store].setItem(key, value);
  } catch {
    return null;
  }
}

/**
 * A token is handed over behind the address's `#`, which no browser sends to a server. It is taken out at once, so that
 * neither the history nor whoever looks over a shoulder keeps it.
 */
function takeToken() {
  const fragment = new URLSearchParams(location.hash.slice(1)),
    token = fragment.get('token');
  if (token === null) return;
  history.replaceState(null, '', location.pathname + location.search);
  stored('sessionStorage', 'token', token.trim());
  stored('sessionStorage', 'claim', fragment.get('claim') ?? '');
  return token.trim();
}

/** @typedef {{ userId: string } | { token: string, claim?: string }} Pass */

/** Asks who it is, where that is not known. @param {(pass: Pass) => void} start */
export function join(start) {
  const query = new URLSearchParams(location.search),
    token = takeToken() ?? stored('sessionStorage', 'token');
  addEventListener('hashchange', () => {
    if (takeToken()) location.reload();
  });
  $('join').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = $('name').value.trim(),
      problem = problemOf(name, 'A name');
    $('join-error').textContent = problem;
    if (!problem) enter({ userId: name });
  });
  $('pass').addEventListener('submit', (event) => {
    event.preventDefault();
    stored('sessionStorage', 'token', $('token').value.trim());
    location.reload();
  });
  if (token) return enter({ token, claim: stored('sessionStorage', 'claim') || undefined });
  const name = query.get('userId') ?? stored('sessionStorage', 'name') ?? '',
    problem = problemOf(name, 'A name');
  if (!problem) return enter({ userId: name });
  $('join').hidden = false;
  if (name) [$('name').value, $('join-error').textContent] = [name, problem];
  $('name').focus();

  /** @param {Pass} pass */
  function enter(pass) {
    if ('userId' in pass) stored('sessionStorage', 'name', pass.userId);
    $('join').hidden = true;
    start(pass);
  }
}

/** Asks for a token, because the service does not let anybody in without one, or with this one. @param {string} why */
export function askForToken(why) {
  $('app').hidden = $('join').hidden = true;
  $('pass').hidden = false;
  $('pass-error').textContent = why;
  $('token').focus();
}

/** Forgets who it was. */
export function leave() {
  for (const key of ['name', 'token', 'claim']) stored('sessionStorage', key, '');
}
