// The error codes in chat-client.d.ts. declarations.ts compares the rest of it, at compile time.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

const read = (file) => readFile(new URL(`../../${file}`, import.meta.url), 'utf8');
const words = (text, pattern) => [...text.matchAll(pattern)].map(([, word]) => word).sort();

test('every code of the service and of docs/client.md is declared', async () => {
  const declarations = await read('web/chat-client.d.ts');
  const declared = words(/type ErrorCode =([^;]*);/.exec(declarations)[1], /\| '(\w+)'/g);

  const [, section] = (await read('docs/client.md')).split('\n## Errors\n');
  const rows = words(section.split('\n## ')[0], /^\| (`.*?) \|/gm);
  assert.deepEqual(declared, words(rows.join(), /`(\w+)`/g));

  const [, enumeration] = /\n +code:\n +enum:\n((?: +- \w+\n)+)/.exec(await read('docs/asyncapi.yaml'));
  const service = words(enumeration, /- (\w+)/g);
  assert.deepEqual(
    service.filter((code) => !declared.includes(code)),
    [],
  );
});
