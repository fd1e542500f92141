/** ONNX's own backend suite, as far as it lies beside the checkout: models with inputs to run them on. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Model, QuantcError, type Tensor } from '../src/index.js';
import { decodeTensor } from '../src/onnx/read.js';
import { withSession } from '../src/runtime/session.js';
import { sharedPath } from './shared.js';

export interface SuiteCase {
  readonly name: string;
  /** Path of the model. */
  readonly model: string;
  readonly folder: string;
}

/** Every case, in order of names; none when the suite is absent, which is said aloud. */
export function suiteCases(): SuiteCase[] {
  const root = sharedPath('onnx-suite');
  if (root === undefined) {
    console.warn('SKIPPED: the ONNX backend suite is not there');
    return [];
  }
  return readdirSync(root)
    .sort()
    .map((name) => ({ name, folder: join(root, name), model: join(root, name, 'model.onnx') }))
    .filter((each) => existsSync(each.model));
}

/** Cases of a like name together, so that a test a family says where things go wrong and how long it takes. */
export function families(cases: readonly SuiteCase[]): Map<string, SuiteCase[]> {
  const groups = new Map<string, SuiteCase[]>();
  for (const each of cases) {
    const family = each.name.replace(/^test_(ai_onnx_ml_)?/, '')[0] ?? '';
    groups.set(family, [...(groups.get(family) ?? []), each]);
  }
  return groups;
}

export type Outputs = Readonly<Record<string, Tensor>>;

/**
 * The feeds of a case, one a data set, by the names of the model's inputs. Undefined when an input has no file: values
 * that are no tensors have none, and cannot be fed from JavaScript anyway.
 */
export function suiteFeeds(each: SuiteCase, model: Model): Outputs[] | undefined {
  const sets = readdirSync(each.folder).filter((name) => name.startsWith('test_data_set_'));
  const feeds: Outputs[] = [];
  for (const set of sets.sort()) {
    const feed: Record<string, Tensor> = {};
    for (const [index, input] of model.graph.inputs.entries()) {
      const path = join(each.folder, set, `input_${index}.pb`);
      if (existsSync(path)) feed[input.name] = decodeTensor(readFileSync(path));
      else if (input.constant === undefined) return undefined;
    }
    feeds.push(feed);
  }
  return feeds;
}

/** How ONNX Runtime runs a case: with its optimizer off; a few half-precision models load only with it on. */
export type Level = 'off' | 'all';

/** What the original answers, and how it had to be run; undefined when onnxruntime-node cannot run it at all. */
export async function originalAnswers(
  each: SuiteCase,
  model: Model,
): Promise<{ feeds: Outputs[]; level: Level; answers: Outputs[] } | undefined> {
  const feeds = suiteFeeds(each, model);
  if (feeds === undefined || feeds.length === 0) return undefined;
  for (const level of ['off', 'all'] as const) {
    try {
      return { feeds, level, answers: await answers(each.model, feeds, level) };
    } catch (error) {
      if (!(error instanceof QuantcError) || !error.code.startsWith('E_RUNTIME_')) throw error;
    }
  }
  return undefined;
}

/** What a model answers to each feed, in one thread; throws what ONNX Runtime throws. */
export async function answers(
  model: Model | string,
  feeds: readonly Outputs[],
  level: Level,
): Promise<Outputs[]> {
  return withSession(model, { optimization: level, threads: 1 }, async (session) => {
    const known = new Set(session.inputs.map((input) => input.name));
    const outputs: Outputs[] = [];
    for (const feed of feeds) {
      // An input with a default cannot be fed through this binding.
      outputs.push(
        await session.run(Object.fromEntries(Object.entries(feed).filter(([name]) => known.has(name)))),
      );
    }
    return outputs;
  });
}
