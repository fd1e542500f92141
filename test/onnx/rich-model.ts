/** A model that uses every message and field of ONNX's format up to IR version 14, unknown fields at every level. */
import { float, group, int, join, type Piece, part, unknown, varint } from './proto.js';

const entry = (key: string, value: string): Piece[] => [part(1, key), part(2, value), unknown('entry')];
const metadata = (number: number, word: string): Piece => part(number, entry(word, `${word} value`));
const doc = (number: number, word: string): Piece => part(number, `about ${word}`);
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
const packed = (...values: (number | bigint)[]): Uint8Array => join(...values.map(varint));

/** Fields in the order of their numbers, unknown ones last, so that equal content means equal bytes. */
export const tensor = (
  dims: readonly number[],
  dataType: number,
  name: string,
  data: readonly Piece[],
  after: readonly Piece[] = [],
): Piece[] => {
  const named = part(8, name);
  const before = data.filter((piece) => piece[0]! >> 3 < 8);
  const behind = data.filter((piece) => piece[0]! >> 3 > 8);
  return [...dims.map((dim) => int(1, dim)), int(2, dataType), ...before, named, ...behind, ...after];
};

const dim = (value: number | string | undefined, denotation?: string): Piece =>
  part(1, [
    ...(typeof value === 'number' ? [int(1, value)] : typeof value === 'string' ? [part(2, value)] : []),
    ...(denotation ? [part(3, denotation), unknown('dim')] : []),
  ]);
const tensorType = (elem: number, ...dims: Piece[]): Piece[] => [
  part(1, [int(1, elem), part(2, dims), unknown('tensor type')]),
];
const info = (name: string, type: readonly Piece[], ...rest: Piece[]): Piece[] => [
  part(1, name),
  part(2, type),
  ...rest,
];

const attribute = (name: string, type: number, value: readonly Piece[], ...rest: Piece[]): Piece => {
  const order = (piece: Piece): number => {
    let number = 0;
    for (let i = 0, shift = 0; ; i++, shift += 7) {
      number |= (piece[i]! & 127) << shift;
      if (piece[i]! < 128) return number >> 3;
    }
  };
  const pieces = [part(1, name), ...value, ...rest, int(20, type)];
  return part(
    5,
    pieces
      .map((piece, index) => [piece, order(piece), index] as const)
      .sort((a, b) => a[1] - b[1] || a[2] - b[2])
      .map(([piece]) => piece),
  );
};

const identity = (input: string, output: string): Piece[] => [
  part(1, input),
  part(2, output),
  part(4, 'Identity'),
];

const branch = (name: string, output: string): Piece[] => [
  part(1, identity('x', output)),
  part(2, name),
  doc(10, name),
  part(12, [part(1, output), unknown('untyped output')]),
  metadata(16, name),
  unknown('subgraph'),
];

const sparse = (name: string): Piece[] => [
  part(1, tensor([2], 1, name, [part(9, floats(1, 2))])),
  part(2, tensor([2], 7, `${name}_indices`, [part(7, packed(1, 4))])),
  int(3, 5),
  unknown('sparse'),
];

/** Every dtype in the typed field that carries it, with odd payloads: values too wide, signs extended. */
const typed: Piece[][] = [
  tensor([3], 1, 't_float', [part(4, floats(1.5, -2, Number.NaN))]),
  tensor([2], 14, 't_complex64', [part(4, floats(1, 2, 3, 4))]),
  tensor([2], 2, 't_uint8', [part(5, packed(255, 300))]),
  tensor([2], 3, 't_int8', [part(5, packed(-1, 127))]),
  tensor([2], 4, 't_uint16', [part(5, packed(65535, 0))]),
  tensor([2], 5, 't_int16', [part(5, packed(-32768, 1))]),
  tensor([2], 6, 't_int32', [part(5, packed(-2147483648, 7))]),
  tensor([2], 9, 't_bool', [part(5, packed(0, 1))]),
  tensor([2], 10, 't_float16', [part(5, packed(0x3c00, 0xbc00))]),
  tensor([2], 16, 't_bfloat16', [part(5, packed(0x3f80, -1))]),
  ...[17, 18, 19, 20, 24].map((code) => tensor([2], code, `t_float8_${code}`, [part(5, packed(0x7f, 0x80))])),
  ...[21, 22, 23].map((code) => tensor([3], code, `t_4bit_${code}`, [part(5, packed(0x21, 0x03))])),
  ...[25, 26].map((code) => tensor([5], code, `t_2bit_${code}`, [part(5, packed(0xe4, 0x01))])),
  ...[27, 28].map((code) => tensor([5], code, `t_6bit_${code}`, [part(5, packed(4, 8, 12, 2, 8))])),
  tensor(
    [2, 2],
    8,
    't_string',
    ['', 'é', 'c', 'd'].map((word) => part(6, word)),
  ),
  tensor([2], 7, 't_int64', [part(7, packed(-1, 2n ** 62n))]),
  tensor([1], 11, 't_double', [part(10, new Uint8Array(Float64Array.of(Math.PI).buffer))]),
  tensor([1], 15, 't_complex128', [part(10, new Uint8Array(Float64Array.of(1, -1).buffer))]),
  tensor([2], 12, 't_uint32', [part(11, packed(2 ** 32 - 1, 5))]),
  tensor([2], 13, 't_uint64', [part(11, packed(2n ** 64n - 1n, 5))]),
  tensor([0], 1, 't_empty', []),
  tensor([0, 7], 1, 't_empty_raw', [part(9, bytes())]),
  tensor([], 7, 't_scalar', [part(9, bytes(1, 0, 0, 0, 0, 0, 0, 0))]),
];

