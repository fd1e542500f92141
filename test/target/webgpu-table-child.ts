/** Makes a session of every one-node model it is sent, fallback forbidden: a process that sees the adapter does it. */
import { encodeModel } from '../../src/onnx/encode.js';
import { openSession } from '../../src/runtime/session.js';
import { parseModel } from '../../src/text/parse.js';

/** True when WebGPU takes the model, false when it would leave it to the CPU; otherwise what went wrong. */
async function answerTo(text: string): Promise<boolean | string> {
  try {
    const session = await openSession(
      encodeModel(parseModel(`<ir_version: 10, opset_import: ["": 21]>\n${text}`)),
      { providers: ['webgpu'], extra: { session: { disable_cpu_ep_fallback: '1' } } },
    );
    await session.release();
    return true;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return /default CPU EP/.test(message) ? false : message;
  }
}

process.once('message', async (texts: string[]) => {
  const answers: (boolean | string)[] = [];
  for (const text of texts) answers.push(await answerTo(text));
  process.send!(answers, undefined, undefined, () => process.exit(0));
});
