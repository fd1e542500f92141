/** Names of the built-in targets: known without loading what they say of operators. */

/** In the order of `targets`. */
export const TARGET_NAMES: readonly string[] = [
  'cpu-x64',
  'cpu-x64-avx2',
  'cpu-arm64',
  'webgpu',
  'webgpu-flash',
  'npu-coreml',
  'npu-litert',
  'npu-nnapi',
  'npu-qnn',
  'npu-qnn-plugin',
  'npu-xnnpack',
];

/** Names that stand for others: what `--target cpu` means. */
export const targetAliases: Readonly<Record<string, readonly string[]>> = {
  cpu: ['cpu-x64'],
  'cpu-x64-vnni': ['cpu-x64'],
  npu: TARGET_NAMES.filter((name) => name.startsWith('npu-')),
};
