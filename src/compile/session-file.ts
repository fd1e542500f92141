/** The file beside a model that says how to load it: `<model>.<target>.session.json`. */
import { nested } from '../prove.js';
import type { Target } from '../target/target.js';
import { type JavaScriptProvider, providerSettings } from './provider-settings.js';

/** What of it there is, by file name. */
export interface DeliveredFiles {
  readonly onnx: string;
  readonly ort?: { readonly fixed?: string; readonly runtime?: string };
}

/**
 * @param precision of the compilation
 * @returns text that is the same for the same target, precision and names
 */
export function sessionText(target: Target, precision: string, files: DeliveredFiles): string {
  const provider = target.provider?.provider;
  const settings = provider && providerSettings(provider, precision === 'float' || precision === 'fp16');
  const entries = { ...target.session, ...settings?.session };
  const javascript = (own: JavaScriptProvider) => ({
    executionProviders: [own, 'cpu'],
    graphOptimizationLevel: 'all',
    ...(settings?.intraOpNumThreads !== undefined && { intraOpNumThreads: settings.intraOpNumThreads }),
    ...(Object.keys(entries).length > 0 && { extra: nested(entries) }),
  });
  return `${JSON.stringify(
    {
      target: target.name,
      precision,
      files: {
        onnx: files.onnx,
        ...(files.ort?.fixed !== undefined && { ort: { path: files.ort.fixed } }),
        ...(files.ort?.runtime !== undefined && {
          ortForProvider: {
            path: files.ort.runtime,
            configEntries: { 'session.enable_saved_runtime_optimizations': '1' },
          },
        }),
      },
      session: {
        graphOptimizationLevel: 'all',
        ...(settings?.intraOpNumThreads !== undefined && { intraOpNumThreads: settings.intraOpNumThreads }),
        configEntries: entries,
      },
      ...(settings && {
        provider: {
          name: settings.name,
          options: settings.options,
          ...(settings.flags && { flags: settings.flags }),
        },
        // A session with these is refused where the provider does not take every node.
        acceptance: { configEntries: { 'session.disable_cpu_ep_fallback': '1' } },
      }),
      javascript: settings
        ? javascript(settings.javascript)
        : {
            graphOptimizationLevel: 'all',
            ...(Object.keys(entries).length > 0 && { extra: nested(entries) }),
          },
      ...(settings?.reactNative && { reactNative: javascript(settings.reactNative) }),
    },
    undefined,
    2,
  )}\n`;
}
