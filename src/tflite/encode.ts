/** A TensorFlow Lite model → the bytes of its file, a FlatBuffer with identifier `TFL3`. */
import { Builder, type Offset } from 'flatbuffers';
import { QuantcError } from '../errors/error.js';
import type { TfModel, TfOperator, TfOptions, TfPort, TfQuantization, TfTensor } from './model.js';
import { type Field, OPERATORS, type OperatorFacts, type OperatorName, TENSOR_TYPES } from './schema.js';

/** Offsets in a FlatBuffer have 31 bits. */
const LARGEST = 2 ** 31 - 1;
/** Delegates map constants into vector registers where they lie. */
const ALIGNMENT = 16;
/** The format's own version, and the largest code that the old field of an operator code holds. */
const FORMAT = 3;
const OLD_CODES = 127;
/** What a signature is asked for by when nobody names one. */
const SIGNATURE = 'serving_default';

/** Bytes beside the constants, generously: so that the buffer need not grow, which doubles it. */
const overhead = ({ tensors, operators }: TfModel): number =>
  65_536 +
  operators.length * 512 +
  tensors.reduce(
    (sum, { name, quantization }) => sum + 512 + 3 * name.length + 12 * (quantization?.scale.length ?? 0),
    0,
  );

/**
 * The bytes of a file. The whole file is held in memory, each constant in turn beside it.
 * @throws QuantcError E_TFLITE_SIZE when it would not fit into 2 GiB, as far as the format reaches
 */
export function encodeTflite(model: TfModel): Uint8Array {
  const data = model.tensors.reduce((sum, tensor) => sum + (tensor.data?.byteLength ?? 0) + ALIGNMENT, 0);
  const size = data + overhead(model);
  if (size > LARGEST) {
    throw new QuantcError('E_TFLITE_SIZE', `a .tflite file of ${size} bytes is beyond the format's 2 GiB`, {
      kind: 'input',
      hint: 'Compile it for an ONNX target, whose weights may lie in files of their own.',
    });
  }
  return new Encoder(model, size).encode();
}

class Encoder {
  readonly #model: TfModel;
  readonly #builder: Builder;

  constructor(model: TfModel, size: number) {
    this.#model = model;
    this.#builder = new Builder(size);
  }

