/** What plugins give, wrapped so that what goes wrong inside names them. */
import { QuantcError } from '../errors/error.js';
import { Node } from '../ir/graph.js';
import { blame, pluginFailure } from '../pipeline/blame.js';
import type { Pass, PassContext } from '../pipeline/pass.js';
import type { Range } from '../target/facts.js';
import type { Target } from '../target/target.js';
import { originOf } from './origin.js';
import type { QuantcPlugin } from './plugin.js';
import type { RangeObserver, SeenValue } from './range-observer.js';

/** A pass that bears its plugin's name, and so do those in it: the pipeline blames by it, and checks what they leave. */
export function signedPass(pass: Pass, plugin: QuantcPlugin): Pass {
  const { name, doc, needs, gives, passes, rounds } = pass;
  return {
    ...{ name, doc, plugin: plugin.name },
    ...(needs && { needs }),
    ...(gives && { gives }),
    ...(passes && { passes: passes.map((inner) => signedPass(inner, plugin)) }),
    ...(rounds !== undefined && { rounds }),
    run: (model, context) => pass.run(model, ownAnswers(context, plugin)),
  };
}

/** Answers that a plugin keeps depend on its code as well; where that is not known, nothing is kept for it. */
function ownAnswers(context: PassContext, plugin: QuantcPlugin): PassContext {
  const { remember } = context.engine;
  const origin = originOf(plugin);
  if (remember === undefined) return context;
  return {
    ...context,
    engine: {
      ...context.engine,
      remember:
        origin === undefined
          ? undefined
          : (kind, key, compute) => remember(`plugin-${kind}`, [plugin.name, origin, ...key], compute),
    },
  };
}

/** Wrapped targets by themselves, so that one stays one however often it is plugged in. */
const targets = new WeakMap<Target, Target>();

/** A target whose conditions tell the plugin, the row and the node when they throw. */
export function guardedTarget(target: Target, plugin: string): Target {
  const known = targets.get(target) ?? (guarded(target, '', { target: target.name, plugin }) as Target);
  targets.set(target, known);
  return known;
}

interface Owner {
  readonly target: string;
  readonly plugin: string;
}

/** Data as they are, with every function in them wrapped. @param at where it stands, as `rows[2].when` */
function guarded(given: unknown, at: string, owner: Owner): unknown {
  if (Array.isArray(given)) return given.map((each, index) => guarded(each, `${at}[${index}]`, owner));
  if (typeof given === 'function') return guardedCall(given as Callable, at, owner);
  if (typeof given !== 'object' || given === null || Object.getPrototypeOf(given) !== Object.prototype)
    return given;
  return Object.fromEntries(
    Object.entries(given).map(([key, each]) => [key, guarded(each, at === '' ? key : `${at}.${key}`, owner)]),
  );
}

type Callable = (...given: unknown[]) => unknown;

const guardedCall =
  (call: Callable, at: string, { target, plugin }: Owner): Callable =>
  (...given) => {
    try {
      return call(...given);
    } catch (error) {
      const [first] = given as [Node | { readonly node?: Node } | undefined];
      const node = first instanceof Node ? first : first?.node;
      const message = error instanceof Error ? error.message : String(error);
      const told = new Error(`${at} of target ${target}: ${message}`, { cause: error });
      throw pluginFailure(told, { plugin, ...(node instanceof Node && { node: node.label }) });
    }
  };

/**
 * The range that an observer chooses.
 * @throws QuantcError E_PLUGIN_FAILED where it throws or what it answers is no range; errors of its own with the plugin
 * in their place
 */
export function observedRange(observer: RangeObserver, plugin: string, seen: SeenValue): Range {
  const place = { plugin, value: seen.name };
  const name = `observer ${observer.name}`;
  let range: unknown;
  try {
    range = observer.range(seen);
  } catch (error) {
    const { code, message, kind, place: at, hint } = blame(error, { ...NO_PASS, plugin }) as QuantcError;
    const { pass: _none, ...rest } = at;
    throw new QuantcError(code, message, { kind, place: { ...rest, ...place }, hint, cause: error });
  }
  const { min, max } = (range ?? {}) as Partial<Range>;
  if (typeof min === 'number' && typeof max === 'number' && Number.isFinite(max - min) && min <= max)
    return { min, max };
  throw pluginFailure(
    new Error(
      `${name} answered ${JSON.stringify(range) ?? String(range)}, which is no range: expected { min, max }`,
    ),
    place,
  );
}

const NO_PASS: Pass = { name: '', doc: '', run: () => {} };
