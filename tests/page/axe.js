// The accessibility rules of axe, in a tab.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

const AXE = await readFile(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

const LOOKS = /** @type {const} */ ([
  { width: 1440, colorScheme: 'light' },
  { width: 390, colorScheme: 'dark' },
]);

/**
 * Fails if axe finds a serious violation in a wide or in a narrow window.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} situation
 */
export async function assertAccessible(page, situation) {
  await page.evaluate(`${AXE}; 0`);
  for (const { width, colorScheme } of LOOKS) {
    // Browsers draw hidden tabs slowly.
    await page.bringToFront();
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    const found = await page.evaluate(async () => {
      const { violations } = await axe.run();
      const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
      return serious.map(({ id, nodes }) => [id, nodes.map(({ html, any }) => [html.slice(0, 200), any[0]?.message])]);
    });
    assert.deepEqual(found, [], `${situation}, ${width} wide, ${colorScheme}`);
  }
}
