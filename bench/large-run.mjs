/**
 * One measured run, in a process of its own: reads a model, runs passes over it, writes it.
 *
 *   node bench/large-run.mjs <precision> <model> <output> <threads>
 *
 * It loads what `npm run build` made, as the command does, and prints its peak memory in bytes. Precision `none` only
 * measures the empty process.
 */
const [precision, model, output, threads] = process.argv.slice(2);
if (precision !== 'none') {
  const at = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);
  const { readModel } = await at('src/onnx/read.js');
  const { writeModel } = await at('src/onnx/write.js');
  const { KernelPool } = await at('src/kernels/pool.js');
  const { createEngine } = await at('src/runtime/engine.js');
  const { runPipeline } = await at('src/pipeline/run.js');
  const { recipeFor } = await at('src/recipe.js');
  const { resolveTargets } = await at('targets/index.js');
  const { targetFact } = await at('src/target/facts.js');
  const marks = [];
  const mark = (what) =>
    marks.push(
      `${what} ${Math.round(performance.now())} ms, processor ${process.cpuUsage().user / 1000} + ${process.cpuUsage().system / 1000} ms`,
    );
  mark('start');
  const graph = readModel(model);
  mark('read');
  const facts = new Map();
  targetFact.set({ facts }, resolveTargets(['cpu'])[0]);
  const { canonicalize, quantize, finish } = recipeFor(precision);
  await runPipeline(graph, [...canonicalize, ...quantize, ...finish], {
    engine: createEngine(),
    facts,
    ...(process.env.QUANTC_BENCH_MARKS && {
      onPass: ({ pass, milliseconds }) => marks.push(`  ${pass} ${milliseconds.toFixed(1)}`),
    }),
  });
  mark('passes');
  const pool = new KernelPool({ threads: Number(threads) });
  await writeModel(graph, output, pool.writing);
  await pool.close();
  mark('write');
  if (process.env.QUANTC_BENCH_MARKS) process.stderr.write(`${marks.join('\n')}\n`);
}
process.stdout.write(String(process.resourceUsage().maxRSS * 1024));
