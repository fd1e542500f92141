import { fork } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { takes } from '../../src/index.js';
import { swiftShader, swiftShaderMissing } from '../../src/runtime/webgpu/packs.js';
import { parseModel } from '../../src/text/parse.js';
import { webgpu } from '../../targets/webgpu.js';
import { SAMPLES } from './webgpu-samples.js';

const TYPES = ['float', 'float16', 'int32', 'uint32', 'int64', 'bool', 'uint8', 'int8'];
/** ONNX Runtime's constant folding or function bodies decide these, not a kernel. */
const DECIDED_OTHERWISE = new Set(['LogSoftmax float16']);

interface Probe {
  readonly op: string;
  readonly dtype: string;
  readonly text: string;
}

const probes: Probe[] = [...SAMPLES].flatMap(([op, text]) =>
  TYPES.map((dtype) => ({ op, dtype, text: text.replace(/\bT\b/g, dtype) })),
);

/** What the table says of the one node. */
function foreseen({ text }: Probe): boolean {
  const model = parseModel(`<ir_version: 10, opset_import: ["": 21]>\n${text}`);
  return takes(webgpu.executor!, model.graph.first!) === true;
}

function asked(texts: readonly string[]): Promise<(boolean | string)[]> {
  const child = fork(join(import.meta.dirname, 'webgpu-table-child.ts'), [], {
    execArgv: ['--import', import.meta.resolve('tsx/esm')],
    env: { ...process.env, ...swiftShader() },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    child.once('message', (answers) => resolve(answers as (boolean | string)[]));
    child.once('exit', (code, signal) => reject(new Error(`the probes ended with ${signal ?? code}`)));
    child.send(texts);
  });
}

describe('table of the WebGPU target', () => {
  it('takes what ONNX Runtime takes, operator by operator and type by type', async function () {
    this.timeout(120_000);
    const missing = swiftShaderMissing();
    if (missing !== undefined) {
      console.warn(`SKIPPED: the WebGPU table is not held to ONNX Runtime: ${missing}`);
      return this.skip();
    }
    const answers = await asked(probes.map(({ text }) => text));
    const wrong = probes.flatMap((probe, at) => {
      const answer = answers[at];
      // Types that the operator itself does not know, or that no executor has.
      if (typeof answer === 'string' || DECIDED_OTHERWISE.has(`${probe.op} ${probe.dtype}`)) return [];
      return foreseen(probe) === answer ? [] : [`${probe.op} of ${probe.dtype}: ONNX Runtime says ${answer}`];
    });
    expect(wrong).to.deep.equal([]);
    expect(answers.filter((answer) => answer === true)).to.have.length.above(200);
  });

  it('knows what fails only when it is run', () => {
    const verdict = (text: string) =>
      takes(webgpu.executor!, parseModel(`<ir_version: 10, opset_import: ["": 21]>\n${text}`).graph.first!);
    expect(
      verdict(
        'g (float[1,1,4,4] x) => (float[1,1,3,3] y, int64[1,1,3,3] i) { y, i = MaxPool <kernel_shape = [2, 2]> (x) }',
      ),
    ).to.match(/gives no indices/);
    expect(
      verdict(
        'g (float[1,1,4,4] x) => (float[1,1,2,2] y) <float[4] s = {1, 1, 0.5, 0.5}> { y = Resize <antialias = 1, mode = "linear"> (x, "", s) }',
      ),
    ).to.match(/antialias/);
    expect(verdict('g (float[2] x) => (int64[1,N] y) { y = NonZero (x) }')).to.match(/no kernel for NonZero/);
  });
});
