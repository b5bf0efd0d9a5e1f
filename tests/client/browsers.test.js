// The oldest browsers that docs/client.md names can parse the client and the page.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const manual = await readFile(`${ROOT}docs/client.md`, 'utf8');
const [, chrome, firefox, safari] = /Chrome and Edge ([\d.]+), Firefox ([\d.]+), Safari ([\d.]+)/.exec(manual) ?? [];

/**
 * @param {string} file
 * @param {string | string[]} target
 * @returns {Promise<string[]>} the lines of the bundle
 */
async function bundle(file, target) {
  // All browsers since 2020 have them; esbuild asks for those that know the newest Unicode version.
  const supported = { 'regexp-unicode-property-escapes': true };
  const options = { bundle: true, format: /** @type {const} */ ('esm'), write: false, supported };
  const { outputFiles } = await build({ ...options, entryPoints: [ROOT + file], target });
  return outputFiles[0].text.split('\n');
}

for (const file of ['web/chat-client.js', 'web/page/page.js']) {
  test(`${file} has no syntax that is newer than the oldest browsers`, async () => {
    const oldest = await bundle(file, [`chrome${chrome}`, `edge${chrome}`, `firefox${firefox}`, `safari${safari}`]);
    const rewritten = (await bundle(file, 'esnext')).filter((line) => !oldest.includes(line));
    assert.deepEqual(rewritten, [], 'esbuild rewrites what a target cannot parse');
  });
}

test('web/page/page.css keeps :has apart, because Firefox before 121 ignores a whole rule with it', async () => {
  const css = await readFile(`${ROOT}web/page/page.css`, 'utf8');
  const selectors = [...css.replaceAll(/\/\*.*?\*\//gs, '').matchAll(/([^{}]+)\{/g)].map(([, selector]) =>
    selector.trim(),
  );
  const withHas = selectors.filter((selector) => selector.includes(':has('));
  assert.ok(withHas.length > 0);
  const others = (/** @type {string} */ selector) =>
    selector.replaceAll(/\((?:[^()]|\([^()]*\))*\)/g, '').includes(',');
  assert.deepEqual(withHas.filter(others), []);
});
