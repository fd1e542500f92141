import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { encodeNpy } from '../../src/calibration/npy.js';
import { collectFixed } from '../../src/cli/option.js';
import { type FixedInputs, fixInputs, parseFixed } from '../../src/compile/fixed-inputs.js';
import { compile } from '../../src/compile.js';
import { encodeModel, parseModel, type QuantcError, readModel } from '../../src/index.js';
import { filledTensor } from '../../src/text/fill.js';

/** A branch on a rate, as a speech model has it. */
const NET = `<ir_version: 10, opset_import: ["": 21]>
g (float[n,8] x, int64 rate, float[2] pair, string s, float[m] open) => (float[n,4] y) <
  float[8,4] a = ["fill": "normal:1"], float[8,4] b = ["fill": "normal:2"], int64 high = {16000}
> {
  is = Equal (rate, high)
  y = If (is) <
    then_branch = t () => (float[n,4] p) { p = MatMul (x, a) },
    else_branch = e () => (float[n,4] q) { q = MatMul (x, b) }
  >
}`;

const codeOf = async (act: () => unknown): Promise<string> => {
  try {
    await act();
  } catch (error) {
    return (error as QuantcError).code;
  }
  return 'none';
};

describe('values of inputs', () => {
  it('are read from words', async () => {
    expect(parseFixed('sr=16000')).to.deep.equal(['sr', 16000]);
    expect(parseFixed('a=b=-1, 0.5')).to.deep.equal(['a=b', [-1, 0.5]]);
    for (const text of ['sr', 'sr=', '=1', 'sr=fast', 'sr=1,'])
      expect(await codeOf(() => parseFixed(text))).to.equal('E_FIX_FORM');
    expect(collectFixed('a=1', collectFixed('b=2'))).to.deep.equal({ a: 1, b: 2 });
  });

  it('stand where the input was read, and the input stays', () => {
    const model = parseModel(NET);
    fixInputs(model, { rate: 16000, pair: [1, 2] });
    const rate = model.graph.inputs[1]!;
    expect([rate.name, rate.uses.length]).to.deep.equal(['rate', 0]);
    expect([...model.graph.nodes()][0]!.inputs[0]!.constant!.toNumbers()).to.deep.equal([16000]);
  });

  it('are refused where the input cannot have them', async () => {
    const code = (values: FixedInputs) => codeOf(() => fixInputs(parseModel(NET), values));
    expect(await code({ nobody: 1 })).to.equal('E_FIX_UNKNOWN');
    expect(await code({ s: 1 })).to.equal('E_FIX_TYPE');
    expect(await code({ open: 1 })).to.equal('E_FIX_SHAPE');
    expect(await code({ pair: [1, 2, 3] })).to.equal('E_FIX_SHAPE');
    expect(await code({ rate: 0.5 })).to.equal('E_FIX_VALUE');
  });

  it('decide branches while compiling, and data must agree', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'quantc-fix-'));
    const at = (name: string): string => join(folder, name);
    try {
      writeFileSync(at('net.onnx'), encodeModel(parseModel(NET.replace(/, float\[2\] pair.*?\)/, ')'))));
      writeFileSync(at('x.npy'), encodeNpy(filledTensor('float', [6, 8], 'normal:3', '')!));
      const constants = { rate: { dtype: 'int64', value: 16000 } };
      writeFileSync(at('data.json'), JSON.stringify({ inputs: { x: { calib: 'x.npy' } }, constants }));
      const request = { model: at('net.onnx'), calib: folder, out: at('out'), cache: false } as const;
      const [report] = await compile({ ...request, fix: { rate: 16000 } });
      expect(report!.proof.status).to.equal('passed');
      const { graph } = readModel(at('out/net.cpu-x64.onnx'));
      expect([...graph.nodes()].some((node) => node.is('If'))).to.equal(false);
      expect(graph.inputs.map(({ name }) => name)).to.deep.equal(['x', 'rate']);
      expect(await codeOf(() => compile({ ...request, fix: { rate: 8000 } }))).to.equal('E_FIX_DATA');
      const [drawn] = await compile({
        model: at('net.onnx'),
        out: at('drawn'),
        cache: false,
        fix: { rate: 8000 },
      });
      expect(drawn!.proof.status).to.equal('passed');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
