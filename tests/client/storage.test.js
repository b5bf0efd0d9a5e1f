// The outbox while the browser's storage fails.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDBFactory } from 'fake-indexeddb';
import { connect, online, until } from './fixture.js';
import { Service } from './service.js';

/** A storage whose opened databases can be reached. */
function storage() {
  const indexedDB = new IDBFactory();
  const opened = [];
  const open = indexedDB.open.bind(indexedDB);
  indexedDB.open = (...args) => {
    const request = open(...args);
    request.addEventListener('success', () => opened.push(request.result));
    return request;
  };
  return { indexedDB, opened };
}

const lost = () => {
  throw new DOMException('Connection to Indexed Database server lost', 'UnknownError');
};

const FAILURES = {
  'the connection to the database ends': ({ opened }) => {
    opened[0].close();
    opened[0].onclose();
  },
  'transactions throw': ({ opened }) => {
    opened[0].transaction = lost;
  },
  'the database was deleted': ({ indexedDB, opened }) =>
    new Promise((resolve) => {
      indexedDB.deleteDatabase(opened[0].name).onsuccess = resolve;
    }),
  'one read fails': ({ opened: [database] }) => {
    const transaction = database.transaction.bind(database);
    database.transaction = (...args) => {
      database.transaction = transaction;
      return args[1] === 'readonly' ? lost() : transaction(...args);
    };
  },
  'the storage is gone for good': ({ indexedDB, opened }) => {
    opened[0].transaction = lost;
    indexedDB.open = lost;
  },
};

for (const [name, fail] of Object.entries(FAILURES)) {
  test(`queued messages are sent once and in order, and after a reload not again: ${name}`, async () => {
    const service = new Service();
    const disk = storage();
    const { open } = disk.indexedDB;
    const join = () => connect(service, 'alice', { indexedDB: disk.indexedDB, times: { first: 20, longest: 20 } });
    const chat = join();
    await online(chat);
    service.refuses = () => true;
    for (const socket of service.sockets) socket.drop(1006);
    await until(() => chat.connection.state !== 'online');
    const sent = [chat.send('bob', 'one')];
    await until(() => chat.conversation('bob').pending.length === 1);
    assert.equal(chat.isDurable, true);
    await fail(disk);
    sent.push(chat.send('bob', 'two'));
    await until(() => chat.conversation('bob').pending.length === 2);
    assert.equal(chat.isDurable, name !== 'the storage is gone for good', 'it is tried again');
    service.refuses = () => false;
    await Promise.all(sent);
    assert.deepEqual(service.contents('alice', 'bob'), ['one', 'two']);

    chat.close();
    disk.indexedDB.open = open;
    const later = join();
    await later.ready;
    await later.send('bob', 'three');
    assert.deepEqual(service.contents('alice', 'bob'), ['one', 'two', 'three']);
    assert.equal(later.conversation('bob').pending.length, 0);
  });
}

test('what was kept in memory is stored when the storage works again', async () => {
  const service = new Service();
  const disk = storage();
  const { open } = disk.indexedDB;
  const chat = connect(service, 'alice', { indexedDB: disk.indexedDB });
  await Promise.all([online(chat), chat.ready]);
  service.script = ({ action }) => (action === 'sendMessage' ? 'ignore' : undefined);
  FAILURES['the storage is gone for good'](disk);
  chat.send('bob', 'one').catch(() => {});
  await until(() => chat.conversation('bob').pending.length === 1);
  assert.equal(chat.isDurable, false);
  disk.indexedDB.open = open;
  chat.send('bob', 'two').catch(() => {});
  await until(() => chat.conversation('bob').pending.length === 2);
  assert.equal(chat.isDurable, true);
  chat.close();
  service.script = () => undefined;
  connect(service, 'alice', { indexedDB: disk.indexedDB });
  await until(() => service.of('alice', 'bob').length === 2);
  assert.deepEqual(service.contents('alice', 'bob'), ['one', 'two']);
});

