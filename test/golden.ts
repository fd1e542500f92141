/**
 * Golden cases: `test/golden/<pass>/<case>/` holds `input.onnxtxt`, `expected.onnxtxt` (what the pass makes of it) and
 * perhaps `case.json` ({@link CaseConfig}). Models are written in ONNX's textual syntax; inputs of the run are drawn
 * from seeds. `npm run golden:update` rewrites the expected files.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Model, Pass } from '../src/index.js';
import type { Closeness, FeedLaws } from '../src/testing/index.js';
import { parseModel } from '../src/text/parse.js';

/** What a case may say of itself; the defaults suit a pass that changes no result. */
export interface CaseConfig extends Closeness, FeedLaws {
  /** Passes to run instead of the one that the folder is named for. */
  readonly passes?: readonly string[];
  /** Target whose table passes that quantize read, by name; ranges are observed over the case's own inputs. */
  readonly target?: string;
  /** Why a second run of the passes may edit again; without it a second run must edit nothing. */
  readonly onlyOnce?: string;
  /** `false`: the pass must leave the input as it is. */
  readonly fires?: boolean;
  /** Code of the verifier's problem that the input has, for a pass that mends it. */
  readonly mends?: string;
  /** Why ONNX Runtime cannot run the models; without it they are run. */
  readonly unrunnable?: string;
  /** `true`: types of inner values are part of what is expected. */
  readonly types?: boolean;
}

export interface GoldenCase {
  readonly pass: string;
  readonly name: string;
  readonly folder: string;
  /** Absent when the folder lacks it, which fails the case. */
  readonly input: string | undefined;
  /** Absent when the case was never blessed. */
  readonly expected: string | undefined;
  readonly config: CaseConfig;
}

const root = join(import.meta.dirname, 'golden');
const passesFolder = join(import.meta.dirname, '..', 'passes');

const folders = (path: string): string[] =>
  existsSync(path)
    ? readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name)
        .sort()
    : [];

/** Every case below `test/golden`, in order of names. */
export function goldenCases(): GoldenCase[] {
  return folders(root).flatMap((pass) =>
    folders(join(root, pass)).map((name) => {
      const folder = join(root, pass, name);
      const read = (file: string): string | undefined =>
        existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8') : undefined;
      const input = read('input.onnxtxt');
      const config = JSON.parse(read('case.json') ?? '{}') as CaseConfig;
      return { pass, name, folder, input, expected: read('expected.onnxtxt'), config };
    }),
  );
}

/** The passes of a case, each the export of `passes/<name>.ts` (or `passes/<name>/index.ts`) that bears the name. */
export function passesOf(each: GoldenCase): Promise<Pass[]> {
  return Promise.all((each.config.passes ?? [each.pass]).map(loadPass));
}

export async function loadPass(name: string): Promise<Pass> {
  const path = [join(passesFolder, `${name}.ts`), join(passesFolder, name, 'index.ts')].find(existsSync);
  if (path === undefined) throw new Error(`there is no pass ${name}: passes/${name}.ts is missing`);
  const exported = Object.values((await import(path)) as Record<string, unknown>);
  const pass = exported.find(
    (value) => (value as Pass | undefined)?.name === name && 'run' in (value as Pass),
  );
  if (pass === undefined) throw new Error(`passes/${name}.ts exports no pass of the name ${name}`);
  return pass as Pass;
}

/** Parses a case's text. */
export function readCase(each: GoldenCase): Model {
  if (each.input === undefined) throw new Error(`${each.folder} has no input.onnxtxt`);
  return parseModel(each.input, { file: join(each.folder, 'input.onnxtxt') });
}
