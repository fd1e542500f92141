import { defineConfig } from 'quantc';

export default defineConfig({
  models: {
    shapes: {
      model: '../../models/shapes-cnn/model.onnx',
      calib: '../../models/shapes-cnn',
      eval: '../../models/shapes-cnn',
    },
  },
});
