// Stands in for @react-native/assets-registry, so that the example bundles without React Native.
const assets = [];
module.exports = {
  registerAsset: (asset) => assets.push(asset),
  getAssetByID: (id) => assets[id - 1],
};
