/** The file is what was meant, as a reader sees it that knows nothing of the writer. */
import { expect } from 'chai';
import fc from 'fast-check';
import { encodeTflite } from '../../src/tflite/encode.js';
import type { TfModel, TfOperator, TfTensor } from '../../src/tflite/model.js';
import { OPERATORS, type OperatorName, TENSOR_TYPES, type TensorTypeName } from '../../src/tflite/schema.js';
import { readTflite } from './reader.js';

const model = (more: Partial<TfModel>): TfModel => ({
  name: 'g',
  description: 'd',
  tensors: [],
  operators: [],
  inputs: [],
  outputs: [],
  ...more,
});

const names = Object.keys(OPERATORS) as OperatorName[];
const types = Object.keys(TENSOR_TYPES) as TensorTypeName[];

const tensor: fc.Arbitrary<TfTensor> = fc
  .record({
    name: fc.string({ unit: 'grapheme' }),
    shape: fc.array(fc.nat(2 ** 31 - 1), { maxLength: 6 }),
    type: fc.constantFrom(...types),
    bytes: fc.option(fc.uint8Array({ maxLength: 70 })),
    grid: fc.option(
      fc.array(fc.record({ scale: fc.float({ noNaN: true }), zero: fc.integer({ min: -128, max: 127 }) }), {
        minLength: 1,
        maxLength: 4,
      }),
    ),
    axis: fc.nat(5),
  })
  .map(({ name, shape, type, bytes, grid, axis }) => ({
    name,
    shape,
    type,
    ...(bytes && { data: { byteLength: bytes.length, read: () => bytes } }),
    ...(grid && {
      quantization: { scale: grid.map(({ scale }) => scale), zeroPoint: grid.map(({ zero }) => zero), axis },
    }),
  }));

/** Operators that read and write tensors of the model, with every option set. */
const operators = (count: number): fc.Arbitrary<TfOperator[]> =>
  fc.array(
    fc
      .record({
        op: fc.constantFrom(...names),
        inputs: fc.array(fc.integer({ min: -1, max: count - 1 }), { maxLength: 4 }),
        outputs: fc.array(fc.nat(count - 1), { minLength: 1, maxLength: 2 }),
        value: fc.integer({ min: 0, max: 100 }),
      })
      .map(({ op, inputs, outputs, value }) => ({
        op,
        inputs,
        outputs,
        options: Object.fromEntries(
          Object.entries(OPERATORS[op].fields).map(([field, { kind }]) => [
            field,
            kind === 'ints' ? [value, 0 - value] : kind === 'bool' ? value % 2 === 1 : value,
          ]),
        ),
      })),
    { maxLength: 8 },
  );

const models: fc.Arbitrary<TfModel> = fc.array(tensor, { minLength: 1, maxLength: 8 }).chain((tensors) =>
  fc
    .record({
      operators: operators(tensors.length),
      inputs: fc.array(fc.record({ name: fc.string(), tensor: fc.nat(tensors.length - 1) }), {
        maxLength: 3,
      }),
      outputs: fc.array(fc.record({ name: fc.string(), tensor: fc.nat(tensors.length - 1) }), {
        maxLength: 3,
      }),
      metadata: fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { maxKeys: 2 }),
    })
    .map((rest) => model({ tensors, ...rest })),
);

describe('the writer of .tflite', () => {
  it('says what the model says', () => {
    fc.assert(
      fc.property(models, (made) => {
        const file = encodeTflite(made);
        const read = readTflite(file);
        expect(read).to.include({ identifier: 'TFL3', version: 3, description: 'd' });
        expect(read.signature.inputs).to.deep.equal(made.inputs);
        expect(read.signature.outputs).to.deep.equal(made.outputs);
        expect(read.inputs).to.deep.equal(made.inputs.map((port) => port.tensor));
        expect(read.metadata).to.deep.equal({ ...made.metadata });
        made.tensors.forEach((each, index) => {
          const found = read.tensors[index]!;
          expect(found.name).to.equal(each.name);
          expect(found.shape).to.deep.equal(each.shape);
          expect(found.type).to.equal(TENSOR_TYPES[each.type]);
          expect(found.scale.map((scale) => scale + 0)).to.deep.equal(
            (each.quantization?.scale ?? []).map((scale) => scale + 0),
          );
          expect(found.zeroPoint).to.deep.equal(each.quantization?.zeroPoint ?? []);
          expect(found.axis).to.equal(each.quantization?.axis ?? 0);
          expect([...read.buffers[found.buffer]!.data]).to.deep.equal([...(each.data?.read() ?? [])]);
        });
        made.operators.forEach((each, index) => {
          const found = read.operators[index]!;
          const facts = OPERATORS[each.op];
          expect(found.code).to.equal(facts.code);
          expect(found.old).to.equal(Math.min(facts.code, 127));
          expect(found.inputs).to.deep.equal(each.inputs);
          expect(found.outputs).to.deep.equal(each.outputs);
          expect(found.optionsType).to.equal(facts.options);
          for (const [field, { slot, kind, otherwise }] of Object.entries(facts.fields)) {
            const { options } = found;
            const value =
              kind === 'ints'
                ? options!.ints(slot)
                : kind === 'int'
                  ? options!.int(slot, otherwise)
                  : kind === 'float'
                    ? options!.float(slot, otherwise)
                    : kind === 'bool'
                      ? options!.byte(slot) === 1
                      : options!.byte(slot);
            expect(value, `${each.op}.${field}`).to.deep.equal(each.options[field]);
          }
        });
      }),
      { numRuns: 150 },
    );
  });

  it('aligns every constant to 16 bytes, and writes the same bytes again', () => {
    fc.assert(
      fc.property(models, (made) => {
        const file = encodeTflite(made);
        for (const { data, at } of readTflite(file).buffers) if (data.length > 0) expect(at % 16).to.equal(0);
        expect(Buffer.compare(file, encodeTflite(made))).to.equal(0);
      }),
      { numRuns: 60 },
    );
  });

  it('refuses more than 2 GiB before it reads anything', () => {
    const data = {
      byteLength: 2 ** 30,
      read: (): Uint8Array => {
        throw new Error('read');
      },
    };
    const tensors = [1, 2].map((each) => ({
      name: `w${each}`,
      shape: [2 ** 30],
      type: 'int8' as const,
      data,
    }));
    expect(() => encodeTflite(model({ tensors })))
      .to.throw(/2 GiB/)
      .with.property('code', 'E_TFLITE_SIZE');
  });

  it('tells old runtimes by versions what they lack', () => {
    const tensors = (['float32', 'int8'] as const).map((type) => ({ name: type, shape: [1], type }));
    const operators = [0, 1, 0].map((index) => ({
      op: 'ADD' as const,
      inputs: [index, index],
      outputs: [index],
      options: {},
    }));
    const { codes, operators: read } = readTflite(encodeTflite(model({ tensors, operators })));
    expect(codes.map(({ version }) => version)).to.deep.equal([1, 2]);
    expect(read.map(({ version }) => version)).to.deep.equal([1, 2, 1]);
  });
});
