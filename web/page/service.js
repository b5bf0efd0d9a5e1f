// SPDX-License-Identifier: MIT
// The service that the page talks to.

/** At the page's own origin. */
const DEFAULT = '/prod';

/** As the address of the page names it. */
export const serviceUrl = new URLSearchParams(location.search).get('ws') || DEFAULT;

const resolved = resolve(serviceUrl);

/**
 * The origin of the service, such as `wss://chat.example`; empty if its URL is not valid. What a user enters for one
 * origin is not used for another.
 */
export const serviceOrigin = resolved ? `${resolved.protocol.replace('http', 'ws')}//${resolved.host}` : '';

/** Whether the service is not at the page's own origin. */
export const isForeign = serviceOrigin !== location.origin.replace('http', 'ws');

/** What users see: the host and the path. */
export const serviceName = resolved ? resolved.host + resolved.pathname : serviceUrl;

/** Whether the server says that it has no such path. The status of another origin can't be read, so it is false then. */
export async function isMissing() {
  try {
    return resolved !== null && (await fetch(resolved.href.replace(/^ws/, 'http'))).status === 404;
  } catch {
    return false;
  }
}

/**
 * The address of this page, at the same service, for the given fields of the query.
 *
 * @param {{ userId?: string, with?: string, group?: string }} [fields]
 */
export function pageAddress(fields = {}) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(fields)) if (value) query.set(key, value);
  if (serviceUrl !== DEFAULT) query.set('ws', serviceUrl);
  const text = String(query);
  return text ? `${location.pathname}?${text}` : location.pathname;
}

/** @param {string} url may be relative to the page */
function resolve(url) {
  try {
    return new URL(url, location.href);
  } catch {
    return null;
  }
}
