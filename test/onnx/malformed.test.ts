/** Broken and hostile input costs a coded error, and no more. */
import { expect } from 'chai';
import { QuantcError } from '../../src/index.js';
import { decodeModel, decodeTensor } from '../../src/onnx/read.js';
import { codeOf } from './code-of.js';
import { group, int, join, type Piece, part, varint } from './proto.js';
import { richModel, tensor } from './rich-model.js';

const model = (...graph: Piece[]): Uint8Array => join(int(1, 9), part(7, graph), part(8, [int(2, 21)]));
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('onnx: broken input', () => {
  const cases: [string, Uint8Array, string][] = [
    ['nothing', bytes(), 'E_ONNX_NOT_A_MODEL'],
    ['text', Buffer.from('This is not a model but a sentence.'), 'E_ONNX_MALFORMED'],
    ['no graph', int(1, 8), 'E_ONNX_NOT_A_MODEL'],
    ['no IR version', part(7, []), 'E_ONNX_NOT_A_MODEL'],
    ['a negative IR version', join(int(1, -1), part(7, [])), 'E_ONNX_NOT_A_MODEL'],
    ['a field cut short', join(int(1, 8), bytes(0x3a, 100, 1)), 'E_ONNX_MALFORMED'],
    ['a tag cut short', join(int(1, 8), bytes(0x80)), 'E_ONNX_MALFORMED'],
    ['a length of 4 GiB', join(int(1, 8), bytes(0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f)), 'E_ONNX_MALFORMED'],
    [
      'a length of 2 GiB less one',
      join(int(1, 8), bytes(0x3a, 0xff, 0xff, 0xff, 0xff, 0x07)),
      'E_ONNX_MALFORMED',
    ],
    ['an endless varint', join(bytes(8), new Uint8Array(40).fill(0xff)), 'E_ONNX_MALFORMED'],
    ['field number 0', join(model(), bytes(2, 0)), 'E_ONNX_MALFORMED'],
    ['a group that does not end', join(model(), bytes(0x9b, 0x06, 8, 1)), 'E_ONNX_MALFORMED'],
    ['a group that ends as another', join(model(), bytes(0x9b, 0x06, 0xa4, 0x06)), 'E_ONNX_MALFORMED'],
    ['wire type 7', join(model(), bytes(0x9f, 0x06)), 'E_ONNX_MALFORMED'],
    ['a number where a graph should be', join(int(1, 8), int(7, 3)), 'E_ONNX_MALFORMED'],
    ['text where a number should be', join(part(1, 'x'), part(7, [])), 'E_ONNX_MALFORMED'],
    [
      'a nested field that runs over',
      join(int(1, 8), part(7, [bytes(0x0a, 5, 0x22, 1)])),
      'E_ONNX_MALFORMED',
    ],
    ['a name that is no UTF-8', model(part(2, bytes(0xc3, 0x28))), 'E_ONNX_UTF8'],
    ['a long name that is no UTF-8', model(part(2, new Uint8Array(100).fill(0xe2))), 'E_ONNX_UTF8'],
    [
      'two different initializers of one name',
      model(part(5, tensor([0], 1, 'a', [])), part(5, tensor([0], 6, 'a', []))),
      'E_GRAPH_DUPLICATE',
    ],
    [
      'two nodes with one output',
      model(part(1, [part(2, 'a'), part(4, 'A')]), part(1, [part(2, 'a'), part(4, 'B')])),
      'E_GRAPH_DUPLICATE',
    ],
    ['an input that nothing defines', model(part(1, [part(1, 'a'), part(4, 'A')])), 'E_GRAPH_UNDEFINED'],
    ['an output that nothing defines', model(part(12, [part(1, 'a')])), 'E_GRAPH_UNDEFINED'],
    [
      'two attributes of one name',
      model(
        part(1, [
          part(4, 'A'),
          part(5, [part(1, 'k'), int(3, 1), int(20, 2)]),
          part(5, [part(1, 'k'), int(3, 1), int(20, 2)]),
        ]),
      ),
      'E_ONNX_DUPLICATE',
    ],
    [
      'two functions of one name',
      join(model(), part(25, [part(1, 'f'), part(10, 'd')]), part(25, [part(1, 'f'), part(10, 'd')])),
      'E_ONNX_DUPLICATE',
    ],
    [
      'an attribute of an unknown type',
      model(part(1, [part(5, [part(1, 'k'), int(20, 99)])])),
      'E_ONNX_ATTRIBUTE',
    ],
    [
      'an attribute with neither type nor value',
      model(part(1, [part(5, [part(1, 'k')])])),
      'E_ONNX_ATTRIBUTE',
    ],
    [
      'a tensor attribute without a tensor',
      model(part(1, [part(5, [part(1, 'k'), int(20, 4)])])),
      'E_ONNX_ATTRIBUTE',
    ],
    [
      'a type attribute without a type',
      model(part(1, [part(5, [part(1, 'k'), part(14, []), int(20, 13)])])),
      'E_ONNX_ATTRIBUTE',
    ],
    [
      'a sparse tensor without indices',
      model(part(15, [part(1, tensor([0], 1, 'a', []))])),
      'E_ONNX_TENSOR_DATA',
    ],
    [
      'a value of an unknown data type',
      model(part(11, [part(1, 'x'), part(2, [part(1, [int(1, 99)])])])),
      'E_DTYPE_UNKNOWN',
    ],
    [
      'a dimension beyond 2^53',
      model(
        part(11, [part(1, 'x'), part(2, [part(1, [int(1, 1), part(2, [part(1, [int(1, 2n ** 60n)])])])])]),
      ),
      'E_ONNX_SHAPE',
    ],
  ];
  for (const [what, input, code] of cases) {
    it(`${what}: ${code}`, () => {
      expect(codeOf(() => decodeModel(input))).to.equal(code);
    });
  }

  it('every cut of a model that uses everything is a coded error', () => {
    const whole = richModel();
    for (let length = 0; length < whole.length; length += 3) {
      const code = codeOf(() => decodeModel(whole.subarray(0, length)));
      // Cut between the last fields, it is a sound model with less in it.
      if (code === 'none') expect(length).to.be.greaterThan(Buffer.from(whole).indexOf('com.example.domain'));
    }
  });

  it('names the file, and does not let an error go without a hint where there is something to do', () => {
    try {
      decodeModel(bytes(1, 2, 3), { file: 'some/model.onnx' });
      expect.fail('no error');
    } catch (error) {
      expect(error).to.be.instanceOf(QuantcError);
      const { place, hint, kind } = error as QuantcError;
      expect(place.file).to.equal('some/model.onnx');
      expect(hint).to.be.a('string');
      expect(kind).to.equal('input');
    }
  });
});

