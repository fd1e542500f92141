/** Trains the shape classifier from its seed and writes `models/shapes-cnn`. */
import { SeededRandom } from '../src/calibration/random.js';
import { exportShapesCnn } from './shapes/export.js';
import { MEAN, makeNetwork, runNetwork, STD } from './shapes/network.js';
import { drawPictures, SIZE } from './shapes/pictures.js';
import { Parameters } from './train/parameters.js';
import { saveModel } from './train/save.js';
import { accuracy, type Forward, percent, train } from './train/train.js';

const steps = Number(process.argv[2] ?? 1200);
const parameters = new Parameters(new SeededRandom(1));
const network = makeNetwork(parameters);
const forward: Forward = (tape, samples) => runNetwork(tape, network, samples);

const training = new SeededRandom(2);
train(parameters, forward, { steps, batch: 16, rate: 4e-3, draw: (count) => drawPictures(count, training) });

const calib = drawPictures(320, new SeededRandom(3));
const evaluation = drawPictures(1200, new SeededRandom(4));
await saveModel('shapes-cnn', exportShapesCnn(network), {
  input: 'image',
  shape: [SIZE, SIZE, 3],
  transform: { layout: 'NHWC->NCHW', scale: 1 / 255, mean: MEAN, std: STD },
  calib,
  evaluation,
});
console.log(`float accuracy on the evaluation pictures: ${percent(accuracy(forward, evaluation))}`);
