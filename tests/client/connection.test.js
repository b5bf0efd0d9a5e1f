// The connection: kept alive, renewed, and backed off after refusals.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatClient } from '../../web/chat-client.js';
import { connect, contents, online, token, until } from './fixture.js';
import { Service } from './service.js';

const state = (chat, name) => until(() => chat.connection.state === name);

test('a lost connection is reopened', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  await online(chat);
  for (const code of [1006, 1001]) {
    const [socket] = service.sockets;
    socket.drop(code);
    await state(chat, 'waiting');
    assert.ok(chat.connection.retryAt >= Date.now());
    await online(chat);
  }
  assert.deepEqual(chat.states, [
    'connecting',
    'online',
    'waiting',
    'connecting',
    'online',
    'waiting',
    'connecting',
    'online',
  ]);
});

test('a dead connection is detected and replaced', async () => {
  const service = new Service();
  const chat = connect(service, 'alice', { times: { idle: 30, check: 30 } });
  await online(chat);
  const [dead] = service.sockets;
  service.script = (_, socket) => (socket === dead ? 'ignore' : undefined);
  await state(chat, 'waiting');
  await online(chat);
  assert.ok(!service.sockets.has(dead));
});

test('pings keep an idle connection', async () => {
  const service = new Service();
  const chat = connect(service, 'alice', { times: { idle: 10 } });
  await online(chat);
  await new Promise((resolve) => {
    service.script = ({ action }) => void (action === 'ping' && resolve());
  });
  assert.equal(chat.connection.state, 'online');
  assert.equal(service.attempts, 1);
});

test('an old connection is renewed without a gap: the new one opens before the old one closes', async () => {
  const service = new Service();
  const chat = connect(service, 'alice', { times: { life: 60, early: 60, answer: 40 } });
  await online(chat);
  const [first] = service.sockets;
  let said = 0;
  let most = 0;
  const talk = setInterval(() => {
    service.say('bob', 'alice', `${++said}`);
    most = Math.max(most, service.sockets.size);
  }, 3);
  await until(() => service.attempts >= 3 && !service.sockets.has(first));
  clearInterval(talk);
  await until(() => chat.seen.length === said);
  assert.deepEqual(contents(chat.seen), service.contents('alice', 'bob'));
  assert.deepEqual(new Set(chat.states), new Set(['connecting', 'online']));
  assert.ok(most >= 2);
});

test('a displaced connection is reopened only when the user acts', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  await online(chat);
  for (const act of [() => chat.connect(), () => chat.send('bob', 'Hi')]) {
    const [socket] = service.sockets;
    const { attempts } = service;
    socket.drop(1000);
    await state(chat, 'displaced');
    assert.equal(service.attempts, attempts);
    assert.ok(chat.connection.retryAt > Date.now() + 5 * 60_000);
    await act();
    await online(chat);
  }
});

test('each connection has a fresh token, and an expired one is replaced at once', async () => {
  const service = new Service();
  let made = 0;
  const chat = connect(service, undefined, { token: async () => token('alice', { number: ++made }) });
  await online(chat);
  assert.equal(chat.userId, 'alice');
  const [old] = service.sockets;
  service.script = ({ action }, socket) => {
    if (action !== 'sendMessage' || socket !== old) return undefined;
    socket.tell({ type: 'error', code: 'token_expired', message: 'connect again with a new one' });
    setImmediate(() => setImmediate(() => socket.drop(1000)));
    return 'mute';
  };
  assert.equal((await chat.send('bob', 'Hi')).seq, 1);
  assert.equal(made, 2);
  assert.ok(!chat.states.includes('displaced'));
  const [socket] = service.sockets;
  assert.equal(JSON.parse(atob(socket.token.split('.')[1])).number, 2);
});