test('what was refused while the storage failed is not sent again after a reload', async () => {
  const service = new Service();
  const disk = storage();
  const chat = connect(service, 'alice', { indexedDB: disk.indexedDB });
  await Promise.all([online(chat), chat.ready]);
  service.script = ({ action }) => {
    if (action !== 'sendMessage') return undefined;
    // Storing the refusal fails, and so does the second attempt.
    const { open } = disk.indexedDB;
    disk.indexedDB.open = (...args) => {
      disk.indexedDB.open = open;
      return lost(...args);
    };
    disk.opened.at(-1).transaction = lost;
    return { type: 'error', code: 'forbidden', message: 'not now' };
  };
  await assert.rejects(chat.send('bob', 'one'), { code: 'forbidden' });
  await until(() => chat.isDurable);
  chat.close();
  service.script = () => undefined;
  const later = connect(service, 'alice', { indexedDB: disk.indexedDB });
  await later.ready;
  await later.send('bob', 'two');
  assert.deepEqual(service.contents('alice', 'bob'), ['two']);
  assert.equal(later.conversation('bob').pending[0].failed.code, 'forbidden');
});

test('what an earlier page has queued is sent, also if the storage fails at first', async () => {
  const service = new Service();
  service.refuses = () => true;
  const indexedDB = new IDBFactory();
  const before = connect(service, 'alice', { indexedDB });
  before.send('bob', 'one').catch(() => {});
  await until(() => before.conversation('bob').pending.length === 1);
  before.close();
  service.refuses = () => false;
  const { open } = indexedDB;
  let calls = 0;
  indexedDB.open = (...args) => (++calls < 3 ? lost() : open.apply(indexedDB, args));
  connect(service, 'alice', { indexedDB });
  await until(() => service.of('alice', 'bob').length === 1);
});

test('a storage that never answers holds nothing up, and is used when it answers', async () => {
  const service = new Service();
  const indexedDB = new IDBFactory();
  const open = indexedDB.open.bind(indexedDB);
  let answer;
  const late = new Promise((resolve) => {
    answer = resolve;
  });
  indexedDB.open = (...args) => {
    const request = {};
    late.then(() => {
      const real = open(...args);
      real.onupgradeneeded = () => request.onupgradeneeded();
      real.onsuccess = () => request.onsuccess();
      Object.defineProperty(request, 'result', { get: () => real.result });
    });
    return request;
  };
  const before = connect(service, 'alice', { indexedDB: new IDBFactory() });
  await online(before);
  const chat = connect(service, 'alice', { indexedDB, times: { storage: 30 } });
  assert.equal((await chat.send('bob', 'one')).seq, 1);
  await until(() => chat.hasInbox);
  assert.equal(chat.isDurable, false);
  answer();
  await until(() => chat.isDurable);
});

test('without a channel between tabs, and with a storage that may not be looked at, everything works in memory', async (t) => {
  const blocked = () => {
    throw new DOMException('The operation is insecure', 'SecurityError');
  };
  const { BroadcastChannel } = globalThis;
  globalThis.BroadcastChannel = class {
    constructor() {
      blocked();
    }
  };
  Object.defineProperty(globalThis, 'indexedDB', { get: blocked, configurable: true });
  t.after(() => {
    globalThis.BroadcastChannel = BroadcastChannel;
    delete globalThis.indexedDB;
  });
  const service = new Service();
  const chat = connect(service, 'alice', { indexedDB: undefined });
  assert.equal((await chat.send('bob', 'one')).seq, 1);
  await until(() => chat.hasInbox);
  assert.equal(chat.isDurable, false);
});

test('a lock that a frozen tab holds delays a message by seconds, and no more', async (t) => {
  const { navigator } = globalThis;
  const request = (_name, { signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new DOMException('too late', 'AbortError')));
    });
  Object.defineProperty(globalThis, 'navigator', { value: { locks: { request } }, configurable: true });
  t.after(() => Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true }));
  const service = new Service();
  const chat = connect(service, 'alice', { indexedDB: new IDBFactory(), times: { storage: 30 } });
  assert.equal((await chat.send('bob', 'one')).seq, 1);
});