describe('onnx: tensors that lie', () => {
  const cases: [string, Piece[], string][] = [
    ['no data type', [int(1, 1)], 'E_DTYPE_UNKNOWN'],
    ['data type 29', [int(2, 29)], 'E_DTYPE_UNKNOWN'],
    ['a negative dimension', tensor([-1], 1, 'a', [part(9, bytes())]), 'E_ONNX_SHAPE'],
    ['a dimension of 2^63', [int(1, 2n ** 63n), int(2, 1)], 'E_ONNX_SHAPE'],
    [
      'dimensions whose product wraps to 4',
      [...[2 ** 33, 2 ** 33].map((n) => int(1, n)), int(2, 1), part(9, bytes(0, 0, 0, 0))],
      'E_ONNX_SHAPE',
    ],
    [
      'a product that is nothing times infinity',
      [...Array.from({ length: 60 }, () => int(1, 2 ** 40)), int(1, 0), int(2, 1)],
      'E_ONNX_SHAPE',
    ],
    ['a terabyte without data', tensor([2 ** 38], 1, 'a', []), 'E_ONNX_TENSOR_DATA'],
    ['too little raw data', tensor([2], 1, 'a', [part(9, bytes(0, 0, 0, 0))]), 'E_ONNX_TENSOR_DATA'],
    ['too much raw data', tensor([1], 1, 'a', [part(9, new Uint8Array(8))]), 'E_ONNX_TENSOR_DATA'],
    ['half a float', tensor([1], 1, 'a', [part(4, bytes(0, 0))]), 'E_ONNX_TENSOR_DATA'],
    ['a varint cut off', tensor([1], 6, 'a', [part(5, bytes(0x80))]), 'E_ONNX_TENSOR_DATA'],
    [
      'a varint of eleven bytes',
      tensor([1], 6, 'a', [part(5, join(new Uint8Array(10).fill(0x80), bytes(0)))]),
      'E_ONNX_TENSOR_DATA',
    ],
    ['data in the field of another type', tensor([1], 1, 'a', [part(5, bytes(1))]), 'E_ONNX_TENSOR_DATA'],
    ['strings too few', tensor([2], 8, 'a', [part(6, 'x')]), 'E_ONNX_TENSOR_DATA'],
    [
      'external data of a tensor that stands alone',
      [int(1, 1), int(2, 1), part(13, [part(1, 'location'), part(2, 'x')]), int(14, 1)],
      'E_ONNX_EXTERNAL_FOLDER',
    ],
  ];
  for (const [what, pieces, code] of cases) {
    it(`${what}: ${code}`, () => {
      expect(codeOf(() => decodeTensor(join(...pieces)))).to.equal(code);
    });
  }

  it('a count of numbers that fits the packed dtypes is taken, another is not', () => {
    // Eleven 2-bit elements take three bytes: two would be too few, four too many.
    for (const [count, code] of [
      [2, 'E_ONNX_TENSOR_DATA'],
      [3, 'none'],
      [4, 'E_ONNX_TENSOR_DATA'],
    ] as const) {
      const data = part(5, join(...Array.from({ length: count }, () => varint(1))));
      expect(codeOf(() => decodeTensor(join(...tensor([11], 25, 'a', [data]))))).to.equal(code);
    }
  });
});