  encode(): Uint8Array {
    const { description, name, metadata = {} } = this.#model;
    const b = this.#builder;
    // Buffer 0 is empty by convention: tensors without data name it.
    const buffers = [this.#table(1, () => {})];
    const addBuffer = (bytes: Uint8Array): number => buffers.push(this.#buffer(bytes)) - 1;
    const tensors = this.#model.tensors.map((tensor) =>
      this.#tensor(tensor, tensor.data ? addBuffer(tensor.data.read()) : 0),
    );
    const entries = Object.entries(metadata).map(([key, text]) => {
      const buffer = addBuffer(new TextEncoder().encode(text));
      const label = b.createString(key);
      return this.#table(2, () => {
        b.addFieldOffset(0, label, 0);
        b.addFieldInt32(1, buffer, 0);
      });
    });
    const codes = this.#operatorCodes();
    const operators = this.#model.operators.map((each) => this.#operator(each, codes.indexOf(each)));
    const parts = [
      this.#offsets(tensors),
      this.#ints(this.#model.inputs.map(({ tensor }) => tensor)),
      this.#ints(this.#model.outputs.map(({ tensor }) => tensor)),
      this.#offsets(operators),
      b.createString(name),
    ];
    const subgraph = this.#table(5, () => {
      for (const [slot, part] of parts.entries()) b.addFieldOffset(slot, part, 0);
    });
    const fields: readonly (readonly [slot: number, offset: Offset])[] = [
      [1, this.#offsets(codes.offsets)],
      [2, this.#offsets([subgraph])],
      [3, b.createString(description)],
      [4, this.#offsets(buffers)],
      [6, this.#offsets(entries)],
      [7, this.#offsets([this.#signature()])],
    ];
    const root = this.#table(8, () => {
      b.addFieldInt32(0, FORMAT, 0);
      for (const [slot, offset] of fields) b.addFieldOffset(slot, offset, 0);
    });
    b.finish(root, 'TFL3');
    return b.asUint8Array();
  }

  #table(slots: number, fill: () => void): Offset {
    this.#builder.startObject(slots);
    fill();
    return this.#builder.endObject();
  }

  #vector<T>(values: readonly T[], bytes: number, add: (value: T) => void): Offset {
    this.#builder.startVector(bytes, values.length, bytes);
    // A FlatBuffer grows towards its beginning.
    for (let index = values.length - 1; index >= 0; index--) add(values[index]!);
    return this.#builder.endVector();
  }

  #ints = (values: readonly number[]): Offset =>
    this.#vector(values, 4, (value) => this.#builder.addInt32(value));

  #offsets = (values: readonly Offset[]): Offset =>
    this.#vector(values, 4, (value) => this.#builder.addOffset(value));

  #buffer(bytes: Uint8Array): Offset {
    const b = this.#builder;
    // Pads so that the vector which comes next lies aligned.
    b.startVector(1, bytes.length, ALIGNMENT);
    const vector = b.createByteVector(bytes);
    return this.#table(3, () => b.addFieldOffset(0, vector, 0));
  }

  #quantization({ scale, zeroPoint, axis }: TfQuantization): Offset {
    const b = this.#builder;
    const scales = this.#vector(scale, 4, (value) => b.addFloat32(value));
    const zeros = this.#vector(zeroPoint, 8, (value) => b.addInt64(BigInt(value)));
    return this.#table(7, () => {
      b.addFieldOffset(2, scales, 0);
      b.addFieldOffset(3, zeros, 0);
      b.addFieldInt32(6, axis, 0);
    });
  }

  #tensor({ name, shape, type, quantization }: TfTensor, buffer: number): Offset {
    const b = this.#builder;
    const dims = this.#ints(shape);
    const label = b.createString(name);
    const grid = quantization && this.#quantization(quantization);
    return this.#table(9, () => {
      b.addFieldOffset(0, dims, 0);
      b.addFieldInt8(1, TENSOR_TYPES[type], 0);
      b.addFieldInt32(2, buffer, 0);
      b.addFieldOffset(3, label, 0);
      if (grid !== undefined) b.addFieldOffset(4, grid, 0);
      b.addFieldInt8(8, 1, 0);
    });
  }

  /** One entry an operator and version that is used; the version tells an old runtime what it lacks. */
  #operatorCodes() {
    const b = this.#builder;
    const indices = new Map<string, number>();
    const offsets: Offset[] = [];
    const facts = (each: TfOperator): readonly [OperatorName, number] => {
      const { version, int8Version } = OPERATORS[each.op] as OperatorFacts;
      const data = [...each.inputs, ...each.outputs].map((index) => this.#model.tensors[index]?.type);
      return [each.op, data.includes('int8') ? (int8Version ?? version) : version];
    };
    for (const each of this.#model.operators) {
      const [op, version] = facts(each);
      if (indices.has(`${op}/${version}`)) continue;
      indices.set(`${op}/${version}`, offsets.length);
      const { code } = OPERATORS[op];
      offsets.push(
        this.#table(4, () => {
          b.addFieldInt8(0, Math.min(code, OLD_CODES), 0);
          b.addFieldInt32(2, version, 1);
          b.addFieldInt32(3, code, 0);
        }),
      );
    }
    return { offsets, indexOf: (each: TfOperator) => indices.get(facts(each).join('/'))! };
  }

  #operator({ op, inputs, outputs, options }: TfOperator, code: number): Offset {
    const b = this.#builder;
    const facts: OperatorFacts = OPERATORS[op];
    const parts = [this.#ints(inputs), this.#ints(outputs)];
    const table = facts.options === 0 ? undefined : this.#options(facts.fields, options);
    return this.#table(11, () => {
      b.addFieldInt32(0, code, 0);
      for (const [index, part] of parts.entries()) b.addFieldOffset(index + 1, part, 0);
      b.addFieldInt8(3, facts.options, 0);
      if (table !== undefined) b.addFieldOffset(4, table, 0);
    });
  }

  #options(fields: Readonly<Record<string, Field>>, options: TfOptions): Offset {
    const b = this.#builder;
    const lists = new Map<string, Offset>();
    for (const [name, value] of Object.entries(options))
      if (typeof value === 'object') lists.set(name, this.#ints(value));
    return this.#table(Object.keys(fields).length, () => {
      for (const [name, value] of Object.entries(options)) {
        const { slot, kind, otherwise = 0 } = fields[name]!;
        if (kind === 'ints') b.addFieldOffset(slot, lists.get(name)!, 0);
        else if (kind === 'int') b.addFieldInt32(slot, Number(value), otherwise);
        else if (kind === 'float') b.addFieldFloat32(slot, Number(value), otherwise);
        else b.addFieldInt8(slot, Number(value), otherwise);
      }
    });
  }

  #signature(): Offset {
    const b = this.#builder;
    const maps = (ports: readonly TfPort[]): Offset =>
      this.#offsets(
        ports.map(({ name, tensor }) => {
          const label = b.createString(name);
          return this.#table(2, () => {
            b.addFieldOffset(0, label, 0);
            b.addFieldInt32(1, tensor, 0);
          });
        }),
      );
    const [inputs, outputs] = [maps(this.#model.inputs), maps(this.#model.outputs)];
    const key = b.createString(SIGNATURE);
    return this.#table(5, () => {
      b.addFieldOffset(0, inputs, 0);
      b.addFieldOffset(1, outputs, 0);
      b.addFieldOffset(2, key, 0);
    });
  }
}
