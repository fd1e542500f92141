/**
 * What the browser runs: it asks the server for a job, does it, posts the answer, and asks again. Kept as text, since it
 * runs as it stands; `frame.ts` says how tensors are packed.
 */
export const PAGE = `<!doctype html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>quantc</title>
<script type="module">
import * as ort from '/ort/ort.webgpu.min.mjs';
ort.env.wasm.wasmPaths = '/ort/';
ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'fatal';

const RUNTIME_NAMES = { float: 'float32', double: 'float64' };
const OUR_NAMES = { float32: 'float', float64: 'double' };
const ARRAYS = {
  float: Float32Array, double: Float64Array, float16: globalThis.Float16Array ?? Uint16Array, bool: Uint8Array,
  int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array,
  int32: Int32Array, uint32: Uint32Array, int64: BigInt64Array, uint64: BigUint64Array,
};

function unframe(body) {
  const size = new DataView(body).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(body, 4, size)));
  let at = 4 + size;
  return Object.fromEntries(header.map(({ name, dtype, shape, length }) => {
    const data = new ARRAYS[dtype](body.slice(at, at + length));
    at += length;
    return [name, new ort.Tensor(RUNTIME_NAMES[dtype] ?? dtype, data, shape)];
  }));
}

function frame(record) {
  const bodies = [];
  const header = Object.entries(record).map(([name, { type, dims, data }]) => {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    bodies.push(bytes);
    return { name, dtype: OUR_NAMES[type] ?? type, shape: dims, length: bytes.length };
  });
  const text = new TextEncoder().encode(JSON.stringify(header));
  return new Blob([Uint32Array.of(text.length), text, ...bodies]);
}

const sessions = new Map();
const fetched = async (path) => (await fetch(path)).arrayBuffer();

const tasks = {
  async open({ id, provider, extra, external }) {
    const session = await ort.InferenceSession.create(new Uint8Array(await fetched('/model')), {
      executionProviders: [provider],
      extra,
      externalData: await Promise.all(external.map(async (path) => ({
        path, data: new Uint8Array(await fetched('/data?' + encodeURIComponent(path))),
      }))),
    });
    sessions.set(id, session);
    return JSON.stringify({ inputs: session.inputMetadata, outputs: session.outputMetadata });
  },
  async run({ model }) {
    const results = await sessions.get(model).run(unframe(await fetched('/feeds')));
    for (const result of Object.values(results)) await result.getData();
    return frame(results);
  },
  async release({ model }) {
    await sessions.get(model).release();
    sessions.delete(model);
    return '';
  },
};

for (;;) {
  const job = await (await fetch('/job')).json();
  try {
    await fetch('/done', { method: 'POST', body: await tasks[job.kind](job) });
  } catch (error) {
    await fetch('/failed', { method: 'POST', body: String(error?.message ?? error) });
  }
}
</script>
`;
