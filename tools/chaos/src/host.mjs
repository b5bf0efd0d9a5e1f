// Hosts clients of web/chat-client.js for the harness: it is told what they do, and tells what they are told, in lines
// of JSON. Each device is a page of its own; pages of one browser share what survives a reload.

import { createInterface } from 'node:readline';
import { IDBFactory } from '../../../target/tools/web/node_modules/fake-indexeddb/build/esm/index.js';
import { ChatClient } from '../../../web/chat-client.js';

/** Outboxes, by the browser's address. @type {Map<string, IDBFactory>} */
const stores = new Map();
/** What is open, by the device's name. */
const pages = new Map();
/** What each device has still to do: one thing after the other. @type {Map<string, Promise<unknown>>} */
const queues = new Map();

const tell = (word) => process.stdout.write(`${JSON.stringify(word)}\n`);

const deeds = {
  open({ device, life, user, peers, origin, address, looks, pageSize, times }) {
    if (!stores.has(origin)) stores.set(origin, new IDBFactory());
    // Tabs of one browser have one address for what they keep, and each its own line that can be cut.
    class Socket extends WebSocket {
      constructor(url, protocols) { super(url.replace(origin, address), protocols); }
    }
    const chat = new ChatClient({ url: origin, userId: user, WebSocket: Socket, indexedDB: stores.get(origin), pageSize, times });
    const page = { chat, waiting: new Map(), peers };
    pages.set(device, page);
    const say = (event, rest) => tell({ device, life, event, ...rest });
    chat.addEventListener('message', ({ detail }) => say('message', { message: detail }));
    chat.addEventListener('conversation', ({ detail }) => say('high', { peer: detail.peer, high: detail.high ?? 0 }));
    chat.addEventListener('status', ({ detail }) => {
      const entry = chat.conversation(detail.peer).pending.find((one) => one.clientMessageId === detail.clientMessageId);
      page.waiting.get(entry?.content)?.();
      if (detail.state === 'sent') say('sent', { peer: detail.peer, message: entry.sent });
      if (detail.state === 'failed') say('wrong', { text: `it was refused: ${detail.code} ${detail.reason}` });
    });
    for (const peer of looks ? peers : []) chat.open(peer).catch((error) => { if (error.code !== 'closed') throw error; });
  },

  async say({ device, peer, content }) {
    const { chat, waiting } = pages.get(device);
    const queued = new Promise((done) => waiting.set(content, done));
    chat.send(peer, content).catch((error) => {
      if (error.code !== 'closed') tell({ device, event: 'wrong', text: `it was refused: ${error.code} ${error.message}` });
    });
    await queued;
    waiting.delete(content);
  },

  close({ device }) {
    pages.get(device)?.chat.close();
    pages.delete(device);
  },

  async view({ device }) {
    const { chat, peers } = pages.get(device), views = {};
    for (const peer of peers) {
      for await (const page of chat.history(peer)) void page;
      views[peer] = chat.conversation(peer).messages;
    }
    tell({ device, event: 'view', views });
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const deed = JSON.parse(line);
  const before = queues.get(deed.device) ?? Promise.resolve();
  queues.set(deed.device, before.then(() => deeds[deed.do](deed)));
}
process.exit();
