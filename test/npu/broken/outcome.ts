/** What becomes of a broken graph when it is compiled. */
import { writeFileSync } from 'node:fs';
import { explain } from '../../../src/explain.js';
import { encodeModel, type ProviderVerdict, QuantcError, type Target } from '../../../src/index.js';
import { modelOf } from './case.js';

export interface Outcome {
  /** The provider's verdict on what was compiled. */
  readonly verdict?: ProviderVerdict;
  /** Passes that changed the graph. */
  readonly passes: ReadonlySet<string>;
  /** Code of the error that the compilation ended with. */
  readonly error?: string;
}

/**
 * Compiles a graph as far as the file, with open dimensions of 1.
 * @param path of a file to write it to
 */
export async function compiled(text: string, target: Target, path: string): Promise<Outcome> {
  const model = modelOf(text);
  writeFileSync(path, encodeModel(model));
  const open = new Set(
    model.graph.inputs.flatMap(({ shape }) => (shape ?? []).filter((dim) => typeof dim === 'string')),
  );
  const passes = new Set<string>();
  try {
    const { verdict } = await explain({
      model: path,
      target: target.name,
      dims: Object.fromEntries([...open].map((dim) => [dim, 1])),
      onPass: (event) => {
        if (event.changed) passes.add(event.pass);
      },
    });
    return { ...(verdict && { verdict }), passes };
  } catch (error) {
    if (!(error instanceof QuantcError)) throw error;
    return { passes, error: error.code };
  }
}
