/** Lists of pairs that the IR holds as maps: opset imports and metadata. */
import { QuantcError } from '../errors/error.js';
import type { Message } from './schema.js';
import { textOf } from './wire-read.js';

type OpsetRecord = Message<'OperatorSetIdProto'>;
type EntryRecord = Message<'StringStringEntryProto'>;

/** Entries in file order, each with the value that the map held for its key when reading was done. */
export type OpsetExtras = readonly { readonly record: OpsetRecord; readonly seen: number }[];
export type EntryExtras = readonly {
  readonly record: EntryRecord;
  readonly key: string;
  readonly seen: string;
}[];

const canonicalDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);

/** Versions by domain; where a file imports one domain twice, the last import counts. */
export function decodeOpsets(records: readonly OpsetRecord[]): [Map<string, number>, OpsetExtras] {
  const opsets = new Map<string, number>();
  for (const { domain = '', version = 0 } of records) {
    if (typeof version === 'bigint') {
      throw new QuantcError('E_ONNX_NOT_A_MODEL', `the opset version ${version} of "${domain}" is none`);
    }
    opsets.set(canonicalDomain(domain), version);
  }
  const extras = records.map((record) => ({
    record,
    seen: opsets.get(canonicalDomain(record.domain ?? ''))!,
  }));
  return [opsets, extras];
}

export function encodeOpsets(opsets: ReadonlyMap<string, number>, extras: OpsetExtras = []): OpsetRecord[] {
  const records: OpsetRecord[] = [];
  const done = new Set<string>();
  for (const { record, seen } of extras) {
    const domain = canonicalDomain(record.domain ?? '');
    const version = opsets.get(domain);
    if (version === undefined) continue;
    done.add(domain);
    records.push(version === seen ? record : { ...record, version });
  }
  for (const [domain, version] of opsets) if (!done.has(domain)) records.push({ domain, version });
  return records;
}

/** Metadata as text; bytes that are not UTF-8 read as replacement characters, but are written as they were. */
export function decodeEntries(records: readonly EntryRecord[]): [Map<string, string>, EntryExtras] {
  const entries = new Map<string, string>();
  for (const { key, value } of records) entries.set(readable(key), readable(value));
  const extras = records.map((record) => {
    const key = readable(record.key);
    return { record, key, seen: entries.get(key)! };
  });
  return [entries, extras];
}

export function encodeEntries(entries: ReadonlyMap<string, string>, extras: EntryExtras = []): EntryRecord[] {
  const records: EntryRecord[] = [];
  const done = new Set<string>();
  for (const { record, key, seen } of extras) {
    const value = entries.get(key);
    if (value === undefined) continue;
    done.add(key);
    records.push(value === seen ? record : { ...record, value: Buffer.from(value) });
  }
  for (const [key, value] of entries) {
    if (!done.has(key)) records.push({ key: Buffer.from(key), value: Buffer.from(value) });
  }
  return records;
}

const readable = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? '' : (textOf(bytes) ?? new TextDecoder().decode(bytes));
