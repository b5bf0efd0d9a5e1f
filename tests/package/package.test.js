// The client as people get it: packed, or copied.

import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { copyFiles, example, installPackage, linkModules, makeFolder, manifest, ROOT, run } from './project.js';

/**
 * Makes a project with the settings of `npm init`, and a program that imports the client.
 *
 * @param {import('node:test').TestContext} t
 * @param {string} specifier
 */
async function makeProject(t, specifier) {
  const folder = await makeFolder(t);
  await writeFile(join(folder, 'package.json'), '{ "name": "project", "version": "1.0.0", "type": "commonjs" }');
  const program = `import { ChatClient, ChatError } from '${specifier}';
try {
  new ChatClient({ url: 'ws://127.0.0.1/prod', WebSocket: class {} });
} catch (error) {
  console.log(error instanceof ChatError && error.code);
}`;
  await writeFile(join(folder, 'program.mjs'), program);
  return folder;
}

test('the packed client is installed and runs in Node.js', async (t) => {
  const folder = await makeProject(t, manifest.name);
  await installPackage(folder);
  assert.equal(await run(folder, 'node', 'program.mjs'), 'bad_request');
  const installed = await readdir(join(folder, 'node_modules', manifest.name));
  assert.deepEqual(installed.sort(), ['LICENSE', 'package.json', ...manifest.files].sort());
});

test('the copied files run in Node.js, also in a CommonJS project', async (t) => {
  const folder = await makeProject(t, './chat/chat-client.js');
  await mkdir(join(folder, 'chat'));
  await copyFiles(join(folder, 'chat'));
  assert.equal(await run(folder, 'node', 'program.mjs'), 'bad_request');
});

test('the example for Node.js compiles as TypeScript', async (t) => {
  const folder = await makeFolder(t);
  await linkModules(folder, join(ROOT, 'tests'));
  await installPackage(folder);
  await writeFile(join(folder, 'program.mts'), await example('Node.js'));
  await run(folder, 'node_modules/.bin/tsc', '--noEmit', '--types', 'node', 'program.mts');
});

test('every file that people copy names its licence', async () => {
  const files = (await readdir(join(ROOT, 'web'), { recursive: true })).filter((name) => /\.[jt]s$/.test(name));
  assert.ok(files.length > 20);
  for (const name of files)
    assert.match(await readFile(join(ROOT, 'web', name), 'utf8'), /SPDX-License-Identifier: MIT/, name);
});

test('the package has the version and the licence of the project', async () => {
  const cargo = await readFile(join(ROOT, 'Cargo.toml'), 'utf8');
  assert.equal(manifest.version, /^version = "(.*)"$/m.exec(cargo)?.[1]);
  const [own, common] = await Promise.all(['web/LICENSE', 'LICENSE'].map((name) => readFile(join(ROOT, name), 'utf8')));
  assert.equal(own, common);
});
