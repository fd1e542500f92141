/** Answers that depend on code of the user's own are kept for that code alone. */
import { targets as builtIn } from '../../targets/index.js';
import { originOf } from '../plugin/origin.js';
import type { Target } from '../target/target.js';
import { AnswerCache } from './cache.js';
import type { Plugged } from './plugged.js';

/** Kinds whose keys tell all: what calibration counts depends on model and samples, which are in the key. */
const APART: readonly string[] = ['calibration'];

/**
 * The answers of a compilation. With plugins their sources belong to every question; where nobody knows these, or a
 * target was handed over as an object, answers last as long as the compilation.
 */
export function cacheFor(
  folder: string | undefined,
  plugged: Plugged,
  targets: readonly Target[],
): AnswerCache {
  const own = targets.some((each) => !builtIn.includes(each) && !plugged.targets.includes(each));
  if (plugged.plugins.length === 0 && !own) return new AnswerCache(folder);
  const origins = plugged.plugins.map(originOf);
  return new OwnCache(folder, own || origins.includes(undefined) ? undefined : origins.join());
}

class OwnCache extends AnswerCache {
  readonly #origins: string | undefined;
  readonly #passing = new AnswerCache(undefined);

  constructor(folder: string | undefined, origins: string | undefined) {
    super(folder);
    this.#origins = origins;
  }

  override remember<T>(kind: string, key: readonly unknown[], compute: () => Promise<T>): Promise<T> {
    if (APART.includes(kind)) return super.remember(kind, key, compute);
    if (this.#origins === undefined) return this.#passing.remember(kind, key, compute);
    return super.remember(kind, [...key, this.#origins], compute);
  }
}
