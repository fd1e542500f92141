/** Several compilations of one model that agree on the ranges of their values. */
import { QuantcError } from '../errors/error.js';
import type { Value } from '../ir/graph.js';
import type { Observation } from '../pipeline/pass.js';

type Seen = ReadonlyMap<Value, Observation>;

/**
 * Where compilations that run side by side wait for each other. What they observed is joined by the names of the values:
 * the smallest minimum, the largest maximum. A value that one of them alone has keeps what that one saw.
 */
export class Meeting {
  readonly #all = new Map<string, Observation>();
  #present: number;
  #waiting: (() => void)[] = [];
  #failed: unknown;

  /** @param members how many take part; each must call `leave` at its end */
  constructor(members: number) {
    this.#present = members;
  }

  /** Brings what one has observed; answers when all that are still there have. @throws the error of one that failed */
  async join(seen: Seen): Promise<Map<Value, Observation>> {
    for (const [value, each] of seen) this.#all.set(value.name, united(this.#all.get(value.name), each));
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      this.#settle();
    });
    if (this.#failed !== undefined) throw this.#failed;
    return new Map([...seen.keys()].map((value) => [value, this.#all.get(value.name)!]));
  }

  /** One of them is done, or has failed: nobody waits for it. */
  leave(error?: unknown): void {
    this.#present -= 1;
    if (error !== undefined) {
      this.#failed ??= new QuantcError('E_SHAPES_OTHER', 'the compilation for another shape failed', {
        cause: error,
      });
    }
    this.#settle();
  }

  #settle(): void {
    if (this.#waiting.length < this.#present && this.#failed === undefined) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }
}

function united(a: Observation | undefined, b: Observation): Observation {
  if (a === undefined) return b;
  const alternatives: Record<string, { min: number; max: number }> = {};
  for (const [method, range] of Object.entries(b.alternatives ?? {})) {
    const other = a.alternatives?.[method];
    if (other !== undefined) alternatives[method] = wider(other, range);
  }
  return { ...wider(a, b), ...(Object.keys(alternatives).length > 0 && { alternatives }) };
}

interface Ends {
  readonly min: number;
  readonly max: number;
}
const wider = (a: Ends, b: Ends): Ends => ({ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) });
