// In an app: `module.exports = withQuantc(getDefaultConfig(__dirname))`, with React Native's or Expo's getDefaultConfig.
import { join } from 'node:path';
import { getDefaultConfig } from 'metro-config';
import { withQuantc } from 'quantc/metro';
import { inClone } from './settings.js';

export default withQuantc(inClone(await getDefaultConfig(import.meta.dirname)), {
  config: join(import.meta.dirname, 'quantc.config.js'),
  format: 'ort',
});
