/**
 * Makes `npx quantc` work inside a checkout: npm links the commands of dependencies into node_modules/.bin, but not
 * those of the package itself, and would build it anew at every call.
 */
import { chmodSync, existsSync, rmSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');
const command = join(root, 'dist', 'src', 'cli', 'main.js');
const folder = join(root, 'node_modules', '.bin');

chmodSync(command, 0o755);
if (existsSync(folder) && process.platform !== 'win32') {
  const link = join(folder, 'quantc');
  rmSync(link, { force: true });
  symlinkSync(relative(folder, command), link);
}
