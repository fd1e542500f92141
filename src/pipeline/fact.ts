import { QuantcError } from '../errors/error.js';
import type { PassContext } from './pass.js';

/** A typed key into the facts of a compilation: what one pass leaves for later ones. */
export interface FactKey<T> {
  readonly name: string;
  /** @throws QuantcError E_PIPELINE_FACT when no pass has left it yet. */
  get(context: Pick<PassContext, 'facts'>): T;
  find(context: Pick<PassContext, 'facts'>): T | undefined;
  set(context: Pick<PassContext, 'facts'>, value: T): void;
}

/** Declares a fact of type `T` under a name that no other fact has. */
export function factKey<T>(name: string): FactKey<T> {
  return {
    name,
    get(context) {
      if (!context.facts.has(name)) {
        throw new QuantcError('E_PIPELINE_FACT', `no earlier pass has left "${name}"`, { kind: 'usage' });
      }
      return context.facts.get(name) as T;
    },
    find: (context) => context.facts.get(name) as T | undefined,
    set: (context, value) => void context.facts.set(name, value),
  };
}