const attributes: Piece[] = [
  attribute('float', 1, [float(2, -0)], doc(13, 'float'), unknown('attribute')),
  attribute('float_absent', 1, []),
  attribute('int', 2, [int(3, -(2n ** 63n))]),
  attribute('int_zero', 2, [int(3, 0)]),
  attribute('int_absent', 2, []),
  attribute('string', 3, [part(4, 'text')]),
  attribute('string_bytes', 3, [part(4, bytes(0xff, 0, 0xfe))]),
  attribute('string_bom', 3, [part(4, bytes(0xef, 0xbb, 0xbf, 65))]),
  attribute('tensor', 4, [
    part(
      5,
      tensor(
        [1],
        1,
        'inner',
        [part(9, floats(3))],
        [doc(12, 'inner'), metadata(16, 'inner'), unknown('tensor')],
      ),
    ),
  ]),
  attribute('floats', 6, [float(7, 1), float(7, 1e-40)]),
  attribute('floats_empty', 6, []),
  attribute('ints', 7, [int(8, 1), int(8, -1), int(8, 2n ** 60n + 1n)]),
  attribute('strings', 8, [part(9, ''), part(9, bytes(0x80)), part(9, 'b')]),
  attribute('tensors', 9, [part(10, typed[0]!), part(10, typed[2]!)]),
  attribute('sparse', 11, [part(22, sparse('s_attr'))]),
  attribute('sparses', 12, [part(23, sparse('s_one')), part(23, sparse('s_two'))]),
  attribute('type', 13, [part(14, tensorType(1, dim(3), dim('N')))]),
  attribute('types', 14, [
    part(15, [part(4, [part(1, tensorType(7))])]),
    part(15, [part(9, [part(1, tensorType(9, dim(undefined)))])]),
  ]),
  attribute('two_fields', 2, [int(3, 4), part(4, 'left over')]),
];

const sharding: Piece[] = [
  part(1, 'x'),
  int(2, 0),
  int(2, -1),
  part(3, [int(1, 9), int(2, 1), int(2, 2), unknown('group map')]),
  part(4, [
    int(1, -1),
    part(2, [int(1, 4), int(3, 2)]),
    part(2, [part(2, 'M'), int(3, 2)]),
    unknown('sharded dim'),
  ]),
  unknown('sharding'),
];

const nodes: Piece[][] = [
  [
    part(1, 'x'),
    part(1, ''),
    part(1, 't_float'),
    part(2, 'a'),
    part(2, ''),
    part(2, 'b'),
    part(3, 'everything'),
    part(4, 'Custom'),
    ...attributes,
    doc(6, 'everything'),
    part(7, 'com.example'),
    part(8, 'variant'),
    metadata(9, 'node'),
    part(10, [part(1, 'two devices'), part(2, sharding), int(3, 1), unknown('device configuration')]),
    group(901, [int(1, 5), group(2, [part(3, 'deep')])]),
    unknown('node'),
  ],
  [
    part(1, 'condition'),
    part(2, 'chosen'),
    part(3, ''),
    part(4, 'If'),
    attribute('then_branch', 5, [part(6, branch('then', 'then_out'))]),
    attribute('else_branch', 5, [part(6, branch('else', 'else_out'))]),
    part(7, ''),
    part(8, ''),
  ],
  [
    part(1, 'a'),
    part(2, 'c'),
    part(4, 'Custom'),
    attribute('graphs', 10, [
      part(11, branch('first', 'first_out')),
      part(11, branch('second', 'second_out')),
    ]),
    part(7, 'com.example'),
  ],
  [part(1, 'c'), part(2, 'y'), part(3, 'last'), part(4, 'Relu'), part(7, 'ai.onnx')],
];

