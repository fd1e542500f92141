/** Classifies pictures in the browser: on the GPU where there is one with 16-bit floats, else in WebAssembly. */
import * as ort from 'onnxruntime-web';
import pictures from '../../models/shapes-cnn/image.eval.npy?url';
import labels from '../../models/shapes-cnn/labels.eval.npy?url';
import forWasm from '../../models/shapes-cnn/model.onnx?quantc&target=cpu';
import forWebGpu from '../../models/shapes-cnn/model.onnx?quantc&target=webgpu&precision=fp16';

const KINDS = [
  'disk',
  'ring',
  'ellipse',
  'square',
  'triangle',
  'pentagon',
  'star',
  'cross',
  'crescent',
  'bar',
];
const SIDE = 32;
const COUNT = 60;

ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

async function createSession() {
  const adapter = await navigator.gpu?.requestAdapter();
  if (adapter?.features.has('shader-f16')) {
    const session = await ort.InferenceSession.create(forWebGpu, { executionProviders: ['webgpu'] });
    return { session, executor: 'WebGPU' };
  }
  const session = await ort.InferenceSession.create(forWasm, { executionProviders: ['wasm'] });
  return { session, executor: 'WebAssembly' };
}

/** What follows the header of an .npy file. */
async function elementsOf(url) {
  const buffer = await (await fetch(url)).arrayBuffer();
  return buffer.slice(10 + new DataView(buffer).getUint16(8, true));
}

/** Bytes of one picture, [height, width, channel], as the model wants them: [1, channel, height, width], normalized. */
function feedOf(bytes) {
  const area = SIDE * SIDE;
  const values = new Float32Array(3 * area);
  for (let at = 0; at < bytes.length; at++)
    values[(at % 3) * area + Math.floor(at / 3)] = (bytes[at] / 255 - 0.5) / 0.25;
  return new ort.Tensor('float32', values, [1, 3, SIDE, SIDE]);
}

function show(bytes, answer, right) {
  const canvas = document.createElement('canvas');
  canvas.width = SIDE;
  canvas.height = SIDE;
  const context = canvas.getContext('2d');
  const image = context.createImageData(SIDE, SIDE);
  for (let at = 0; at < SIDE * SIDE; at++)
    image.data.set([bytes[3 * at], bytes[3 * at + 1], bytes[3 * at + 2], 255], 4 * at);
  context.putImageData(image, 0, 0);
  const caption = document.createElement('figcaption');
  caption.textContent = right ? answer : `${answer} ✗`;
  const figure = document.createElement('figure');
  figure.append(canvas, caption);
  document.querySelector('#pictures').append(figure);
}

async function run() {
  const [{ session, executor }, images, truths] = await Promise.all([
    createSession(),
    elementsOf(pictures),
    elementsOf(labels),
  ]);
  const size = SIDE * SIDE * 3;
  const kinds = new Int32Array(truths);
  const answers = [];
  for (let index = 0; index < COUNT; index++) {
    const bytes = new Uint8Array(images, index * size, size);
    const outputs = await session.run({ [session.inputNames[0]]: feedOf(bytes) });
    const scores = [...outputs[session.outputNames[0]].data].map(Number);
    const answer = scores.indexOf(Math.max(...scores));
    answers.push(answer);
    show(bytes, KINDS[answer], answer === kinds[index]);
  }
  const right = answers.filter((answer, index) => answer === kinds[index]).length;
  document.querySelector('#engine').textContent = `${right} of ${COUNT} right, on ${executor}`;
  return { executor, right, answers };
}

globalThis.classified = run().catch((error) => {
  document.querySelector('#engine').textContent = String(error);
  return { error: String(error) };
});
globalThis.classified.then((result) => {
  globalThis.result = result;
});
