/** Trains the signal transformer from its seed and writes `models/signal-transformer`. */
import { SeededRandom } from '../src/calibration/random.js';
import { exportSignalTransformer } from './signals/export.js';
import { MEAN, makeNetwork, runNetwork, SCALE } from './signals/network.js';
import { drawSignals, LENGTH } from './signals/signals.js';
import { Parameters } from './train/parameters.js';
import { saveModel } from './train/save.js';
import { accuracy, type Forward, percent, train } from './train/train.js';

const steps = Number(process.argv[2] ?? 1000);
const parameters = new Parameters(new SeededRandom(11));
const network = makeNetwork(parameters);
const forward: Forward = (tape, samples) => runNetwork(tape, network, samples);

const training = new SeededRandom(12);
train(parameters, forward, { steps, batch: 32, rate: 2e-3, draw: (count) => drawSignals(count, training) });

const calib = drawSignals(512, new SeededRandom(13));
const evaluation = drawSignals(2000, new SeededRandom(14));
await saveModel('signal-transformer', exportSignalTransformer(network), {
  input: 'signal',
  shape: [LENGTH],
  transform: { scale: SCALE, mean: [MEAN], std: [1] },
  calib,
  evaluation,
});
console.log(`float accuracy on the evaluation signals: ${percent(accuracy(forward, evaluation))}`);
