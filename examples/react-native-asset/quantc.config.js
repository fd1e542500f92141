import { defineConfig } from 'quantc';

export default defineConfig({
  defaults: { precision: 'int8-dynamic' },
  models: { shapes: '../../models/shapes-cnn/model.onnx' },
});
