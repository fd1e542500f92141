import { expect } from 'chai';
import { QuantcError } from '../../src/errors/error.js';
import { equalModels } from '../../src/text/equal.js';
import { parseModel } from '../../src/text/parse.js';
import { printModel } from '../../src/text/print.js';

const header = '<ir_version: 10, opset_import: ["": 21]>';
const body = (nodes: string, signature = '(float[2] x) => (float[2] y)') =>
  parseModel(`${header} g ${signature} { ${nodes} }`);
const attribute = (text: string) => {
  const model = body(`y = Op <a${text}> (x)`);
  return model.graph.first!.attributes.get('a');
};

function refusal(read: () => unknown): QuantcError {
  try {
    read();
  } catch (error) {
    expect(error).to.be.instanceOf(QuantcError);
    return error as QuantcError;
  }
  throw new Error('nothing was thrown');
}

describe('text: parse', () => {
  it('reads the example of the syntax description', () => {
    const model = parseModel(`
      <
        ir_version: 7,   # a comment
        opset_import: [ "" : 10, "com.example" : 1 ],
        producer_name: "someone", metadata_props: ["k": "v"]
      >
      agraph (float[N, 128] X, float[128, 10] W, float[10] B) => (float[N, 10] C)
      {
          T = MatMul(X, W)
          [add] S = Add(T, B)
          C = com.example.Softmax(S)
      }`);
    expect(model.irVersion).to.equal(7);
    expect([...model.opsets]).to.deep.equal([
      ['', 10],
      ['com.example', 1],
    ]);
    expect(model.producerName).to.equal('someone');
    expect([...model.metadata]).to.deep.equal([['k', 'v']]);
    expect(model.graph.inputs.map((value) => value.shape)).to.deep.equal([['N', 128], [128, 10], [10]]);
    const [matmul, add, softmax] = [...model.graph.nodes()];
    expect(add!.inputs[0]).to.equal(matmul!.outputs[0]);
    expect(add!.name).to.equal('add');
    expect(softmax!.domain).to.equal('com.example');
    expect(model.graph.outputs[0]).to.equal(softmax!.outputs[0]);
  });

  it('tells scalars, unknown ranks and unknown dimensions apart', () => {
    const model = body('y = Op(a, b, c, d)', '(float a, float[] b, float[?,"n m",3] c, d) => (y)');
    const [a, b, c, d] = model.graph.inputs;
    expect(a!.shape).to.deep.equal([]);
    expect(b!.type).to.deep.include({ kind: 'tensor', dtype: 'float', shape: undefined });
    expect(c!.shape).to.deep.equal([null, 'n m', 3]);
    expect(d!.type).to.equal(undefined);
    expect(model.graph.outputs[0]!.type).to.equal(undefined);
  });

  it('reads composite types', () => {
    const model = body(
      'y = Op(a, b, c, d, e)',
      '(seq(float[2]) a, optional(seq(int64)) b, map(int64, string) c, sparse_tensor(float[3]) d, opaque(a.b, c) e) => (y)',
    );
    expect(model.graph.inputs.map((value) => value.type)).to.deep.equal([
      { kind: 'sequence', element: { kind: 'tensor', dtype: 'float', shape: [2] } },
      {
        kind: 'optional',
        element: { kind: 'sequence', element: { kind: 'tensor', dtype: 'int64', shape: [] } },
      },
      { kind: 'map', key: 'int64', value: { kind: 'tensor', dtype: 'string', shape: [] } },
      { kind: 'sparse', dtype: 'float', shape: [3] },
      { kind: 'opaque', domain: 'a.b', name: 'c' },
    ]);
  });

  it('takes attribute kinds from the values, or from what is said', () => {
    expect(attribute(' = 1')).to.deep.equal({ kind: 'int', value: 1 });
    expect(attribute(': float = 1')).to.deep.equal({ kind: 'float', value: 1 });
    expect(attribute(' = 1.5e0')).to.deep.equal({ kind: 'float', value: 1.5 });
    expect(attribute(' = -inf')).to.deep.equal({ kind: 'float', value: -Infinity });
    expect(attribute(' = nan')).to.deep.equal({ kind: 'float', value: Number.NaN });
    expect(attribute(' = "a\\"b\\\\"')).to.deep.equal({ kind: 'string', value: 'a"b\\' });
    expect(attribute(' = hex"ff00"')).to.deep.equal({ kind: 'string', value: Uint8Array.of(255, 0) });
    expect(attribute(' = [1, 2]')).to.deep.equal({ kind: 'ints', value: [1, 2] });
    expect(attribute(' = [1, 2.5]')).to.deep.equal({ kind: 'floats', value: [1, 2.5] });
    expect(attribute(': floats = [1, 2]')).to.deep.equal({ kind: 'floats', value: [1, 2] });
    expect(attribute(': ints = []')).to.deep.equal({ kind: 'ints', value: [] });
    expect(attribute(' = ["a", "b"]')).to.deep.equal({ kind: 'strings', value: ['a', 'b'] });
    expect(attribute(': int = @b')).to.deep.equal({ kind: 'ref', name: 'b', type: 'int' });
    expect(attribute(' = float[2]')).to.deep.equal({
      kind: 'type',
      value: { kind: 'tensor', dtype: 'float', shape: [2] },
    });
    expect(attribute(' = 9223372036854775807')).to.deep.equal({ kind: 'int', value: 9223372036854775807n });
    const tensor = attribute(' = float[2] t {1, 2.5}');
    expect(tensor?.kind === 'tensor' && [tensor.value.name, ...tensor.value.toNumbers()]).to.deep.equal([
      't',
      1,
      2.5,
    ]);
  });

  it('reads subgraphs with captures, attributes before or after the inputs', () => {
    const model = body(
      `c = Op <axis = 1> (x)
       y = If (c) <then_branch = t () => (float[2] a) { a = Neg(x) }, else_branch = "e-1" () => (b) { b = Abs(c) }>`.replace(
        'else_branch =',
        'else_branch: graph =',
      ),
    );
    const choice = model.graph.last!;
    expect(choice.subgraphs.map((graph) => graph.name)).to.deep.equal(['t', 'e-1']);
    expect(choice.subgraphs[0]!.first!.inputs[0]).to.equal(model.graph.inputs[0]);
    expect(choice.subgraphs[1]!.owner).to.equal(choice);
  });

  it('reads functions with attributes, defaults, overloads and typed values', () => {
    const model = parseModel(`${header} g (x) => (y) { y = d.f:two <alpha = 2.0> (x) }
      <domain: "d", overload: "two", opset_import: ["": 21]>
      f <alpha, beta: float = 1.5> (float[N] a) => (b) <float[N] t>
      { t = Elu <alpha: float = @alpha> (a)  b = Neg(t) }`);
    const [f] = model.functions;
    expect([f!.domain, f!.name, f!.overload]).to.deep.equal(['d', 'f', 'two']);
    expect(f!.attributes).to.deep.equal(['alpha']);
    expect([...f!.attributeDefaults]).to.deep.equal([['beta', { kind: 'float', value: 1.5 }]]);
    expect(f!.body.inputs[0]!.shape).to.deep.equal(['N']);
    expect(f!.body.first!.outputs[0]!.shape).to.deep.equal(['N']);
    expect(model.graph.first!.overload).to.equal('two');
  });

  it('keeps omitted inputs and outputs', () => {
    const model = body('a, "", b = Op(x, "", x)  c = Op(, x)  y = Op("")  = Sink(y)');
    const [first, second, third, sink] = [...model.graph.nodes()];
    expect(first!.inputs.map((input) => input?.name)).to.deep.equal(['x', undefined, 'x']);
    expect(first!.outputs.map((output) => output.name)).to.deep.equal(['a', '', 'b']);
    expect(second!.inputs.map((input) => input?.name)).to.deep.equal([undefined, 'x']);
    expect(third!.inputs).to.deep.equal([undefined]);
    expect(sink!.outputs).to.deep.equal([]);
  });

  it('lets an initializer be the default of an input, in either place', () => {
    for (const text of ['(float[1] x = {3}) => (y) {', '(float[1] x) => (y) <float[1] x = {3}> {']) {
      const model = parseModel(`${header} g ${text} y = Neg(x) }`);
      const [x] = model.graph.inputs;
      expect(x!.isInput).to.equal(true);
      expect(x!.constant!.toNumbers()).to.deep.equal([3]);
    }
  });

  it('fills constants by law, the same bytes every time', () => {
    const read = () =>
      body(
        'y = Op(x, w, i, h)',
        `(x) => (y) <float[4] w = ["fill": "normal:7"], int8[4] i = ["fill": "uniform:1:-3:3"], float16[2] h = ["fill": "ones"], int64[3] r = ["fill": "arange:5:-2"]>`,
      );
    const values = [...read().graph.initializers];
    expect(values[3]!.constant!.toNumbers()).to.deep.equal([5, 3, 1]);
    expect(values[2]!.constant!.toNumbers()).to.deep.equal([1, 1]);
    // These bytes are a promise to every golden case.
    expect([...values[0]!.constant!.toFloat32()].map((value) => value.toFixed(5))).to.deep.equal(NORMAL_7);
    expect(values[1]!.constant!.toNumbers()).to.satisfy((drawn: number[]) =>
      drawn.every((n) => Math.abs(n) <= 3),
    );
    expect(equalModels(read(), read())).to.equal(undefined);
    expect(printModel(read())).to.include('float[4] w = ["fill": "normal:7"]');
  });

  it('says where a text goes wrong and what was expected', () => {
    const cases: [string, string, RegExp][] = [
      [
        'g (x) => (y) { y = Neg(x }',
        'E_TEXT_SYNTAX',
        /line 1, column 26: expected "\)" after the inputs of Neg, found }/,
      ],
      ['g (x)\n=> (y)\n{ y Neg(x) }', 'E_TEXT_SYNTAX', /line 3, column 5: expected "=" after the outputs/],
      ['g (x) => (y) { y = Neg(x)', 'E_TEXT_SYNTAX', /expected "=".*found the end of the text/],
      ['g (x) => (y) { y = Neg("x) }', 'E_TEXT_SYNTAX', /column 24: a string is not closed/],
      ['g (x) => (y) { y = Neg(x) } ~', 'E_TEXT_SYNTAX', /"~" has no meaning/],
      ['<ir_versoin: 3> g () => () {}', 'E_TEXT_HEADER', /ir_versoin/],
      ['g (x) => (y) { y = Op<a = @b>(x) }', 'E_TEXT_ATTRIBUTE', /needs its kind/],
      ['g (x) => (y) { y = Op<a = []>(x) }', 'E_TEXT_ATTRIBUTE', /empty list/],
      [
        'g (x) => (y) { y = Op<a: int = "s">(x) }',
        'E_TEXT_ATTRIBUTE',
        /expected a value of kind int, found string/,
      ],
      ['g (x) => (y) { y = Op<a = [1, "s"]>(x) }', 'E_TEXT_ATTRIBUTE', /several kinds/],
      ['g (x) => (y) { y = Op<a: whole = 1>(x) }', 'E_TEXT_SYNTAX', /the kind of attribute a/],
      ['g (x) => (y) <float[2] w = {1}> { y = Op(x) }', 'E_TEXT_TENSOR', /2 elements, 1 are given/],
      ['g (x) => (y) <float[N] w = {1}> { y = Op(x) }', 'E_TEXT_TENSOR', /dimensions are all numbers/],
      ['g (x) => (y) <float[99999999,99999999] w = ["fill": "zeros"]> {}', 'E_TEXT_TENSOR', /too large/],
      ['g (x) => (y) <int8[1] w = {128}> { y = Op(x) }', 'E_TEXT_RANGE', /128 is outside of int8/],
      ['g (x) => (y) <float[1] w = {1e39}> { y = Op(x) }', 'E_TEXT_RANGE', /too large for a float/],
      ['g (x) => (y) <float[1] w = ["fill": "normal"]> {}', 'E_TEXT_FILL', /"normal" cannot fill/],
      ['g (x) => (y) <float[1] w = ["sha256": "00"]> {}', 'E_TEXT_ELIDED', /left out when printing/],
      ['g (x) => (y) <float[1] w = ["location": "w.bin"]> {}', 'E_TEXT_EXTERNAL', /location/],
      [`g (${'seq('.repeat(5000)}`, 'E_TEXT_DEPTH', /deeper than 64/],
      [`${'g () => () { = If () < a = '.repeat(5000)}`, 'E_TEXT_DEPTH', /deeper than 64/],
      ['g (x) => (y) { y = Neg(z) }', 'E_GRAPH_UNDEFINED', /reads "z"/],
      ['g (x) => (y) { y = Neg(x) y = Neg(x) }', 'E_GRAPH_DUPLICATE', /"y"/],
    ];
    for (const [text, code, message] of cases) {
      const error = refusal(() => parseModel(text, { file: 'a.onnxtxt' }));
      expect(error.code, text).to.equal(code);
      expect(error.message, text).to.match(message);
      if (code.startsWith('E_TEXT')) expect(error.place.file).to.equal('a.onnxtxt');
    }
  });
});

const NORMAL_7 = ['-1.39032', '0.20311', '1.67295', '0.19635'];
