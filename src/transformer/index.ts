export * from './attention.js';
export { allowedSizes, fedInputs, inputsRead, isWholeNumber, Prober, type Sizes } from './cone.js';
export * from './facts.js';
export * from './mask.js';
export * from './rotary.js';
export * from './rotary-table.js';
export * from './scores.js';
export * from './token-rows.js';
