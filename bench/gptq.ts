/**
 * GPTQ of one large layer by parts: `npx tsx bench/gptq.ts [size] [samples] [bits]`, by default 4096 × 4096 weights over
 * 128 samples of 2048 tokens, in 4 bits with a scale a column. Tokens are made on the fly and not timed: a mixture of a
 * few directions and of noise of many sizes, as what layers of language models read is. CPU seconds are of the whole
 * process: where others work on the machine, they tell more than the clock does.
 */
import { metricBy, type RoundSpec, roundIntoBy, simulatedWeight, Widened } from '../src/index.js';
import { withProducts } from '../src/runtime/products.js';

const TOKENS = 2048;
const DIRECTIONS = 64;
const DAMPING = 0.01;
const [size = 4096, samples = 128, bits = 4] = process.argv.slice(2).map(Number);

let state = 1;
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32 - 0.5;
};
const sizes = Float32Array.from({ length: size }, () => 0.1 + 2 * Math.abs(random()) ** 3);
const directions = Array.from({ length: DIRECTIONS }, () => Float32Array.from({ length: size }, random));

function tokens(): Float32Array {
  const x = new Float32Array(TOKENS * size);
  for (let t = 0; t < TOKENS; t++) {
    const row = x.subarray(t * size, (t + 1) * size);
    for (let k = 0; k < size; k++) row[k] = random();
    for (let n = 0; n < 8; n++) {
      const by = 2 * random();
      const along = directions[Math.floor((random() + 0.5) * DIRECTIONS)]!;
      for (let k = 0; k < size; k++) row[k]! += by * along[k]!;
    }
    for (let k = 0; k < size; k++) row[k]! *= sizes[k]!;
  }
  return x;
}

let total = 0;
let cpu = 0;
let part = { wall: 0, cpu: 0 };
async function timed<T>(run: () => Promise<T>): Promise<T> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  const result = await run();
  const used = process.cpuUsage(before);
  part.wall += (performance.now() - start) / 1e3;
  part.cpu += (used.user + used.system) / 1e6;
  return result;
}
function tell(what: string): void {
  console.log(`${what}: ${part.wall.toFixed(1)} s, ${part.cpu.toFixed(1)} CPU seconds`);
  total += part.wall;
  cpu += part.cpu;
  part = { wall: 0, cpu: 0 };
}

/** tr(D·A·Dᵀ) over a number of rows, as a share of tr(W·A·Wᵀ). */
function error(weights: Float32Array, rounded: Float32Array, matrix: Float64Array, rows: number): number {
  const cost = (of: (at: number) => number): number => {
    let sum = 0;
    for (let row = 0; row < rows; row++) {
      const d = Float64Array.from({ length: size }, (_, k) => of(row * size + k));
      for (let i = 0; i < size; i++) {
        let own = 0;
        for (let j = 0; j < size; j++) own += matrix[i * size + j]! * d[j]!;
        sum += d[i]! * own;
      }
    }
    return sum;
  };
  return cost((at) => rounded[at]! - weights[at]!) / cost((at) => weights[at]!);
}

await withProducts({ maxBytes: 1 << 30 }, async (engine) => {
  const sum = engine.gram(size);
  for (let n = 0; n < samples; n++) {
    const x = tokens();
    await timed(() => sum.add(x));
  }
  const matrix = await timed(() => sum.finish());
  tell(`Hessian of ${samples} × ${TOKENS} tokens of ${size}`);
  const metric = await timed(async () => {
    let trace = 0;
    for (let i = 0; i < size; i++) trace += matrix[i * size + i]!;
    for (let i = 0; i < size; i++) matrix[i * size + i]! += (DAMPING * trace) / size;
    return (await metricBy(matrix, size, engine))!;
  });
  tell('factorization');
  const weights = Float32Array.from({ length: size * size }, () => random() + random() + random());
  const spec: RoundSpec = {
    shape: [size, size],
    axis: 1,
    bits: bits as 2 | 3 | 4 | 8,
    blockSize: size,
    symmetric: true,
    method: 'mse',
    half: false,
  };
  const widened = new Widened(spec);
  await timed(() => roundIntoBy(engine, weights, spec, [metric], (...block) => widened.put(...block)));
  tell(`rounding of ${size} × ${size} weights in ${bits} bits`);
  console.log(`total: ${total.toFixed(1)} s, ${cpu.toFixed(1)} CPU seconds`);
  console.log(`peak memory: ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);
  const rows = Math.min(16, size);
  const nearest = simulatedWeight(weights.subarray(0, rows * size), { ...spec, shape: [rows, size] });
  const [together, alone] = [widened.values, nearest].map((each) => error(weights, each, matrix, rows)) as [
    number,
    number,
  ];
  console.log(
    `error of the output, ${rows} rows: ${together.toExponential(2)}, each weight to its nearest ${alone.toExponential(2)}, ${(together / alone).toFixed(3)} of it`,
  );
});
