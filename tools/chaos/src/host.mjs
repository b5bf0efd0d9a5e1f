// Runs clients of web/chat-client.js for `chaos`. Arguments: the paths of chat-client.js and of fake-indexeddb. Reads
// operations from stdin and writes events to stdout, as lines of JSON. Each device is one page; the pages of one browser
// share the storage that survives a reload.

import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [clientPath, indexedDbPath] = process.argv.slice(2);
const { ChatClient } = await import(pathToFileURL(clientPath).href);
const { IDBFactory } = await import(pathToFileURL(indexedDbPath).href);

/** Stored outboxes by origin. @type {Map<string, IDBFactory>} */
const stores = new Map();
/** Open pages by device. */
const pages = new Map();
/** The last operation of each device; its next one waits for it. @type {Map<string, Promise<unknown>>} */
const queues = new Map();

const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const refusal = ({ code, reason, message }) => `the module reports a refused message: ${code} ${reason ?? message}`;

const operations = {
  open({ device, life, user, peers, origin, address, opensConversations, pageSize, times }) {
    if (!stores.has(origin)) stores.set(origin, new IDBFactory());
    // Tabs of one browser share an origin, but each connects to its own relay.
    class Socket extends WebSocket {
      constructor(url, protocols) {
        super(url.replace(origin, address), protocols);
      }
    }
    const chat = new ChatClient({
      url: origin,
      userId: user,
      WebSocket: Socket,
      indexedDB: stores.get(origin),
      pageSize,
      times,
    });
    const page = { chat, waiting: new Map(), peers };
    pages.set(device, page);
    const report = (event, fields) => emit({ device, life, event, ...fields });
    chat.addEventListener('message', ({ detail }) => {
      report('message', { message: detail });
      chat.markRead(detail.senderId === user ? detail.recipientId : detail.senderId, detail.seq);
    });
    chat.addEventListener('conversation', ({ detail }) =>
      report('high', { peer: detail.peer, high: detail.high ?? 0 }),
    );
    chat.addEventListener('status', ({ detail }) => {
      const entry = chat
        .conversation(detail.peer)
        .pending.find((one) => one.clientMessageId === detail.clientMessageId);
      page.waiting.get(entry?.content)?.();
      if (detail.state === 'sent') report('sent', { peer: detail.peer, message: entry.sent });
      if (detail.state === 'failed') report('violation', { text: refusal(detail) });
    });
    const ignoreClosed = (error) => {
      if (error.code !== 'closed') throw error;
    };
    for (const peer of opensConversations ? peers : []) chat.open(peer).catch(ignoreClosed);
  },

  /** Returns when the message is in the outbox. */
  async send({ device, peer, content }) {
    const { chat, waiting } = pages.get(device);
    const queued = new Promise((done) => waiting.set(content, done));
    chat.send(peer, content).catch((error) => {
      if (error.code !== 'closed') emit({ device, event: 'violation', text: refusal(error) });
    });
    await queued;
    waiting.delete(content);
  },

  close({ device }) {
    pages.get(device)?.chat.close();
    pages.delete(device);
  },

  async view({ device }) {
    const { chat, peers } = pages.get(device);
    const views = {};
    for (const peer of peers) {
      for await (const page of chat.history(peer)) void page;
      views[peer] = chat.conversation(peer).messages;
    }
    emit({ device, event: 'view', views });
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  const previous = queues.get(call.device) ?? Promise.resolve();
  queues.set(
    call.device,
    previous.then(() => operations[call.operation](call)),
  );
}
process.exit();
