import { QuantcError, type Target } from '../src/index.js';
import { cpuArm64 } from './cpu-arm64.js';
import { cpuX64Avx2, cpuX64Vnni } from './cpu-x64.js';
import { targetAliases } from './names.js';
import { npuCoreml } from './npu-coreml.js';
import { npuLitert } from './npu-litert.js';
import { npuNnapi } from './npu-nnapi.js';
import { npuQnn, npuQnnPlugin } from './npu-qnn.js';
import { npuXnnpack } from './npu-xnnpack.js';
import { webgpu, webgpuFlash } from './webgpu.js';

export { TARGET_NAMES, targetAliases } from './names.js';

/** Every built-in target, by name. */
export const targets: readonly Target[] = [
  cpuX64Vnni,
  cpuX64Avx2,
  cpuArm64,
  webgpu,
  webgpuFlash,
  npuCoreml,
  npuLitert,
  npuNnapi,
  npuQnn,
  npuQnnPlugin,
  npuXnnpack,
];

/**
 * Resolves names, aliases included, in the order given and without repeats.
 * @throws QuantcError E_TARGET_UNKNOWN listing the names there are.
 */
export function resolveTargets(names: readonly string[], more: readonly Target[] = []): Target[] {
  const known = [...targets, ...more];
  const resolved = new Set<Target>();
  for (const name of names) {
    for (const each of targetAliases[name] ?? [name]) {
      const target = known.find((candidate) => candidate.name === each);
      if (target === undefined) {
        throw new QuantcError('E_TARGET_UNKNOWN', `there is no target "${name}"`, {
          kind: 'usage',
          hint: `Targets: ${[...Object.keys(targetAliases), ...known.map((k) => k.name)].join(', ')}.`,
        });
      }
      resolved.add(target);
    }
  }
  return [...resolved];
}
