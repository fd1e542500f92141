/**
 * Checkpoints: a folder `step-<n>` each, one .npy a tensor and `state.json` with the curve and the digests of the files. A
 * folder comes to be under another name and is renamed when it is whole, so that a kill leaves the one before.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeNpy, parseNpy } from '../calibration/npy.js';
import { QuantcError } from '../errors/error.js';
import type { Tensor } from '../ir/tensor.js';
import type { CurvePoint } from './curve.js';

export interface Checkpoint {
  /** Which training it belongs to. */
  readonly key: string;
  /** One point a step that was made. */
  readonly curve: readonly CurvePoint[];
  readonly values: ReadonlyMap<string, Tensor>;
}

interface StateFile {
  readonly key: string;
  readonly curve: readonly CurvePoint[];
  /** File and SHA-256 by name of the value. */
  readonly values: Readonly<Record<string, readonly [file: string, digest: string]>>;
}

const FOLDER = /^step-(\d+)$/;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The whole checkpoints in a folder by their steps, last first. */
function checkpointsIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const named = readdirSync(folder).flatMap((name) => {
    const step = FOLDER.exec(name)?.[1];
    return step === undefined ? [] : [{ name, step: Number(step) }];
  });
  return named.sort((a, b) => b.step - a.step).map(({ name }) => name);
}

/** Writes a checkpoint and takes away those before it. */
export function writeCheckpoint(folder: string, { key, curve, values }: Checkpoint): void {
  const place = join(folder, `step-${curve.length}`);
  const staging = join(folder, '.staging');
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  const files: Record<string, readonly [string, string]> = {};
  for (const [index, [name, tensor]] of [...values].entries()) {
    const bytes = encodeNpy(tensor);
    writeFileSync(join(staging, `${index}.npy`), bytes);
    files[name] = [`${index}.npy`, sha256(bytes)];
  }
  const state: StateFile = { key, curve, values: files };
  writeFileSync(join(staging, 'state.json'), JSON.stringify(state));
  const older = checkpointsIn(folder);
  rmSync(place, { recursive: true, force: true });
  renameSync(staging, place);
  for (const name of older) {
    if (join(folder, name) !== place) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/**
 * The last checkpoint in a folder; undefined where there is none. One that is damaged is passed over for the one before.
 * @throws QuantcError E_TRAINING_RESUME where it belongs to another training
 */
export function readCheckpoint(folder: string, key: string): Checkpoint | undefined {
  for (const name of checkpointsIn(folder)) {
    const place = join(folder, name);
    const state = wholeState(place);
    if (state === undefined) continue;
    if (state.key !== key) {
      throw new QuantcError(
        'E_TRAINING_RESUME',
        `${place} is of another training: model, data or settings differ`,
        {
          kind: 'usage',
          place: { file: place },
          hint: 'Give the same settings as before, or another folder.',
        },
      );
    }
    const values = new Map<string, Tensor>();
    for (const [value, [file]] of Object.entries(state.values)) {
      const array = parseNpy(readFileSync(join(place, file)), join(place, file));
      const rows = array.shape[0] ?? 1;
      values.set(value, array.rows(0, rows).with({ shape: array.shape }));
    }
    return { key, curve: state.curve, values };
  }
  return undefined;
}

/** What a folder says it holds, if it does. */
function wholeState(place: string): StateFile | undefined {
  try {
    const state = JSON.parse(readFileSync(join(place, 'state.json'), 'utf8')) as StateFile;
    const sound = Object.values(state.values).every(
      ([file, digest]) => sha256(readFileSync(join(place, file))) === digest,
    );
    return sound ? state : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError || isMissing(error)) return undefined;
    throw error;
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';
