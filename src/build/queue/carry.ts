/** Files of a build through Redis, piece by piece, where a worker and the build share no folder. */
import { closeSync, existsSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import type { Redis } from 'ioredis';
import { QuantcError } from '../../errors/error.js';

/** Memory follows a piece, here and there. */
const PIECE = 1 << 20;
/** Seconds that pieces wait for a build that has gone. */
const KEPT_S = 3600;

/** A file on its way: its path below the folder, and how many pieces it is in. */
export interface CarriedFile {
  readonly path: string;
  readonly pieces: number;
}

const keyOf = (token: string, file: number, piece: number): string => `quantc:${token}:${file}:${piece}`;

/** Puts files of a folder into Redis. @param token names this journey alone */
export async function send(
  redis: Redis,
  token: string,
  folder: string,
  paths: readonly string[],
): Promise<CarriedFile[]> {
  const carried: CarriedFile[] = [];
  const buffer = Buffer.alloc(PIECE);
  for (const [index, path] of paths.entries()) {
    const file = openSync(join(folder, path), 'r');
    try {
      let pieces = 0;
      for (;;) {
        const bytes = readSync(file, buffer, 0, PIECE, null);
        if (bytes === 0) break;
        await redis.set(keyOf(token, index, pieces++), buffer.subarray(0, bytes), 'EX', KEPT_S);
      }
      carried.push({ path: path.split(sep).join('/'), pieces });
    } finally {
      closeSync(file);
    }
  }
  return carried;
}

/**
 * Takes files out of Redis into a folder.
 * @throws QuantcError E_QUEUE_PIECE for a piece that is gone, or a path that leads out of the folder
 */
export async function receive(
  redis: Redis,
  token: string,
  folder: string,
  carried: readonly CarriedFile[],
): Promise<void> {
  for (const [index, { path, pieces }] of carried.entries()) {
    const place = normalize(path);
    if (isAbsolute(place) || place.split(sep)[0] === '..' || existsSync(join(folder, place)))
      throw lost(`"${path}" is no path of an output`);
    mkdirSync(dirname(join(folder, place)), { recursive: true });
    const file = openSync(join(folder, place), 'wx');
    try {
      for (let piece = 0; piece < pieces; piece++) {
        const key = keyOf(token, index, piece);
        const bytes = await redis.getBuffer(key);
        if (bytes === null) throw lost(`piece ${piece} of ${path} is gone from Redis`);
        writeSync(file, bytes);
        await redis.del(key);
      }
    } finally {
      closeSync(file);
    }
  }
}

const lost = (message: string): QuantcError => new QuantcError('E_QUEUE_PIECE', message);
