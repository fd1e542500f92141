/** Watching: what a change of the config, the model or the data does, and what a failed build does not end. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { BuildResult } from '../../src/build/build.js';
import { watch } from '../../src/build/watch.js';
import { writeModel } from '../../src/onnx/write.js';
import { parseModel } from '../../src/text/parse.js';

describe('watch', () => {
  let folder: string;
  before(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'quantc-watch-')));
    await model(1);
    config("precision: 'int8-weights'");
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const model = (seed: number) => {
    const numbers = Array.from({ length: 16 * 8 }, (_, at) => `${((at * seed) % 13) / 7 - 1}`);
    const text = `<ir_version: 10, opset_import: ["" : 21]>
net (float[N, 16] x) => (float[N, 8] y)
<float[16, 8] w = {${numbers}}>
{
  y = MatMul (x, w)
}`;
    return writeModel(parseModel(text), join(folder, 'net.onnx'), {});
  };
  const config = (options: string): void =>
    writeFileSync(
      join(folder, 'quantc.config.ts'),
      `export default { cache: 'kept', models: { net: { model: 'net.onnx', ${options} } } };`,
    );

  it('builds again after each change, and after a failure; ends without an error', async function () {
    this.timeout(120_000);
    const end = new AbortController();
    const told: (BuildResult | Error)[] = [];
    let wake = (): void => {};
    const tell = (what: unknown): void => {
      told.push(what as BuildResult | Error);
      wake();
    };
    const next = async (): Promise<BuildResult | Error> => {
      while (told.length === 0)
        await new Promise<void>((woken) => {
          wake = woken;
        });
      return told.shift()!;
    };
    const watching = watch({
      ...{ config: join(folder, 'quantc.config.ts'), out: join(folder, 'dist'), pace: 50 },
      ...{ signal: end.signal, onBuilt: tell, onFailed: tell },
    });
    /** The next model; failures before it are of what was half done. */
    const built = async (): Promise<string> => {
      for (;;) {
        const result = await next();
        if (result instanceof Error) continue;
        return readFileSync(join(folder, 'dist', result.manifest.models['net']!['cpu-x64']!.file), 'latin1');
      }
    };
    try {
      const first = await built();
      config("precision: 'int9'");
      expect(await next()).to.have.property('code', 'E_CONFIG_KEY');
      writeFileSync(join(folder, 'net.onnx'), 'no model');
      config("precision: 'int8-weights'");
      expect(await next()).to.be.instanceOf(Error);
      await model(5);
      const second = await built();
      expect(second).not.to.equal(first);
      await model(1);
      expect(await built()).to.equal(first);
    } finally {
      end.abort();
      await watching;
    }
    expect(told).to.deep.equal([]);
  });
});
