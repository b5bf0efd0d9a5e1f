// Projects in temporary folders that use the client as a package, or as copied files.

import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WEB = join(ROOT, 'web');

export const manifest = JSON.parse(await readFile(join(WEB, 'package.json'), 'utf8'));

/** Milliseconds that a program may take before a test fails. */
const PATIENCE = 120_000;

/**
 * Makes a folder that is deleted at the end of a test.
 *
 * @param {import('node:test').TestContext} t
 */
export async function makeFolder(t) {
  const folder = await mkdtemp(join(tmpdir(), 'chat-package-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Runs a program that needs no network.
 *
 * @param {string} folder
 * @param {string} program
 * @param {...string} args
 * @returns {Promise<string>} its output
 */
export async function run(folder, program, ...args) {
  const env = { ...process.env, npm_config_offline: 'true', npm_config_audit: 'false', npm_config_fund: 'false' };
  try {
    const { stdout } = await promisify(execFile)(program, args, { cwd: folder, env, timeout: PATIENCE });
    return stdout.trim();
  } catch (error) {
    throw new Error(`${program} ${args.join(' ')} failed:\n${error.stdout}\n${error.stderr}`, { cause: error });
  }
}

/**
 * Packs the client, and installs the package into a project.
 *
 * @param {string} project
 */
export async function installPackage(project) {
  const folder = await mkdtemp(join(tmpdir(), 'chat-package-'));
  const file = await run(WEB, 'npm', 'pack', '--silent', '--pack-destination', folder);
  await writeFile(join(folder, 'package.json'), '{}');
  await run(folder, 'npm', 'install', '--silent', '--ignore-scripts', join(folder, file));
  // From there, because npm would replace the links of the project.
  await mkdir(join(project, 'node_modules'), { recursive: true });
  await rename(join(folder, 'node_modules', manifest.name), join(project, 'node_modules', manifest.name));
  await rm(folder, { recursive: true });
}

/**
 * Copies the files of the client, as docs/client.md says.
 *
 * @param {string} folder
 */
export async function copyFiles(folder) {
  for (const name of ['package.json', ...manifest.files]) {
    await cp(join(WEB, name), join(folder, name), { recursive: true });
  }
}

/**
 * The code of an example in docs/client.md.
 *
 * @param {string} heading
 */
export async function example(heading) {
  const manual = await readFile(join(ROOT, 'docs/client.md'), 'utf8');
  return manual.split(`\n### ${heading}\n`)[1].split(/```.*\n/)[1];
}

/**
 * Gives a project the modules of another folder as links, so that nothing is downloaded.
 *
 * @param {string} project
 * @param {string} dependencies the folder in which they are installed
 */
export async function linkModules(project, dependencies) {
  await mkdir(join(project, 'node_modules'));
  for (const name of await readdir(join(dependencies, 'node_modules'))) {
    await symlink(join(dependencies, 'node_modules', name), join(project, 'node_modules', name));
  }
}
