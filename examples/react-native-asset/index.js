// In an app: `Asset.fromModule(require(...))` of expo-asset, or `resolveAssetSource`, gives a path for
// `InferenceSession.create` of onnxruntime-react-native.
globalThis.model = require('../../models/shapes-cnn/model.onnx');
