import { defineConfig } from 'quantc';
import poolToMean from './pool-to-mean.js';

export default defineConfig({
  plugins: [poolToMean],
  models: {
    shapes: {
      model: '../../models/shapes-cnn/model.onnx',
      calib: '../../models/shapes-cnn',
      eval: '../../models/shapes-cnn',
    },
  },
});
