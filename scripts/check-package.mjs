/**
 * Checks the package that would be published: what is in it, by publint, and that its types are found as its code is,
 * by attw. Needs no network.
 *
 *   npm run package:check
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { pack, root } from './pack.mjs';
import { unzipped } from './tarball.mjs';

/** What nobody needs who installs it. */
const FOREIGN =
  /^package\/(?:dist\/)?(?:test|bench|models|examples|scripts)\/|\.(?:test\.[jt]s|onnx|npy|tgz|tsbuildinfo)$/;

const folder = mkdtempSync(join(tmpdir(), 'quantc-package-'));
const complaints = [];
try {
  const tarball = pack(folder);
  const contents = unzipped(readFileSync(tarball));
  const names = new Set(contents.map(({ name }) => name));
  for (const name of names) if (FOREIGN.test(name)) complaints.push(`${name} does not belong in the package`);
  const manifest = JSON.parse(readFileSync(join(folder, 'package', 'package.json'), 'utf8'));
  const targets = [...Object.values(manifest.bin), ...Object.values(manifest.exports).flatMap(pathsIn)];
  for (const path of targets)
    if (!names.has(join('package', path))) complaints.push(`${path} is promised and not in the package`);
  const data = readFileSync(tarball);
  const { messages } = await publint({
    pack: { tarball: data.buffer.slice(data.byteOffset, data.byteOffset + data.length) },
    strict: true,
  });
  complaints.push(
    ...messages.map((message) => `publint: ${formatMessage(message, manifest, { color: false })}`),
  );
  const attw = createRequire(import.meta.url)
    .resolve('@arethetypeswrong/cli/package.json')
    .replace(/package\.json$/, 'dist/index.js');
  const types = spawnSync(
    process.execPath,
    [attw, tarball, '--profile', 'esm-only', '--no-emoji', '--no-color'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  if (types.status !== 0) complaints.push(`attw: ${types.stdout}${types.stderr}`);
  const unpacked = contents.reduce((sum, { size }) => sum + size, 0);
  console.log(
    `${names.size} files, ${kilobytes(statSync(tarball).size)} packed, ${kilobytes(unpacked)} unpacked`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
else console.log('publint and attw have nothing to say');

/** Every path that an entry of `exports` leads to. */
function pathsIn(entry) {
  return typeof entry === 'string' ? [entry] : Object.values(entry).flatMap(pathsIn);
}

function kilobytes(bytes) {
  return `${Math.round(bytes / 1000)} kB`;
}