describe('onnx: depth', () => {
  const nested = (levels: number, step: (inner: Piece[]) => Piece[], innermost: Piece[] = []): Piece[] => {
    let pieces = innermost;
    for (let i = 0; i < levels; i++) pieces = step(pieces);
    return pieces;
  };
  const subgraph = (inner: Piece[]): Piece[] => [
    part(1, [part(4, 'If'), part(5, [part(1, 'g'), part(6, inner), int(20, 5)])]),
  ];

  it('takes thirty nested subgraphs, and refuses thousands', () => {
    expect(codeOf(() => decodeModel(model(...nested(30, subgraph))))).to.equal('none');
    expect(codeOf(() => decodeModel(model(...nested(2000, subgraph))))).to.equal('E_ONNX_DEPTH');
  });

  it('refuses types and unknown groups that nest without end', () => {
    const sequence = (inner: Piece[]): Piece[] => [part(4, [part(1, inner)])];
    const type = part(11, [part(1, 'x'), part(2, nested(2000, sequence))]);
    expect(codeOf(() => decodeModel(model(type)))).to.equal('E_ONNX_DEPTH');
    const groups = nested(2000, (inner) => [group(100, inner)]);
    expect(codeOf(() => decodeModel(join(model(), ...groups)))).to.equal('E_ONNX_MALFORMED');
  });
});

describe('onnx: what protobuf allows and no exporter writes', () => {
  it('merges a message that comes in two parts, and takes the last of two numbers', () => {
    const split = join(
      int(1, 3),
      part(7, [part(2, 'first'), part(11, [part(1, 'x')])]),
      part(7, [part(1, [part(1, 'x'), part(2, 'y'), part(4, 'Relu')]), part(2, 'second')]),
      int(1, 9),
    );
    const read = decodeModel(split);
    expect(read.irVersion).to.equal(9);
    expect(read.graph.name).to.equal('second');
    expect(read.graph.inputs.map((value) => value.name)).to.deep.equal(['x']);
    expect([...read.graph.nodes()].map((node) => node.opType)).to.deep.equal(['Relu']);
  });

  it('reads lists packed or one by one, in any number of pieces', () => {
    const loose = decodeTensor(
      join(
        part(1, join(varint(2), varint(3))),
        int(2, 6),
        ...[1, 2, 3, 4].map((n) => int(5, n)),
        part(5, bytes(5, 6)),
      ),
    );
    expect(loose.shape).to.deep.equal([2, 3]);
    expect(loose.toNumbers()).to.deep.equal([1, 2, 3, 4, 5, 6]);
    const float = (value: number): Piece => join(bytes(0x25), new Uint8Array(Float32Array.of(value).buffer));
    expect(decodeTensor(join(int(1, 2), int(2, 1), float(1.5), float(-2))).toNumbers()).to.deep.equal([
      1.5, -2,
    ]);
  });

  it('gathers many loose numbers without an object for each', () => {
    const count = 300_000;
    const loose = new Uint8Array(count * 2);
    for (let i = 0; i < count; i++) loose.set([0x28, i & 127], i * 2);
    const read = decodeTensor(join(int(1, count), int(2, 3), loose));
    expect(read.bytes().length).to.equal(count);
    expect(read.bytes()[count - 1]).to.equal((count - 1) & 127);
  });

  it('keeps the later member of a oneof', () => {
    const both = part(11, [
      part(1, 'x'),
      part(2, [part(1, [int(1, 1), part(2, [part(1, [int(1, 5), part(2, 'N')])])])]),
    ]);
    expect(decodeModel(model(both)).graph.inputs[0]!.shape).to.deep.equal(['N']);
  });

  it('reads attributes without a type, as IR version 1 wrote them', () => {
    const read = decodeModel(model(part(1, [part(4, 'A'), part(5, [part(1, 'k'), int(8, 1), int(8, 2)])])));
    expect(read.graph.first!.ints('k')).to.deep.equal([1, 2]);
  });
});
