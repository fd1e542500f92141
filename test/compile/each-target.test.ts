import { expect } from 'chai';
import { eachTarget, resolveRequested } from '../../src/compile/each-target.js';
import type { CompileEvent } from '../../src/compile/request.js';
import { QuantcError } from '../../src/errors/error.js';
import type { TargetReport } from '../../src/report/report.js';
import type { Target } from '../../src/target/target.js';

const refuses = (code: string, kind: QuantcError['kind'] = 'input') =>
  new QuantcError(code, 'there is no form for it', { kind, hint: 'Try another.' });

/** What comes of some targets, when those named throw. */
async function outcome(asked: readonly string[], throwing: Record<string, Error>, strict = false) {
  const events: string[] = [];
  const onEvent = (event: CompileEvent): void => {
    if (event.kind === 'refused') events.push(event.target);
  };
  const compile = async ({ name }: Target): Promise<TargetReport[]> => {
    if (throwing[name]) throw throwing[name];
    return [{ target: name } as TargetReport];
  };
  const request = { model: 'net.onnx', targets: asked, strict, onEvent };
  const { reports, refused } = await eachTarget(resolveRequested(asked), request, compile);
  return { made: reports.map(({ target }) => target), refused, events };
}
const thrown = (...given: Parameters<typeof outcome>): Promise<string> =>
  outcome(...given).then(
    () => 'nothing',
    (error: QuantcError) => error.code,
  );

describe('several targets', () => {
  const litert = { 'npu-litert': refuses('E_TFLITE_OP') };

  it('go on when one of those that an alias stands for refuses', async () => {
    const { made, refused, events } = await outcome(['npu'], litert);
    expect(made).to.include('npu-qnn').and.not.to.include('npu-litert');
    expect(refused).to.deep.equal([
      { target: 'npu-litert', code: 'E_TFLITE_OP', message: 'there is no form for it', hint: 'Try another.' },
    ]);
    expect(events).to.deep.equal(['npu-litert']);
  });

  it('end when one that was named refuses, or any with --strict', async () => {
    expect(await thrown(['npu-qnn', 'npu-litert'], litert)).to.equal('E_TFLITE_OP');
    expect(await thrown(['npu', 'npu-litert'], litert)).to.equal('E_TFLITE_OP');
    expect(await thrown(['npu'], litert, true)).to.equal('E_TFLITE_OP');
    expect(await thrown(['cpu'], { 'cpu-x64': refuses('E_ANY') })).to.equal('E_ANY');
  });

  it('end at faults, failed proofs and when they are stopped', async () => {
    expect(await thrown(['npu'], { 'npu-qnn': refuses('F_ANY', 'fault') })).to.equal('F_ANY');
    expect(await thrown(['npu'], { 'npu-qnn': refuses('E_PROOF', 'proof') })).to.equal('E_PROOF');
    expect(await thrown(['npu'], { 'npu-qnn': refuses('E_ABORTED', 'usage') })).to.equal('E_ABORTED');
  });

  it('end with the first refusal where all refuse', async () => {
    const all = Object.fromEntries(
      resolveRequested(['npu']).map(({ name }, index) => [name, refuses(`E_${index}`)]),
    );
    expect(await thrown(['npu'], all)).to.equal('E_0');
  });
});
