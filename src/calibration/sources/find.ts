/** From a path to what feeds each input: which kind of data it is, and what is declared of it. */
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { QuantcError } from '../../errors/error.js';
import type { InputSignature } from '../dataset.js';
import { type InputEntry, type Manifest, readManifest, type Transform } from '../manifest.js';
import { looksLikeZip, openNpy, openNpz } from '../npy.js';
import { evenly, pickRows, type RowSource } from '../rows.js';
import { AUDIO_ENDINGS, openAudio } from './audio.js';
import type { ImageDecoderName } from './decode-image.js';
import { IMAGE_ENDINGS, openImages } from './images.js';
import { endsIn, listFiles } from './listing.js';
import { openTokens, TOKEN_ENDINGS } from './tokens.js';

/** Which part of the data: calibration must never see what evaluation is done on. */
export type Split = 'calib' | 'eval';

export interface FoundInput {
  readonly rows: RowSource;
  readonly transform?: Transform;
  readonly stacked?: boolean;
  /** These are token ids: other inputs may follow from them. */
  readonly tokens?: boolean;
}

export type Found = Omit<Manifest, 'inputs'> & {
  /** Folder that files are named relative to. */
  readonly root: string;
  readonly inputs: ReadonlyMap<string, FoundInput>;
};

export interface FindOptions {
  readonly decoder?: ImageDecoderName;
  readonly onProgress?: (share: number) => void;
}

/** Opens what lies at a path; see `openData`. */
export async function findSources(
  path: string,
  split: Split,
  signature: readonly InputSignature[],
  options: FindOptions = {},
): Promise<Found> {
  const folder = isFolder(path);
  if (folder || isManifest(path)) {
    const file = folder ? join(path, 'data.json') : path;
    if (folder) refuseUndeclared(path, signature);
    const manifest = readManifest(file);
    const root = folder ? path : resolve(path, '..');
    const inputs = new Map<string, FoundInput>();
    for (const [name, entry] of Object.entries(manifest.inputs)) {
      const input = signature.find((each) => each.name === name);
      inputs.set(name, await openEntry({ name, entry, split, root, file, input, options }));
    }
    return { ...manifest, root, inputs };
  }
  const only = signature.filter((input) => input.constant === undefined);
  const bare = { root: path, constants: {} };
  if (endsIn(path, TOKEN_ENDINGS)) {
    const input = only.find(({ name }) => name === 'input_ids') ?? only[0];
    if (input === undefined) throw oneForMany(path, 0);
    return {
      ...bare,
      inputs: new Map([
        [input.name, { rows: openTokens(path, {}, shapeOf(input), input.name), tokens: true }],
      ]),
    };
  }
  if (endsIn(path, [...IMAGE_ENDINGS, ...AUDIO_ENDINGS]))
    throw undeclared(path, endsIn(path, AUDIO_ENDINGS), signature);
  if (looksLikeZip(path)) {
    const arrays = openNpz(path);
    const anonymous = arrays.size === 1 && only.length === 1 && !arrays.has(only[0]!.name);
    const named = [...arrays].map(([name, rows]) => [anonymous ? only[0]!.name : name, { rows }] as const);
    return { ...bare, inputs: new Map(named) };
  }
  const rows = openNpy(path);
  if (only.length !== 1) throw oneForMany(path, only.length);
  return { ...bare, inputs: new Map([[only[0]!.name, { rows }]]) };
}

const oneForMany = (file: string, count: number): QuantcError =>
  new QuantcError('E_DATA_INPUTS', `one array cannot feed ${count} inputs`, {
    place: { file },
    hint: 'Give an .npz with one array an input, or a folder with a data.json.',
  });

interface EntryContext {
  readonly name: string;
  readonly entry: InputEntry;
  readonly split: Split;
  readonly root: string;
  /** The data.json, for messages. */
  readonly file: string;
  readonly input: InputSignature | undefined;
  readonly options: FindOptions;
}

async function openEntry({
  name,
  entry,
  split,
  root,
  file,
  input,
  options,
}: EntryContext): Promise<FoundInput> {
  const { calib, eval: evaluation, images, audio, tokens, ...rest } = entry;
  const said = split === 'calib' ? calib : evaluation;
  if (said === undefined) {
    throw new QuantcError('E_DATA_SPLIT', `input "${name}" has no "${split}" data`, {
      place: { file, value: name },
    });
  }
  const path = resolve(root, typeof said === 'string' ? said : said.path);
  const samples = typeof said === 'string' ? undefined : said.samples;
  const shape = input && shapeOf(input);
  if (images) return openImages(path, images, shape, name, { ...options, ...(samples && { samples }) });
  const rows = audio
    ? openAudio(path, audio, shape, name)
    : tokens
      ? openTokens(path, tokens, shape, name)
      : openNpy(path);
  const count = rows.shape[0] ?? 0;
  const some = samples === undefined || samples >= count ? rows : pickRows(rows, evenly(count, samples));
  return { ...rest, rows: some, tokens: tokens !== undefined };
}

const shapeOf = ({ type }: InputSignature) => (type?.kind === 'tensor' ? type.shape : undefined);

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new QuantcError('E_DATA_READ', `there is no ${path}`, { place: { file: path }, cause });
  }
}

/** A .json that is no list: lists are token ids. */
function isManifest(path: string): boolean {
  return endsIn(path, ['.json']) && !/^\s*\[/.test(readFileSync(path, 'utf8').slice(0, 1000));
}

/** A folder of pictures or sound without a data.json: what becomes of them must be said. */
function refuseUndeclared(folder: string, signature: readonly InputSignature[]): void {
  try {
    statSync(join(folder, 'data.json'));
    return;
  } catch {
    // There is none: what else is in it decides what is said.
  }
  let names: readonly string[] = [];
  try {
    names = listFiles(folder, [...IMAGE_ENDINGS, ...AUDIO_ENDINGS], 'picture or sound');
  } catch (error) {
    if (!(error instanceof QuantcError)) throw error;
  }
  if (names.length > 0)
    throw undeclared(
      folder,
      names.every((name) => endsIn(name, AUDIO_ENDINGS)),
      signature,
    );
}

/** Says what must be declared, with a data.json to begin with. */
function undeclared(path: string, sound: boolean, signature: readonly InputSignature[]): QuantcError {
  const name = signature.find(({ constant }) => constant === undefined)?.name ?? 'x';
  const how = sound
    ? { audio: { sampleRate: 16000 } }
    : { images: { fit: 'cover', scale: 0.003922, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } };
  const example = JSON.stringify({ inputs: { [name]: { calib: sound ? 'sounds' : 'pictures', ...how } } });
  return new QuantcError(
    'E_DATA_UNDECLARED',
    `nothing says how ${sound ? 'sounds' : 'pictures'} become the model's input`,
    {
      place: { file: path, value: name },
      hint: `Beside them, write a data.json like ${example}; docs/data.md says what it may hold.`,
    },
  );
}