const graph: Piece[] = [
  ...nodes.map((node) => part(1, node)),
  part(2, 'rich'),
  ...typed.map((each) => part(5, each)),
  part(
    5,
    tensor(
      [2],
      1,
      'default',
      [part(9, floats(1, 2))],
      [doc(12, 'default'), metadata(16, 'tensor'), unknown('tensor')],
    ),
  ),
  doc(10, 'graph'),
  part(
    11,
    info(
      'x',
      [
        ...tensorType(1, dim('N', 'DATA_BATCH'), dim(3), dim(undefined), dim(-1)),
        part(6, 'IMAGE'),
        unknown('type'),
      ],
      doc(3, 'x'),
      metadata(4, 'x'),
      unknown('info'),
    ),
  ),
  part(11, info('condition', [part(1, [int(1, 9), part(2, [])])])),
  part(11, info('default', tensorType(1, dim(2)))),
  part(11, info('sequence', [part(4, [part(1, tensorType(1)), unknown('sequence')])])),
  part(11, info('map', [part(5, [int(1, 7), part(2, tensorType(1)), unknown('map')])])),
  part(11, info('opaque', [part(7, [part(1, 'd'), part(2, 'n'), unknown('opaque')])])),
  part(11, info('sparse_in', [part(8, [int(1, 1), part(2, [dim(5)])])])),
  part(11, info('optional', [part(9, [part(1, [part(4, [part(1, tensorType(8))])])])])),
  part(11, info('elemless', [part(1, [part(2, [dim(5)])])])),
  part(12, info('y', tensorType(1, dim('N')), doc(3, 'y'), unknown('output'))),
  part(12, info('x', tensorType(1))),
  part(12, [part(1, 'chosen')]),
  part(13, info('c', tensorType(1, dim(4)), doc(3, 'c'), metadata(4, 'c'))),
  part(13, info('a', tensorType(1))),
  part(13, info('nobody', tensorType(1), doc(3, 'names no value'))),
  part(13, info('x', tensorType(1), doc(3, 'an input again'))),
  part(13, info('a', tensorType(1, dim(9)), doc(3, 'said twice'))),
  part(14, [part(1, 'a'), part(2, entry('SCALE_TENSOR', 't_float')), unknown('annotation')]),
  part(14, [part(1, 'nobody'), part(2, entry('ZERO_POINT_TENSOR', 't_uint8'))]),
  part(15, sparse('s_init')),
  metadata(16, 'graph'),
  unknown('graph'),
];

const localFunction: Piece[] = [
  part(1, 'Custom'),
  part(4, 'p'),
  part(4, 'q'),
  part(5, 'r'),
  part(6, 'alpha'),
  part(7, [
    part(1, 'p'),
    part(2, 'r'),
    part(4, 'LeakyRelu'),
    part(5, [part(1, 'alpha'), int(20, 1), part(21, 'alpha')]),
  ]),
  doc(8, 'function'),
  part(9, [part(1, ''), int(2, 25), unknown('opset')]),
  part(10, 'com.example'),
  part(11, [part(1, 'beta'), float(2, 0.5), int(20, 1)]),
  part(12, info('q', tensorType(1, dim('N')))),
  part(12, info('r', tensorType(1), doc(3, 'r'))),
  part(13, 'variant'),
  metadata(14, 'function'),
  unknown('function'),
];

/** The whole model, canonical: fields in order, so that a lossless codec gives these very bytes back. */
export const richModel = (): Uint8Array =>
  join(
    int(1, 14),
    part(2, 'by hand'),
    part(3, ''),
    part(4, 'com.example.domain'),
    int(5, -7),
    doc(6, 'model'),
    part(7, graph),
    part(8, [part(1, ''), int(2, 27)]),
    part(8, [part(1, 'com.example'), int(2, 1), unknown('opset')]),
    part(8, [int(2, 27)]),
    metadata(14, 'model'),
    metadata(14, 'again'),
    part(14, [part(1, 'no value')]),
    part(14, [part(1, bytes(0xff)), part(2, bytes(0xfe))]),
    part(20, [
      part(1, branch('initialization', 'init_out')),
      part(2, branch('algorithm', 'step_out')),
      part(3, entry('w', 'init_out')),
      part(4, entry('w', 'step_out')),
      unknown('training'),
    ]),
    part(25, localFunction),
    part(26, [part(1, 'two devices'), int(2, 2), part(3, 'cpu'), part(3, 'gpu'), unknown('configuration')]),
    unknown('model'),
  );
