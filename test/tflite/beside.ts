/** Runs a graph in ONNX Runtime and, converted, in LiteRT, on the same feeds. */
import { type Model, parseModel, Tensor } from '../../src/index.js';
import { withSession } from '../../src/runtime/session.js';
import { inferTypes } from '../../src/runtime/types.js';
import { type Converted, type ConvertedPort, convertToTflite, encodeTflite } from '../../src/tflite/index.js';
import { permuted } from '../../src/tflite/layout.js';
import { type LiteRtArray, type LiteRtSession, openLiteRt } from './litert-runtime.js';

export const HEAD = '<ir_version: 10, opset_import: ["": 21]>';

/** Numbers between −2 and 2, the same from the same seed. */
export function noise(count: number, seed = 1): Float32Array {
  let state = seed * 7919 + 17;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 4 - 2;
  });
}

/** The bytes of a tensor in NCHW as a port wants them. */
export function toPort(port: ConvertedPort, tensor: Tensor): LiteRtArray {
  const data = tensor.data() as Float32Array | Int32Array | BigInt64Array;
  if (port.layout === 'plain') return data;
  return new Float32Array(permuted(tensor.bytes(), 4, tensor.shape, [0, 2, 3, 1]).slice().buffer);
}

/** A port's elements in ONNX's order. */
export function fromPort(port: ConvertedPort, data: LiteRtArray): Float32Array {
  if (port.layout === 'plain') return Float32Array.from(data as Float32Array);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return new Float32Array(permuted(bytes, 4, port.shape, [0, 3, 1, 2]).slice().buffer);
}

/** One run of a converted model on tensors as ONNX Runtime takes them. */
export async function runPorts(
  session: LiteRtSession,
  { inputs, outputs }: Pick<Converted, 'inputs' | 'outputs'>,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Record<string, Float32Array>> {
  const found = await session.run(
    Object.fromEntries(inputs.map((port) => [port.name, toPort(port, feeds[port.name]!)])),
  );
  return Object.fromEntries(outputs.map((port) => [port.name, fromPort(port, found[port.name]!.data)]));
}

export interface Beside {
  readonly converted: Converted;
  readonly ops: readonly string[];
  /** Elements of every output, in ONNX's order. */
  readonly onnx: Readonly<Record<string, Float32Array>>;
  readonly litert: Readonly<Record<string, Float32Array>>;
  /** The largest difference of an element. */
  readonly difference: number;
}

export async function runBeside(
  text: string | Model,
  options: Parameters<typeof convertToTflite>[1] = {},
): Promise<Beside> {
  const model = typeof text === 'string' ? parseModel(text.startsWith('<') ? text : `${HEAD} ${text}`) : text;
  await inferTypes(model);
  const feeds: Record<string, Tensor> = {};
  model.graph.inputs.forEach((input, index) => {
    const shape = input.shape as number[];
    const count = shape.reduce((product, dim) => product * dim, 1);
    feeds[input.name] = Tensor.floats(noise(count, index + 1), shape);
  });
  const expected = await withSession(model, { optimization: 'off', threads: 1 }, (session) =>
    session.run(feeds),
  );
  const onnx = Object.fromEntries(
    Object.entries(expected).map(([name, tensor]) => [name, tensor.toFloat32()]),
  );
  const converted = convertToTflite(model, options);
  const session = await openLiteRt(encodeTflite(converted.model));
  const litert = await runPorts(session, converted, feeds);
  session.release();
  let difference = 0;
  for (const [name, values] of Object.entries(onnx)) {
    const found = litert[name]!;
    if (found.length !== values.length)
      throw new Error(`${name} has ${found.length} elements, not ${values.length}`);
    values.forEach((value, index) => {
      const gap = Math.abs(value - found[index]!);
      difference = Math.max(difference, Number.isNaN(gap) ? Number.POSITIVE_INFINITY : gap);
    });
  }
  return { converted, ops: converted.model.operators.map(({ op }) => op), onnx, litert, difference };
}
