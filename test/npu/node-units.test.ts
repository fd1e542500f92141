import { expect } from 'chai';
import { parseModel } from '../../src/index.js';
import { unitsOf } from '../../src/target/node-units.js';

/** A graph with the parameters that the cases name: `s` and `z` for uint8, `wide` for uint16, `ws` per channel. */
const graph = (body: string, values = '', io = '(float[1,4,8,8] x) => (float[1,4,8,8] y)') =>
  parseModel(`<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]> g ${io} <
    float s = {0.1}, uint8 z = {128}, float s2 = {0.2}, uint8 zero = {0}, uint16 z16 = {32768}, float swide = {0.001},
    int8[4,4,3,3] w = ["fill": "uniform:1:-100:100"], float[4] ws = {0.1, 0.2, 0.3, 0.4}, int8[4] wz = {0, 0, 0, 0},
    int32[4] b = {1, 2, 3, 4}, float[4] fb = {1, 2, 3, 4}${values && `, ${values}`}
  > { ${body} }`).graph;

/** Each unit in words: `a: conv: b` reads DQ a, and is read by Q b. A torn one tells why. */
const told = (body: string, values?: string, io?: string): string[] =>
  unitsOf(graph(body, values, io)).map(({ unit: { node, dequantizes, quantizes, absorbed }, torn }) => {
    const names = (list: readonly ({ label: string } | undefined)[]) =>
      list.flatMap((each) => each?.label ?? []).join(' ');
    const inner = absorbed ? `${node.label}+${absorbed.label}` : node.label;
    return (
      [names(dequantizes), inner, names(quantizes)].filter((part) => part !== '').join(': ') +
      (torn ? ` (${torn.reason})` : '')
    );
  });

const HEAD = '[q] xq = QuantizeLinear (x, s, z) [d] a = DequantizeLinear (xq, s, z)';
const TAIL = '[qy] yq = QuantizeLinear (f, s, z) [dy] y = DequantizeLinear (yq, s, z)';
const WEIGHT =
  '[dw] wf = DequantizeLinear <axis = 0> (w, ws, wz) [db] bf = DequantizeLinear <axis = 0> (b, ws)';

describe('node units', () => {
  it('are nodes with the Q and DQ around them; those at the ends of the graph stand alone', () => {
    expect(told(`${HEAD} ${WEIGHT} [conv] f = Conv <pads = [1, 1, 1, 1]> (a, wf, bf) ${TAIL}`)).to.deep.equal(
      ['q', 'd dw db: conv: qy', 'dy'],
    );
  });

  it('take a float bias, which ONNX Runtime quantizes beforehand', () => {
    expect(told(`${HEAD} ${WEIGHT} [conv] f = Conv <pads = [1, 1, 1, 1]> (a, wf, fb) ${TAIL}`)).to.include(
      'd dw: conv: qy',
    );
  });

  it('give a DequantizeLinear to each of its readers', () => {
    expect(
      told(`${HEAD} [one] b1 = Sigmoid (a) [qb] bq = QuantizeLinear (b1, s, z) [dq] b2 = DequantizeLinear (bq, s, z)
        [sum] f = Add (a, b2) ${TAIL}`),
    ).to.deep.equal(['q', 'd: one: qb', 'd dq: sum: qy', 'dy']);
    const beside = told(`${HEAD} [one] b1 = Sigmoid (a) [qb] bq = QuantizeLinear (b1, s, z)
      [dq] b2 = DequantizeLinear (bq, s, z) [float] f = Erf (a) [sum] y = Add (f, b2)`);
    expect(beside).to.deep.equal([
      'q',
      'd',
      'd: one: qb',
      'dq',
      'float (no selector groups Erf with the Q and DQ around it)',
      'sum (input 0 does not come out of DequantizeLinear)',
    ]);
  });

  it('are torn where only data are moved and the parameters change', () => {
    const moved = (scale: string) =>
      told(`${HEAD} [move] f = Transpose <perm = [0, 1, 3, 2]> (a) [qy] yq = QuantizeLinear (f, ${scale}, z)
        [dy] y = DequantizeLinear (yq, ${scale}, z)`);
    expect(moved('s')).to.deep.equal(['q', 'd: move: qy', 'dy']);
    expect(moved('s2')).to.deep.equal([
      'q',
      'd',
      'move (scale 0.10000000149011612 and zero point 128 become 0.20000000298023224 and 128)',
      'qy',
      'dy',
    ]);
  });

  it('are torn where types differ, an output is read twice, or an input is float', () => {
    const sum = (line: string) => told(`${HEAD} ${line} ${TAIL}`).find((each) => each.includes('sum'));
    expect(sum('[sum] f = Add (a, x)')).to.equal('sum (input 1 does not come out of DequantizeLinear)');
    expect(
      sum(
        `[q2] x2 = QuantizeLinear (x, swide, z16) [d2] b2 = DequantizeLinear (x2, swide, z16) [sum] f = Add (a, b2)`,
      ),
    ).to.equal('sum (it reads uint8 and uint16 integers, or writes them)');
    const twice =
      '[q2] x2 = QuantizeLinear (x, s, z) [d2] b2 = DequantizeLinear (x2, s, z) [sum] f = Add (a, b2)';
    expect(
      told(
        `${HEAD} ${twice} ${TAIL} [more] extra = Relu (f)`,
        '',
        '(float[1,4,8,8] x) => (float[1,4,8,8] y, float[1,4,8,8] extra)',
      ),
    ).to.include('sum (output 0 is not read by one QuantizeLinear alone)');
  });

  it('absorb an activation that the integers make redundant, and are torn by one that they do not', () => {
    const clipped = (clip: string, zero: string) =>
      told(
        `${HEAD} ${WEIGHT} [conv] c = Conv <pads = [1, 1, 1, 1]> (a, wf, bf) [clip] f = ${clip}
        [qy] yq = QuantizeLinear (f, s, ${zero}) [dy] y = DequantizeLinear (yq, s, ${zero})`,
        'float lo = {0}, float hi = {25.5}, float six = {6}',
      );
    expect(clipped('Relu (c)', 'zero')).to.deep.equal(['q', 'd dw db: conv+clip: qy', 'dy']);
    expect(clipped('Clip (c, lo, hi)', 'zero')).to.include('d dw db: conv+clip: qy');
    expect(clipped('Relu (c)', 'z')[4]).to.match(/^conv \(Relu stands between/);
    expect(clipped('Clip (c, lo, six)', 'zero')[4]).to.match(/^conv \(Clip stands between/);
  });

  it('turn integers of one type into another', () => {
    expect(
      told(`${HEAD} [up] wide = QuantizeLinear (a, swide, z16) [dy] y = DequantizeLinear (wide, swide, z16)`),
    ).to.deep.equal(['q', 'd: up', 'dy']);
    expect(
      told(`${HEAD} [again] q2 = QuantizeLinear (a, s2, z) [dy] y = DequantizeLinear (q2, s2, z)`),
    ).to.deep.equal(['q', 'd', 'again', 'dy']);
  });

  it('leave out what is computed while the model loads', () => {
    expect(
      told(`[size] n = Shape (x) [shape] m = Cast <to = 7> (n) [moved] y = Reshape (x, m)`),
    ).to.deep.equal(['moved']);
    expect(
      told(`[size] n = Shape (x) [moved] y = Reshape (x, n)`, '', '(float[N,4,8,8] x) => (float[N,4,8,8] y)'),
    ).to.deep.equal(['size', 'moved']);
  });
});
