// Clients for the tests.

import { after } from 'node:test';
import { ChatClient } from '../../web/chat-client.js';

// After two refusals, a client asks the address of the service. There is none; a look-up of its name may take minutes.
globalThis.fetch = async () => {
  throw new TypeError('fetch failed');
};

const open = new Set();
after(() => {
  for (const chat of open) chat.close();
});

/** Connects a client, which is closed after the tests of a file. It records what it emits. */
export function connect(service, userId, options = {}) {
  const chat = new ChatClient({ url: service.url, userId, WebSocket: service.WebSocket, indexedDB: null, ...options });
  open.add(chat);
  chat.seen = [];
  chat.changes = [];
  chat.states = [];
  chat.statuses = [];
  chat.addEventListener('message', ({ detail }) => chat.seen.push(detail));
  chat.addEventListener('change', ({ detail }) => chat.changes.push(detail));
  chat.addEventListener('connection', ({ detail }) => chat.states.push(detail.state));
  chat.addEventListener('status', ({ detail }) => chat.statuses.push(detail));
  return chat;
}

/** Short delays between attempts to connect. */
export const times = { first: 20, longest: 20 };

/** Connects a client of alice that holds her conversation with bob. */
export async function join(service, options = {}) {
  const chat = connect(service, 'alice', { times, ...options });
  await chat.open('bob');
  await until(() => chat.hasInbox);
  return chat;
}

/** Number of pages of the inbox that were requested. */
export const pagesOfWalk = (service) => service.frames.filter(({ action }) => action === 'getConversations').length;

/** Renews the connection of the client, and loses it again after the third page of the walk through the inbox. */
export async function interruptWalk(service) {
  service.frames = [];
  service.script = (frame, socket) => {
    if (frame.action !== 'getConversations' || pagesOfWalk(service) !== 4) return undefined;
    socket.drop(1006);
    return 'ignore';
  };
  for (const socket of service.sockets) socket.drop(1006);
  await until(() => pagesOfWalk(service) === 4);
}

/** A clock that the test moves. The clients of the test end with it, because their timers are on this clock. */
export function mockClock(t) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.now() });
  t.after(() => {
    for (const chat of open) chat.close();
  });
  return (ms) => t.mock.timers.tick(ms);
}

/** Resolves when `holds` returns true. */
export async function until(holds) {
  // The scripted service has no events, so this polls.
  while (!holds()) await new Promise(setImmediate);
}

export const online = (chat) => until(() => chat.connection.state === 'online');
export const contents = (messages) => messages.map((m) => m.content);

/** An unsigned token; the scripted service does not verify it. */
export const token = (sub, claims = {}) =>
  ['{}', JSON.stringify({ sub, ...claims }), 's'].map((part) => btoa(part)).join('.');

/** A deterministic random number generator (mulberry32). */
export const random = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