test('a token that is about to expire is replaced before it does', async () => {
  const service = new Service();
  let made = 0;
  const fresh = async () => {
    made += 1;
    return token('alice', { exp: Date.now() / 1000 + (made === 1 ? 0.1 : 3600) });
  };
  const chat = connect(service, undefined, { token: fresh, times: { early: 50, answer: 20 } });
  await online(chat);
  await until(() => made === 2 && service.sockets.size === 1 && service.attempts === 2);
  assert.ok(!chat.states.includes('waiting'));
});

test('a connection closed without an error frame is reopened if its token expires', async () => {
  const service = new Service();
  const chat = connect(service, undefined, { token: async () => token('alice', { exp: Date.now() / 1000 + 10 }) });
  await online(chat);
  const [socket] = service.sockets;
  socket.drop(1000);
  await state(chat, 'waiting');
  await online(chat);
});

test('a token of another user is not used', async () => {
  const service = new Service();
  const chat = connect(service, 'alice', { token: async () => token('mallory') });
  await state(chat, 'refused');
  assert.match(chat.connection.reason, /another user/);
  assert.equal(service.attempts, 0);
});

test('a failed token call is repeated', async () => {
  let asked = 0;
  const fresh = async () => {
    if (++asked === 1) throw new Error('the login service is down');
    return token('alice');
  };
  const chat = connect(new Service(), undefined, { token: fresh });
  await until(() => chat.connection.reason?.includes('login service is down'));
  await online(chat);
});

test('two failed upgrades of a reachable service count as a refusal, and attempts become rare', async (t) => {
  const service = new Service();
  const asked = [];
  service.refuses = () => true;
  t.mock.method(globalThis, 'fetch', async (address) => {
    asked.push(String(address));
    return new Response(null, { status: 403 });
  });
  const chat = connect(service, 'alice');
  await state(chat, 'refused');
  assert.equal(service.attempts, 2);
  assert.ok(chat.connection.retryAt > Date.now() + 10_000);
  assert.deepEqual(asked, [service.url.replace('ws', 'http')], 'without user or token');
  chat.connect();
  assert.equal(service.attempts, 2, 'connect() does not shorten the delay');
});

test('an unreachable service is no refusal', async (t) => {
  const service = new Service();
  service.refuses = () => service.attempts < 4;
  t.mock.method(globalThis, 'fetch', async () => {
    throw new TypeError('fetch failed');
  });
  const chat = connect(service, 'alice');
  await online(chat);
  assert.equal(service.attempts, 4);
  assert.ok(!chat.states.includes('refused'));
});

test('a status that the WebSocket reports is a refusal at once', async () => {
  const service = new Service();
  service.WebSocket = class {
    constructor() {
      service.attempts += 1;
      setImmediate(() => {
        this.onerror({ message: 'Unexpected server response: 401' });
        this.onclose({ code: 1006 });
      });
    }
    close() {}
  };
  const chat = connect(service, 'alice');
  await state(chat, 'refused');
  assert.equal(service.attempts, 1);
  assert.match(chat.connection.reason, /401/);
});

test('a client needs a userId or a token, and a URL', () => {
  assert.throws(() => new ChatClient({ url: 'ws://chat.test/prod' }), { code: 'bad_request' });
  const { WebSocket } = new Service();
  assert.throws(() => new ChatClient({ url: 'nonsense', userId: 'alice', WebSocket }), TypeError);
  assert.throws(() => new ChatClient({ url: 'ws://chat.test/prod', userId: ' alice', WebSocket }), {
    code: 'bad_request',
    message: /white space/,
  });
});

test('without a WebSocket the constructor says what to do', (t) => {
  const own = globalThis.WebSocket;
  t.after(() => {
    globalThis.WebSocket = own;
  });
  globalThis.WebSocket = undefined;
  assert.throws(() => new ChatClient({ url: 'ws://chat.test/prod', userId: 'alice' }), {
    code: 'bad_request',
    message: /Node\.js 22 or later/,
  });
});

test('a closed client stays closed', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  await online(chat);
  chat.close();
  assert.equal(chat.connection.state, 'closed');
  chat.connect();
  await assert.rejects(chat.send('bob', 'Hi'), { code: 'closed' });
  assert.equal(service.attempts, 1);
});
