// The examples of docs/client.md in new Vite projects: they compile with the settings of the templates, and draw messages
// as they come.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { launch, newProfile, openTab, until, untilTexts } from '../page/browser.js';
import { System } from '../page/system.js';
import { copyFiles, example, installPackage, linkModules, makeFolder, manifest, ROOT, run } from './project.js';

const FRAMEWORKS = [
  { name: 'React', template: 'react-ts', extension: 'tsx' },
  { name: 'Vue', template: 'vue-ts', extension: 'vue' },
];

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {System} */
let system;
before(async () => {
  [browser, system] = await Promise.all([launch(), System.start()]);
});
after(() => Promise.all([browser?.close(), system?.stop()]));

for (const framework of FRAMEWORKS) {
  test(`${framework.name} draws messages as they come, with the packed client`, async (t) => {
    const project = await createProject(t, framework, manifest.name);
    await installPackage(project);
    await check(project);
  });

  test(`${framework.name} draws messages as they come, with the copied client`, async (t) => {
    const project = await createProject(t, framework, './chat/chat-client.js');
    await mkdir(join(project, 'src/chat'));
    await copyFiles(join(project, 'src/chat'));
    await check(project);
  });
}

/**
 * Makes a project from a template, with the example of docs/client.md.
 *
 * @param {import('node:test').TestContext} t
 * @param {typeof FRAMEWORKS[number]} framework
 * @param {string} specifier of the client, in imports
 */
async function createProject(t, framework, specifier) {
  const { template, extension } = framework;
  const source = join(ROOT, 'tests/package', framework.name.toLowerCase());
  const folder = await makeFolder(t);
  const createVite = join(ROOT, 'tests/node_modules/create-vite/index.js');
  await run(folder, 'node', createVite, 'project', '--template', template, '--no-interactive');
  const project = join(folder, 'project');
  await linkModules(project, source);
  const app = await readFile(join(source, `App.${extension}`), 'utf8');
  const sources = Object.entries({ App: app, Messages: await example(framework.name) });
  for (const [name, code] of sources) {
    await writeFile(join(project, 'src', `${name}.${extension}`), code.replace(`'${manifest.name}'`, `'${specifier}'`));
  }
  return project;
}

/**
 * Builds a project, and runs it as built and in the development server.
 *
 * @param {string} project
 */
async function check(project) {
  await run(project, 'npm', 'run', 'build');
  const vite = await import(pathToFileURL(join(project, 'node_modules/vite/dist/node/index.js')).href);
  const options = { root: project, logLevel: 'warn' };
  const address = { host: '127.0.0.1', port: 0 };
  const preview = () => vite.preview({ ...options, preview: address });
  const develop = async () => (await vite.createServer({ ...options, server: address })).listen();
  for (const start of [preview, develop]) {
    const server = await start();
    try {
      await talk(server.resolvedUrls.local[0]);
    } finally {
      await server.close();
    }
  }
}

/**
 * Opens the page of a project, and has its user and another one talk.
 *
 * @param {string} url
 */
async function talk(url) {
  const userId = `alice of ${url}`;
  const bob = await system.connect('bob');
  const profile = await newProfile(browser);
  try {
    const { seq } = await bob.send(userId, 'Before');
    const page = await openTab(profile, `${url}?${new URLSearchParams({ url: system.websocket, userId })}`);
    await untilTexts(page, 'li', ['Before']);
    await bob.send(userId, 'While it is open');
    await untilTexts(page, 'li', ['Before', 'While it is open']);
    await page.locator('button').click();
    await untilTexts(page, 'li', ['Before', 'While it is open', 'From the page']);
    // Only messages that are not stored yet have a style.
    await until(page, () => !document.querySelector('li[style]'));
    await bob.store('deleteMessage', { targetId: userId, seq });
    await untilTexts(page, 'li', ['(deleted)', 'While it is open', 'From the page']);
  } finally {
    bob.close();
    await profile.close();
  }
}
