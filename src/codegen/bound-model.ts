/** What typed bindings are made of: a compiled model as an app sees it, in plain data. */
import type { DType } from '../ir/dtype.js';

/** A size, the name of an open one, or null where nothing is known. */
export type BoundDim = number | string | null;

/** An input or an output. */
export interface BoundPort {
  readonly name: string;
  readonly dtype: DType;
  /** null where even the rank is unknown. */
  readonly dims: readonly BoundDim[] | null;
  /** The model has a value for it. */
  readonly optional?: boolean;
  /** Integers that stand for reals: real = (integer − zeroPoint) × scale. */
  readonly quantization?: { readonly scale: number; readonly zeroPoint: number };
}

/** Where an app may run. */
export const DEVICES = ['webgpu', 'wasm', 'node', 'react-native'] as const;
export type Device = (typeof DEVICES)[number];

/** One file of the model, and who shall load it. */
export interface BoundVariant {
  /** Name of the target; of the target and the shape, where there are several shapes. */
  readonly target: string;
  readonly precision: string;
  /** Paths from the folder that the report or manifest lies in. */
  readonly file: string;
  readonly externalData: readonly string[];
  readonly bytes: number;
  readonly devices: readonly Device[];
  /** WebGPU: it computes in float16. */
  readonly half?: boolean;
  /** WebGPU: least lanes that subgroups of the device must have. */
  readonly subgroups?: number;
  /** The processor that it was made for; others run it, too. */
  readonly arch?: string;
  /** The one system that has its provider. */
  readonly platform?: 'ios' | 'android';
  /** Options for `InferenceSession.create`, by device. */
  readonly session: Readonly<Partial<Record<Device, Readonly<Record<string, unknown>>>>>;
  /** Inputs that are narrower here than in the model's other files: their dims, by name. */
  readonly narrower?: Readonly<Record<string, readonly BoundDim[]>>;
}

/** What one module binds: files that take and give the same. */
export interface BoundModel {
  /** The module's name: its types are called after it. */
  readonly name: string;
  /** Name of the model that it was compiled from. */
  readonly source: string;
  readonly inputs: readonly BoundPort[];
  readonly outputs: readonly BoundPort[];
  readonly variants: readonly BoundVariant[];
}

/** Packages that a module can import ONNX Runtime from, and the devices that each is for. */
export const RUNTIMES = {
  'onnxruntime-web': ['webgpu', 'wasm'],
  'onnxruntime-node': ['node'],
  'onnxruntime-react-native': ['react-native'],
} as const satisfies Readonly<Record<string, readonly Device[]>>;
export type RuntimeName = keyof typeof RUNTIMES;
