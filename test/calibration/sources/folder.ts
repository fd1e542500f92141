/** A folder for one test, and what the tests of data sources share. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Batch, DataSet, InputSignature } from '../../../src/calibration/dataset.js';
import { QuantcError } from '../../../src/errors/error.js';
import type { DType } from '../../../src/ir/dtype.js';
import { type Dim, tensorType } from '../../../src/ir/type.js';

export interface TestFolder {
  readonly path: string;
  /** Writes a file below it, objects as JSON. @returns its path */
  write(name: string, content: Uint8Array | string | object): string;
  remove(): void;
}

export function testFolder(): TestFolder {
  const path = mkdtempSync(join(tmpdir(), 'quantc-sources-'));
  return {
    path,
    write(name, content) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      const raw = typeof content === 'string' || content instanceof Uint8Array;
      writeFileSync(file, raw ? content : JSON.stringify(content));
      return file;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

export const input = (name: string, shape: readonly Dim[], dtype: DType = 'float'): InputSignature => ({
  name,
  type: tensorType(dtype, shape),
});

export async function batchesOf(data: DataSet): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of data.batches()) batches.push(batch);
  return batches;
}

/** The error that something ends with. */
export async function errorOf(action: () => unknown): Promise<QuantcError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof QuantcError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
