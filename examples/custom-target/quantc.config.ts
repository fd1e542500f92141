import { defineConfig } from 'quantc';
import tinyDsp from './tiny-dsp.js';

export default defineConfig({
  plugins: [tinyDsp],
  models: {
    shapes: {
      model: '../../models/shapes-cnn/model.onnx',
      targets: ['tiny-dsp', 'cpu'],
      calib: '../../models/shapes-cnn',
      eval: '../../models/shapes-cnn',
    },
  },
});
