// Long conversations: what is in the document, and what one message more costs.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { launch, newProfile, openChat, until, untilShown } from './browser.js';
import { startSystem } from './system.js';

const COUNT = 20_000;
/** Rows in one `BatchWriteItem`. */
const BATCH = 25;

const browser = await launch();
after(() => browser.close());

/** Stores a conversation of alice and bob as the functions would, which take a minute for 20,000 messages. */
async function fill({ dynamodb }, length) {
  const rows = Array.from({ length }, (_, index) => ({
    conversationId: { S: 'dm:5:alice:bob' },
    seq: { N: String(index + 1) },
    messageId: { S: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}` },
    senderId: { S: index % 3 ? 'bob' : 'alice' },
    recipientId: { S: index % 3 ? 'alice' : 'bob' },
    content: { S: `Message ${index + 1}: the quick brown fox jumps over the lazy dog.` },
    createdAt: { N: String(1_790_000_000_000 + index * 60_000) },
    tally: {
      M: {
        recipientSeq: { N: String(index) },
        senderAllowance: { N: '0' },
        recipientAllowance: { N: '0' },
        listed: { N: '0' },
      },
    },
  }));
  for (let start = 0; start < length; start += BATCH) {
    const requests = rows.slice(start, start + BATCH).map((Item) => ({ PutRequest: { Item } }));
    const response = await fetch(dynamodb, {
      method: 'POST',
      headers: {
        'X-Amz-Target': 'DynamoDB_20120810.BatchWriteItem',
        'X-Amz-Date': '20260101T000000Z',
        'Content-Type': 'application/x-amz-json-1.0',
        // Any credentials will do, and the signature is not checked.
        Authorization:
          'AWS4-HMAC-SHA256 Credential=a/20260101/local/dynamodb/aws4_request, SignedHeaders=host, Signature=a',
      },
      body: JSON.stringify({ RequestItems: { MessagesTable: requests } }),
    });
    assert.equal(response.status, 200, await response.text());
  }
}

test('a conversation of 20,000 messages is held, and only what is near the screen is in the document', async (t) => {
  const system = await startSystem(t);
  await fill(system, COUNT);
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await until(page, () => chat.conversation('bob').loaded);
  await page.evaluate(async () => {
    for await (const part of chat.history('bob')) void part;
  });
  assert.equal(await page.evaluate(() => chat.conversation('bob').messages.length), COUNT);
  assert.ok((await page.evaluate(() => document.querySelectorAll('*').length)) < 5_000);

  const devTools = await page.context().newCDPSession(page);
  await devTools.send('Performance.enable');
  const work = async () => {
    const { metrics } = await devTools.send('Performance.getMetrics');
    const names = ['ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration'];
    return metrics.filter(({ name }) => names.includes(name)).reduce((sum, { value }) => sum + value, 0);
  };
  const bob = await system.connect('bob');
  const times = [];
  for (let number = 1; number <= 9; number += 1) {
    const before = await work();
    await bob.send('alice', `New ${number}`);
    await until(
      page,
      (text) => document.querySelector('#log .message:last-child p').textContent === text,
      `New ${number}`,
    );
    times.push((await work()) - before);
  }
  const median = times.sort((a, b) => a - b)[4];
  t.diagnostic(`one message more: ${Math.round(median * 1000)} ms of script, style and layout (median of 9)`);
});

test('when the service has lost the messages on the screen, the page shows those that it has', async (t) => {
  const system = await startSystem(t);
  await fill(system, 900);
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await until(page, () => {
    const box = document.querySelector('#scroll');
    // Only a change of the position is an event.
    box.scrollTop = box.scrollTop ? 0 : 1;
    return !document.querySelector('#log .message:last-child p').textContent.startsWith('Message 900:');
  });
  await system.stop();
  const restored = await startSystem(t, { port: system.port });
  const bob = await restored.connect('bob');
  await bob.send('alice', 'Again');
  await untilShown(page, ['Again']);
});
