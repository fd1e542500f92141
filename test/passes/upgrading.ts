/** Runs the opset upgrade on a model and its result in ONNX Runtime. */
import { upgradeOpset } from '../../passes/upgrade-opset.js';
import { type Ledger, type Model, type Pass, runPipeline, type Tensor } from '../../src/index.js';
import { withSession } from '../../src/runtime/session.js';
import { inferTypes } from '../../src/runtime/types.js';
import { drawnFeeds } from '../../src/testing/index.js';
import { parseModel } from '../../src/text/parse.js';
import type { CaseConfig } from '../golden.js';

export interface Upgraded {
  readonly ledger: Ledger;
  readonly facts: Map<string, unknown>;
  readonly changes: string[];
  readonly declines: string[];
}

/** Upgrades a model in place, and verifies it. */
export async function upgrade(model: Model, then: readonly Pass[] = []): Promise<Upgraded> {
  const facts = new Map<string, unknown>();
  const [changes, declines]: [string[], string[]] = [[], []];
  const ledger = await runPipeline(model, [upgradeOpset, ...then], {
    engine: {
      inferTypes: async (untyped) => void (await inferTypes(untyped)),
      evaluate: async () => new Map(),
      observe: async () => new Map(),
    },
    facts,
    verify: true,
    onPass: (event) => {
      changes.push(...event.changes);
      declines.push(...event.declines);
    },
  });
  return { ledger, facts, changes, declines };
}

/** A graph in ONNX's text under one import of ai.onnx, and perhaps others. */
export const parseAt = (graph: string, opset: number, more = ''): Model =>
  parseModel(`<ir_version: 8, opset_import: ["" : ${opset}${more && `, ${more}`}]>\n${graph}`);

export const runModel = (model: Model, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> =>
  withSession(model, { optimization: 'off', threads: 1 }, (session) => session.run(feeds));

/** Runs a model on inputs drawn from seeds. */
export const runDrawn = (model: Model, draw: number, config: CaseConfig = {}) =>
  runModel(model, drawnFeeds(model, config, draw));
