/** What `quantc --help` says. It loads nothing, so that help comes at once. */

/** Every command with what it is for, in the order of a first visit. */
export const COMMANDS = {
  compile: 'make a small, fast graph for each target, and prove it',
  build: 'all models of a quantc.config.ts, from what is kept or anew',
  worker: 'does jobs of builds that others began, from a queue',
  explain: 'who takes each node, and why not; nothing is written',
  compare: 'two models side by side: outputs, layers, latency',
  sensitivity: 'what each layer loses in integers, measured; nothing is written',
  finetune: 'train weights on the grid that they will be stored on; no labels are needed',
  report: 'one page of what a compilation did, to read and to search',
  new: 'a pass, rewrite, target or observer of your own: source, test and place in the config',
  bindings: 'compiled models as TypeScript modules, typed and ready to run',
  diff: 'what changed from one report to another',
  inspect: 'sizes, types, operators, inputs and outputs of a model',
  print: "a model as text, in ONNX's own syntax",
  doctor: 'what of the installation works, and what mends it',
  targets: 'the executors that quantc compiles for',
  passes: 'the rewrites that it makes, in their order',
} as const satisfies Readonly<Record<string, string>>;

export type CommandName = keyof typeof COMMANDS;

export const isCommand = (name: string): name is CommandName => Object.hasOwn(COMMANDS, name);

/** Help for quantc as a whole. */
export function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const list = Object.entries(COMMANDS).map(([name, doc]) => `  ${name.padEnd(width)}  ${doc}`);
  return `quantc compiles trained ONNX models into small, fast, low-precision graphs, and proves what it emits.

Usage: quantc <command> [options]

Commands
${list.join('\n')}

A first session
  quantc inspect model.onnx                                what is in it
  quantc explain model.onnx --target cpu                   what would become of each node
  quantc compile model.onnx --target cpu --calib data/     int8, ranges from your data
  quantc compare model.onnx dist/model.cpu-x64.onnx --eval data/

Without --calib, compile makes a dynamic int8 model, which needs no data.

quantc <command> --help tells more of each. --version prints the version.
Exit codes: 0 done, 1 a proof or a budget failed, 2 bad usage or input, 3 a fault of quantc.
Environment: QUANTC_TRACE=1|2|3 follows the passes, QUANTC_DEBUG=1 shows stacks.
`;
}
