/** What a pass changes is written as changed; what it leaves alone keeps all that the file said of it. */
import { expect } from 'chai';
import {
  addInitializer,
  cloneModel,
  createNode,
  decodeModel,
  encodeModel,
  type Model,
  removeNode,
  renameValue,
  replaceAllUses,
  setAttribute,
  setConstant,
  setType,
  Tensor,
  tensorType,
  type Value,
} from '../../src/index.js';
import { readMessage } from '../../src/onnx/wire-read.js';
import { int, join, part, unknown } from './proto.js';
import { richModel } from './rich-model.js';

const encoded = (model: Model) => readMessage('ModelProto', encodeModel(model));
const graphOf = (model: Model) => encoded(model).graph!;
const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString();
const valueNamed = (model: Model, name: string): Value => {
  for (const node of model.graph.nodes())
    for (const value of node.outputs) if (value.name === name) return value;
  return [...model.graph.initializers, ...model.graph.inputs].find((value) => value.name === name)!;
};

describe('onnx: writing edited models', () => {
  it('a copy of a model is written as the model', () => {
    const bytes = richModel();
    expect(Buffer.compare(encodeModel(cloneModel(decodeModel(bytes)).model), bytes)).to.equal(0);
  });

  it('a constant with other bytes leaves its old form; its neighbours keep theirs', () => {
    const model = decodeModel(richModel());
    setConstant(valueNamed(model, 't_float'), Tensor.floats([9]));
    const [changed, kept] = graphOf(model).initializer!;
    expect(changed).to.deep.include({ name: 't_float', dims: [1], data_type: 1 });
    expect(Buffer.from(changed!.raw_data as Uint8Array)).to.deep.equal(
      Buffer.from(Float32Array.of(9).buffer),
    );
    expect(changed!.float_data).to.equal(undefined);
    expect(kept!.float_data).to.be.instanceOf(Uint8Array);
    expect(kept!.raw_data).to.equal(undefined);
  });

  it('a renamed value is renamed wherever the file speaks of it', () => {
    const model = decodeModel(richModel());
    renameValue(valueNamed(model, 'x'), 'picture');
    const graph = graphOf(model);
    expect(graph.input![0]!.name).to.equal('picture');
    expect(text(graph.input![0]!.doc_string)).to.equal('about x');
    expect(graph.node![0]!.input![0]).to.equal('picture');
    const branch = graph.node![1]!.attribute![0]!.g!;
    expect(branch.node![0]!.input).to.deep.equal(['picture']);
  });

  it('a value that is gone takes its annotation and its value_info along', () => {
    const model = decodeModel(
      join(
        int(1, 9),
        part(7, [
          part(1, [part(1, 'x'), part(2, 'a'), part(4, 'Relu')]),
          part(1, [part(1, 'x'), part(2, 'y'), part(4, 'Relu')]),
          part(11, [part(1, 'x')]),
          part(12, [part(1, 'y')]),
          part(13, [part(1, 'a'), part(2, [part(1, [int(1, 1)])])]),
          part(14, [part(1, 'a')]),
          part(14, [part(1, 'y')]),
        ]),
      ),
    );
    removeNode(model.graph.first!);
    const graph = graphOf(model);
    expect(graph.value_info).to.equal(undefined);
    expect(graph.quantization_annotation!.map((each) => each.tensor_name)).to.deep.equal(['y']);
  });

  it('an output that another value takes over keeps its name, type and documentation', () => {
    const model = decodeModel(richModel());
    const before = valueNamed(model, 'y');
    const made = createNode({ after: before.producer! }, { opType: 'Abs', inputs: [valueNamed(model, 'c')] });
    replaceAllUses(before, made.outputs[0]!);
    removeNode(before.producer!);
    const graph = graphOf(model);
    const [original] = readMessage('ModelProto', richModel()).graph!.output!;
    expect(graph.output![0]).to.deep.equal(original);
    expect(graph.node!.at(-1)).to.deep.include({ op_type: 'Abs', output: ['y'] });
  });

  it('types found later are written where the file had none, or left out when asked', () => {
    const model = decodeModel(richModel());
    setType(valueNamed(model, 'chosen'), tensorType('float', ['N', 3]));
    setType(valueNamed(model, 'b'), tensorType('int64', []));
    const graph = graphOf(model);
    expect(graph.output![2]!.type).to.deep.equal({
      tensor_type: { elem_type: 1, shape: { dim: [{ dim_param: 'N' }, { dim_value: 3 }] } },
    });
    expect(graph.value_info!.map((info) => info.name)).to.include('b');
    const declared = readMessage('ModelProto', encodeModel(model, { valueInfo: 'declared' })).graph!;
    expect(declared.value_info!.map((info) => info.name)).to.deep.equal(['c', 'a', 'nobody', 'x', 'a']);
    const none = readMessage('ModelProto', encodeModel(model, { valueInfo: 'none' })).graph!;
    expect(none.value_info).to.equal(undefined);
  });

  it('a type with another shape drops what was said of the old dimensions, and keeps the denotation', () => {
    const model = decodeModel(richModel());
    const x = valueNamed(model, 'x');
    if (x.type?.kind !== 'tensor') throw new Error('x is a tensor');
    setType(x, { ...x.type, shape: [1, 3] });
    const { type } = graphOf(model).input![0]!;
    expect(type!.tensor_type!.shape).to.deep.equal({ dim: [{ dim_value: 1 }, { dim_value: 3 }] });
    expect(text(type!.denotation)).to.equal('IMAGE');
    expect(type!.unknown).to.equal(undefined);
  });

  it('an attribute with another value is written so, its neighbours as they were', () => {
    const model = decodeModel(richModel());
    const node = model.graph.first!;
    const before = readMessage('ModelProto', richModel()).graph!.node![0]!.attribute!;
    setAttribute(node, 'int_absent', 5);
    setAttribute(node, 'ints', undefined);
    setAttribute(node, 'fresh', 'word');
    const after = graphOf(model).node![0]!.attribute!;
    const named = (list: typeof after, name: string) => list.find((each) => each.name === name);
    expect(named(after, 'int_absent')).to.deep.equal({ name: 'int_absent', type: 2, i: 5 });
    expect(named(after, 'ints')).to.equal(undefined);
    expect(text(named(after, 'fresh')!.s)).to.equal('word');
    expect(named(after, 'float')).to.deep.equal(named(before, 'float'));
  });

  it('opsets and metadata change entry by entry', () => {
    const model = decodeModel(richModel());
    model.opsets.set('', 28);
    model.opsets.set('com.microsoft', 1);
    model.metadata.delete('again');
    model.metadata.set('model', 'changed');
    model.metadata.set('new', 'entry');
    const { opset_import, metadata_props } = encoded(model);
    expect(opset_import!.map(({ domain, version }) => [domain, version])).to.deep.equal([
      ['', 28],
      ['com.example', 1],
      [undefined, 28],
      ['com.microsoft', 1],
    ]);
    expect(opset_import![1]!.unknown).to.have.lengthOf(1);
    expect(metadata_props!.slice(0, 2).map(({ key, value }) => [text(key), text(value)])).to.deep.equal([
      ['model', 'changed'],
      ['no value', undefined],
    ]);
    expect(metadata_props!.at(-1)).to.deep.equal({
      key: new Uint8Array(Buffer.from('new')),
      value: new Uint8Array(Buffer.from('entry')),
    });
  });

  it('numbers of every size survive, as the protobuf form wants them', () => {
    const model = decodeModel(join(int(1, 9), part(7, [part(1, [part(4, 'A')])])));
    const numbers = [0, -1, 127, 128, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, 2n ** 63n - 1n, -(2n ** 63n)];
    setAttribute(model.graph.first!, 'n', { kind: 'ints', value: numbers });
    const read = decodeModel(encodeModel(model)).graph.first!.attributes.get('n');
    expect(read).to.deep.equal({ kind: 'ints', value: numbers });
  });

  it('a new constant is raw data, in every dtype that has bytes, and strings are strings', () => {
    const model = decodeModel(join(int(1, 9), part(7, []), unknown('kept')));
    addInitializer(model.graph, Tensor.of('int4', [3], Uint8Array.of(0x21, 0x03)), 'q');
    addInitializer(
      model.graph,
      new Tensor('string', [2], { kind: 'strings', values: [Buffer.from('a'), Buffer.from('')] }),
      's',
    );
    const read = decodeModel(encodeModel(model));
    const [q, s] = [...read.graph.initializers].map((value) => value.constant!);
    expect(q).to.deep.include({ dtype: 'int4', shape: [3] });
    expect([...q!.bytes()]).to.deep.equal([0x21, 0x03]);
    expect(s!.source.kind === 'strings' && s!.source.values.map(text)).to.deep.equal(['a', '']);
  });
});
