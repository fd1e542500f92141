import { join, relative } from 'node:path';
import { Command, Option } from 'commander';
import { type BuildResult, build } from '../../build/build.js';
import type { BuildEvent } from '../../build/events.js';
import { MANIFEST_NAME } from '../../build/manifest.js';
import { watch } from '../../build/watch.js';
import { columns } from '../columns.js';
import { asQuantcError, failureText } from '../failure.js';
import { interruptible } from '../interrupt.js';
import { collectNames } from '../option.js';
import { formatBytes } from '../quantity.js';
import { print, printJson } from '../terminal.js';

interface Options {
  readonly config?: string;
  readonly only?: readonly string[];
  readonly out?: string;
  readonly queue?: string;
  readonly watch?: boolean;
  readonly json?: boolean;
}

export function make(): Command {
  return new Command('quantc build')
    .description(
      'Compiles every model of a quantc.config.ts for each of its targets, several at once. What was built before from ' +
        'the same model, data, options and version is kept and copied. Outputs appear whole, with manifest.json, or not ' +
        'at all.',
    )
    .option('--config <file>', 'the config (default: the nearest quantc.config.ts here or above)')
    .option('--only <names>', 'names of models, with commas between (default: all)', collectNames)
    .option('--out <folder>', 'folder for what is made (default: what the config says, else dist)')
    .option('--queue <url>', 'have the jobs done by workers on a queue (`quantc worker`): redis://host:port')
    .addOption(
      new Option(
        '--watch',
        'build again when the config, a model or its data change; ends with Ctrl-C',
      ).conflicts('json'),
    )
    .option('--json', 'print the manifest, and errors, as one JSON document')
    .addHelpText(
      'after',
      `
A config
  import { defineConfig } from 'quantc';
  export default defineConfig({
    out: 'public/models',
    models: {
      classifier: { model: 'models/net.onnx', targets: ['cpu', 'webgpu'], calib: 'data', budget: ['top1>=-0.5%'] },
    },
  });

docs/build.md tells of every key.

Examples
  quantc build
  quantc build --only classifier --json
  quantc build --watch

Exit codes: 0 done, 1 a proof or a budget failed, 2 bad usage or input, 3 a fault of quantc.`,
    )
    .action(run);
}

async function run({ json, watch: watching, ...options }: Options): Promise<void> {
  const onEvent = (event: BuildEvent): void => {
    if (event.kind === 'waiting' || event.kind === 'trouble' || (!json && process.stderr.isTTY))
      process.stderr.write(progressLine(event));
  };
  if (watching) {
    return interruptible((signal) =>
      watch({
        ...{ ...options, signal, onEvent },
        onBuilt: (result) => print(summary(result)),
        onFailed: (error) => process.stderr.write(failureText(asQuantcError(error), false)),
      }),
    );
  }
  const result = await interruptible((signal) => build({ ...options, signal, onEvent }));
  if (json) printJson(result.manifest);
  else print(summary(result));
}

function progressLine(event: BuildEvent): string {
  if (event.kind === 'waiting') return 'no worker is on the queue yet: start one with `quantc worker`\n';
  if (event.kind === 'trouble') return `the queue: ${event.message}\n`;
  const words = { kept: 'kept', begun: 'compiling', done: 'compiled' }[event.kind];
  const again = event.kind === 'begun' && event.attempt > 1 ? ' again: its process was lost' : '';
  return `${words} ${event.name} for ${event.target}${again}\n`;
}

function summary({ out, manifest, built, kept }: BuildResult): string {
  const rows = Object.entries(manifest.models).flatMap(([, targets]) =>
    Object.values(targets).map(({ file, bytes, bytesBefore, metric, proof }) => [
      join(relative('.', out), file),
      `${formatBytes(bytesBefore)} → ${formatBytes(bytes)}`,
      metric ? `${metric.name} ${metric.float.toPrecision(4)} → ${metric.quantized.toPrecision(4)}` : '',
      `proof ${proof}`,
    ]),
  );
  rows.push(...(manifest.bindings ?? []).map(({ path }) => [join(relative('.', out), path)]));
  return `${columns(rows)}\n${built} compiled, ${kept} kept; ${join(relative('.', out), MANIFEST_NAME)}\n`;
}
