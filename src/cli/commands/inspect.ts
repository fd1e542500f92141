import { statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { Command } from 'commander';
import { bytesOf, filesOf } from '../../compile/staging.js';
import type { Model, Value } from '../../ir/graph.js';
import type { Type } from '../../ir/type.js';
import { readModel } from '../../onnx/read.js';
import { printType } from '../../text/print.js';
import { columns } from '../columns.js';
import { formatBytes, parseCount } from '../quantity.js';
import { roleFacts, rolesText } from '../roles-text.js';
import { heading, print, printJson } from '../terminal.js';

const LARGEST = 10;

interface Options {
  readonly largest: number;
  readonly roles?: boolean;
  readonly json?: boolean;
}

export function make(): Command {
  return new Command('quantc inspect')
    .description(
      'Says what is in a model. Weights are not read, and nothing is run, unless --roles asks for more.',
    )
    .argument('<model.onnx>', 'the model')
    .option('--largest <n>', `how many of the largest constants to list`, parseCount, LARGEST)
    .option(
      '--roles',
      'tell what each product of a transformer is there for: queries, keys, values, outputs, layers between',
    )
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples
  quantc inspect model.onnx
  quantc inspect model.onnx --json | jq .operators
  quantc inspect decoder.onnx --roles

Next: quantc explain model.onnx --target cpu`,
    )
    .action(async (path: string, { largest, roles, json }: Options) => {
      const facts = inspect(path, largest);
      const found = roles ? await roleFacts(path) : undefined;
      if (json) return printJson({ ...facts, ...(found && { roles: found }) });
      print(found ? rolesText(found) : text(facts));
    });
}

type Facts = ReturnType<typeof inspect>;

function inspect(path: string, largest: number) {
  const model = readModel(path);
  const files = filesOf(path, model);
  const constants = constantsOf(model);
  return {
    model: basename(path),
    bytes: statSync(path).size,
    externalBytes: bytesOf([...files].filter((file) => file !== resolve(path))),
    irVersion: model.irVersion,
    opsets: Object.fromEntries([...model.opsets].map(([domain, version]) => [domain || 'ai.onnx', version])),
    producer: `${model.producerName} ${model.producerVersion}`.trim(),
    inputs: model.graph.inputs.filter((input) => input.constant === undefined).map(signature),
    outputs: model.graph.outputs.map(signature),
    ...structure(model),
    constants: {
      count: constants.length,
      bytes: constants.reduce((sum, { constant }) => sum + constant!.byteLength, 0),
      byDtype: byDtype(constants),
      largest: constants
        .toSorted((a, b) => b.constant!.byteLength - a.constant!.byteLength)
        .slice(0, largest)
        .map((value) => ({
          name: value.name,
          type: printType({ kind: 'tensor', dtype: value.constant!.dtype, shape: value.constant!.shape }),
          bytes: value.constant!.byteLength,
          readers: [...new Set(value.uses.map(({ node }) => node.opType))],
        })),
    },
  };
}

const typeText = (type: Type | undefined): string => (type === undefined ? 'unknown' : printType(type));
const signature = (value: Value) => ({ name: value.name, type: typeText(value.type) });

function structure(model: Model) {
  const operators = new Map<string, number>();
  let nodes = 0;
  let graphs = 0;
  for (const graph of model.graphs()) {
    graphs += 1;
    for (const node of graph.nodes()) {
      const name = node.domain === '' ? node.opType : `${node.domain}.${node.opType}`;
      operators.set(name, (operators.get(name) ?? 0) + 1);
      nodes += 1;
    }
  }
  const functions = model.functions.map(({ domain, name }) => `${domain}.${name}`);
  const sorted = [...operators].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return {
    nodes,
    subgraphs: graphs - 1 - functions.length,
    functions,
    operators: Object.fromEntries(sorted),
  };
}

const constantsOf = (model: Model): Value[] =>
  [...model.graphs()].flatMap((graph) => [...graph.initializers]);

function byDtype(constants: readonly Value[]): Record<string, number> {
  const bytes: Record<string, number> = {};
  for (const { constant } of constants)
    bytes[constant!.dtype] = (bytes[constant!.dtype] ?? 0) + constant!.byteLength;
  return bytes;
}

function text(facts: Facts): string {
  const { constants } = facts;
  const list = (entries: Record<string, number>, format: (count: number) => string) =>
    Object.entries(entries)
      .map(([name, count]) => `${name} ${format(count)}`)
      .join(', ') || 'none';
  const external = facts.externalBytes > 0 ? ` + ${formatBytes(facts.externalBytes)} external data` : '';
  return [
    heading(facts.model),
    columns([
      ['size', `${formatBytes(facts.bytes)}${external}`],
      ['format', `IR version ${facts.irVersion}, ${list(facts.opsets, String)}`],
      ['producer', facts.producer || 'unnamed'],
      ['nodes', `${facts.nodes}, in ${facts.subgraphs} subgraphs besides the main graph`],
      ...(facts.functions.length > 0 ? [['functions', facts.functions.join(', ')]] : []),
      ['operators', list(facts.operators, String)],
      [
        'constants',
        `${constants.count}, ${formatBytes(constants.bytes)}: ${list(constants.byDtype, formatBytes)}`,
      ],
    ]),
    heading('Inputs'),
    columns(facts.inputs.map(({ name, type }) => [name, type])),
    heading('Outputs'),
    columns(facts.outputs.map(({ name, type }) => [name, type])),
    heading('Largest constants'),
    columns(
      constants.largest.map(({ name, type, bytes, readers }) => [
        name,
        type,
        formatBytes(bytes),
        readers.join(', '),
      ]),
      [2],
    ),
  ].join('\n');
}
