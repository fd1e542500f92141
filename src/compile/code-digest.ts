/** What quantc itself is, to the byte: answers of another version, or of code that was edited since, are not its own. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { VERSION } from '../report/version.js';

/** The folders that decide what is answered, beside each other in the sources and in what is built of them. */
const FOLDERS = ['src', 'passes', 'targets'];
const ROOT = dirname(dirname(import.meta.dirname));
const CODE = /(?<!\.d)\.(?:js|ts|wasm)$/;

let digest: string | undefined;

/** SHA-256 over the version and every file of code, hashed once a process: some 300 small files. */
export function codeDigest(): string {
  digest ??= hashCode(ROOT);
  return digest;
}

/** Every file and folder of code, by absolute paths: while none of them changes, neither does the digest. */
export const codeFiles = (): string[] =>
  FOLDERS.flatMap((folder) => [
    join(ROOT, folder),
    ...readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory() || CODE.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name)),
  ]);

function hashCode(root: string): string {
  const hash = createHash('sha256').update(VERSION);
  for (const folder of FOLDERS) {
    const entries = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
    for (const name of entries.filter((each) => CODE.test(each)).sort())
      hash.update(`\0${folder}/${name}\0`).update(readFileSync(join(root, folder, name)));
  }
  return hash.digest('hex');
}
