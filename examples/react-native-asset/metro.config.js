// In an app: `const { getDefaultConfig } = require('@react-native/metro-config')`, or Expo's.
import { getDefaultConfig } from 'metro-config';
import { withQuantc } from 'quantc/metro';

const config = await getDefaultConfig(import.meta.dirname);

export default withQuantc({
  ...config,
  transformer: { ...config.transformer, assetRegistryPath: `${import.meta.dirname}/asset-registry.js` },
});
