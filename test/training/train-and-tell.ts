/** Trains with checkpoints in the folder given, and says each step: the process that a test kills. */
import { train } from '../../src/training/loop.js';
import { smallStep, smallTraining } from './small.js';

const told = { ...smallTraining(process.argv[2]), onStep: ({ step }: { step: number }) => console.log(step) };
// Slowly, so that the kill comes between steps as well as within them.
const batch: typeof told.batch = async (step) => {
  await new Promise((resolve) => setTimeout(resolve, 30));
  return told.batch(step);
};
smallStep()
  .then((step) => train(step, { ...told, batch }))
  .catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
