import { QuantcError } from '../errors/error.js';
import type { Model, Node, Value } from '../ir/graph.js';
import { verify } from '../ir/verify.js';
import { blame, watchGraph } from './blame.js';
import { Ledger } from './ledger.js';
import { type Engine, type Fact, type Pass, type PassContext, versionOf } from './pass.js';

/** What the pipeline tells a watcher after each pass. */
export interface PassEvent {
  readonly pass: string;
  /** Name of the plugin that the pass comes from. */
  readonly plugin?: string;
  /** How many passes ran before it, each round of a group counted. */
  readonly index: number;
  readonly milliseconds: number;
  /** False when the pass edited nothing. */
  readonly changed: boolean;
  /** What was rewritten and what was declined, with the place. */
  readonly changes: readonly string[];
  readonly declines: readonly string[];
}

export interface PipelineOptions {
  readonly engine: Engine;
  readonly ledger?: Ledger;
  readonly facts?: Map<string, unknown>;
  /** Verify the model after every pass that changed it: on in tests, costs time otherwise. */
  readonly verify?: boolean;
  /** Told after each pass, with the model as it then stands (for traces and dumps). */
  readonly onPass?: (event: PassEvent, model: Model) => void;
}

/**
 * Runs passes in order over a model, in place. Facts that a pass needs are restored before it (`typed`) or must have
 * been given by an earlier one; where an earlier one has set the fact to `false` (it found that it cannot hold for this
 * model), the pass is passed by, with a note in the ledger. A group's passes repeat until a round of them changes nothing.
 * @throws QuantcError E_PIPELINE_FACT when a needed fact is missing, F_PASS when a pass leaves a broken graph; errors
 * of a pass are thrown on with the pass's name in their place. What a plugin's pass throws is E_PLUGIN_FAILED, and what
 * it breaks, which is always looked for, E_PLUGIN_GRAPH.
 */
export async function runPipeline(
  model: Model,
  passes: readonly Pass[],
  options: PipelineOptions,
): Promise<Ledger> {
  const ledger = options.ledger ?? new Ledger();
  const facts = options.facts ?? new Map<string, unknown>();
  const given = new Set<Fact>();
  const passedBy = new Set<Pass>();
  let index = 0;
  const runOne = async (pass: Pass): Promise<boolean> => {
    const denied = pass.needs?.find((need) => facts.get(need) === false);
    if (denied !== undefined) {
      if (!passedBy.has(pass))
        ledger.note('info', 'pass-skipped', `${pass.name} passed by: it needs "${denied}"`, pass.name);
      passedBy.add(pass);
      return false;
    }
    let changedInside = false;
    const rounds = pass.rounds ?? 1;
    for (let round = 0; pass.passes !== undefined && round < rounds; round++) {
      const changedNow: Pass[] = [];
      for (const each of pass.passes) if (await runOne(each)) changedNow.push(each);
      if (changedNow.length === 0) break;
      changedInside = true;
      const restless = changedNow.find(({ plugin }) => plugin !== undefined);
      if (restless !== undefined && round > 0 && round === rounds - 1)
        ledger.note(
          'warning',
          'plugin-restless',
          `${pass.name} did not settle: ${restless.name} of plugin ${restless.plugin} still changed something in round ${rounds}`,
          restless.name,
        );
    }
    for (const need of pass.needs ?? []) {
      if (need === 'typed') await options.engine.inferTypes(model);
      else if (!given.has(need) && !facts.has(need)) {
        throw new QuantcError(
          'E_PIPELINE_FACT',
          `pass ${pass.name} needs "${need}", which no earlier pass gives`,
          {
            kind: 'usage',
            place: { pass: pass.name, plugin: pass.plugin },
          },
        );
      }
    }
    const changes: string[] = [];
    const declines: string[] = [];
    const context: PassContext = {
      engine: options.engine,
      ledger,
      facts,
      decline: (reason, at) => void declines.push(describe(reason, at)),
      changed: (what, at) => {
        changes.push(describe(what, at));
        if (pass.plugin !== undefined && at !== undefined && 'opType' in at) ledger.touched(at, pass.plugin);
      },
    };
    const check = pass.plugin === undefined ? undefined : watchGraph(model, pass);
    const before = versionOf(model);
    const start = performance.now();
    try {
      ledger.plugin = pass.plugin;
      await pass.run(model, context);
    } catch (error) {
      throw blame(error, pass, changes.concat(declines).at(-1));
    } finally {
      ledger.plugin = undefined;
    }
    check?.();
    for (const fact of pass.gives ?? []) given.add(fact);
    const changed = versionOf(model) !== before;
    if (changed && options.verify) {
      const problems = verify(model);
      if (problems.length > 0) {
        throw new QuantcError('F_PASS', `pass ${pass.name} left a broken graph: ${problems[0]!.message}`, {
          kind: 'fault',
          place: { pass: pass.name, ...problems[0]!.place },
        });
      }
    }
    options.onPass?.(
      {
        pass: pass.name,
        ...(pass.plugin !== undefined && { plugin: pass.plugin }),
        index: index++,
        milliseconds: performance.now() - start,
        changed,
        changes,
        declines,
      },
      model,
    );
    return changed || changedInside;
  };
  for (const pass of passes) await runOne(pass);
  return ledger;
}

function describe(text: string, at: Node | Value | undefined): string {
  if (at === undefined) return text;
  return `${'opType' in at ? at.label : at.name}: ${text}`;
}
