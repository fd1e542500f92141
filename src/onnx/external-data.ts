/**
 * Where external data may lie: a regular file inside the model's folder, reached by plain names, long enough. All is
 * checked when the model is read; the bytes are read when somebody asks.
 */
import { lstatSync, realpathSync, type Stats } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { QuantcError } from '../errors/error.js';
import type { FileRange } from '../ir/tensor.js';
import type { Message } from './schema.js';
import { textOf } from './wire-read.js';

/** Where a tensor's bytes stand: the entries of `external_data` that have a meaning. */
export interface ExternalPlace {
  /** Path below the model's folder, with forward slashes. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** The folder of one model, with what is known of the files in it. */
export class ExternalFolder {
  readonly #sizes = new Map<string, number>();
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  /**
   * The range of a file that a place means.
   * @throws QuantcError E_ONNX_EXTERNAL_PATH when it leaves the folder or passes a symbolic link,
   * E_ONNX_EXTERNAL_MISSING when there is no such file, E_ONNX_EXTERNAL_SIZE when the file is too short.
   */
  range(place: ExternalPlace): FileRange {
    const size = this.#sizeOf(place.location);
    if (place.offset + place.length > size) {
      throw new QuantcError(
        'E_ONNX_EXTERNAL_SIZE',
        `${place.location} has ${size} bytes; bytes ${place.offset} to ${place.offset + place.length} are wanted`,
        {
          place: { file: join(this.path, place.location) },
          hint: 'The external data file is cut short or of another model.',
        },
      );
    }
    return { path: join(this.path, place.location), offset: place.offset, length: place.length };
  }

  #sizeOf(location: string): number {
    const known = this.#sizes.get(location);
    if (known !== undefined) return known;
    const size = this.#check(location);
    this.#sizes.set(location, size);
    return size;
  }

  #check(location: string): number {
    const parts = checkLocation(location);
    let at = this.path;
    let stats: Stats | undefined;
    for (const part of parts) {
      at = join(at, part);
      try {
        stats = lstatSync(at);
      } catch (cause) {
        throw new QuantcError('E_ONNX_EXTERNAL_MISSING', `the external data file ${location} is not there`, {
          place: { file: at },
          hint: 'Keep the model and its external data files in one folder.',
          cause,
        });
      }
      if (stats.isSymbolicLink()) throw refused(location, 'passes a symbolic link', at);
    }
    if (!stats?.isFile()) throw refused(location, 'is not a file', at);
    // The links are ruled out above; a mount or a case-folding file system may still play tricks.
    if (!realpathSync(at).startsWith(realpathSync(this.path) + sep))
      throw refused(location, 'leaves the folder', at);
    return stats.size;
  }
}

/** The names that a location is made of, or an error where it could mean anything but a file inside the folder. */
function checkLocation(location: string): string[] {
  if (location === '') throw refused(location, 'is empty');
  if (location.length > 1024) throw refused(`${location.slice(0, 60)}…`, 'is longer than 1024 characters');
  if (location.includes('\0')) throw refused(location.replaceAll('\0', '?'), 'holds a NUL');
  if (/^[\\/]|^[A-Za-z]:|^\w+:\/\//.test(location)) throw refused(location, 'is absolute');
  const parts = location.split(/[\\/]/).filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refused(location, 'goes up a folder');
  if (parts.length === 0) throw refused(location, 'names no file');
  if (parts.some((part) => Buffer.byteLength(part) > 255)) {
    throw refused(`${location.slice(0, 60)}…`, 'holds a name longer than 255 bytes');
  }
  return parts;
}

const refused = (location: string, why: string, file?: string): QuantcError =>
  new QuantcError('E_ONNX_EXTERNAL_PATH', `the external data location "${location}" ${why}: refused`, {
    place: { file },
    hint: "External data must be a regular file inside the model's own folder.",
  });

/**
 * Reads `external_data` entries. Without a length, the bytes that the tensor needs are meant.
 * @throws QuantcError E_ONNX_EXTERNAL when an entry is missing or is no number.
 */
export function decodePlace(
  entries: readonly Message<'StringStringEntryProto'>[],
  needed: number,
  tensor: string,
): ExternalPlace {
  const values = new Map(entries.map(({ key, value }) => [key && textOf(key), value]));
  const location = values.get('location');
  const name = location && textOf(location);
  if (name === undefined) throw unreadable('location', tensor);
  const number = (key: string, otherwise: number): number => {
    const bytes = values.get(key);
    if (bytes === undefined) return otherwise;
    const text = textOf(bytes) ?? '';
    if (!/^\d{1,15}$/.test(text)) throw unreadable(key, tensor);
    return Number(text);
  };
  const length = number('length', needed);
  if (length !== needed) {
    throw new QuantcError(
      'E_ONNX_EXTERNAL_SIZE',
      `external data of ${length} bytes where ${needed} are needed`,
      {
        place: { value: tensor },
      },
    );
  }
  return { location: name, offset: number('offset', 0), length };
}

const unreadable = (key: string, tensor: string): QuantcError =>
  new QuantcError('E_ONNX_EXTERNAL', `the ${key} of external data is missing or unreadable`, {
    place: { value: tensor },
  });

/** The entries that say where bytes now stand; entries of other kinds stay, but for a checksum, which may be stale. */
export function encodePlace(
  place: ExternalPlace,
  before: readonly Message<'StringStringEntryProto'>[],
): Message<'StringStringEntryProto'>[] {
  const entry = (key: string, value: string) => ({ key: Buffer.from(key), value: Buffer.from(value) });
  const kept = before.filter(({ key }) => !OURS.has((key && textOf(key)) ?? ''));
  return [
    entry('location', place.location),
    entry('offset', String(place.offset)),
    entry('length', String(place.length)),
    ...kept,
  ];
}

const OURS = new Set(['location', 'offset', 'length', 'checksum']);
