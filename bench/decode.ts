/**
 * Greedy decoding with a cache of keys and values, token by token, on every executor there is here, beside the float
 * model as it came, which computes all tokens anew.
 *   npx tsx bench/decode.ts [--models stories260k,shakewiki-3.4m] [--precision float,int4] [--tokens 64] [--browser]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compile } from '../src/compile.js';
import { parsePrecision } from '../src/recipe.js';
import { type Decoder, greedyDecode } from '../src/runtime/greedy.js';
import { withSession } from '../src/runtime/session.js';
import { type Browser, launchBrowser } from '../src/runtime/webgpu/browser.js';
import { webgpuNative } from '../src/runtime/webgpu/native.js';
import { sharedPath } from '../test/shared.js';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'stories260k,shakewiki-3.4m' },
    precision: { type: 'string', default: 'float' },
    tokens: { type: 'string', default: '64' },
    browser: { type: 'boolean', default: false },
  },
});
const count = Number(options.tokens);
/** Words that both vocabularies have. */
const PROMPT = [1, 403, 407, 261];

/** Decodes, and says how many tokens from the first on are the expected ones. */
async function shown(name: string, decoder: Decoder, expected: readonly number[]): Promise<void> {
  const begun = performance.now();
  const tokens = await greedyDecode(decoder, PROMPT, count);
  const seconds = (performance.now() - begun) / 1000;
  const other = tokens.findIndex((token, at) => token !== expected[at]);
  const same = other < 0 ? `all ${count} tokens` : `the first ${other} tokens`;
  console.log(`  ${name}: ${same} equal to the float model's, ${(count / seconds).toFixed(1)} tokens/s`);
}

const root = mkdtempSync(join(tmpdir(), 'quantc-decode-'));
let browser: Browser | undefined;
try {
  if (options.browser) browser = await launchBrowser();
  for (const name of options.models.split(',')) {
    const float = sharedPath('models', name, 'model.onnx');
    if (float === undefined) continue;
    const expected = await withSession(float, {}, (session) => greedyDecode(session, PROMPT, count));
    for (const precision of options.precision.split(',').map(parsePrecision)) {
      for (const target of ['cpu-x64', 'webgpu']) {
        const out = join(root, `${name}-${precision}-${target}`);
        const [report] = await compile({
          ...{ model: float, targets: [target], precision, kvCache: true, proofSamples: 1, out },
        });
        const file = join(out, report!.files[0]!.path);
        console.log(`${name}, ${precision}, for ${target}`);
        await withSession(file, {}, (session) => shown('CPU', session, expected));
        if (target !== 'webgpu') continue;
        for (const executor of [webgpuNative, ...(browser ? [browser.webgpu, browser.wasm] : [])]) {
          const loaded = await executor.open(file);
          try {
            await shown(executor.name, loaded, expected);
          } finally {
            await loaded.release();
          }
        }
        const onCpu = report!.ledger.filter(
          ({ kernel, reason }) => kernel === 'cpu' && /no kernel/.test(reason ?? ''),
        );
        for (const { node, reason } of onCpu) console.log(`  on the CPU: ${node}: ${reason}`);
      }
    }
  }
} finally {
  await browser?.close();
  await webgpuNative.close();
  rmSync(root, { recursive: true, force: true });
}
