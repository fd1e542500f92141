/** What Metro must know because this example lies inside the clone of quantc, and not in an app of its own. */
import { join } from 'node:path';

const clone = join(import.meta.dirname, '../..');

export const inClone = (config) => ({
  ...config,
  projectRoot: import.meta.dirname,
  watchFolders: [
    import.meta.dirname,
    join(clone, 'models/shapes-cnn'),
    join(clone, 'node_modules/metro-runtime'),
  ],
  resolver: { ...config.resolver, nodeModulesPaths: [join(clone, 'node_modules')] },
  transformer: { ...config.transformer, assetRegistryPath: join(import.meta.dirname, 'asset-registry.cjs') },
});
