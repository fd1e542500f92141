/**
 * A software WebGPU adapter and a browser out of the optional package `@sparticuz/chromium`, whose binaries come as
 * Brotli packs: unpacked once into the user's cache folder. Only Linux on x64 is packed.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { QuantcError } from '../../errors/error.js';

const PACKAGE = '@sparticuz/chromium';

/** Environment under which a process finds SwiftShader, the software implementation of Vulkan. */
export type VulkanEnvironment = Readonly<Record<'VK_ICD_FILENAMES' | 'LD_LIBRARY_PATH', string>>;

/** The package's folder of packs and its version, or why there is none. */
function packs(): { readonly folder: string; readonly version: string } | string {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `${PACKAGE} has no binaries for ${process.platform}-${process.arch}`;
  try {
    // The package exports no path but its entry: build/cjs/index.cjs.
    const root = join(dirname(createRequire(import.meta.url).resolve(PACKAGE)), '..', '..');
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    return { folder: join(root, 'bin'), version };
  } catch {
    return `the package ${PACKAGE} is not installed`;
  }
}

/** Files of one pack, by the pack's name. */
const CONTENTS: Readonly<Record<string, readonly string[]>> = {
  'swiftshader.tar.br': ['libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json', 'libEGL.so'],
  'al2023.tar.br': ['lib/libnss3.so'],
  'chromium.br': ['chromium'],
};

/** Why SwiftShader cannot be had here; undefined when it can. */
export const swiftShaderMissing = (): string | undefined => {
  const found = packs();
  return typeof found === 'string' ? found : undefined;
};

/** @throws QuantcError E_EXECUTOR_ABSENT when the package is not there. */
export function swiftShader(): VulkanEnvironment {
  const folder = unpacked(['swiftshader.tar.br']);
  return { VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json'), LD_LIBRARY_PATH: folder };
}

/** A headless browser with SwiftShader beside it. @throws QuantcError E_EXECUTOR_ABSENT */
export function packedBrowser(): { readonly path: string; readonly env: VulkanEnvironment } {
  const folder = unpacked(['swiftshader.tar.br', 'al2023.tar.br', 'chromium.br']);
  const libraries = [join(folder, 'lib'), folder].join(':');
  return { path: join(folder, 'chromium'), env: { ...swiftShader(), LD_LIBRARY_PATH: libraries } };
}

/** Unpacks what is not unpacked yet, and answers with the folder. */
function unpacked(names: readonly string[]): string {
  const found = packs();
  if (typeof found === 'string') {
    throw new QuantcError('E_EXECUTOR_ABSENT', `no software WebGPU adapter: ${found}`, {
      kind: 'usage',
      hint: `Run \`npm install --save-dev ${PACKAGE}@143.0.4\`.`,
    });
  }
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const target = join(cache, 'quantc', `chromium-${found.version}`);
  mkdirSync(target, { recursive: true });
  for (const name of names) {
    if (CONTENTS[name]!.every((file) => existsSync(join(target, file)))) continue;
    const fresh = mkdtempSync(join(target, '.unpacking-'));
    try {
      const bytes = brotliDecompressSync(readFileSync(join(found.folder, name)));
      if (name.endsWith('.tar.br')) extract(bytes, fresh, target);
      else install(bytes, name.slice(0, -'.br'.length), fresh, target);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  }
  return target;
}

/** Puts a file in its place whole: another process may be looking for it. */
function install(bytes: Uint8Array, name: string, fresh: string, target: string): void {
  const draft = join(fresh, 'file');
  writeFileSync(draft, bytes, { mode: 0o755 });
  mkdirSync(dirname(join(target, name)), { recursive: true });
  renameSync(draft, join(target, name));
}

/** Size of a block of a tar archive; a header takes one. */
const BLOCK = 512;

/** Installs the regular files of a tar archive (POSIX.1-1988 ustar: name at 0, octal size at 124, type at 156). */
function extract(archive: Uint8Array, fresh: string, target: string): void {
  const text = (from: number, length: number) =>
    Buffer.from(archive.subarray(from, from + length))
      .toString('latin1')
      .replace(/\0.*$/s, '');
  for (let at = 0; at + BLOCK <= archive.length && archive[at] !== 0; ) {
    const name = text(at, 100);
    const size = Number.parseInt(text(at + 124, 12), 8);
    const type = text(at + 156, 1);
    const regular = type === '0' || type === '';
    if (regular && !name.split('/').includes('..'))
      install(archive.subarray(at + BLOCK, at + BLOCK + size), name, fresh, target);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
}
