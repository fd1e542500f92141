/**
 * Types of imports that a bundler's plugin answers: `import url from './net.onnx?quantc&target=webgpu'`. A tsconfig asks
 * for them with `"types": ["quantc/client"]`, a file with `/// <reference types="quantc/client" />`. TypeScript allows one
 * `*` in the name of a module, so every built-in target has a line here; a target of your own wants one of its own.
 */
declare module '*.onnx?quantc' {
  /** Where the compiled model is. */
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

/** Options in front: `./net.onnx?target=my-target&quantc` takes any. */
declare module '*&quantc' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=cpu' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=cpu-x64-vnni' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=npu' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=cpu-x64' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=cpu-x64-avx2' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=cpu-arm64' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=webgpu' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=webgpu-flash' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=npu-coreml' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=npu-litert' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=npu-nnapi' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=npu-qnn' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=npu-qnn-plugin' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

declare module '*.onnx?quantc&target=npu-xnnpack' {
  const url: string;
  export default url;
  export const externalData: QuantcImport['externalData'];
  export const sessionOptions: QuantcImport['sessionOptions'];
  export const facts: QuantcImport['facts'];
}

/** What every import has beside its URL. */
interface QuantcImport {
  /** Weights that lie beside a large model, for the session's option of that name. */
  readonly externalData: readonly { readonly path: string; readonly data: string }[];
  /** Options that the model wants of a session. */
  readonly sessionOptions: Readonly<Record<string, string>>;
  readonly facts: {
    readonly target: string;
    readonly precision: string;
    /** Of the model, and of the float model. */
    readonly bytes: number;
    readonly bytesBefore: number;
  };
}
